"""An engine under watch: what the contract promises at every call, whatever the case."""

from __future__ import annotations

from collections.abc import Sequence

from mungos.errors import Closed
from mungos.protocol import Buffer
from mungos.testing.tls.passing import PassingEngine
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import (
    Availability,
    Data,
    EarlyData,
    Engine,
    EngineFactory,
    Established,
    Event,
    Failed,
    PeerClosed,
    ReadSide,
)

__all__ = ["Watch", "WatchedEngine", "WatchedFactory"]

MOST_COMPLAINTS = 20
"""Complaints that are kept: an engine that breaks a promise once does so often."""


class Watch:
    """What was seen of all sessions of one world.

    Attributes:
        complaints: promises that were broken.
        alive: sessions that were made and not released.
        made: sessions made.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.alive: set[int] = set()
        self.made = 0

    def complain(self, words: str) -> None:
        """A promise is broken."""
        if words not in self.complaints and len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(words)


class WatchedFactory:
    """Makes watched sessions of another factory."""

    def __init__(self, factory: EngineFactory, watch: Watch) -> None:
        self._factory = factory
        self._watch = watch

    @property
    def name(self) -> str:
        return self._factory.name

    def availability(self) -> Availability:
        return self._factory.availability()

    def client(self, config: ClientConfig, server_name: str | None) -> Engine:
        return WatchedEngine(self._factory.client(config, server_name), self._watch)

    def server(self, config: ServerConfig) -> Engine:
        return WatchedEngine(self._factory.server(config), self._watch)


class WatchedEngine(PassingEngine):
    """Looks at what comes back from `inner`."""

    def __init__(self, inner: Engine, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch
        self._number = watch.made
        watch.made += 1
        watch.alive.add(self._number)
        self._established = False
        self._peer_closed = False
        self._failed = False
        self._closed_here = False
        self._over = False  # our close_notify was handed out
        self._eof = False
        self._released = False

    def _used(self, call: str) -> None:
        if self._released:
            self._watch.complain(f"{call} of a session that was released")

    def start(self, now: float) -> None:
        self._used("start")
        self.inner.start(now)

    def receive(self, data: Buffer, now: float) -> int:
        self._used("receive")
        size = len(data)
        taken = self.inner.receive(data, now)
        if not 0 <= taken <= size:
            self._watch.complain(f"receive took {taken} of {size} bytes")
        elif taken < size and (self._peer_closed or self._failed):
            self._watch.complain(f"receive took {taken} of {size} bytes after the end: all must be discarded")
        elif size and not taken and not self.inner.unread:
            self._watch.complain("receive took nothing, and unread is 0: its caller spins, or waits for ever")
        return taken

    def receive_eof(self, now: float) -> None:
        self._used("receive_eof")
        self._eof = True
        self.inner.receive_eof(now)

    def next_event(self) -> Event | None:
        self._used("next_event")
        event = self.inner.next_event()
        if event is None:
            if self.inner.unread:
                self._watch.complain(f"no event, and {self.inner.unread} bytes unread: its caller spins")
            if self._eof and self.inner.read_side is ReadSide.ENDED and not self._peer_closed:
                self._watch.complain(
                    "the stream ended without close_notify, and the read side says a clean end"
                )
            return None
        kind = type(event).__name__
        if self._failed:
            self._watch.complain(f"{kind} after Failed")
        elif self._peer_closed and not isinstance(event, Failed):
            self._watch.complain(f"{kind} after PeerClosed")
        elif self._closed_here and not self._established:
            self._watch.complain(f"{kind} after the handshake was cancelled")
        if isinstance(event, Established):
            if self._established:
                self._watch.complain("Established twice")
            if self.inner.negotiated is None:
                self._watch.complain("Established, and negotiated is None")
            self._established = True
        elif isinstance(event, Data):
            if not self._established:
                self._watch.complain("Data before Established")
            if not len(event.data):
                self._watch.complain("Data of no bytes")
        elif isinstance(event, EarlyData):
            if self._established:
                self._watch.complain("EarlyData after Established")
        elif isinstance(event, PeerClosed):
            self._peer_closed = True
        else:
            self._failed = True
            if self.inner.ending is not event and self.inner.ending != event:
                self._watch.complain("Failed, and ending is another")
            if self.inner.read_side is not ReadSide.FAILED:
                self._watch.complain(f"Failed, and the read side is {self.inner.read_side.value}")
        return event

    def write(self, parts: Sequence[Buffer]) -> int:
        self._used("write")
        taken = self.inner.write(parts)
        if self._closed_here and not self._released:
            self._watch.complain("write after close_write did not raise Closed")
        if taken and not self._established:
            self._watch.complain("write took data before Established")
        if not 0 <= taken <= sum(map(len, parts)):
            self._watch.complain(f"write took {taken} of {sum(map(len, parts))} bytes")
        return taken

    def write_early(self, parts: Sequence[Buffer]) -> int:
        self._used("write_early")
        return self.inner.write_early(parts)

    def close_write(self) -> None:
        self._used("close_write")
        self._closed_here = True
        self.inner.close_write()
        try:
            taken = self.inner.write((b"x",))
        except Closed:
            return
        self._watch.complain(f"write after close_write took {taken} bytes and did not raise Closed")

    def fail(self, alert: AlertDescription) -> None:
        self._used("fail")
        self.inner.fail(alert)

    def expire(self, now: float) -> None:
        self._used("expire")
        self.inner.expire(now)

    def take(self, limit: int) -> list[Buffer]:
        self._used("take")
        before = self.inner.unsent
        parts = self.inner.take(limit)
        size = sum(map(len, parts))
        if size > before or (before and not size and limit):
            self._watch.complain(f"take gave {size} of {before} bytes")
        if size and self._over:
            self._watch.complain(f"{size} bytes more behind our close_notify")
        if self._closed_here and self._established and not self._failed and not self.inner.unsent:
            self._over = True
        return parts

    def release(self) -> None:
        self.inner.release()
        if self.inner.unread or self.inner.unsent:
            self._watch.complain(
                f"after release {self.inner.unread} bytes are unread, {self.inner.unsent} unsent"
            )
        self._released = True
        self._watch.alive.discard(self._number)
