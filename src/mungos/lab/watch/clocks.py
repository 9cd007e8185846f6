"""The two clocks: the deadline, and the time without a sign of life or of progress."""

from __future__ import annotations

from collections import deque

from mungos.lab.verdicts import Verdict

__all__ = ["BUSY", "IDLE", "Clocks"]

IDLE = 0.01  # share of one CPU under which a tree does nothing
BUSY = 0.9  # share of one CPU from which it is busy
CROWDED = 0.05  # of one CPU that it has to get, when others keep it from getting what it wants


class Clocks:
    """Says when one of them ran out. Times are seconds since the command was started.

    Args:
        deadline: after which it is over.
        stall: how long neither output nor CPU, or CPU without output and I/O, are borne.
        idle_ok: only the deadline counts.
    """

    __slots__ = ("_deadline", "_idle_ok", "_looks", "_output", "_stall", "active", "progress")

    def __init__(self, deadline: float, stall: float, *, idle_ok: bool) -> None:
        self._deadline = deadline
        self._stall = stall
        self._idle_ok = idle_ok
        self._looks = deque([(0.0, 0.0, 0, 0.0)])  # the first one is as old as `stall`, once there is one
        self._output = 0.0
        self.active = 0.0  # the last output, I/O or more than idle CPU
        self.progress = 0.0  # the last output or I/O

    def output(self, at: float) -> None:
        """Something was printed."""
        self._output = max(self._output, at)
        self.active = max(self.active, at)
        self.progress = max(self.progress, at)

    def look(self, at: float, cpu: float, io: int, wanted: float) -> None:
        """What the tree has used until now: seconds and bytes, both since its start.

        Args:
            at: of the look.
            cpu: seconds that it got.
            io: bytes that it read and wrote.
            wanted: seconds that a thread of it had a CPU or waited for one.
        """
        then, cpu_then, io_then, _ = self._looks[-1]
        if io > io_then:
            self.progress = max(self.progress, at)
        if io > io_then or cpu - cpu_then >= IDLE * (at - then):
            self.active = max(self.active, at)
        self._looks.append((at, cpu, io, wanted))
        while len(self._looks) > 2 and self._looks[1][0] <= at - self._stall:
            self._looks.popleft()

    def ran_out(self, now: float) -> tuple[Verdict, float] | None:
        """The verdict of the clock that ran out, and when it did; None while none has."""
        if now >= self._deadline:
            return Verdict.TIMED_OUT, self._deadline
        if self._idle_ok:
            return None
        then, cpu_then, io_then, wanted_then = self._looks[0]
        last, cpu, io, wanted = self._looks[-1]
        since = max(then, self._output)
        if last - since < self._stall:
            return None
        if cpu - cpu_then < IDLE * (last - then):
            return Verdict.STALLED, since + self._stall
        window = last - then
        if io == io_then and cpu - cpu_then >= CROWDED * window and wanted - wanted_then >= BUSY * window:
            return Verdict.SPINNING, since + self._stall
        return None

    def next_look(self, now: float, pause: float) -> float:
        """When to look next, if looks are `pause` seconds apart: sooner when a clock may run out before."""
        planned = now + pause
        if not self._idle_ok:
            for then, *_ in self._looks:
                due = max(then, self._output) + self._stall
                if due > now:
                    return min(planned, due)
        return planned

    def near(self, now: float) -> bool:
        """Whether a part of the time is over that any of them gives."""
        return now > self._deadline / 2 or (not self._idle_ok and now - self._output > self._stall / 4)

    @property
    def deadline(self) -> float:
        """Seconds since the start."""
        return self._deadline
