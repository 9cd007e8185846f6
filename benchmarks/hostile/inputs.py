"""Inputs that cost their sender little, given to one session in this process: what do they cost us?"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as Contract

from mungos import tls
from mungos.http import ClientSession, ServerSession
from mungos.protocol import Buffer
from mungos.websocket.server_session import ServerSession as WebSocketServer

__all__ = ["INPUTS", "ORDINARY_HELLO", "Cost", "Input", "measure"]

READ = 65536
TEXT = b"text/html; charset=utf-8, a value as long as those that browsers send, "
HANDSHAKE, APPLICATION_DATA = 22, 23
ORDINARY_HELLO = "hello-ordinary"


class Receiver(Contract):
    """What sessions and engines have in common."""

    def receive(self, data: Buffer, now: float) -> int:
        """Bytes from the peer."""

    def next_event(self) -> object | None:
        """What came of them."""


@dataclass(frozen=True, slots=True)
class Input:
    """One attack.

    Attributes:
        name, title: for the table.
        sizes: KiB, each measured by itself: a price for each KiB that grows with the size is quadratic work.
        make: for a size in bytes, what is told first, and what is counted, piece by piece.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    make: Callable[[int], tuple[Receiver, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds for one run over an input of `size` bytes in `pieces`."""

    seconds: float
    size: int
    pieces: int

    @property
    def per_kib(self) -> float:
        """Microseconds for each KiB."""
        return self.seconds * 1e6 / (self.size / 1024)

    @property
    def per_piece(self) -> float:
        """Microseconds for each piece."""
        return self.seconds * 1e6 / self.pieces


def measure(chosen: Input, kib: int, seconds: float) -> Cost:
    """The cheapest of the runs that fit into `seconds` of CPU time, three at least."""
    best, used, runs, size, pieces = float("inf"), 0.0, 0, 1, 1
    while runs < 3 or used < seconds:
        session, attack = chosen.make(kib * 1024)
        size, pieces = sum(map(len, attack)), len(attack)
        begun = time.process_time()
        feed(session, attack)
        spent = time.process_time() - begun
        used += spent
        runs += 1
        best = min(best, spent)
        if used > 10 * seconds:
            break
    return Cost(best, size, pieces)


def feed(session: Receiver, attack: list[bytes]) -> None:
    """As a connection does: what was not taken is offered again once events were pulled."""
    for piece in attack:
        data: Buffer = piece
        while True:
            taken = session.receive(data, 0.0)
            while session.next_event() is not None:
                pass
            if taken >= len(data) or not taken:
                break
            data = memoryview(data)[taken:]


def singly(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def in_reads(data: bytes) -> list[bytes]:
    return [data[index : index + READ] for index in range(0, len(data), READ)]


def fields(size: int, count: int = 90) -> bytes:
    """`size` bytes of field lines, not more than `count` of them."""
    each = max(size // count, 24)
    lines: list[bytes] = []
    while size > 0:
        length = min(each, size) if size >= 2 * each else size
        name = b"X-%d: " % len(lines)
        value = (TEXT * (length // len(TEXT) + 1))[: max(length - len(name) - 3, 0)]
        lines.append(name + value + b"e\r\n")
        size -= length
    return b"".join(lines)


def http_server(before: bytes = b"") -> ServerSession:
    session = ServerSession(date=lambda: b"Thu, 01 Jan 1970 00:00:00 GMT")
    session.start(0.0)
    feed(session, [before] if before else [])
    return session


def request_head(size: int) -> tuple[Receiver, list[bytes]]:
    return http_server(), singly(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields(size - 27) + b"\r\n")


def one_long_field(size: int) -> tuple[Receiver, list[bytes]]:
    return http_server(), singly(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * (size - 34) + b"\r\n\r\n")


def response_head(size: int) -> tuple[Receiver, list[bytes]]:
    session = ClientSession(host="a")
    session.start(0.0)
    session.request("GET", "/")
    return session, singly(b"HTTP/1.1 200 OK\r\n" + fields(size - 19) + b"\r\n")


def trailers(size: int) -> tuple[Receiver, list[bytes]]:
    session = http_server(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    return session, singly(fields(size - 2) + b"\r\n")


def chunk_lines(size: int) -> tuple[Receiver, list[bytes]]:
    session = http_server(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    return session, singly(b"1\r\nx\r\n" * (size // 6))


def small_chunks(size: int) -> tuple[Receiver, list[bytes]]:
    session = http_server(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    return session, in_reads(b"1\r\nx\r\n" * (size // 6))


OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def websocket_opening(size: int) -> tuple[Receiver, list[bytes]]:
    session = WebSocketServer()
    session.start(0.0)
    return session, singly(OPENING + fields(size - len(OPENING) - 2) + b"\r\n")


def websocket() -> WebSocketServer:
    session = WebSocketServer()
    session.start(0.0)
    feed(session, [OPENING + b"\r\n"])
    return session


def frame_by_bytes(size: int) -> tuple[Receiver, list[bytes]]:
    header = b"\x82\xfe" + struct.pack("!H", size - 8) + b"\1\2\3\4"
    return websocket(), singly(header + b"m" * (size - 8))


def small_fragments(size: int) -> tuple[Receiver, list[bytes]]:
    begin, go_on = b"\x02\x81\1\2\3\4\x55", b"\x00\x81\1\2\3\4\x55"
    return websocket(), in_reads(begin + go_on * (size // 7 - 1))


def pings(size: int) -> tuple[Receiver, list[bytes]]:
    return websocket(), in_reads(b"\x89\x80\1\2\3\4" * (size // 6))


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def client_hello(groups: int, shares: int) -> bytes:
    """A ClientHello (RFC 8446 section 4.1.2) with one share for x25519, or many for a group nobody has."""
    codes = [29, 23, 24][:groups] if groups < 4 else [0x2000 + index for index in range(groups)]
    point = bytes([9]) + bytes(31)
    offered = (
        [(29, point)] if shares == 1 else [(0x2000 + groups - 1 - index, b"x") for index in range(shares)]
    )
    extensions = [
        (43, vector(1, b"\x03\x04")),
        (13, vector(2, bytes.fromhex("040308040805080604010501"))),
        (10, vector(2, b"".join(code.to_bytes(2, "big") for code in codes))),
        (51, vector(2, b"".join(code.to_bytes(2, "big") + vector(2, key) for code, key in offered))),
    ]
    body = (
        b"\x03\x03"
        + bytes(32)
        + vector(1, bytes(32))
        + vector(2, bytes.fromhex("130113021303"))
        + b"\1\0"
        + vector(2, b"".join(code.to_bytes(2, "big") + vector(2, data) for code, data in extensions))
    )
    return b"\1" + vector(3, body)


def records(message: bytes, each: int) -> bytes:
    cut = (message[index : index + each] for index in range(0, len(message), each))
    return b"".join(bytes((HANDSHAKE, 3, 1)) + vector(2, piece) for piece in cut)


_server: list[tls.ServerConfig] = []


def tls_server() -> tls.Engine:
    if not _server:
        from mungos.cli.development_certificate import make_development_certificate

        _server.append(tls.ServerConfig((make_development_certificate().credential,)))
    engine = tls.select("builtin").server(_server[0])
    engine.start(0.0)
    return engine


def ordinary_hello(_size: int) -> tuple[Receiver, list[bytes]]:
    return tls_server(), [records(client_hello(3, 1), 16384)]


def crowded_hello(_size: int) -> tuple[Receiver, list[bytes]]:
    return tls_server(), in_reads(records(client_hello(16000, 6660), 16384))


def scattered_hello(size: int) -> tuple[Receiver, list[bytes]]:
    message = client_hello(16000, 6660)
    return tls_server(), in_reads(records(message[: size // 6], 1))


def small_records(size: int) -> tuple[Receiver, list[bytes]]:
    client = tls.select("builtin").client(tls.ClientConfig(verify=False), "localhost")
    server = tls_server()
    client.start(0.0)
    for _ in range(4):
        for source, sink in ((client, server), (server, client)):
            for part in source.take(1 << 30):
                sink.receive(part, 0.0)
            while sink.next_event() is not None:
                pass
    data = bytearray()
    while len(data) < size:
        client.write([b"x"])
        for part in client.take(1 << 30):
            data += part
    return server, in_reads(bytes(data))


INPUTS = (
    Input("request-head", "a request's head, byte by byte", (1, 4, 15), request_head),
    Input("long-field", "one field of it, byte by byte", (1, 4, 7), one_long_field),
    Input("response-head", "a response's head, byte by byte", (1, 4, 15), response_head),
    Input("trailers", "trailers, byte by byte", (1, 4, 7), trailers),
    Input("chunk-lines", "chunks of one byte, byte by byte", (1, 4, 16), chunk_lines),
    Input("small-chunks", "chunks of one byte, in full reads", (64, 256, 1024), small_chunks),
    Input("ws-opening", "a WebSocket's opening, byte by byte", (1, 4, 15), websocket_opening),
    Input("ws-frame", "a WebSocket frame, byte by byte", (1, 4, 16), frame_by_bytes),
    Input("ws-fragments", "fragments of one byte, in full reads", (16, 64, 256), small_fragments),
    Input("ws-pings", "empty Pings, in full reads", (16, 64, 256), pings),
    Input(ORDINARY_HELLO, "an ordinary ClientHello, answered", (1,), ordinary_hello),
    Input("hello-crowded", "16,000 groups, 6,660 shares in 64 KiB", (64,), crowded_hello),
    Input("hello-scattered", "a ClientHello in records of one byte", (16, 64, 256), scattered_hello),
    Input("small-records", "records of one byte, in full reads", (16, 64, 256), small_records),
)
