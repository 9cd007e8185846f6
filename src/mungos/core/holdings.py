"""The bytes that a manager's connections hold together, and what happens when they are too many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from mungos.core.reasons import CloseKind
from mungos.errors import Closed

if TYPE_CHECKING:
    from mungos.core.datagrams import DatagramConnection
    from mungos.core.lifecycle import Lifecycle

__all__ = ["LEAST_COUNTED", "Holdings"]

log = logging.getLogger("mungos.manager")

LEAST_COUNTED: Final = 16 * 1024
"""Bytes below which a connection is not counted: what it holds is looked at when so much more has come, or
when the wire did not take what it was to send, and then after each of its shares."""


_LEAST_AGE, _MOST_AGE = 0.1, 10.0  # seconds: bounds of what many bytes and a long time do for each other


class _Hoard(NamedTuple):
    """What one connection holds.

    Attributes:
        held: bytes.
        most: bytes, since it last gave up half.
        since: when that was, or when it began to be counted.
    """

    held: int
    most: int
    since: float

    def weight(self, now: float) -> float:
        """Bytes times the seconds that they have been here."""
        return self.held * min(max(now - self.since, _LEAST_AGE), _MOST_AGE)


class Holdings:
    """A running sum, kept by the connections that hold much; nobody walks the others.

    Attributes:
        total: bytes.
        limit: `Limits.held_per_manager`.
    """

    __slots__ = ("_holders", "limit", "total")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._holders: dict[Lifecycle | DatagramConnection, _Hoard] = {}

    def enter(self, connection: Lifecycle | DatagramConnection, held: int) -> int:
        """A connection holds so many bytes now. Returns how many of them are counted: none where it has been
        ended here, as the one that holds most may well be the one that enters.

        Above the limit the connection is aborted whose bytes weigh most, be it this one or another: bytes
        times seconds, so that a large message that comes quickly is not the first victim of many who hoard
        less, and for longer. Only who gives up half of what it holds begins anew. To read no more would be
        gentler, and no way out: a message that is not read to its end is held for ever.
        """
        holders = self._holders
        hoard = holders.pop(connection, None)
        if hoard is not None:
            self.total -= hoard.held
        if held < LEAST_COUNTED:
            return 0
        now = connection.manager.now
        if hoard is None or held <= hoard.most // 2:
            hoard = _Hoard(held, held, now)
        else:
            hoard = _Hoard(held, max(held, hoard.most), hoard.since)
        holders[connection] = hoard
        self.total += held
        while self.total > self.limit and holders:
            most = max(holders, key=lambda each: holders[each].weight(now))
            hoard = holders[most]
            error = Closed(
                f"it has held up to {hoard.most} bytes for {now - hoard.since:.1f} s, which weighs most of "
                f"all connections, and together they hold {self.total}: the limit held_per_manager is "
                f"{self.limit} bytes"
            )
            log.warning("%s is aborted: %s", most, error)
            self.leave(most)  # first: it may have entered just now, and not know of it
            most.finish(CloseKind.ABORTED, error, reset=True)
        return held if connection in holders else 0

    def leave(self, connection: Lifecycle | DatagramConnection) -> None:
        """It has ended."""
        hoard = self._holders.pop(connection, None)
        if hoard is not None:
            self.total -= hoard.held
