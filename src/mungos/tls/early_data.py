"""Whether a server takes 0-RTT data, and how it keeps them from being replayed (RFC 8446 section 8)."""

from __future__ import annotations

from collections import OrderedDict

from mungos import checking

__all__ = ["EarlyDataGuard"]

MAX_EARLY_DATA = 0xFFFF_FFFF
"""Bytes of early data that a ticket can allow (RFC 8446 section 4.6.1)."""


class EarlyDataGuard:
    """Lets the early data of each ticket in once, and only while its ClientHello is fresh.

    One object stands for all the servers that share ticket keys; it knows nothing of what another process
    has let in, so that processes that share ticket keys let the same data in once each (section 8.1).
    Where it can't tell, it refuses: the handshake goes on, and the client may send again after it.

    Args:
        max_bytes: bytes of early data that a connection may send; told to the client with each ticket. At it:
            the connection fails with the alert unexpected_message.
        window: seconds by which a ClientHello may come earlier or later than its ticket's age says (section
            8.3). At it: its early data are not let in.
        capacity: tickets remembered, each for twice the window. At it: no early data are let in until some
            are forgotten.

    Raises Misuse for a value of another kind or out of range.
    """

    __slots__ = ("_begun", "_latest", "_seen", "capacity", "max_bytes", "window")

    def __init__(self, *, max_bytes: int = 16_384, window: float = 10.0, capacity: int = 65_536) -> None:
        checking.count("max_bytes", max_bytes, 1, MAX_EARLY_DATA)
        checking.seconds("window", window, most=3600)
        checking.count("capacity", capacity, 1)
        self.max_bytes = max_bytes
        self.window = window
        self.capacity = capacity
        self._seen: OrderedDict[bytes, float] = OrderedDict()  # until when, by ticket
        self._begun: float | None = None
        self._latest = 0.0

    def __repr__(self) -> str:
        return f"EarlyDataGuard(max_bytes={self.max_bytes}, {len(self)} of {self.capacity} tickets)"

    def __len__(self) -> int:
        return len(self._seen)

    def begin(self, wall: float) -> None:
        """It watches from now on, civil time in seconds. Idempotent."""
        if self._begun is None:
            self._begun = self._latest = wall

    def admit(self, ticket: bytes, *, issued: float, age: float, wall: float) -> bool:
        """Whether the early data under a ticket may come in; if so, they may not again.

        Args:
            ticket: what no other ticket has in common with it.
            issued: when it was made, civil time in seconds.
            age: its age in seconds, as the client tells.
            wall: civil time in seconds.
        """
        self.begin(wall)
        # A clock that goes back would bring forgotten tickets back to life.
        if wall < self._latest:
            return False
        self._latest = wall
        # Section 8.3: the expected arrival time against the real one.
        if abs(wall - (issued + age)) > self.window:
            return False
        # Section 8.2: what may have been let in before the recording began is refused.
        if self._begun is not None and issued < self._begun and wall - self._begun < 2 * self.window:
            return False
        seen = self._seen
        while seen and next(iter(seen.values())) < wall:
            seen.popitem(last=False)
        if ticket in seen or len(seen) >= self.capacity:
            return False
        # The same ClientHello is not fresh any more after that.
        seen[ticket] = wall + 2 * self.window
        return True
