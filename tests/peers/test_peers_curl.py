"""curl against `mungos serve` and `mungos echo`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.programs import Server, run, server

pytestmark = pytest.mark.foreign("curl")

TEXT = b"the quick brown fox\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("curl")
    site = root / "site"
    site.mkdir()
    (root / "secret.txt").write_bytes(b"secret")
    (site / "a.txt").write_bytes(TEXT)
    (site / "large.bin").write_bytes(bytes(range(256)) * 12_000)
    return site


@pytest.fixture(scope="module", params=["builtin", "openssl"])
def serving(request: pytest.FixtureRequest, site: Path) -> Iterator[Server]:
    with server(
        "serve",
        site,
        *("--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0"),
        *("--save-cert", site.parent / "dev.pem", "--tls-engine", request.param),
    ) as made:
        yield made


@pytest.fixture(scope="module", params=["http", "https"])
def base(request: pytest.FixtureRequest, serving: Server) -> str:
    return serving.url(request.param)


@pytest.fixture
def curl(foreign_program: Callable[[str], str], site: Path) -> Callable[..., tuple[bytes, str]]:
    """Runs curl, which must succeed; its output, and what it says with -v."""
    program = foreign_program("curl")

    def call(*arguments: str, status: int = 0, stdin: bytes = b"") -> tuple[bytes, str]:
        command = [program, "-sSv", "--max-time", "8", "--cacert", str(site.parent / "dev.pem"), *arguments]
        done = run(command, stdin=stdin)
        assert done.returncode == status, done.stderr.decode()
        return done.stdout, done.stderr.decode("utf-8", "replace")

    return call


Curl = Callable[..., tuple[bytes, str]]


def test_curl_gets_a_file(curl: Curl, base: str) -> None:
    body, said = curl(base + "a.txt")
    assert body == TEXT
    assert "< Content-Type: text/plain" in said


def test_curl_gets_a_large_file(curl: Curl, base: str, site: Path) -> None:
    assert curl(base + "large.bin")[0] == (site / "large.bin").read_bytes()


def test_curl_keeps_the_connection(curl: Curl, base: str) -> None:
    body, said = curl(base + "a.txt", base + "none", base + "a.txt")
    assert body == TEXT + b"404 Not Found\n" + TEXT
    assert said.count("Re-using existing connection") == 2


def test_curl_gets_a_range(curl: Curl, base: str) -> None:
    body, said = curl("-r", "4-8", base + "a.txt")
    assert body == b"quick"
    assert "206 Partial Content" in said
    assert f"< Content-Range: bytes 4-8/{len(TEXT)}" in said


def test_curl_asks_for_the_head_only(curl: Curl, base: str) -> None:
    head, _ = curl("-I", base + "a.txt")
    assert f"Content-Length: {len(TEXT)}".encode() in head


@pytest.mark.parametrize(
    "path", ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "a/../../secret.txt"]
)
def test_curl_does_not_leave_the_root(curl: Curl, base: str, path: str) -> None:
    body, said = curl("--path-as-is", base + path)
    assert b"secret" not in body
    assert re.search(r"< HTTP/1\.1 40[034] ", said)


def test_curl_has_it_already(curl: Curl, base: str) -> None:
    _, said = curl(base + "a.txt")
    found = re.search(r'< ETag: (".*?")', said)
    assert found is not None
    body, said = curl("-H", f"If-None-Match: {found[1]}", base + "a.txt")
    assert body == b""
    assert "304 Not Modified" in said


def test_curl_verifies_the_pinned_key(curl: Curl, serving: Server) -> None:
    pin = "sha256//" + serving.facts["public key hash (SHA-256 of SPKI)"]
    assert curl("--pinnedpubkey", pin, serving.url("https") + "a.txt")[0] == TEXT
    curl("--pinnedpubkey", "sha256//" + "A" * 43 + "=", serving.url("https") + "a.txt", status=90)


def test_curl_agrees_on_http_1_1(curl: Curl, serving: Server) -> None:
    """RFC 7301: curl offers h2 first, where it speaks it."""
    _, said = curl(serving.url("https") + "a.txt")
    assert "TLSv1.3" in said
    assert re.search(r"ALPN.*http/1\.1", said.split("Server certificate")[0])


@pytest.fixture(scope="module")
def echoing(site: Path) -> Iterator[Server]:
    with server(
        "echo",
        *("--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0"),
        *("--save-cert", site.parent / "echo.pem"),
    ) as made:
        yield made


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_curl_uploads_and_gets_it_back(
    curl: Curl, echoing: Server, site: Path, scheme: str, framing: str
) -> None:
    """Several MiB in both directions at once, through every buffer's limit."""
    large = site.parent / "upload.bin"
    large.write_bytes(bytes(range(256)) * 24_000)
    option = ["-T", "-", "-H", "Transfer-Encoding: chunked"] if framing == "chunked" else ["-T", str(large)]
    data = bytes(range(256)) * 24_000
    body, said = curl("--cacert", str(site.parent / "echo.pem"), *option, echoing.url(scheme), stdin=data)
    assert body == data
    assert ("< Transfer-Encoding: chunked" in said) is (framing == "chunked")


def test_curl_post_has_its_content_type_back(curl: Curl, echoing: Server) -> None:
    body, said = curl("--data", "a=b&c", echoing.url("http"))
    assert body == b"a=b&c"
    assert "< Content-Type: application/x-www-form-urlencoded" in said
