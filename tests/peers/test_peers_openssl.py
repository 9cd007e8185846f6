"""openssl's s_client and s_server against `mungos`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.programs import Child, Server, child, mungos, run, server

pytestmark = pytest.mark.foreign("openssl")

VERSIONS = [("builtin", "1_3"), ("openssl", "1_3"), ("openssl", "1_2")]


class Papers:
    """A certificate for 127.0.0.1 and localhost, as files.

    Attributes:
        authority, chain, key: PEM files.
    """

    def __init__(self, folder: Path) -> None:
        self.authority, self.chain, self.key = (folder / name for name in ("ca.pem", "chain.pem", "key.pem"))
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(str(self.authority))
        issued.cert_chain_pems[0].write_to_path(str(self.chain))
        issued.private_key_pem.write_to_path(str(self.key))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    (site / "a.txt").write_bytes(b"from a file\n")
    return site


@pytest.fixture(scope="module", params=["builtin", "openssl"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def serving(papers: Papers, site: Path, engine: str) -> Iterator[Server]:
    options = ("--tls-cert", papers.chain, "--tls-key", papers.key, "--tls-engine", engine)
    with server("serve", site, "--listen", "https://127.0.0.1:0", *options) as made:
        yield made


@pytest.fixture(scope="module")
def echoing(papers: Papers, engine: str) -> Iterator[Server]:
    options = ("--tls-cert", papers.chain, "--tls-key", papers.key, "--tls-engine", engine)
    with server("echo", "--listen", "tls://127.0.0.1:0", *options) as made:
        yield made


@pytest.fixture
def s_client(foreign_program: Callable[[str], str], papers: Papers) -> Callable[..., str]:
    """Runs s_client with records and alerts shown; all that it says."""
    program = foreign_program("openssl")

    def call(port: int, *arguments: str, stdin: bytes) -> str:
        trusted = ["-CAfile", str(papers.authority), "-verify_return_error", "-verify_hostname", "localhost"]
        command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-msg", *trusted, *arguments]
        done = run(command, stdin=stdin)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, text
        assert "Verify return code: 0 (ok)" in text
        return text

    return call


def versions(engine: str) -> list[str]:
    return [version for name, version in VERSIONS if name == engine]


def test_s_client_gets_a_file_and_close_notify(
    s_client: Callable[..., str], serving: Server, engine: str
) -> None:
    request = b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for version in versions(engine):
        said = s_client(serving.port("https"), f"-tls{version}", "-ign_eof", stdin=request)
        assert "from a file" in said
        assert "HTTP/1.1 200 OK" in said
        assert f"TLSv{version.replace('_', '.')}" in said
        assert re.search(r"<<< .*Alert.*, warning close_notify", said)


def test_s_client_ends_first_with_close_notify(
    s_client: Callable[..., str], echoing: Server, engine: str
) -> None:
    for version in versions(engine):
        said = s_client(echoing.port("tls"), f"-tls{version}", "-no_ign_eof", stdin=b"")
        assert re.search(r">>> .*Alert.*, warning close_notify", said)


def test_s_client_speaks_before_it_listens(
    foreign_program: Callable[[str], str], echoing: Server, papers: Papers
) -> None:
    command = [
        foreign_program("openssl"),
        *(
            "s_client",
            "-connect",
            f"127.0.0.1:{echoing.port('tls')}",
            "-quiet",
            "-CAfile",
            str(papers.authority),
        ),
    ]
    with child(command) as client:
        assert client.process.stdin is not None
        for word in ("first", "second"):
            client.process.stdin.write(f"{word} line\n".encode())
            client.process.stdin.flush()
            client.line(f"^{word} line$")


def s_server(program: str, papers: Papers, *arguments: str) -> list[str]:
    certificate = ["-cert", str(papers.chain), "-key", str(papers.key)]
    return [program, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", *certificate, *arguments]


def accepting(serving: Child) -> str:
    return serving.line(r"^ACCEPT (127\.0\.0\.1:\d+)")[1]


@pytest.mark.parametrize(("engine_name", "tls"), VERSIONS)
def test_get_from_s_server(
    foreign_program: Callable[[str], str], papers: Papers, engine_name: str, tls: str
) -> None:
    with child(s_server(foreign_program("openssl"), papers, "-www", f"-tls{tls}"), merged=True) as serving:
        place = accepting(serving)
        done = mungos(
            "get", f"https://{place}/", "--cacert", papers.authority, "--tls-engine", engine_name, "-v"
        )
    assert done.returncode == 0, done.stderr
    assert b"<HTML>" in done.stdout
    assert f"TLSv{tls.replace('_', '.')}, ".encode() in done.stderr


def test_get_from_s_server_without_tls_1_3_names_the_engine(
    foreign_program: Callable[[str], str], papers: Papers
) -> None:
    with child(s_server(foreign_program("openssl"), papers, "-www", "-tls1_2"), merged=True) as serving:
        place = accepting(serving)
        done = mungos("get", f"https://{place}/", "--cacert", papers.authority, "--tls-engine", "builtin")
    assert done.returncode == 1
    assert b"--tls-engine openssl" in done.stderr


@pytest.mark.parametrize(("engine_name", "tls"), VERSIONS)
def test_connect_to_s_server(
    foreign_program: Callable[[str], str], papers: Papers, engine_name: str, tls: str
) -> None:
    """-rev sends each line back, reversed, and ends when the client does."""
    with child(s_server(foreign_program("openssl"), papers, "-rev", f"-tls{tls}"), merged=True) as serving:
        place = accepting(serving)
        command = (
            "connect",
            f"tls://{place}",
            "--cacert",
            papers.authority,
            "--tls-engine",
            engine_name,
            "-v",
        )
        done = mungos(*command, stdin=b"abc\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"cba\n"
    assert b"certificate 0: subject " in done.stderr
