"""How fast a body has to come: a least rate over a window, and an optional total."""

from __future__ import annotations

from mungos.errors import TimedOut
from mungos.http.limits import HTTPLimits

__all__ = ["BodyPace"]


class BodyPace:
    """The deadlines of one body.

    Attributes:
        deadline: when `check` wants to be called, in seconds on the caller's clock.
    """

    __slots__ = ("_count", "_limits", "_total", "deadline")

    def __init__(self, limits: HTTPLimits, now: float) -> None:
        self._limits = limits
        self._total = None if limits.body_timeout is None else now + limits.body_timeout
        self._count = 0
        self.deadline = 0.0
        self.restart(now)

    def restart(self, now: float) -> None:
        """Begin a window, because one is over, or because it was not the peer who was waited for."""
        self._count = 0
        window = now + self._limits.body_window
        self.deadline = window if self._total is None else min(window, self._total)

    def add(self, count: int) -> None:
        """Note `count` bytes of the body, its coding included."""
        self._count += count

    def check(self, now: float, waiting: bool) -> TimedOut | None:
        """Judge the window that is over.

        Args:
            now: seconds.
            waiting: whether the peer was waited for; where it was the application, only the total counts.
        """
        limits = self._limits
        if self._total is not None and now >= self._total:
            return TimedOut("body", limit=limits.body_timeout)
        least = limits.body_rate * limits.body_window
        if waiting and self._count < least:
            return TimedOut(
                "body",
                f"{self._count} bytes of a body in {limits.body_window:g} s, "
                f"fewer than {limits.body_rate} bytes a second",
                limit=limits.body_window,
            )
        self.restart(now)
        return None
