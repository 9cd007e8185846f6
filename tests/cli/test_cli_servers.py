"""`mungos serve` and `mungos echo`: what they print, what they refuse, and how they end."""

from __future__ import annotations

import base64
import hashlib
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.programs import MUNGOS, Server, child, mungos, server

LARGE = 8 * 1024 * 1024


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "hello.txt").write_text("hello\n", encoding="utf-8")
    (site / "large.bin").write_bytes(b"0123456789abcdef" * (LARGE // 16))
    return site


def began(url: str, target: str) -> socket.socket:
    """A connection that has asked for something large and reads no more than the beginning of it."""
    host, _, port = url.partition("://")[2].rstrip("/").rpartition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(8)
    connection.connect((host, int(port)))
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=8).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it was about to be accepted when the listener was closed
        return True
    return True


def test_port_in_use_exits_with_3(site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = mungos("serve", site, "--listen", "http://127.0.0.1:0", "--listen", url)
    assert done.returncode == 3
    assert f"can't listen at {url}/: Address already in use" in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("path", ["/sub", "/?x"])
def test_a_path_that_would_not_be_served_alone_is_no_address_to_listen_at(site: Path, path: str) -> None:
    for command in (("serve", site), ("echo",)):
        done = mungos(*command, "--listen", f"http://127.0.0.1:0{path}")
        assert done.returncode == 2
        assert f"every path is served: leave out {path}" in " ".join(done.stderr.decode().split())


def test_missing_certificate_exits_with_3(site: Path, tmp_path: Path) -> None:
    done = mungos(
        "serve",
        site,
        "--listen",
        "https://127.0.0.1:0",
        "--tls-cert",
        tmp_path / "no",
        "--tls-key",
        tmp_path / "no",
    )
    assert done.returncode == 3
    assert f"can't read {tmp_path / 'no'}: No such file or directory" in done.stderr.decode()


def test_unreadable_certificate_exits_with_3(site: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no PEM", encoding="utf-8")
    bad = str(tmp_path / "bad.pem")
    done = mungos("serve", site, "--listen", "https://127.0.0.1:0", "--tls-cert", bad, "--tls-key", bad)
    assert done.returncode == 3
    assert "the certificate can't be used" in done.stderr.decode()


def test_key_of_another_certificate_exits_with_3(site: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    one, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    one.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))
    other.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    done = mungos(
        "serve",
        site,
        "--listen",
        "https://127.0.0.1:0",
        "--tls-cert",
        tmp_path / "chain.pem",
        "--tls-key",
        tmp_path / "key.pem",
    )
    assert done.returncode == 3
    assert "the certificate can't be used" in done.stderr.decode()


def test_development_certificate_is_the_one_that_is_printed(site: Path, tmp_path: Path) -> None:
    saved = tmp_path / "dev.pem"
    with server("serve", site, "--listen", "https://127.0.0.1:0", "--save-cert", saved) as serving:
        seen = ssl.PEM_cert_to_DER_cert(
            ssl.get_server_certificate(("127.0.0.1", serving.port("https")), timeout=8)
        )
    assert seen == ssl.PEM_cert_to_DER_cert(saved.read_text())
    digest = hashlib.sha256(seen).hexdigest().upper()
    assert serving.facts["certificate fingerprint (SHA-256)"].replace(":", "") == digest
    assert len(base64.b64decode(serving.facts["public key hash (SHA-256 of SPKI)"])) == 32


def test_access_log_has_method_target_status_bytes_and_peer(site: Path) -> None:
    with server("serve", site, "--listen", "http://127.0.0.1:0") as serving:
        url = serving.urls[0]
        assert mungos("get", url + "hello.txt").stdout == b"hello\n"
        assert mungos("get", url + "none", "-X", "HEAD").returncode == 1
    first, second = serving.errors().splitlines()[:2]
    assert " GET /hello.txt 200 6 127.0.0.1:" in first
    assert " HEAD /none 404 0 127.0.0.1:" in second


def test_access_log_escapes_what_would_move_the_cursor(site: Path) -> None:
    with server("serve", site, "--listen", "http://127.0.0.1:0") as serving:
        with socket.create_connection(("127.0.0.1", serving.port("http")), timeout=8) as connection:
            connection.sendall(b"GET /\xc2\x9b2J HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while connection.recv(65536):
                pass
        with socket.create_connection(("127.0.0.1", serving.port("http")), timeout=8) as connection:
            connection.sendall(b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n")
            while connection.recv(65536):
                pass
    assert "\x1b" not in serving.errors()
    assert "\x9b" not in serving.errors()


def test_quiet_says_nothing(site: Path) -> None:
    with server("serve", site, "--listen", "http://127.0.0.1:0", "--quiet") as serving:
        assert mungos("get", serving.urls[0] + "hello.txt").returncode == 0
    assert serving.errors() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_lets_a_download_complete(site: Path, number: signal.Signals) -> None:
    with server("serve", site, "--listen", "http://127.0.0.1:0") as serving:
        with began(serving.urls[0], "/large.bin") as connection:
            serving.signal(number)
            got = 0
            while data := connection.recv(1 << 20):
                got += len(data)
        assert serving.ended() == 0
    assert got > LARGE - 1000
    assert f" GET /large.bin 200 {LARGE} " in serving.errors()
    assert "1 clean" in serving.errors()


def test_listener_is_closed_while_a_download_drains(site: Path) -> None:
    with (
        server("serve", site, "--listen", "http://127.0.0.1:0") as serving,
        began(serving.urls[0], "/large.bin") as connection,
    ):
        serving.signal()
        # What follows the head proves nothing; that no second connection is taken does.
        while accepts(serving.port("http")):
            pass
        while connection.recv(1 << 20):
            pass


def test_second_signal_cuts_it_short(site: Path) -> None:
    with (
        server("serve", site, "--listen", "http://127.0.0.1:0", "--close-within", "60", "-v") as serving,
        began(serving.urls[0], "/large.bin"),
    ):
        serving.signal()
        while "SIGTERM: closing" not in serving.errors():
            pass
        serving.signal()
        assert serving.ended() == 0
    assert "1 timed out" in serving.errors()
    assert "incomplete: timed out while closing" in serving.errors()


def test_close_within_cuts_who_does_not_read(site: Path) -> None:
    with (
        server("serve", site, "--listen", "http://127.0.0.1:0", "--close-within", "0.2") as serving,
        began(serving.urls[0], "/large.bin"),
    ):
        serving.signal()
        assert serving.ended() == 0
    assert "did not end by itself" in serving.errors()


def test_first_signal_may_come_at_once(site: Path) -> None:
    """The handlers are in place when the line is printed."""
    with child([*MUNGOS, "serve", str(site), "--listen", "http://127.0.0.1:0"]) as serving:
        serving.line("^listening at")
        serving.signal()
        assert serving.ended() == 0


def test_signal_after_the_end_changes_nothing(site: Path) -> None:
    """Between the report and the process's end."""
    with server("serve", site, "--listen", "http://127.0.0.1:0") as serving:
        serving.signal()
        while "closed in" not in serving.errors():
            pass
        while serving.process.poll() is None:
            serving.signal()
        assert serving.ended() == 0


def test_unix_socket_serves_http_and_goes_away(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with server("serve", site, "--listen", f"unix://{path}") as serving:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(8)
            connection.connect(str(path))
            connection.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
            answer = b""
            while data := connection.recv(65536):
                answer += data
        assert answer.endswith(b"\r\n\r\nhello\n")
        assert serving.urls == [f"unix://{path}"]
    assert not path.exists()


@pytest.fixture(scope="module")
def echoing() -> Iterator[Server]:
    urls = ["tcp", "udp", "ws", "http"]
    with server(
        "echo", *(word for scheme in urls for word in ("--listen", f"{scheme}://127.0.0.1:0"))
    ) as made:
        yield made


def test_echo_of_datagrams(echoing: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(8)
        client.connect(("127.0.0.1", echoing.port("udp")))
        for data in (b"one", b"", b"x" * 60_000):
            client.send(data)
            assert client.recv(65536) == data


def test_echo_goes_on_after_the_peers_half_close(echoing: Server) -> None:
    data = bytes(range(256)) * 4096
    with socket.create_connection(("127.0.0.1", echoing.port("tcp")), timeout=8) as client:
        done = mungos("connect", echoing.url("tcp"), stdin=data)
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"late"
        assert client.recv(10) == b""
    assert done.returncode == 0
    assert done.stdout == data


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "BREW"])
def test_echo_answers_any_method(echoing: Server, method: str) -> None:
    with socket.create_connection(("127.0.0.1", echoing.port("http")), timeout=8) as client:
        client.sendall(
            f"{method} /any?thing HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: 3\r\n"
            "Connection: close\r\n\r\nabc".encode()
        )
        answer = b""
        while data := client.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: x/y" in head
    assert b"\r\nContent-Length: 3" in head
    assert body == b"abc"


def test_echo_of_head_has_no_body(echoing: Server) -> None:
    with socket.create_connection(("127.0.0.1", echoing.port("http")), timeout=8) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3" in answer


def test_echo_asks_for_an_expected_body(echoing: Server) -> None:
    """RFC 9110 section 10.1.1."""
    with socket.create_connection(("127.0.0.1", echoing.port("http")), timeout=8) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(b"abc")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.endswith(b"abc")


def test_echo_makes_no_tunnel(echoing: Server) -> None:
    """RFC 9110 section 9.3.6."""
    with socket.create_connection(("127.0.0.1", echoing.port("http")), timeout=8) as client:
        client.sendall(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_echo_of_websocket_messages(echoing: Server, scheme: str) -> None:
    url = echoing.url(scheme).replace("http:", "ws:")
    done = mungos("ws", url, "--send", "one", "--send", "zwei é", "-v")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "one\nzwei é\n"
    assert b"WebSocket closed: 1000" in done.stderr


def test_echo_refuses_an_origin_that_is_not_allowed() -> None:
    with server("echo", "--listen", "ws://127.0.0.1:0", "--allow-origin", "https://good.example") as made:
        assert mungos("ws", made.urls[0], "--send", "a", "--origin", "https://good.example").stdout == b"a\n"
        refused = mungos("ws", made.urls[0], "--send", "a", "--origin", "https://bad.example")
    assert refused.returncode == 1
    assert b"403" in refused.stderr


def test_echo_refuses_a_message_that_is_too_long() -> None:
    with server("echo", "--listen", "ws://127.0.0.1:0", "--max-message", "1k") as made:
        assert mungos("ws", made.urls[0], "--send", "a" * 1024).returncode == 0
        refused = mungos("ws", made.urls[0], "--send", "a" * 1025, "-v")
    assert refused.returncode == 1
    assert b"1009" in refused.stderr
