"""Engines with one fault each, around the built-in one: the kit must find every one of them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from mungos.errors import Closed
from mungos.protocol import Buffer
from mungos.testing.tls.passing import PassingEngine
from mungos.tls import ClientConfig, ServerConfig, select
from mungos.tls.contract import (
    Availability,
    Data,
    Engine,
    Established,
    Event,
    Failed,
    Negotiated,
    PeerClosed,
    ReadSide,
)


class TruncationIsClean(PassingEngine):
    """The end of the stream is told as close_notify."""

    _ended = False
    _told = False

    def receive_eof(self, now: float) -> None:
        self._ended = self.inner.negotiated is not None
        self.inner.receive_eof(now)

    @property
    def read_side(self) -> ReadSide:
        side = self.inner.read_side
        return ReadSide.ENDED if side is ReadSide.TRUNCATED else side

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if isinstance(event, PeerClosed):
            self._told = True
        if event is None and self._ended and not self._told and self.inner.ending is None:
            self._told = True
            return PeerClosed()
        return event


class TruncationIsClean2(PassingEngine):
    """The same, told by the read side only."""

    @property
    def read_side(self) -> ReadSide:
        side = self.inner.read_side
        return ReadSide.ENDED if side is ReadSide.TRUNCATED else side


class AlertNotFlushed(PassingEngine):
    """A failure throws away what was queued for the peer, its alert among it."""

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if isinstance(event, Failed):
            self.inner.take(1 << 30)
        return event


class CloseNotifyForgotten(PassingEngine):
    """Ends its direction without a word."""

    _open = True

    def close_write(self) -> None:
        self.inner.take(1 << 30)
        self.inner.close_write()
        self.inner.take(1 << 30)


class WaitsForEver(PassingEngine):
    """Holds its close_notify back until the peer's has come."""

    _leaving = False
    _peer_left = False

    @property
    def unsent(self) -> int:
        return self.inner.unsent + (self._leaving and not self._peer_left)

    def close_write(self) -> None:
        self._leaving = True

    def write(self, parts: Sequence[Buffer]) -> int:
        if self._leaving:
            raise Closed("write after close_notify")
        return self.inner.write(parts)

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if isinstance(event, PeerClosed):
            self._peer_left = True
            if self._leaving:
                self.inner.close_write()
        return event


class SwallowsAfterClose(PassingEngine):
    """Nothing is delivered any more once our close_notify is out."""

    _left = False

    def close_write(self) -> None:
        self._left = True
        self.inner.close_write()

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        while self._left and isinstance(event, Data):
            event = self.inner.next_event()
        return event


class DataAfterBadTag(PassingEngine):
    """A record whose tag does not fit is passed over; the next ones come."""

    _failed = False

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if isinstance(event, Failed) and not self._failed:
            self._failed = True
            return Data(b"late")
        if event is None and self._failed and not self._told:
            self._told = True
            return self.inner.ending
        return event

    _told = False


class DoubleEvents(PassingEngine):
    """The peer's end is told twice."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._again: deque[Event] = deque()

    def next_event(self) -> Event | None:
        if self._again:
            return self._again.popleft()
        event = self.inner.next_event()
        if isinstance(event, PeerClosed):
            self._again.append(PeerClosed())
        return event


class Spins(PassingEngine):
    """Half a record counts as unread."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._half = bytearray()

    def receive(self, data: Buffer, now: float) -> int:
        taken = self.inner.receive(data, now)
        half = self._half
        half += data[:taken]
        while len(half) >= 5 and len(half) >= 5 + int.from_bytes(half[3:5], "big"):
            del half[: 5 + int.from_bytes(half[3:5], "big")]
        return taken

    @property
    def unread(self) -> int:
        return self.inner.unread + len(self._half)


class SpinsInside(PassingEngine):
    """A call never returns, once the peer has left."""

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        while isinstance(event, PeerClosed):
            os.getpid()
        return event


