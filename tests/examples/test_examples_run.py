"""Every example runs as its docstring says, does its work, and ends with status 0 when it is told to."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mungos import (
    Closed,
    CloseKind,
    CloseReason,
    Connection,
    Datagram,
    DatagramConnection,
    Manager,
    Opened,
    Received,
)
from mungos.http import ClientConnection as HTTPClient
from mungos.http import Data, EndOfMessage, Response
from mungos.http import connect as http_connect
from mungos.websocket import ClientConnection as WebSocketClient
from mungos.websocket import CloseStatus, Established, Message
from mungos.websocket import connect as websocket_connect

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_LINES = 60


class Running:
    """An example in a process of its own."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def url(self) -> str:
        """Where it listens."""
        line = self.line()
        assert line.startswith("listening at "), (line, self.end(signal.SIGKILL))
        return line.removeprefix("listening at ")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Its status, and what else it had to say."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """As `end`, for one that ends by itself."""
        out, error = self.process.communicate()
        return self.process.returncode, out.decode(), error.decode()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """Starts an example; it is killed at the end of the test if it still runs."""
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str) -> Running:
            running = Running(name, *arguments)
            stack.enter_context(running.process)
            stack.callback(running.process.kill)
            return running

        yield start


def ended(running: Running) -> str:
    """SIGTERM ends it with status 0 and a report; returns what it printed."""
    status, out, error = running.end()
    assert (status, error) == (0, "")
    assert out.splitlines()[-1].startswith("closed in ")
    return out


def asked(url: str, method: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request with our own client: status and body of the answer."""
    answer = [b""]
    status = 0

    def on_event(session: HTTPClient, event: object) -> None:
        nonlocal status
        if isinstance(event, Opened):
            session.request(method, "/you", body=body)
        elif isinstance(event, Response):
            status = event.status
        elif isinstance(event, Data):
            answer.append(event.data)
        elif isinstance(event, EndOfMessage):
            session.connection.close()
        elif isinstance(event, Closed):
            assert event.reason.clean, event.reason
            manager.close()

    with Manager() as manager:
        http_connect(manager, url, on_event)
        assert manager.run(signals=()).ok
    return status, b"".join(answer)


def test_examples_hello_http(run: Callable[..., Running]) -> None:
    running = run("hello_http", "http://127.0.0.1:0/")
    assert asked(running.url(), "GET") == (200, b"Hello, /you\n")
    ended(running)


def test_examples_get(run: Callable[..., Running]) -> None:
    server = run("hello_http", "http://127.0.0.1:0/")
    client = run("get", server.url() + "somebody?else")
    assert client.wait() == (0, "Hello, /somebody\n", "200 OK\nclosed: clean\n")
    ended(server)


def test_examples_get_from_nobody_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with Running("get", f"http://127.0.0.1:{port}/").process as process:
        out, error = process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert error.startswith(b"closed: refused")


