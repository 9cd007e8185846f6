"""Rates over nights: how often it passes, how often only on a retry, since when a fault is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from mungos.lab.reports.past import PastRun
from mungos.lab.verdicts import Verdict

__all__ = ["Day", "Rates", "Seen", "rates"]


@dataclass(frozen=True, slots=True)
class Day:
    """The runs of one day, by local time."""

    day: date
    verdicts: dict[Verdict, int]

    @property
    def runs(self) -> int:
        """How many."""
        return sum(self.verdicts.values())


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding over time."""

    rule: str
    runs: int  # in which it was found
    first: float  # seconds since 1970, of the first such run
    last: float
    title: str  # as it was said last


@dataclass(frozen=True, slots=True)
class Rates:
    """What became of the runs of one name on one processor."""

    name: str
    processor: str
    runs: int
    passed: float  # share, 0.0 to 1.0
    flaky: float
    typical: float  # seconds: half of those that passed took at most so long; 0.0 when none passed
    days: tuple[Day, ...]  # oldest first; days without a run are left out
    findings: tuple[Seen, ...]  # last seen first


def rates(runs: Iterable[PastRun]) -> tuple[Rates, ...]:
    """Rates for each name and processor.

    Args:
        runs: in the order of their beginning.
    """
    groups: dict[tuple[str, str], list[PastRun]] = {}
    for run in runs:
        groups.setdefault((run.name, run.processor), []).append(run)
    return tuple(_rates(name, processor, group) for (name, processor), group in sorted(groups.items()))


def _rates(name: str, processor: str, runs: list[PastRun]) -> Rates:
    verdicts = Counter(run.verdict for run in runs)
    passed = sorted(run.duration for run in runs if run.verdict is Verdict.PASSED)
    days: dict[date, Counter[Verdict]] = {}
    for run in runs:
        days.setdefault(datetime.fromtimestamp(run.started).date(), Counter())[run.verdict] += 1
    return Rates(
        name,
        processor,
        len(runs),
        verdicts[Verdict.PASSED] / len(runs),
        verdicts[Verdict.FLAKY] / len(runs),
        passed[(len(passed) - 1) // 2] if passed else 0.0,
        tuple(Day(day, dict(counted)) for day, counted in sorted(days.items())),
        _seen(runs),
    )


def _seen(runs: list[PastRun]) -> tuple[Seen, ...]:
    found: dict[str, Seen] = {}
    for run in runs:
        for rule, title in {finding.rule: finding.title for finding in reversed(run.findings)}.items():
            before = found.get(rule)
            found[rule] = Seen(
                rule,
                before.runs + 1 if before else 1,
                before.first if before else run.started,
                run.started,
                title,
            )
    return tuple(sorted(found.values(), key=lambda each: (-each.last, each.rule)))
