"""WebSocket: frame headers, and sessions of both sides from the first byte (RFC 6455)."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.target import Target, require, told
from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.protocol import MORE, Failed
from mungos.websocket import ClientSession, CloseReceived, ServerSession, Session
from mungos.websocket.frames import encode_header, scan_frame
from mungos.websocket.handshake import accept_key

__all__ = ["TARGETS"]

MAX_MESSAGE = 2000
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
    + KEY
    + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WORDS = (
    b"\x81\x00", b"\x80\x80", b"\x88\x02\x03\xe8", b"\x88\x82\0\0\0\0\x03\xe8", b"\x89\x00",
    b"\x8a\x80\0\0\0\0", b"\x01\x7e\x00\x7e", b"\x82\xff\0\0\0\0\0\0\0\x05", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\r\n",
)  # fmt: skip


def frame(first: int, payload: bytes, masked: bool) -> bytes:
    head = encode_header(first, len(payload), 0x80 if masked else 0)
    return head + (bytes(4) if masked else b"") + payload


def frames(masked: bool) -> list[bytes]:
    """Streams of frames, masked with zeros or not at all."""
    text = frame(0x81, "grüße".encode(), masked)
    fragments = frame(0x02, bytes(130), masked) + frame(0x89, b"ping", masked) + frame(0x80, b"x", masked)
    close = frame(0x88, b"\x03\xe8bye", masked)
    return [text, fragments, frame(0x8A, b"pong", masked), close, text + fragments + close]


def scanned(data: bytes) -> str:
    try:
        header = scan_frame(data, 0)
    except ProtocolError as error:
        return told(error)
    if header is None:
        require(len(data) < 14, "14 bytes and no header")
        return "unfinished"
    fin, rsv, opcode, masked, key, start, length = header
    require(start <= len(data) and len(key) == (4 if masked else 0), f"header {header}")
    require(0 <= length < 1 << 63, f"length {length}")
    return f"{fin} {rsv} {opcode} {masked} {length.bit_length()}"


def through(make: Callable[[], Session], data: bytes, cut: int) -> list[str]:
    session = make()
    session.start(0.0)
    session.take(1 << 30)
    notes: list[str] = []
    over = False

    def pull() -> None:
        nonlocal over
        while (event := session.next_event()) is not None:
            require(not over, f"{event!r} after a failure")
            if event is MORE:
                continue
            if isinstance(event, Failed):
                over = True
                kinds = Malformed | PeerIncompatible | PeerMisbehaved
                require(isinstance(event.error, kinds), f"failed with {event.error!r}")
                notes.append(type(event.error).__name__)  # its words may tell of the cut
            else:
                code = event.code if isinstance(event, CloseReceived) else ""
                notes.append(f"{type(event).__name__} {code}")

    for at in range(0, len(data), cut):
        piece = data[at : at + cut]
        while piece:
            taken = session.receive(piece, 0.0)
            piece = piece[taken:]
            before = len(notes)
            pull()
            require(taken > 0 or len(notes) > before or not piece, "nothing taken, nothing handed out")
        session.take(1 << 30)
    session.receive_eof(1.0, False)
    pull()
    session.take(1 << 30)
    require(session.ended and session.deadline is None, "the session goes on after the stream's end")
    require(session.unsent == 0, f"{session.unsent} bytes unsent after all was taken")
    session.release()
    return notes


def server(data: bytes) -> str:
    def make() -> Session:
        return ServerSession(max_message=MAX_MESSAGE)

    whole = through(make, data, 1 << 20)
    cut = through(make, data, 3)
    require(cut == whole, f"cut otherwise, it means something else: {whole} {cut}")
    return "; ".join(whole[:5])


def client(data: bytes) -> str:
    def make() -> Session:
        return ClientSession(random=bytes, host="h", max_message=MAX_MESSAGE)

    whole = through(make, data, 1 << 20)
    cut = through(make, data, 3)
    require(cut == whole, f"cut otherwise, it means something else: {whole} {cut}")
    return "; ".join(whole[:5])


def responses() -> list[bytes]:
    # The client's random bytes are zeros, so its key is always the same.
    accept = accept_key("A" * 22 + "==")
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode("ascii")
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    return [head + stream for stream in frames(masked=False)] + [refusal]


TARGETS = (
    Target("websocket-frame", "one frame header", scanned, lambda: frames(True) + frames(False), WORDS, 64),
    Target(
        "websocket-server",
        "a server's session, whole and cut",
        server,
        lambda: [REQUEST + stream for stream in frames(masked=True)],
        WORDS,
    ),
    Target("websocket-client", "a client's session, whole and cut", client, responses, WORDS),
)
