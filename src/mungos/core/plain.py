"""The protocol of a connection that has none: bytes as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mungos.checking import as_bytes
from mungos.core.events import Ended, Received
from mungos.core.limits import Limits
from mungos.errors import Closed, Misuse
from mungos.protocol import Buffer

__all__ = ["PlainProtocol"]

_MANY = 64  # pieces to send, from which on small ones are put together: each takes memory, however small
_SMALL = 1024  # bytes
_JOINED = 64 * 1024  # bytes


class PlainProtocol:
    """Received and Ended come out as they went in; what is sent is queued unchanged."""

    __slots__ = (
        "_closed",
        "_events",
        "_last",
        "_limits",
        "_queue",
        "_undelivered",
        "_waiting",
        "deadline",
        "discarded",
        "ended",
        "unsent",
        "wake",
    )

    def __init__(self, limits: Limits) -> None:
        self.deadline: float | None = None
        self.wake: Callable[[], None] | None = None
        self.ended = False
        self.unsent = 0
        self.discarded = 0
        self._limits = limits
        self._events: deque[Received | Ended] = deque()
        self._queue: list[Buffer] = []
        self._closed = False
        self._last = False
        self._undelivered = 0
        # What comes while an event waits: as one, or a peer would choose how much memory a byte takes.
        self._waiting = bytearray()

    def start(self, now: float) -> None:
        """Nothing to say first."""

    def receive(self, data: Buffer, now: float) -> int:
        size = len(data)
        if self._closed:
            self.discarded += size
            return size
        room = self._limits.receive_high - self._undelivered
        if room < size:
            if room <= 0:
                return 0
            data = memoryview(data)[:room]
            size = room
        self._undelivered += size
        if self._events:
            self._waiting += data
        else:
            self._events.append(Received(bytes(data)))
        return size

    def receive_eof(self, now: float, truncated: bool) -> None:
        if not self._closed:
            self._put_together()
            self._events.append(Ended("truncated" if truncated else "clean"))

    def next_event(self) -> object | None:
        if self._events:
            event = self._events.popleft()
            if type(event) is Ended:
                self._last = True
            else:
                self._undelivered -= len(event.data)  # type: ignore[union-attr]
                if self._waiting:
                    self._put_together()
            return event
        if self._last and not self._limits.half_open:
            # The handler has seen the peer's end and had its chance to answer.
            self.ended = True
        return None

    def _put_together(self) -> None:
        if self._waiting:
            self._events.append(Received(bytes(self._waiting)))
            self._waiting = bytearray()

    @property
    def pending(self) -> bool:
        """Whether the handler has not had everything yet."""
        return bool(self._events)

    @property
    def held(self) -> int:
        """Bytes received that the handler has not had."""
        return self._undelivered

    def send(self, parts: tuple[Buffer, ...], waiting: int) -> bool:
        """Queue bytes. False above `send_high`; Misuse above `send_hard`, and then nothing is taken.

        `waiting` bytes were taken from here before, and the wire has not taken them yet.
        """
        if self.ended:
            raise Closed("this side of the connection has ended: nothing can be sent any more")
        size = 0
        taken: list[Buffer] = []
        for part in parts:
            # What can change after the call is copied; bytes are not.
            data = part if type(part) is bytes else as_bytes("data", part)
            if data:
                size += len(data)
                taken.append(data)
        waiting += self.unsent
        if waiting + size > self._limits.send_hard:
            raise Misuse(
                f"{waiting} bytes wait to be sent and {size} more would pass the hard limit of "
                f"{self._limits.send_hard} bytes: wait for Writable when send returns False"
            )
        queue = self._queue
        if len(queue) < _MANY or size > _SMALL:
            queue += taken
        elif type(last := queue[-1]) is bytearray and len(last) < _JOINED:
            last += b"".join(taken)
        elif taken:
            queue.append(bytearray(b"".join(taken)))
        self.unsent += size
        if self.wake is not None:
            self.wake()
        return waiting + size <= self._limits.send_high

    def end(self) -> None:
        """Our direction ends after what is queued; the peer's goes on."""
        self.ended = True
        if self.wake is not None:
            self.wake()

    def take(self, limit: int) -> list[Buffer]:
        queue = self._queue
        if self.unsent <= limit:
            self._queue = []
            self.unsent = 0
            return queue
        size = 0
        for count, part in enumerate(queue):
            if size >= limit:
                self._queue = queue[count:]
                self.unsent -= size
                return queue[:count]
            size += len(part)
        self._queue = []
        self.unsent = 0
        return queue

    def expire(self, now: float) -> None:
        """No deadline of its own."""

    def close(self, now: float) -> None:
        self._closed = True
        self.ended = True
        self.discarded += self._undelivered
        self._events.clear()
        self._waiting = bytearray()
        self._undelivered = 0

    def leftover(self) -> bytes:
        self._put_together()
        data = b"".join(event.data for event in self._events if isinstance(event, Received))
        self._events.clear()
        self._undelivered = 0
        return data
