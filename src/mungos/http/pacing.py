"""How fast a message has to come: a least rate over a window, and an optional total."""

from __future__ import annotations

from mungos.errors import TimedOut

__all__ = ["Pace"]


class Pace:
    """The deadlines of one body, or one message.

    Args:
        what: what has to come: "body".
        rate: bytes a second that it has to bring at least, over every window.
        window: seconds.
        total: seconds for all of it, or None.
        now: seconds on the caller's clock.

    Attributes:
        count: bytes that came in this window, coding included; whoever receives them adds them.
        deadline: when `check` wants to be called, in seconds on the caller's clock.
    """

    __slots__ = ("_end", "_rate", "_spared", "_total", "_what", "_window", "count", "deadline")

    def __init__(self, what: str, rate: int, window: float, total: float | None, now: float) -> None:
        self._what = what
        self._rate = rate
        self._window = window
        self._total = total
        self._end = None if total is None else now + total
        self._spared = False
        self.count = 0
        self.deadline = now + (window if total is None else min(window, total))

    def restart(self, now: float) -> None:
        """Begin a window, because one is over, or because it was not the peer who was waited for."""
        self.count = 0
        window = now + self._window
        self.deadline = window if self._end is None else min(window, self._end)

    def check(self, now: float, waiting: bool) -> TimedOut | None:
        """Judge the window that is over.

        Args:
            now: seconds.
            waiting: whether the peer was waited for; where it was the application, only the total counts, in
                the next window too: it may have begun long before the application went on.
        """
        if self._end is not None and now >= self._end:
            return TimedOut(self._what, limit=self._total)
        if waiting and not self._spared and self.count < self._rate * self._window:
            return TimedOut(
                self._what,
                f"{self.count} bytes of a {self._what} in {self._window:g} s, "
                f"fewer than {self._rate} bytes a second",
                limit=self._window,
            )
        self._spared = not waiting
        self.restart(now)
        return None
