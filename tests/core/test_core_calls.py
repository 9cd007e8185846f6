"""Speed, as it can be counted: Python's calls between a read and the write that answers it."""

from __future__ import annotations

import socket
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from mungos import Manager, http, websocket
from tests.cases.tls_stand import foreign_context, server_config

GET = b"GET /hello?name=you HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"
CEILING, CEILING_TLS = 24, 42


class Calls:
    """Counts calls of Python functions from each `recv_into` to the next `send`.

    Attributes:
        counts: one for each read that was answered.
        names: of the functions called in the last one.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.names: list[str] = []
        self._counting = False

    def __call__(self, frame: FrameType, what: str, argument: object) -> None:
        name = getattr(argument, "__name__", "")
        if what == "c_call" and name == "recv_into":
            self._counting, self.names = True, []
        elif what == "c_call" and name == "send" and self._counting:
            self._counting = False
            self.counts.append(len(self.names))
        elif what == "call" and self._counting:
            self.names.append(frame.f_code.co_qualname)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count meanwhile."""
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


def serve(session: http.ServerConnection, event: object) -> None:
    """A small answer."""
    if type(event) is http.Request:
        session.respond(200, b"hello\n", content_type="text/plain")


def echo(session: websocket.ServerConnection, event: object) -> None:
    """The message, back."""
    if type(event) is websocket.Message:
        session.send(event.data)


def exchange(manager: Manager, client: socket.socket, request: bytes, calls: Calls | None) -> bytes:
    """Send a request, and turn until it is answered."""
    client.sendall(request)
    answer = b""
    while not answer:
        if calls is None:
            manager.poll(0.01)
        else:
            with calls.counted():
                manager.poll(0.01)
        try:
            answer = client.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            continue
    return answer


def counted(manager: Manager, client: socket.socket, request: bytes) -> Calls:
    """The least of several exchanges, when all that is made once has been made."""
    for _ in range(2):
        exchange(manager, client, request, None)
    found = []
    for _ in range(5):
        calls = Calls()
        exchange(manager, client, request, calls)
        found.append(calls)
    calls = min(found, key=lambda each: each.counts)
    print(f"{calls.counts[0]} calls:", dict(Counter(calls.names)))
    return calls


@pytest.fixture
def manager() -> Iterator[Manager]:
    """On the kernel's sockets."""
    with Manager() as made:
        yield made


def test_a_small_get_takes_at_most_24_calls(manager: Manager) -> None:
    listener = http.listen(manager, "http://127.0.0.1:0", serve)
    with socket.create_connection(("127.0.0.1", listener.url.port or 0)) as client:
        client.setblocking(False)
        calls = counted(manager, client, GET)
    assert 10 < calls.counts[0] <= CEILING, calls.names


def test_a_small_websocket_message_takes_at_most_24_calls(manager: Manager) -> None:
    listener = websocket.listen(manager, "ws://127.0.0.1:0", echo)
    hello = (
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", listener.url.port or 0)) as client:
        client.setblocking(False)
        exchange(manager, client, hello, None)
        calls = counted(manager, client, b"\x82\x85" + bytes(4) + b"hello")
    assert 5 < calls.counts[0] <= CEILING, calls.names


def test_a_small_get_over_the_builtin_tls_takes_at_most_42_calls(manager: Manager) -> None:
    aead = pytest.importorskip("mungos.crypto.with_cryptography.aead")
    if not aead.HAS_INTO:
        pytest.skip("this version of cryptography does in Python what later ones do in one call")
    listener = http.listen(manager, "https://127.0.0.1:0", serve, tls=server_config(), engine="builtin")
    plain = socket.create_connection(("127.0.0.1", listener.url.port or 0))
    plain.setblocking(False)
    with foreign_context(False).wrap_socket(
        plain, server_hostname="localhost", do_handshake_on_connect=False
    ) as client:
        while True:
            manager.poll(0.01)
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        calls = counted(manager, client, GET)
    assert 10 < calls.counts[0] <= CEILING_TLS, calls.names
