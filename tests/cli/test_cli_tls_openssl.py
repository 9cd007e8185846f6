"""The options of TLS against openssl's s_client and s_server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.programs import Child, Server, child, mungos, run, server
from tests.peers.tls_papers import HOST, OTHER_HOST, Papers

pytestmark = pytest.mark.foreign("openssl")

HTTPS = ("--listen", "https://127.0.0.1:0")
REQUEST = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Call = Callable[..., tuple[int, str]]


def pair(papers: Papers, *names: str) -> list[str]:
    """--tls-cert and --tls-key for each."""
    return [
        word
        for name in names
        for word in ("--tls-cert", papers.path(f"{name}.pem"), "--tls-key", papers.path(f"{name}.key"))
    ]


def theirs(papers: Papers, name: str) -> list[str]:
    """The same for openssl."""
    chain = papers.path(f"{name}.pem")
    return ["-cert", chain, "-cert_chain", chain, "-key", papers.path(f"{name}.key")]


@pytest.fixture
def s_client(foreign_program: Callable[[str], str], papers: Papers) -> Call:
    """Asks for the file until the server ends; the status and all that is said."""
    program = foreign_program("openssl")

    def call(serving: Server, *options: str, name: str = HOST) -> tuple[int, str]:
        trusted = ("-CAfile", papers.path("root.pem"), "-verify_return_error")
        place = ("-connect", f"127.0.0.1:{serving.port('https')}", "-servername", name)
        done = run([program, "s_client", *place, *trusted, "-ign_eof", *options], stdin=REQUEST)
        return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")

    return call


@pytest.fixture
def s_server(foreign_program: Callable[[str], str], papers: Papers) -> Callable[..., list[str]]:
    """The command of a server for one connection that answers with a page about it."""
    program = foreign_program("openssl")

    def command(*options: str, name: str = "p256") -> list[str]:
        listen = ("-accept", "127.0.0.1:0", "-naccept", "1", "-www")
        return [program, "s_server", *listen, *theirs(papers, name), *options]

    return command


def got(serving: Child, papers: Papers, *options: str | Path) -> tuple[int, str, str]:
    """`mungos get -v` of the page: status, page, what is said."""
    place = serving.line(r"^ACCEPT (127\.0\.0\.1:\d+)")[1]
    done = mungos("get", f"https://{place}/", "-v", "--tls-ca", papers.path("root.pem"), *options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def keys(path: Path) -> Sequence[str]:
    """The lines of a key log, in order of the alphabet."""
    return sorted(line for line in path.read_text("ascii").splitlines() if not line.startswith("#"))


def test_s_client_must_show_a_certificate(site: Path, papers: Papers, s_client: Call) -> None:
    with server(
        "serve", site, *HTTPS, *pair(papers, "p256"), "--tls-client-ca", papers.path("root.pem")
    ) as serving:
        status, said = s_client(serving, *theirs(papers, "client-p384"))
        assert (status, "hello" in said) == (0, True), said
        _, said = s_client(serving)
        assert "hello" not in said
        assert "certificate required" in said
        _, said = s_client(serving, *theirs(papers, "client-stranger"))
        assert "hello" not in said
        assert "unknown ca" in said


def test_s_client_may_show_a_certificate(site: Path, papers: Papers, s_client: Call) -> None:
    asked = ("--tls-client-ca", papers.path("root.pem"), "--tls-client-auth", "optional")
    with server("serve", site, *HTTPS, *pair(papers, "p256"), *asked) as serving:
        for options in ((), theirs(papers, "client-ed25519")):
            status, said = s_client(serving, *options)
            assert (status, "hello" in said) == (0, True), said


def test_s_client_gets_the_certificate_of_its_name_and_scheme(
    site: Path, papers: Papers, s_client: Call
) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "p256", "other", "rsa")) as serving:
        for name, schemes, subject in (
            (HOST, "ECDSA+SHA256:RSA-PSS+SHA256", "p256"),
            (OTHER_HOST, "ECDSA+SHA256:RSA-PSS+SHA256", "other"),
            (HOST, "RSA-PSS+SHA256:ecdsa_secp384r1_sha384", "rsa"),
        ):
            status, said = s_client(serving, "-sigalgs", schemes, name=name)
            assert status == 0, said
            assert f"\n 0 s:CN = {subject}\n" in said


def test_s_client_is_asked_for_another_share(site: Path, papers: Papers, s_client: Call) -> None:
    options = ("--tls-groups", "secp384r1", "--tls-ciphers", "TLS_CHACHA20_POLY1305_SHA256")
    with server("serve", site, *HTTPS, *pair(papers, "p256"), *options) as serving:
        status, said = s_client(serving, "-groups", "X25519:P-384", "-msg")
        assert status == 0, said
        assert said.count(", ClientHello") == 2
        assert "Server Temp Key: ECDH, secp384r1, 384 bits" in said
        assert "Cipher is TLS_CHACHA20_POLY1305_SHA256" in said
        _, said = s_client(serving, "-groups", "X25519")
        assert "handshake failure" in said


def test_s_client_and_our_server_log_the_same_keys(
    site: Path, papers: Papers, s_client: Call, tmp_path: Path
) -> None:
    ours, its = tmp_path / "ours", tmp_path / "its"
    with server("serve", site, *HTTPS, *pair(papers, "p256"), "--tls-keylog", ours) as serving:
        assert s_client(serving, "-keylogfile", str(its))[0] == 0
    assert len(keys(ours)) >= 5
    assert keys(ours) == keys(its)


def test_our_client_shows_its_certificate_to_s_server(
    papers: Papers, s_server: Callable[..., list[str]]
) -> None:
    asked = s_server("-Verify", "3", "-verify_return_error", "-CAfile", papers.path("root.pem"))
    with child(asked, merged=True) as serving:
        status, page, said = got(serving, papers, *pair(papers, "client-p256"))
        assert status == 0, said
        assert Path(papers.path("client-p256.pem")).read_text("ascii").split("-----")[2].strip() in page
    with child(asked, merged=True) as serving:
        status, _, said = got(serving, papers)
        assert status == 1
        assert "(the peer wants to see a certificate: give --tls-cert and --tls-key)" in said


def test_our_client_offers_what_it_is_told_to_s_server(
    papers: Papers, s_server: Callable[..., list[str]], tmp_path: Path
) -> None:
    """With another share than the first, and the same keys in both logs."""
    ours, its = tmp_path / "ours", tmp_path / "its"
    command = s_server("-groups", "P-384", "-msg", "-keylogfile", str(its))
    with child(command, merged=True) as serving:
        suite = "TLS_AES_256_GCM_SHA384"
        told = ("--tls-groups", "x25519,secp384r1", "--tls-ciphers", suite, "--tls-keylog", ours)
        status, _, said = got(serving, papers, *told)
        assert status == 0, said
        assert f"TLSv1.3, {suite}, group secp384r1, " in said
        serving.ended()
        assert serving.process.stdout is not None
        rest = serving.process.stdout.read().decode("utf-8", "replace")
    assert rest.count(", ClientHello") == 2
    assert len(keys(ours)) >= 5
    assert keys(ours) == keys(its)


def test_our_client_agrees_on_a_protocol_with_s_server(
    papers: Papers, foreign_program: Callable[[str], str]
) -> None:
    command = [foreign_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev"]
    with child([*command, "-alpn", "one,two", *theirs(papers, "rsa")], merged=True) as serving:
        place = serving.line(r"^ACCEPT (127\.0\.0\.1:\d+)")[1]
        trusted = ("--tls-ca", papers.path("root.pem"))
        done = mungos("connect", f"tls://{place}", "-v", "--tls-alpn", "two,three", *trusted, stdin=b"abc\n")
    assert (done.returncode, done.stdout) == (0, b"cba\n")
    assert b", signature rsa_pss_rsae_sha256, ALPN two, new session\n" in done.stderr
