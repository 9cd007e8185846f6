"""A server with few descriptors, and more clients than those."""

from __future__ import annotations

import shlex
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.cli.programs import MUNGOS, child

LIMIT = 128
CLIENTS = 150
GET = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"


def ask(client: socket.socket) -> bytes:
    """The status line of one answer."""
    client.sendall(GET)
    answer = b""
    while not answer.endswith(b"hello\n") and b" 503 " not in answer:
        data = client.recv(65536)
        assert data, answer
        answer += data
    return answer.partition(b"\r\n")[0]


def test_who_is_connected_gets_files_while_others_take_all_other_descriptors(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello\n")
    serve = shlex.join([*MUNGOS, "serve", str(tmp_path), "--listen", "http://127.0.0.1:0"])
    with ExitStack() as stack:
        server = stack.enter_context(child(["sh", "-c", f"ulimit -n {LIMIT}; exec {serve}"]))
        port = int(server.line(r"listening at http://127\.0\.0\.1:(\d+)")[1])
        kept = stack.enter_context(socket.create_connection(("127.0.0.1", port), 8))
        assert ask(kept) == b"HTTP/1.1 200 OK"
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 8))
        for _ in range(10):
            assert ask(kept) == b"HTTP/1.1 200 OK"


def test_slow_readers_of_a_large_file_leave_the_others_their_answers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello\n")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(32 << 20)
    serve = shlex.join([*MUNGOS, "serve", str(tmp_path), "--listen", "http://127.0.0.1:0", "--quiet"])
    with ExitStack() as stack:
        server = stack.enter_context(child(["sh", "-c", f"ulimit -n {LIMIT}; exec {serve}"]))
        port = int(server.line(r"listening at http://127\.0\.0\.1:(\d+)")[1])
        for _ in range(LIMIT - 64):  # with a file each, they would take all descriptors
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), 8))
            slow.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
            status = slow.recv(12)
            assert status in {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        innocent = stack.enter_context(socket.create_connection(("127.0.0.1", port), 8))
        for _ in range(10):
            assert ask(innocent) == b"HTTP/1.1 200 OK"
