"""Earlier runs, out of the history."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from mungos.lab.reports.history import History
from mungos.lab.verdicts import Verdict

__all__ = ["PastFinding", "PastRun", "past_runs"]


@dataclass(frozen=True, slots=True)
class PastFinding:
    """A finding, as the history keeps it."""

    attempt: int  # from 1
    rule: str
    title: str
    who: str
    certainty: str


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run, as the history keeps it."""

    number: int
    started: float  # seconds since 1970
    name: str
    command: tuple[str, ...]
    processor: str
    emulator: str | None
    verdict: Verdict
    exit_status: int
    attempts: int
    duration: float  # seconds, of all attempts
    cpu: float
    explained_in: float | None
    version: str
    findings: tuple[PastFinding, ...] = ()


def past_runs(
    history: History, *, name: str | None = None, since: float = 0.0, last: int | None = None
) -> tuple[PastRun, ...]:
    """What was run, in the order of its beginning.

    Args:
        history: open.
        name: only runs of this name; None for all.
        since: seconds since 1970: only what started then or later.
        last: at most so many, the latest.

    Raises:
        Unwritable: it can't be read.
    """
    rows, findings = history.rows(name=name, since=since, last=last)
    found: dict[int, list[PastFinding]] = {}
    for each in findings:
        found.setdefault(each[0], []).append(PastFinding(*each[1:]))
    return tuple(
        PastRun(
            row[0],
            row[1],
            row[2],
            tuple(shlex.split(row[3])),
            row[4],
            row[5],
            Verdict(row[6]),
            row[7],
            row[8],
            row[9],
            row[10],
            row[11],
            row[12],
            tuple(found.get(row[0], ())),
        )
        for row in reversed(rows)
    )
