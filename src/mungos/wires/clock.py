"""A clock that moves only when it is told to."""

from __future__ import annotations

from mungos.errors import Misuse

__all__ = ["ManualClock"]


class ManualClock:
    """Monotonic seconds from `start`; civil time from `wall`.

    Args:
        start: the first reading, seconds.
        wall: civil time at the start, seconds since 1970.
    """

    def __init__(self, start: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._now = start
        self._offset = wall - start

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def wall(self) -> float:
        """Civil seconds since 1970."""
        return self._now + self._offset

    def advance(self, seconds: float) -> None:
        """Move on. Raises Misuse for a negative step."""
        if seconds < 0:
            raise Misuse(f"time does not go back ({seconds} s)")
        self._now += seconds

    def step_wall(self, seconds: float) -> None:
        """Set civil time forward or back; monotonic time is not touched."""
        self._offset += seconds
