"""What the WebSocket's tests share: a peer made of plain bytes, written apart from the code under test."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import Any

from mungos.protocol import MORE
from mungos.websocket import ClientSession, Established, ServerSession, Session

KEY = bytes.fromhex("37fa213d")
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)

ROLES = ("server", "client")


def naive_mask(data: bytes, key: bytes, offset: int = 0) -> bytes:
    """RFC 6455 section 5.3, letter by letter."""
    return bytes(byte ^ key[(offset + i) % 4] for i, byte in enumerate(data))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    masked: bool = True,
    rsv: int = 0,
    key: bytes = KEY,
) -> bytes:
    """A frame in the shortest form."""
    size = len(payload)
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 1 << 16:
        length = bytes([bit | 126, size >> 8, size & 255])
    else:
        length = bytes([bit | 127]) + bytes(size >> shift & 255 for shift in range(56, -8, -8))
    return first + length + (key + naive_mask(payload, key) if masked else payload)


def close_frame(code: int, reason: bytes = b"", *, masked: bool = True) -> bytes:
    return frame(CLOSE, bytes([code >> 8, code & 255]) + reason, masked=masked)


def read_frames(data: bytes) -> list[tuple[int, bytes, bool]]:
    """First byte, payload unmasked, and whether it was masked, of each frame in `data`."""
    found = []
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        at += 2
        size = second & 127
        if size > 125:
            wide = 2 if size == 126 else 8
            size = 0
            for byte in data[at : at + wide]:
                size = size << 8 | byte
            at += wide
        key = b"\0\0\0\0"
        if second & 128:
            key = data[at : at + 4]
            at += 4
        payload = data[at : at + size]
        assert len(payload) == size
        at += size
        found.append((first, naive_mask(payload, key), second > 127))
    return found


def counting(size: int) -> bytes:
    """A source of randomness that is none."""
    return bytes(i * 7 + 1 & 255 for i in range(size))


def output(session: Session, limit: int = 1 << 30) -> bytes:
    return b"".join(session.take(limit))


def sent(session: Session) -> list[tuple[int, bytes]]:
    """The frames queued, masked as the role demands."""
    frames = read_frames(output(session))
    assert all(masked is isinstance(session, ClientSession) for _, _, masked in frames)
    return [(first, payload) for first, payload, _ in frames]


def over(session: Session) -> bool:
    return session.ended


def events(session: Session) -> list[Any]:
    found: list[Any] = []
    while (event := session.next_event()) is not None:
        if event is not MORE:
            found.append(event)
        assert len(found) < 100_000
    return found


def feed(session: Session, data: bytes, now: float = 0.0) -> list[Any]:
    """Everything that `data` leads to, offered again where it is not taken at once."""
    found: list[Any] = []
    while data:
        taken = session.receive(memoryview(data), now)
        data = data[taken:]
        more = events(session)
        found += more
        assert taken or more
    return found


def feed_bytewise(session: Session, data: bytes) -> list[Any]:
    found: list[Any] = []
    for i in range(len(data)):
        assert session.receive(data[i : i + 1], 0.0) == 1
        found += events(session)
    return found


def accept_of(key: str) -> str:
    return b64encode(sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def response_to(request: bytes, *fields: bytes) -> bytes:
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert key is not None
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept_of(key[1].decode()).encode(),
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def make(role: str, **options: Any) -> Session:
    if role == "server":
        return ServerSession(**options)
    return ClientSession(**{"random": counting, "host": "server.example.com", **options})


def open_session(role: str, **options: Any) -> Session:
    """A session whose handshake is through, at time 0."""
    session = make(role, **options)
    session.start(0.0)
    request = output(session)
    session.receive(REQUEST if role == "server" else response_to(request), 0.0)
    assert isinstance(session.next_event(), Established)
    assert session.next_event() is None
    output(session)
    return session


def from_peer(role: str) -> bool:
    """Whether the frames that a session of this role receives are masked."""
    return role == "server"


def open_pair(**options: Any) -> tuple[ClientSession, ServerSession]:
    client = make("client", **options)
    server = make("server", **options)
    assert isinstance(client, ClientSession)
    assert isinstance(server, ServerSession)
    client.start(0.0)
    server.start(0.0)
    assert [type(event) for each in exchange(client, server) for event in each] == [Established, Established]
    return client, server


def exchange(client: Session, server: Session, now: float = 0.0) -> tuple[list[Any], list[Any]]:
    """Carry bytes to and fro until nothing moves: what the client was told, what the server was told."""
    found: tuple[list[Any], list[Any]] = ([], [])
    while client.unsent or server.unsent:
        for session, other, told in ((client, server, found[1]), (server, client, found[0])):
            for piece in session.take(1 << 16):
                told.extend(feed(other, bytes(piece), now))
    found[0].extend(events(client))
    found[1].extend(events(server))
    return found
