"""How far a selftest is, for whoever waits for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mungos.lab.selftest.outcome import Outcome, Task, faults

__all__ = ["Progress"]

_EVERY = 60.0  # seconds between two lines in a log; before that nobody can say how long it takes


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Progress:
    """A line on the terminal that is written over; in a log a line a minute, and one for each wrong run.

    Args:
        terminal: whether it is written to one.
        write: takes the text; by default to stderr.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        terminal: bool,
        write: Callable[[str], None] = _write,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._write = write
        self._now = now
        self._began = self._told = now()
        self._wrong = 0

    def __call__(self, done: int, total: int, task: Task, outcome: Outcome) -> None:
        """After each run: how many are done, of how many, which one, what came of it."""
        wrong = bool(faults(task, outcome))
        self._wrong += wrong
        now = self._now()
        if not (self._terminal or wrong or now - self._told >= _EVERY):
            return
        self._told = now
        text = f"{done:,} of {total:,}"
        if self._wrong:
            text += f", {self._wrong:,} not as expected"
        if now - self._began >= _EVERY:
            text += f", about {(now - self._began) / done * (total - done) / 60:.0f} min to go"
        named = task.bug.name + (" repaired" if task.twin else "")
        if self._terminal:
            self._write(f"\r\x1b[K{text}: {named}")
        else:
            self._write(f"{text}; {'wrong' if wrong else 'last'}: {named}\n")

    def clear(self) -> None:
        """Take it away."""
        if self._terminal:
            self._write("\r\x1b[K")
