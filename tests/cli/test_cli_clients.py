"""`mungos get`, `connect` and `ws` against servers of ours and against bare sockets."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.programs import MUNGOS, PATIENCE, Server, child, mungos, server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificate") / "dev.pem"


@pytest.fixture(scope="module")
def echoing(certificate: Path) -> Iterator[Server]:
    urls = ["tcp", "tls", "udp", "ws", "wss", "http", "https"]
    listen = [word for scheme in urls for word in ("--listen", f"{scheme}://127.0.0.1:0")]
    with server("echo", *listen, "--save-cert", certificate) as made:
        yield made


@contextmanager
def one_connection(*answer: bytes) -> Iterator[tuple[str, socket.socket]]:
    """A listening socket, and where it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield f"127.0.0.1:{listener.getsockname()[1]}", listener


def accepted(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return connection


def answering(head: bytes, *arguments: str, scheme: str = "http") -> subprocess.CompletedProcess[bytes]:
    """`mungos get` from a server that answers with these bytes and ends."""
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "get", f"{scheme}://{place}/", *arguments]) as getting,
    ):
        with accepted(listener) as connection:
            connection.recv(65536)
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            assert getting.process.stdout is not None
            out = getting.process.stdout.read()
            status = getting.ended()
        return subprocess.CompletedProcess([], status, out, getting.errors().encode())


def test_get_writes_the_body_and_nothing_else(echoing: Server) -> None:
    body = bytes(range(256))
    done = mungos("get", echoing.url("http"), "-d", "@/dev/stdin", stdin=body)
    assert (done.returncode, done.stdout, done.stderr) == (0, body, b"")


def test_get_into_a_file_with_the_head_on_standard_output_not(echoing: Server, tmp_path: Path) -> None:
    done = mungos("get", echoing.url("http"), "-d", "text", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "out").read_bytes() == b"text"


def test_get_include_and_header_and_method(echoing: Server) -> None:
    done = mungos("get", echoing.url("http"), "-X", "PUT", "-d", "{}", "-H", "Content-Type: a/b", "-i", "-v")
    assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: a/b\r\n" in done.stdout.lower()
    assert done.stdout.endswith(b"\r\n\r\n{}")
    assert b"* > PUT / HTTP/1.1\n" in done.stderr


def test_get_status_of_400_exits_with_1_and_shows_the_body() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n"
    done = answering(answer)
    assert (done.returncode, done.stdout) == (1, b"none\n")
    assert answering(answer, "--no-fail").returncode == 0


def test_get_incomplete_body_exits_with_1(tmp_path: Path) -> None:
    done = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "-o", str(tmp_path / "out"))
    assert done.returncode == 1
    assert b"out is not complete" in done.stderr
    assert b"Traceback" not in done.stderr


def test_get_refused_leaves_a_file_as_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"before")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        assert mungos("get", url, "-o", kept).returncode == 1
        assert mungos("get", url, "-o", tmp_path / "new").returncode == 1
    assert kept.read_bytes() == b"before"
    assert not (tmp_path / "new").exists()


def test_get_replaces_what_a_file_held(echoing: Server, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"a longer text than before")
    assert mungos("get", echoing.url("http"), "-d", "short", "-o", kept).returncode == 0
    assert kept.read_bytes() == b"short"


def test_get_no_http_exits_with_1() -> None:
    done = answering(b"\x1b[2JSSH-2.0\r\n\r\n")
    assert done.returncode == 1
    assert b"\x1b" not in done.stderr


def test_get_deadline_says_what_it_waited_for() -> None:
    with one_connection() as (place, _):
        done = mungos("get", f"http://{place}/", "--within", "0.3")
    assert done.returncode == 1
    assert b"not through within 0.3 s, while waiting for the response" in done.stderr


def test_get_deadline_within_the_body() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "get", f"http://{place}/", "--within", "1"]) as getting,
        accepted(listener) as connection,
    ):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        assert getting.ended() == 1
        assert "receiving the body, 4 bytes so far" in getting.errors()


def test_get_refused_says_what_to_look_at() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = mungos("get", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert done.returncode == 1
    assert b"is the server running, and the port right?" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("engine", ["auto", "openssl"])
def test_get_over_tls(echoing: Server, certificate: Path, engine: str) -> None:
    trusted = ("--cacert", certificate, "--tls-engine", engine)
    done = mungos("get", echoing.url("https"), "-d", "text", "-v", *trusted)
    assert (done.returncode, done.stdout) == (0, b"text"), done.stderr
    assert b"TLSv1.3, TLS_AES_" in done.stderr
    assert b"certificate 0: subject CN=Mungos development certificate\n" in done.stderr
    assert b"ended: clean" in done.stderr


@pytest.mark.parametrize("engine", ["auto", "openssl"])
def test_get_unknown_issuer_says_cacert(echoing: Server, engine: str) -> None:
    done = mungos("get", echoing.url("https"), "--tls-engine", engine)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"--cacert FILE" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("engine", ["auto", "openssl"])
def test_get_wrong_name_says_tls_name(echoing: Server, certificate: Path, engine: str) -> None:
    trusted = ("--cacert", certificate, "--tls-engine", engine)
    done = mungos("get", echoing.url("https"), "--tls-name", "other.example", *trusted)
    assert done.returncode == 1
    assert b"with --tls-name" in done.stderr
    assert mungos("get", echoing.url("https"), "--tls-name", "localhost", *trusted).returncode == 0


@pytest.mark.parametrize("engine", ["auto", "openssl"])
def test_get_insecure_is_loud(echoing: Server, engine: str) -> None:
    done = mungos("get", echoing.url("https"), "--insecure", "--tls-engine", engine)
    assert done.returncode == 0
    assert b"NOT verified" in done.stderr


@pytest.mark.parametrize("engine", ["auto", "openssl"])
def test_get_plain_text_where_tls_is_expected(echoing: Server, engine: str) -> None:
    done = mungos("get", echoing.url("http").replace("http:", "https:"), "--insecure", "--tls-engine", engine)
    assert done.returncode == 1
    assert b"does the peer speak TLS at that port?" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_get_ended_by_a_signal(number: signal.Signals) -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "get", f"http://{place}/"]) as getting,
        accepted(listener) as connection,
    ):
        connection.recv(65536)
        getting.signal(number)
        assert getting.ended() == 128 + number
        assert "Traceback" not in getting.errors()


