"""Two ends in memory: our engines, and `ssl` itself as the foreign end, which is known to be right."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Protocol

from mungos import tls

TURNS = 200


class End(Protocol):
    def give(self, data: bytes) -> None: ...
    def take(self) -> bytes: ...
    def pull(self) -> None: ...


class Ours:
    """Drives one of our engines; keeps its events, and the plaintext joined."""

    def __init__(self, engine: tls.Engine, now: float = 0.0) -> None:
        self.engine = engine
        self.events: list[tls.Event] = []
        self.data = bytearray()
        self.waiting = b""
        self.now = now
        engine.start(now)

    def give(self, data: bytes) -> None:
        """As a connection does: what is not taken is offered again after events were pulled."""
        self.waiting += data
        while self.waiting:
            taken = self.engine.receive(self.waiting, self.now)
            self.waiting = self.waiting[taken:]
            if self.waiting:
                before = len(self.events)
                self.pull()
                if not taken and before == len(self.events):
                    raise AssertionError("the engine takes nothing and has nothing")

    def pull(self) -> None:
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, tls.Data):
                self.data += event.data

    def take(self) -> bytes:
        return b"".join(bytes(part) for part in self.engine.take(1 << 24))

    def eof(self) -> None:
        self.engine.receive_eof(self.now)
        self.pull()

    def write(self, data: bytes) -> None:
        assert self.engine.write((data,)) == len(data)

    def writes(self) -> tls.WriteSide:
        return self.engine.write_side

    def reads(self) -> tls.ReadSide:
        return self.engine.read_side

    @property
    def established(self) -> bool:
        return any(isinstance(event, tls.Established) for event in self.events)

    @property
    def failures(self) -> list[tls.Failed]:
        return [event for event in self.events if isinstance(event, tls.Failed)]

    @property
    def closed(self) -> int:
        return sum(isinstance(event, tls.PeerClosed) for event in self.events)


class Foreign:
    """A session of `ssl`, driven like ours."""

    def __init__(self, context: ssl.SSLContext, *, server: bool, server_name: str | None = None) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self._session: ssl.SSLObject | None = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server, server_hostname=server_name
        )
        self.established = False
        self.closed = False
        self.error: ssl.SSLError | None = None
        self.data = bytearray()
        self.pull()

    @property
    def session(self) -> ssl.SSLObject:
        assert self._session is not None
        return self._session

    def drop(self) -> None:
        self._session = None
        self.error = None

    def give(self, data: bytes) -> None:
        self.incoming.write(data)

    def pull(self) -> None:
        if self.error is not None:
            return
        try:
            if not self.established:
                self.session.do_handshake()
                self.established = True
            while not self.closed:
                data = self.session.read(1 << 16)
                if not data:
                    self.closed = True
                self.data += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            self.error = error

    def take(self) -> bytes:
        return self.outgoing.read()

    def write(self, data: bytes) -> None:
        assert self.session.write(data) == len(data)

    def close(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()

    def saw_alert(self, words: str) -> bool:
        return self.error is not None and f"alert {words}" in str(self.error)


def pump(left: End, right: End, chunk: int = 0) -> None:
    """Carry bytes both ways until nothing moves; `chunk` bytes at a time where it is not 0."""
    for _ in range(TURNS):
        moved = 0
        for source, sink in ((left, right), (right, left)):
            source.pull()
            data = source.take()
            moved += len(data)
            for piece in pieces(data, chunk or len(data)):
                sink.give(piece)
                sink.pull()
        if not moved:
            return
    raise AssertionError(f"still moving after {TURNS} turns")


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size or 1):
        yield data[at : at + size]


def records(data: bytes) -> list[bytes]:
    """The records in a stream of TLS."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:size])
        data = data[size:]
    return found
