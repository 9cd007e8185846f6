"""The contract between a connection and the protocol that it speaks: bytes in, events out, bytes back.

A protocol owns no socket, clock or random source. It is pulled: `receive` only stores, `next_event`
hands out one event at a time, and whoever is paused does not pull. Nothing here raises for a peer's
fault: the answer that the fault deserves is queued, then `Failed` is handed out, once, as the last event.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final
from typing import Protocol as Contract

from mungos.errors import ProtocolError, TimedOut

__all__ = ["MORE", "Buffer", "Failed", "More", "Protocol"]

Buffer = bytes | bytearray | memoryview


class Failed:
    """The protocol can't go on. The connection sends what is queued, then ends.

    Attributes:
        error: whose fault, and which rule.
    """

    __slots__ = ("error",)

    def __init__(self, error: ProtocolError | TimedOut) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Failed({self.error!r})"


class More(Enum):
    """What stands in the place of an event where there is none yet, and no lack of bytes either."""

    MORE = "more"


MORE: Final = More.MORE
"""`next_event` ends here because the work of one call is bounded: call it again, after others."""


class Protocol(Contract):
    """What a connection asks of a protocol.

    Times are seconds on one monotonic clock, given by the caller. `deadline` is the earliest instant at
    which `expire` wants to be called, or None; it may move in either direction after any call.

    A session may have more, and the connection uses it where it is there: `detail`, what the `Closed` event
    adds to its reason; `discarded`, bytes received and thrown away; `held`, bytes received that it keeps, not
    handed out or of a message under way (what a manager's `held_per_manager` counts); `tls_failed()`, called
    when TLS broke; `release()`, called once when the connection has ended.
    """

    deadline: float | None

    wake: Callable[[], None] | None
    """Set by the connection, called by every sender (and whatever unblocks `next_event`): output or events
    may be waiting. It is cheap, idempotent, and legal at any moment, inside a handler too."""

    ended: bool
    """True once the protocol will queue nothing more: when the queue is empty, the connection ends its write
    side (close_notify and FIN) and reads on, discarding, until the peer's end or its closing deadline."""

    unsent: int
    """Bytes queued that `take` has not handed out yet."""

    def start(self, now: float) -> None:
        """The stream is open: queue the opening bytes, if this side speaks first."""

    def receive(self, data: Buffer, now: float) -> int:
        """Store bytes from the peer; `data` is only valid during the call, so copy what you keep.

        Returns how many were taken: fewer than given only when a cap on undelivered data is reached; the
        caller keeps the rest, stops reading, and offers it again after events were pulled.
        After a failure everything is taken and discarded.
        """

    def receive_eof(self, now: float, truncated: bool) -> None:
        """The peer's stream ended. `truncated`: it ended without TLS's close_notify, so that a message
        whose end only the end of the stream marks can't be trusted to be complete."""

    def next_event(self) -> object | None:
        """The next event, or None when more bytes, time or an answer of the application is needed.

        The work of one call is bounded, whatever the peer has sent: where it sends much that makes no event,
        `MORE` is returned in between. It is not for handlers.
        """

    def take(self, limit: int) -> list[Buffer]:
        """Hand out queued output, about `limit` bytes (at least one buffer if any is queued)."""

    def expire(self, now: float) -> None:
        """`deadline` has passed (or not quite: check). Act on it and move it."""

    def close(self, now: float) -> None:
        """Begin the protocol's own graceful end (finish the answer, send Close, …). Idempotent. `ended`
        becomes True when it is through; the connection's own deadline stands behind it."""

    def leftover(self) -> bytes:
        """Bytes received but not consumed, handed to the next protocol at an upgrade."""
