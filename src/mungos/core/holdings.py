"""The bytes that a manager's connections hold together, and what happens when they are too many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

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
        self._holders: dict[Lifecycle | DatagramConnection, int] = {}

    def enter(self, connection: Lifecycle | DatagramConnection, held: int) -> int:
        """A connection holds so many bytes now. Returns how many of them are counted: none where it has been
        ended here, as the one that holds most may well be the one that enters.

        Above the limit the connection that holds most is aborted, be it this one or another. To read no more
        would be gentler, and no way out: a message that is not read to its end is held for ever.
        """
        holders = self._holders
        before = holders.pop(connection, 0)
        if held < LEAST_COUNTED:
            self.total -= before
            return 0
        holders[connection] = held
        self.total += held - before
        while self.total > self.limit and holders:
            most = max(holders, key=holders.__getitem__)
            error = Closed(
                f"it holds {holders[most]} bytes, the most of all connections, and together they hold "
                f"{self.total}: the limit held_per_manager is {self.limit} bytes"
            )
            log.warning("%s is aborted: %s", most, error)
            self.leave(most)  # first: it may have entered just now, and not know of it
            most.finish(CloseKind.ABORTED, error, reset=True)
        return holders.get(connection, 0)

    def leave(self, connection: Lifecycle | DatagramConnection) -> None:
        """It has ended."""
        self.total -= self._holders.pop(connection, 0)
