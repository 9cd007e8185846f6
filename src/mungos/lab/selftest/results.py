"""All that came of a selftest, counted."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from mungos.lab.selftest.catalogue import Bug
from mungos.lab.selftest.outcome import Outcome, Task, faults, finding_is_right, verdict_is_right

__all__ = ["NAMED_AT_LEAST", "Results", "Row"]

NAMED_AT_LEAST = 0.95  # of the planted bugs have to get their right finding


@dataclass(slots=True)
class Row:
    """What came of one bug and its twin."""

    bug: Bug
    outcomes: list[Outcome] = field(default_factory=list)
    twins: list[Outcome] = field(default_factory=list)
    not_run: str = ""

    def add(self, task: Task, outcome: Outcome) -> None:
        """One more run."""
        if outcome.not_run:
            self.not_run = outcome.not_run
        else:
            (self.twins if task.twin else self.outcomes).append(outcome)

    @property
    def right_verdicts(self) -> int:
        """Runs of the bug that are called what they are."""
        return sum(verdict_is_right(Task(self.bug, False), each) for each in self.outcomes)

    @property
    def right_findings(self) -> int:
        """Runs of the bug that are explained by what it is."""
        return sum(finding_is_right(Task(self.bug, False), each) for each in self.outcomes)

    @property
    def clean_twins(self) -> int:
        """Runs of the twin that passed, with nothing found."""
        return sum(not faults(Task(self.bug, True), each) for each in self.twins)

    @property
    def explained_in(self) -> list[float]:
        """Seconds from the clock that ran out to the explanation, of each run that had one."""
        return [each.explained_in for each in self.outcomes if each.explained_in is not None]

    @property
    def faults(self) -> list[str]:
        """What is wrong, each once, with how often."""
        found: dict[str, int] = {}
        for twin, outcomes in ((False, self.outcomes), (True, self.twins)):
            for each in outcomes:
                if text := faults(Task(self.bug, twin), each):
                    text = f"{self.bug.name}{' (twin)' if twin else ''}: {text}"
                    found[text] = found.get(text, 0) + 1
        return [text if count == 1 else f"{text} ({count} times)" for text, count in found.items()]


@dataclass(slots=True)
class Results:
    """What came of all.

    Args:
        rows: by the bug's name, in the catalogue's order.
        seconds: how long it took.
    """

    rows: dict[str, Row]
    seconds: float = 0.0

    @classmethod
    def of(cls, bugs: Iterable[Bug]) -> Results:
        """Nothing has been run yet."""
        return cls({bug.name: Row(bug) for bug in bugs})

    @property
    def shown(self) -> list[Row]:
        """Bugs that were run here."""
        return [row for row in self.rows.values() if not row.not_run]

    @property
    def runs(self) -> int:
        """Runs of bugs."""
        return sum(len(row.outcomes) for row in self.shown)

    @property
    def found(self) -> int:
        """Those that got their verdict."""
        return sum(row.right_verdicts for row in self.shown)

    @property
    def twins(self) -> int:
        """Runs of twins."""
        return sum(len(row.twins) for row in self.shown)

    @property
    def clean(self) -> int:
        """Those that were clean."""
        return sum(row.clean_twins for row in self.shown)

    def named(self, *, own_check: bool = False) -> tuple[int, int]:
        """How many runs got the right finding, and of how many: of bugs that have one, or of those whose own
        check tells, which must get none."""
        rows = [row for row in self.shown if (not row.bug.findings) is own_check]
        return sum(row.right_findings for row in rows), sum(len(row.outcomes) for row in rows)

    @property
    def explained_in(self) -> tuple[float, float, float] | None:
        """Fastest, median and slowest explanation, in seconds; None when there was none."""
        seconds = [each for row in self.shown for each in row.explained_in]
        return (min(seconds), statistics.median(seconds), max(seconds)) if seconds else None

    @property
    def good(self) -> bool:
        """Every bug got its verdict, nearly every one its finding, every twin is clean; and there was one."""
        named = all(right >= NAMED_AT_LEAST * of for right, of in (self.named(), self.named(own_check=True)))
        return bool(self.shown) and self.found == self.runs and self.clean == self.twins and named

    @property
    def faults(self) -> list[str]:
        """What is wrong, in the catalogue's order."""
        return [text for row in self.shown for text in row.faults]

    def as_json(self) -> dict[str, object]:
        """As plain data."""
        named, nameable = self.named()
        quiet, own = self.named(own_check=True)
        return {
            "good": self.good,
            "seconds": round(self.seconds, 3),
            "bugs": {"runs": self.runs, "right_verdict": self.found},
            "findings": {"expected": nameable, "right": named},
            "own_checks": {"runs": own, "without_finding": quiet},
            "twins": {"runs": self.twins, "clean": self.clean},
            "explained_in": None
            if self.explained_in is None
            else dict(zip(("fastest", "median", "slowest"), self.explained_in, strict=True)),
            "not_run": {name: row.not_run for name, row in self.rows.items() if row.not_run},
            "faults": self.faults,
            "rows": [_row_as_json(row) for row in self.rows.values()],
        }


def _row_as_json(row: Row) -> dict[str, object]:
    return {
        "name": row.bug.name,
        "title": row.bug.title,
        "program": row.bug.program,
        "verdict": row.bug.verdict.value,
        "findings": list(row.bug.findings),
        "runs": len(row.outcomes),
        "right_verdicts": row.right_verdicts,
        "right_findings": row.right_findings,
        "explained_in": row.explained_in,
        "twins": len(row.twins),
        "clean_twins": row.clean_twins,
        "not_run": row.not_run,
        "last": row.outcomes[-1].as_json() if row.outcomes else None,
    }
