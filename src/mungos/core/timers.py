"""Time's one heap: a lazy entry for each connection, and the user's timers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol as Contract

__all__ = ["NEVER", "Sleeper", "Timer", "Timers"]

NEVER = float("inf")


class Sleeper(Contract):
    """What the heap wakes. `timer_at` is the instant of its one valid entry; others of it are stale."""

    timer_at: float

    def on_timer(self, now: float) -> None:
        """The instant came. The entry is gone: schedule again if something is still to come."""


class Timers:
    """A heap whose entries are left behind, not removed, when a deadline moves.

    A deadline that moves later costs nothing: the entry fires early, and its owner schedules again. One that
    moves earlier costs a push.
    """

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Sleeper]] = []
        self._sequence = 0

    def schedule(self, sleeper: Sleeper, when: float) -> bool:
        """Wake `sleeper` at `when` unless it is woken earlier anyway. True if the earliest instant moved."""
        if when >= sleeper.timer_at:
            return False
        sleeper.timer_at = when
        self._sequence += 1
        heap = self._heap
        heapq.heappush(heap, (when, self._sequence, sleeper))
        return heap[0][0] == when

    def earliest(self) -> float:
        """The next instant at which somebody must be woken; NEVER if none. Stale entries are dropped."""
        heap = self._heap
        while heap:
            when, _, sleeper = heap[0]
            if sleeper.timer_at == when:
                return when
            heapq.heappop(heap)
        return NEVER

    @property
    def newest(self) -> int:
        """The number of the last entry so far, for `due`."""
        return self._sequence

    def due(self, now: float, newest: int | None = None) -> Sleeper | None:
        """Remove and return one sleeper whose instant has come, or None.

        Args:
            now: the present.
            newest: entries made after this one wait: who is woken may ask to be woken at once, for ever.
        """
        heap = self._heap
        while heap and heap[0][0] <= now and (newest is None or heap[0][1] <= newest):
            when, _, sleeper = heapq.heappop(heap)
            if sleeper.timer_at == when:
                sleeper.timer_at = NEVER
                return sleeper
        return None


class Timer:
    """A function to be called later; made by `Manager.call_later`."""

    __slots__ = ("_call", "_release", "timer_at", "when")

    def __init__(self, when: float, call: Callable[[], None], release: Callable[[], None]) -> None:
        self.when = when
        self.timer_at = NEVER
        self._call: Callable[[], None] | None = call
        self._release = release

    @property
    def pending(self) -> bool:
        """True until it was called or cancelled."""
        return self._call is not None

    def cancel(self) -> None:
        """Never call it. Idempotent, and legal from within the call itself."""
        if self._call is not None:
            self._call = None
            self.timer_at = NEVER
            self._release()

    def on_timer(self, now: float) -> None:
        """The manager's entry: not to be called by applications."""
        call = self._call
        if call is not None:
            self._call = None
            self._release()
            call()
