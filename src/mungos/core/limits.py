"""Every bound of the core, with name and unit; each can be changed per manager, listener or connection."""

from __future__ import annotations

from dataclasses import dataclass

from mungos import checking
from mungos.errors import Misuse

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; bytes, counts and seconds.

    Attributes:
        max_connections: open at once in a manager; above it listeners pause, and `connect` raises Misuse.
        backlog: completed connections that the kernel queues for a listener.
        accepts_per_turn: connections accepted per listener and turn.
        events_per_turn: events handed to one connection's handler per turn; the rest wait for the next.
        bytes_per_turn: bytes sent per connection and turn.
        receive_high: bytes received on a plain connection that its handler has not had, above which nothing
            is read.
        send_low: unsent bytes at which a full send buffer reports `Writable` again.
        send_high: unsent bytes above which `send` returns False.
        send_hard: unsent bytes above which `send` raises Misuse and takes nothing.
        resolve_within: seconds for a name lookup, all servers and attempts.
        connect_within: seconds for TCP's handshake, all addresses.
        attempt_delay: seconds after which the next address is tried beside those that have not answered (RFC
            8305 section 5).
        max_attempts: addresses of one connection that are tried at once; above it the oldest attempt makes
            room, so that all get their share of `connect_within`.
        close_within: seconds that `close()` drains before it becomes `abort()`.
        linger: seconds to wait for the peer's end once all of ours is sent.
        idle_within: seconds without traffic after which a plain tcp, tls or unix connection is ended, up to
            twice that after the last bytes sent; None for never (protocols have deadlines of their own).
        half_open: whether a plain connection stays open for sending after the peer's direction has ended; if
            not, it is closed once the handler was told.
        least_rate: bytes a second that the peer must take while output waits...
        rate_window: ...measured over so many seconds.

    Raises:
        Misuse: a value is of another kind, out of range, or not in order with the others.
    """

    max_connections: int = 10_000
    backlog: int = 1024
    accepts_per_turn: int = 64
    events_per_turn: int = 256
    bytes_per_turn: int = 1024 * 1024
    receive_high: int = 256 * 1024
    send_low: int = 64 * 1024
    send_high: int = 256 * 1024
    send_hard: int = 16 * 1024 * 1024
    resolve_within: float = 5.0
    connect_within: float = 10.0
    attempt_delay: float = 0.25
    max_attempts: int = 8
    close_within: float = 5.0
    linger: float = 1.0
    idle_within: float | None = None
    half_open: bool = False
    least_rate: int = 1024
    rate_window: float = 30.0

    def __post_init__(self) -> None:
        checking.numbers(self, zero=("close_within", "linger"))
        if self.send_low >= self.send_high:
            raise Misuse(
                f"send_low is {self.send_low} bytes: write less than send_high ({self.send_high} bytes)"
            )
        if self.send_high > self.send_hard:
            raise Misuse(
                f"send_high is {self.send_high} bytes: write at most send_hard ({self.send_hard} bytes)"
            )
