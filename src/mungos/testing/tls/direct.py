"""Sessions driven by hand, without connections: for what a connection has no word for."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Sequence
from typing import Protocol

from mungos.testing.tls.papers import foreign_context, is_cut
from mungos.testing.tls.verdicts import Unmet
from mungos.tls.contract import Data, Engine, Established, Event, Failed, PeerClosed

__all__ = ["Direct", "End", "Foreign", "pump"]

TURNS = 200


class End(Protocol):
    """One end of a stream in memory."""

    def give(self, data: bytes) -> None:
        """Take what arrived."""

    def take(self) -> bytes:
        """What is to be sent."""


class Direct:
    """Drives an engine; keeps its events, and the plaintext joined."""

    def __init__(self, engine: Engine, now: float = 0.0) -> None:
        self.engine = engine
        self.now = now
        self.events: list[Event] = []
        self.data = bytearray()
        self.waiting = b""
        engine.start(now)

    def give(self, data: bytes) -> None:
        """As a connection does: what is not taken is offered again after events were pulled."""
        self.waiting += data
        while self.waiting:
            taken = self.engine.receive(self.waiting, self.now)
            self.waiting = self.waiting[taken:]
            before = len(self.events)
            self.pull()
            if not taken and before == len(self.events):
                raise Unmet("what arrives is taken, or there is an event", "neither: its caller spins")

    def pull(self) -> None:
        """Take every event."""
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Data):
                self.data += event.data

    def take(self) -> bytes:
        """Everything that is queued."""
        return b"".join(bytes(part) for part in self.engine.take(1 << 24))

    def eof(self) -> None:
        """The stream ends."""
        self.engine.receive_eof(self.now)
        self.pull()

    def write(self, *parts: bytes) -> None:
        """All of it."""
        size = sum(map(len, parts))
        taken = self.engine.write(parts)
        if taken != size:
            raise Unmet(f"{size} bytes are accepted", f"{taken} were")

    @property
    def names(self) -> list[str]:
        """The events' names, data left out."""
        return [type(event).__name__ for event in self.events if not isinstance(event, Data)]

    @property
    def established(self) -> bool:
        """Whether the handshake is complete."""
        return any(isinstance(event, Established) for event in self.events)

    @property
    def closed(self) -> bool:
        """Whether close_notify came."""
        return any(isinstance(event, PeerClosed) for event in self.events)

    @property
    def failures(self) -> Sequence[Failed]:
        """How it failed."""
        return [event for event in self.events if isinstance(event, Failed)]


class Foreign:
    """A session of the standard library, driven alike."""

    def __init__(self, *, server: bool, context: ssl.SSLContext | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = (context or foreign_context(server)).wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server,
            server_hostname=None if server else "localhost",
        )
        self.established = self.closed = self.truncated = False
        self.data = bytearray()
        self._advance()

    def give(self, data: bytes) -> None:
        """Take what arrived."""
        self._incoming.write(data)
        self._advance()

    def eof(self) -> None:
        """The stream ends."""
        self._incoming.write_eof()
        self._advance()

    def _advance(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                if not self.established:
                    self.session.do_handshake()
                    self.established = True
                while not self.closed and (data := self.session.read(1 << 16)):
                    self.data += data
                self.closed = True
            except ssl.SSLZeroReturnError:
                self.closed = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                if not is_cut(error):
                    raise
                self.truncated = True

    def take(self) -> bytes:
        """What is to be sent."""
        return self._outgoing.read()

    def write(self, data: bytes) -> None:
        """Seal."""
        self.session.write(data)

    def close(self) -> None:
        """close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()


def pump(one: End, other: End) -> None:
    """Carry bytes both ways until nothing moves."""
    for _ in range(TURNS):
        moved = False
        for source, sink in ((one, other), (other, one)):
            data = source.take()
            moved = moved or bool(data)
            if data:
                sink.give(data)
        if not moved:
            return
    raise Unmet("two ends come to rest", f"still moving after {TURNS} turns")
