"""Whoever waits for a selftest is told how far it is."""

from __future__ import annotations

from mungos.lab.selftest import Bug, Outcome, Task
from mungos.lab.selftest.progress import Progress
from mungos.lab.verdicts import Verdict

BUG = Bug("T01", "waits for ever", "b01_lost_wakeup.py", Verdict.STALLED, ("lost-wakeup",))
CLEAN = Outcome(Verdict.PASSED, 0)
WRONG = Outcome(Verdict.STALLED)


class Told:
    """A progress, what it wrote, and its clock."""

    def __init__(self, terminal: bool) -> None:
        self.texts: list[str] = []
        self.time = 100.0
        self.progress = Progress(terminal, self.texts.append, lambda: self.time)

    def after(self, seconds: float, done: int, outcome: Outcome = CLEAN) -> list[str]:
        self.texts.clear()
        self.time += seconds
        self.progress(done, 1000, Task(BUG, True), outcome)
        return list(self.texts)


def test_a_log_gets_a_line_a_minute() -> None:
    told = Told(terminal=False)
    assert told.after(1, 1) == []
    assert told.after(58, 99) == []
    assert told.after(1, 100) == ["100 of 1,000, about 9 min to go; last: T01 repaired\n"]
    assert told.after(59, 199) == []
    assert told.after(1, 200) == ["200 of 1,000, about 8 min to go; last: T01 repaired\n"]


def test_a_log_gets_a_line_for_each_wrong_run() -> None:
    told = Told(terminal=False)
    assert told.after(1, 1, WRONG) == ["1 of 1,000, 1 not as expected; wrong: T01 repaired\n"]
    assert told.after(1, 2) == []
    assert told.after(1, 3, WRONG) == ["3 of 1,000, 2 not as expected; wrong: T01 repaired\n"]


def test_a_terminal_has_one_line_that_is_taken_away() -> None:
    told = Told(terminal=True)
    assert told.after(0.1, 1) == ["\r\x1b[K1 of 1,000: T01 repaired"]
    assert told.after(0.1, 2, WRONG) == ["\r\x1b[K2 of 1,000, 1 not as expected: T01 repaired"]
    told.texts.clear()
    told.progress.clear()
    assert told.texts == ["\r\x1b[K"]


def test_a_log_has_nothing_to_take_away() -> None:
    told = Told(terminal=False)
    told.progress.clear()
    assert told.texts == []
