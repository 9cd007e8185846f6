"""Every bound of the core, with name and unit; each can be changed per manager, listener or connection."""

from __future__ import annotations

from dataclasses import dataclass

from mungos import checking
from mungos.errors import Misuse

__all__ = ["MAX_BACKLOG", "Limits"]

MAX_BACKLOG = 2**31 - 1
"""Connections: what listen(2) takes is an int."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; bytes, counts and seconds. The first four bound a whole manager: no listener or connection has
    its own.

    Attributes:
        max_connections: connections open at once in a whole manager, adopted ones and sockets for
            datagrams among them. At it: listeners pause; `connect`, `adopt` and `listen` for udp raise
            Misuse.
        reserved_descriptors: descriptors that a whole manager leaves to the rest of the program. At it: it
            has as many connections, attempts, lookups and files held open by responses (those a third at
            most, and half of the reserve is for them) as it may have, at RLIMIT_NOFILE less so many, or less
            a quarter where that is fewer; then as at `max_connections`, and a file is answered with 503.
        held_per_manager: bytes that all connections of a whole manager hold together, received and not handed
            out, of messages under way, or unsent (and 256 for each datagram); those that hold less than 16
            KiB are not counted. At it: the one is aborted whose bytes times seconds are most, seconds from
            0.1 to 10 since it began or last gave up half.
        turn_within: seconds of a whole manager's turn, for all connections together. At it: the others wait
            for the next turn, and come first in it; deadlines and calls do not wait for them.
        backlog: connections, complete, that the kernel queues for a listener. At it: the kernel lets others
            wait, or refuses them.
        accepts_per_turn: connections accepted per listener and turn. At it: the others wait for the next
            turn.
        events_per_turn: events handed to one connection's handler per turn. At it: the rest wait for the next
            turn.
        events_per_share: events handed to one connection's handler while others wait; four times as many
            where it has waited itself. At it: it gives way.
        bytes_per_turn: bytes sent per connection and turn. At it: the rest wait for the next turn.
        receive_high: bytes received on a plain connection that its handler has not had. At it: nothing is
            read, and the peer must wait.
        send_low: bytes unsent to which a full send buffer must fall. At it: `Writable` is told.
        send_high: bytes unsent up to which `send` returns True. At it: everything is taken, and `send`
            returns False.
        send_hard: bytes unsent that no `send` goes beyond. At it: `send` raises Misuse and takes nothing.
        datagrams_queued: datagrams of one socket that wait to be sent. At it: `send` raises Misuse and takes
            nothing; from half of it on it returns False, and `Writable` is told at a quarter.
        resolve_within: seconds for a name lookup, all servers and attempts. At it: `timed out` while
            resolving.
        connect_within: seconds for TCP's handshake, all addresses. At it: `timed out` while connecting.
        attempt_delay: seconds for one address to answer alone (RFC 8305 section 5), 0.01 at the least; fewer
            where the time would not do for all. At it: the next one is tried beside those that have not
            answered.
        max_lookups: lookups of a whole manager under way at once, those of one name counted once; an eighth
            of RLIMIT_NOFILE less the reserve where that is fewer, and one where no descriptor is left. At it:
            the others wait in their order, within their own `resolve_within`.
        max_attempts: addresses of one connection that are tried at once; one where all attempts beside the
            first of each connection have taken what `max_connections` leaves of the descriptors, and half as
            many as are reserved, or where none is left. At it: the oldest attempt makes room when the next
            one is due, after 2 seconds at the least if there is the time for all.
        close_within: seconds that `close()` drains. At it: it becomes `abort()`: `timed out` while closing.
        linger: seconds to wait for the peer's end once all of ours is sent. At it: `timed out` while closing,
            or `clean` when it has taken its leave over TLS.
        idle_within: seconds without traffic on a tcp, tls or unix connection that speaks no protocol (those
            have deadlines of their own), pauses not counted; None: `idle_accepted` for accepted ones, any
            number for others. At it: a graceful close, `timed out`, up to twice that after the last bytes
            sent.
        idle_accepted: seconds, the same for connections that a listener accepted; None for any number. At it:
            a graceful close, `timed out`.
        half_open: whether a plain connection stays open for sending after the peer's direction has ended; if
            not, it is closed once the handler was told.
        least_rate: bytes a second that the peer must take while output waits; 0: any rate. At it: when it
            takes less over `rate_window`, `timed out`, and reset.
        rate_window: seconds over which `least_rate` is measured. At it: the bytes taken are compared with it.

    Raises:
        Misuse: a value is of another kind, out of range, or not in order with the others.
    """

    max_connections: int = 10_000
    reserved_descriptors: int = 64
    held_per_manager: int = 256 * 1024 * 1024
    turn_within: float = 0.01
    backlog: int = 1024
    accepts_per_turn: int = 64
    events_per_turn: int = 256
    events_per_share: int = 8
    bytes_per_turn: int = 1024 * 1024
    receive_high: int = 256 * 1024
    send_low: int = 64 * 1024
    send_high: int = 256 * 1024
    send_hard: int = 16 * 1024 * 1024
    datagrams_queued: int = 16_384
    max_lookups: int = 64
    resolve_within: float = 5.0
    connect_within: float = 10.0
    attempt_delay: float = 0.25
    max_attempts: int = 8
    close_within: float = 5.0
    linger: float = 1.0
    idle_within: float | None = None
    idle_accepted: float | None = 60.0
    half_open: bool = False
    least_rate: int = 1024
    rate_window: float = 30.0

    def __post_init__(self) -> None:
        checking.numbers(self, zero=("close_within", "least_rate", "linger", "reserved_descriptors"))
        checking.count("backlog", self.backlog, 1, MAX_BACKLOG)
        if self.send_low >= self.send_high:
            raise Misuse(
                f"send_low is {self.send_low} bytes: write less than send_high ({self.send_high} bytes)"
            )
        if self.send_high > self.send_hard:
            raise Misuse(
                f"send_high is {self.send_high} bytes: write at most send_hard ({self.send_hard} bytes)"
            )