def test_examples_get_told_to_end_still_takes_the_answer(run: Callable[..., Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        client = run("get", f"http://127.0.0.1:{slow.getsockname()[1]}/")
        connection, _ = slow.accept()
        with connection:
            assert connection.recv(4096).startswith(b"GET / HTTP/1.1\r\n")
            client.process.send_signal(signal.SIGTERM)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
            assert connection.recv(4096) == b""
    assert client.wait() == (0, "late", "200 OK\nclosed: clean\n")


def test_examples_tcp_echo(run: Callable[..., Running]) -> None:
    running = run("tcp_echo", "tcp://127.0.0.1:0")
    wanted = bytes(range(256)) * 8192
    got = bytearray()
    reasons: list[CloseReason] = []

    def on_event(connection: Connection, event: object) -> None:
        if isinstance(event, Opened):
            connection.send(wanted)
            connection.end()
        elif isinstance(event, Received):
            got.extend(event.data)
        elif isinstance(event, Closed):
            reasons.append(event.reason)
            manager.close()

    with Manager() as manager:
        manager.connect(running.url(), on_event)
        assert manager.run(signals=()).ok
    assert [reason.kind for reason in reasons] == [CloseKind.CLEAN]
    assert got == wanted
    ended(running)


def test_examples_udp_echo(run: Callable[..., Running]) -> None:
    running = run("udp_echo", "udp://127.0.0.1:0")
    got: list[bytes] = []

    def on_event(connection: DatagramConnection, event: object) -> None:
        if isinstance(event, Opened):
            connection.send(b"are you there?")
        elif isinstance(event, Datagram):
            got.append(bytes(event.data))
            manager.close()

    with Manager() as manager:
        manager.connect(running.url(), on_event)
        assert manager.run(signals=()).ok
    assert got == [b"are you there?"]
    ended(running)


def test_examples_websocket_echo(run: Callable[..., Running]) -> None:
    running = run("websocket_echo", "ws://127.0.0.1:0/")
    got: list[str | bytes] = []
    details: list[object] = []

    def on_event(session: WebSocketClient, event: object) -> None:
        if isinstance(event, Established):
            session.send("how many fit into one?")
            session.send(b"\0" * 70_000)
        elif isinstance(event, Message):
            got.append(event.data)
            if len(got) == 2:
                os.kill(running.process.pid, signal.SIGTERM)
        elif isinstance(event, Closed):
            details.append(event.detail)
            manager.close()

    with Manager() as manager:
        websocket_connect(manager, running.url(), on_event)
        assert manager.run(signals=()).ok
    assert got == ["how many fit into one?", b"\0" * 70_000]
    # The server's close told its peers that it goes away.
    assert details == [CloseStatus(1001, "", True)]
    status, out, error = running.wait()
    assert (status, error) == (0, "")
    assert "closed: clean" in out


def test_examples_broadcast_chat_rooms_are_apart(run: Callable[..., Running]) -> None:
    running = run("broadcast_chat", "ws://127.0.0.1:0/")
    url = running.url()
    got: dict[str, list[str | bytes]] = {"a": [], "b": [], "elsewhere": []}
    established: set[str] = set()

    def guest(name: str, room: str) -> None:
        def on_event(session: WebSocketClient, event: object) -> None:
            if isinstance(event, Established):
                established.add(name)
                if len(established) == 3:
                    session.send(f"from {name}")
            elif isinstance(event, Message):
                got[name].append(event.data)
                if got["a"] and got["b"]:
                    manager.close()

        websocket_connect(manager, url + room, on_event)

    with Manager() as manager:
        guest("elsewhere", "kitchen")
        while not established:
            manager.poll(1)
        guest("a", "hall")
        guest("b", "hall")
        assert manager.run(signals=()).ok
    assert got["a"] == got["b"]
    assert len(got["a"]) == 1
    assert got["elsewhere"] == []
    ended(running)


def test_examples_broadcast_chat_drops_who_does_not_read(run: Callable[..., Running]) -> None:
    running = run("broadcast_chat", "ws://127.0.0.1:0/")
    url = running.url()
    reasons: dict[str, CloseKind] = {}
    sent = 0

    def slow(session: WebSocketClient, event: object) -> None:
        if isinstance(event, Established):
            session.connection.pause()
            websocket_connect(manager, url, quick)
        elif isinstance(event, Closed):
            reasons["slow"] = event.reason.kind

    def quick(session: WebSocketClient, event: object) -> None:
        nonlocal sent
        if isinstance(event, Established | Message):
            # The next one only when the last has come back: this one is never behind.
            sent += 1
            session.send(b"\0" * 200_000)
        elif isinstance(event, Closed):
            reasons["quick"] = event.reason.kind

    with Manager() as manager:
        websocket_connect(manager, url, slow)
        os.set_blocking(running.process.stdout.fileno(), False)  # type: ignore[union-attr]
        dropped = ""
        while not dropped and sent < 500:
            manager.poll(1)
            dropped = running.line()
        assert re.fullmatch(r"dropped for being slow: 127\.0\.0\.1:\d+", dropped)
        manager.close()
    os.set_blocking(running.process.stdout.fileno(), True)  # type: ignore[union-attr]
    assert reasons["quick"] is CloseKind.CLEAN
    ended(running)


def test_examples_starttls(run: Callable[..., Running]) -> None:
    status, out, error = run("starttls").wait()
    assert (status, error) == (0, "")
    assert out.splitlines() == [
        "client got (plain text): 220 STARTTLS is expected here",
        "server got (plain text): STARTTLS",
        "client got (plain text): 220 go ahead",
        "server got (TLSv1.3): the secret is 42",
        "client got (TLSv1.3): 221 goodbye",
        "client closed: clean",
    ]


@pytest.mark.timeout(60)  # it waits for a disk, which others may keep busy
def test_examples_upload_to_disk(run: Callable[..., Running], tmp_path: Path) -> None:
    running = run("upload_to_disk", "http://127.0.0.1:0/", str(tmp_path))
    url = running.url()
    body = bytes(range(256)) * 40_000
    status, answer = asked(url, "PUT", body)
    assert status == 201
    [file] = [path for path in tmp_path.iterdir() if path.suffix == ".complete"]
    assert answer.decode() == f"{file}\n"
    assert file.read_bytes() == body
    ended(running)
    assert list(tmp_path.iterdir()) == [file]


def test_examples_upload_that_breaks_leaves_no_file(run: Callable[..., Running], tmp_path: Path) -> None:
    running = run("upload_to_disk", "http://127.0.0.1:0/", str(tmp_path))
    port = int(running.url().rsplit(":", 1)[1].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        assert len(list(tmp_path.iterdir())) == 1
        client.sendall(b"half")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ended(running)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_all_of_them_are_tested(path: Path) -> None:
    code = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(code) < MOST_LINES
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert path.stem in tests
