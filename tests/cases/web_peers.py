"""Bare HTTP and WebSocket peers, in plain text and over the standard library's TLS."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl

from mungos.wires import MemoryStream
from tests.cases.world import RawPeer


class Speaker(RawPeer):
    """A bare peer in plain text that also keeps what does not fit the wire at once."""

    def __init__(self, stream: socket.socket | MemoryStream) -> None:
        super().__init__(stream)
        self._ending = False
        self._has_ended = False

    def say(self, data: bytes) -> None:
        """Send all of it, as the wire takes it."""
        self.outbox += data
        self.flush()

    def flush(self) -> bool:
        """Send what waits. True if anything moved."""
        moved = False
        while self.outbox and not (self.closed or self.reset):
            sent = self.send(bytes(self.outbox[:65536]))
            if not sent:
                break
            del self.outbox[:sent]
            moved = True
        if self._ending and not (self.outbox or self._has_ended or self.closed or self.reset):
            self._has_ended = True
            with contextlib.suppress(OSError):
                super().end()
        return moved

    def end(self) -> None:
        """Half-close, once everything said was sent."""
        self._ending = True
        self.flush()

    def pump(self) -> bool:
        moved = self.flush()
        return super().pump() or moved

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.ended or self.reset

    @property
    def statuses(self) -> list[int]:
        """The statuses of the responses received."""
        return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d\d\d) ", self.received)]

    @property
    def responses(self) -> list[tuple[int, dict[str, str], bytes]]:
        """Each response with a Content-Length: status, fields and body."""
        found = []
        rest = bytes(self.received)
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            size = int(fields.get("content-length", "0"))
            found.append((int(first.split()[1]), fields, rest[:size]))
            rest = rest[size:]
        return found

    @property
    def frames(self) -> list[tuple[int, bytes, bool]]:
        """WebSocket frames behind the handshake: first byte, payload, masked."""
        data = bytes(self.received)
        found = []
        at = data.index(b"\r\n\r\n") + 4 if data.startswith((b"HTTP", b"GET")) else 0
        while at < len(data):
            first, second = data[at], data[at + 1]
            at += 2
            size = second & 127
            if size > 125:
                wide = 2 if size == 126 else 8
                size = int.from_bytes(data[at : at + wide], "big")
                at += wide
            key = data[at : at + 4] if second & 128 else b""
            at += len(key)
            payload = data[at : at + size]
            assert len(payload) == size
            at += size
            found.append((first, _unmasked(payload, key), bool(key)))
        return found

    def has_frames(self, count: int) -> bool:
        """Whether so many whole frames have come."""
        try:
            return len(self.frames) >= count
        except (IndexError, AssertionError):
            return False

    @property
    def close_codes(self) -> list[int | None]:
        """The status codes of the Close frames received; None for an empty one."""
        closes = [payload for first, payload, _ in self.frames if first & 15 == 8]
        return [int.from_bytes(payload[:2], "big") if payload else None for payload in closes]


class SecureSpeaker(Speaker):
    """A bare peer over the standard library's TLS; `received` is plaintext.

    Attributes:
        notified: the other side's close_notify was seen.
        truncated: the stream ended without one.
        failure: what broke TLS.
    """

    def __init__(self, stream: socket.socket | MemoryStream, context: ssl.SSLContext, server: bool) -> None:
        super().__init__(stream)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        name = None if server else "127.0.0.1"
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        self.established = False
        self.notified = False
        self.truncated = False
        self.failure: ssl.SSLError | None = None
        self._words = bytearray()
        self._leaving = False
        self._shake_hands()

    def say(self, data: bytes) -> None:
        self._words += data
        self._speak()

    def _shake_hands(self) -> None:
        try:
            self.tls.do_handshake()
            self.established = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.failure = error
        self._speak()

    def _speak(self) -> None:
        if self.established and self._words:
            self.tls.write(bytes(self._words))
            self._words.clear()
        if self.established and self._leaving:
            self._leaving = False
            self._take_leave()
            self._ending = True
        self.outbox += self._outgoing.read()
        self.flush()

    def pump(self) -> bool:
        plain, self.received = self.received, bytearray()
        moved = super().pump()
        if self.received:
            self._incoming.write(bytes(self.received))
        self.received = plain
        if not moved:
            return False
        if self.ended:
            self._incoming.write_eof()
        if not self.established and self.failure is None:
            self._shake_hands()
        while self.established and not self.notified and self.failure is None:
            try:
                piece = self.tls.read(65536)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLEOFError:
                self.truncated = True
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            except ssl.SSLError as error:
                self.failure = error
                break
            if not piece:
                self.notified = True
            self.received += piece
        self._speak()
        return True

    def _take_leave(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()

    def notify(self) -> None:
        """Send close_notify, without waiting for the other side's."""
        self._take_leave()
        self._speak()

    def end(self) -> None:
        """Take leave properly: close_notify, then FIN."""
        self._leaving = True
        self._speak()

    def fin(self) -> None:
        """FIN without close_notify."""
        super().end()

    def say_record(self, data: bytes) -> bytes:
        """The record that carries `data`, not sent: for a test that cuts it."""
        self.tls.write(data)
        return self._outgoing.read()


def little_buffers(peer: RawPeer) -> None:
    """Bound the kernel's buffer for a bare peer, so that its window fills soon."""
    if isinstance(peer.stream, socket.socket):
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)


def _unmasked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3, all bytes at once."""
    if not key or not payload:
        return payload
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")