def test_get_ended_by_a_signal_while_nobody_reads_its_output() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "get", f"http://{place}/"]) as getting,
        accepted(listener) as connection,
    ):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        connection.settimeout(1)
        # Until the pipe and both sockets' buffers are full.
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(100_000_000))
        getting.signal(signal.SIGINT)
        assert getting.ended() == 130
        assert "Traceback" not in getting.errors()


def test_get_output_that_is_closed() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "get", f"http://{place}/"]) as getting,
        accepted(listener) as connection,
    ):
        connection.recv(65536)
        assert getting.process.stdout is not None
        getting.process.stdout.close()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
        assert getting.ended() == 1
        assert getting.errors() == ""


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_connect_half_closes_and_waits_for_the_rest(echoing: Server, certificate: Path, scheme: str) -> None:
    data = bytes(range(256)) * 8192
    trusted = ("--cacert", certificate) if scheme == "tls" else ()
    done = mungos("connect", echoing.url(scheme), "-v", *trusted, stdin=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data
    assert b"the peer ended its direction: clean" in done.stderr


def test_connect_ends_when_the_peer_does_though_input_stays_open() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "connect", f"tcp://{place}"]) as connecting,
    ):
        with accepted(listener) as connection:
            connection.sendall(b"bye")
        assert connecting.ended() == 0
        assert connecting.process.stdout is not None
        assert connecting.process.stdout.read() == b"bye"


def test_connect_to_a_reset_exits_with_1() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "connect", f"tcp://{place}"]) as connecting,
    ):
        with accepted(listener) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert connecting.ended() == 1
        assert "peer reset" in connecting.errors()


def test_connect_sends_lines_as_they_come(echoing: Server) -> None:
    with child([*MUNGOS, "connect", echoing.url("tcp")]) as connecting:
        assert connecting.process.stdin is not None
        for line in (b"one\n", b"two\n"):
            connecting.process.stdin.write(line)
            connecting.process.stdin.flush()
            connecting.line(line.decode().strip())
        connecting.process.stdin.close()
        assert connecting.ended() == 0


def test_connect_to_udp(echoing: Server) -> None:
    done = mungos("connect", echoing.url("udp"), "--wait", "0.5", stdin=b"ping")
    assert (done.returncode, done.stdout) == (0, b"ping")


def test_connect_to_udp_where_nobody_is() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = mungos("connect", f"udp://127.0.0.1:{port}", stdin=b"ping")
    assert done.returncode == 1
    assert b"does anything listen there?" in done.stderr


@pytest.mark.parametrize("command", ["connect", "ws"])
def test_lines_to_websocket_messages_and_back(echoing: Server, certificate: Path, command: str) -> None:
    text = "one\n\nzwei é\nthe last, without an end"
    done = mungos(command, echoing.url("wss"), "--cacert", certificate, "--wait", "0.5", stdin=text.encode())
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == text + "\n"


def test_ws_count_ends_it_though_input_stays_open(echoing: Server) -> None:
    with child([*MUNGOS, "ws", echoing.url("ws"), "--count", "2"]) as talking:
        assert talking.process.stdin is not None
        talking.process.stdin.write(b"one\ntwo\nthree\n")
        talking.process.stdin.flush()
        assert talking.ended() == 0
        assert talking.process.stdout is not None
        assert talking.process.stdout.read() == b"one\ntwo\n"


def test_ws_refuses_input_that_is_no_text(echoing: Server) -> None:
    done = mungos("ws", echoing.url("ws"), stdin=b"\xff\n")
    assert done.returncode == 1
    assert b"no UTF-8" in done.stderr


def test_ws_to_a_server_that_is_none() -> None:
    with (
        one_connection() as (place, listener),
        child([*MUNGOS, "ws", f"ws://{place}/"]) as talking,
    ):
        with accepted(listener) as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            assert talking.ended() == 1
        assert "404 Not Found" in talking.errors()


def test_ws_escapes_what_would_move_the_cursor_of_a_terminal(echoing: Server) -> None:
    outside, inside = pty.openpty()
    try:
        with subprocess.Popen(
            [*MUNGOS, "ws", echoing.url("ws"), "--send", "a\x1b[2J", "--send", "b\x9b"],
            stdin=subprocess.DEVNULL,
            stdout=inside,
            stderr=subprocess.PIPE,
        ) as talking:
            assert talking.wait(PATIENCE) == 0
        shown = os.read(outside, 1000)
    finally:
        os.close(inside)
        os.close(outside)
    assert shown == b"a\\x1b[2J\r\nb\\x9b\r\n"


def test_ws_leaves_a_pipe_what_was_sent(echoing: Server) -> None:
    assert mungos("ws", echoing.url("ws"), "--send", "a\x1b[2J").stdout == b"a\x1b[2J\n"