class Crashes(PassingEngine):
    """Takes the process with it."""

    def close_write(self) -> None:
        os.kill(os.getpid(), 9)


class HidesData(PassingEngine):
    """One event a call of `receive`: what else is there waits for more bytes."""

    _allowed = 0

    def receive(self, data: Buffer, now: float) -> int:
        self._allowed = 1
        return self.inner.receive(data, now)

    def receive_eof(self, now: float) -> None:
        self._allowed = 1 << 30
        self.inner.receive_eof(now)

    @property
    def unread(self) -> int:
        return 0

    def next_event(self) -> Event | None:
        if self.inner.negotiated is not None and self.inner.read_side is ReadSide.OPEN:
            if not self._allowed:
                return None
            self._allowed -= 1
        return self.inner.next_event()


class KeepsBuffers(PassingEngine):
    """Release does nothing; what is queued stays."""

    def release(self) -> None:
        return


class LeaksDescriptors(PassingEngine):
    """Each session opens a descriptor that nobody closes."""

    leaked: ClassVar[list[int]] = []

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self.leaked.append(os.dup(0))


class DataAfterCloseNotify(PassingEngine):
    """What follows close_notify is delivered."""

    _closed = False
    _late = False

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if isinstance(event, PeerClosed):
            self._closed = True
        elif event is None and self._closed and not self._late:
            self._late = True
            return Data(b"late")
        return event


class OpensEarly(PassingEngine):
    """Reports the handshake complete when the first bytes come."""

    _told = False

    def receive(self, data: Buffer, now: float) -> int:
        self._early = True
        return self.inner.receive(data, now)

    _early = False

    def next_event(self) -> Event | None:
        event = self.inner.next_event()
        if self._early and not self._told and event is None:
            self._told = True
            return Established(Negotiated("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
        return event


class WritesAfterClose(PassingEngine):
    """Writing after close_notify is silently taken."""

    def write(self, parts: Sequence[Buffer]) -> int:
        try:
            return self.inner.write(parts)
        except Closed:
            return sum(map(len, parts))


class NoDeadline(PassingEngine):
    """The handshake may take for ever."""

    @property
    def deadline(self) -> float | None:
        return None

    def expire(self, now: float) -> None:
        return


class Broken:
    """A factory of engines with one fault."""

    def __init__(self, kind: Callable[[Engine], PassingEngine]) -> None:
        self._kind = kind
        self.name = "builtin"  # nothing is left to a library

    def availability(self) -> Availability:
        return select("builtin").availability()

    def client(self, config: ClientConfig, server_name: str | None) -> Engine:
        return self._kind(select("builtin").client(config, server_name))

    def server(self, config: ServerConfig) -> Engine:
        return self._kind(select("builtin").server(config))


SOUND = Broken(PassingEngine)
TRUNCATION_IS_CLEAN = Broken(TruncationIsClean)
TRUNCATION_IS_CLEAN_2 = Broken(TruncationIsClean2)
ALERT_NOT_FLUSHED = Broken(AlertNotFlushed)
CLOSE_NOTIFY_FORGOTTEN = Broken(CloseNotifyForgotten)
WAITS_FOR_EVER = Broken(WaitsForEver)
SWALLOWS_AFTER_CLOSE = Broken(SwallowsAfterClose)
DATA_AFTER_BAD_TAG = Broken(DataAfterBadTag)
DOUBLE_EVENTS = Broken(DoubleEvents)
SPINS = Broken(Spins)
SPINS_INSIDE = Broken(SpinsInside)
CRASHES = Broken(Crashes)
HIDES_DATA = Broken(HidesData)
KEEPS_BUFFERS = Broken(KeepsBuffers)
LEAKS_DESCRIPTORS = Broken(LeaksDescriptors)
DATA_AFTER_CLOSE_NOTIFY = Broken(DataAfterCloseNotify)
OPENS_EARLY = Broken(OpensEarly)
WRITES_AFTER_CLOSE = Broken(WritesAfterClose)
NO_DEADLINE = Broken(NoDeadline)
