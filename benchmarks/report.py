"""The tables for people and the JSON for programs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.cases import SUBJECT, TARGETS, Target
from benchmarks.rounds import Outcome, Plan, Row, machine_load, middle, per_cpu, per_wall, ratio, spread

__all__ = ["Verdict", "as_json", "judge", "print_outcome", "print_verdicts"]

PACKAGES = ("aiohttp", "httptools", "mungos", "picows", "uvicorn", "uvloop", "websockets")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; `measured` is None when that pair did not run."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured >= self.target.least


def judge(
    outcomes: Sequence[Outcome], targets: Sequence[Target] = TARGETS, *, subject: str = SUBJECT
) -> list[Verdict]:
    """Each target of the cases that ran against the median of the paired ratios.

    Where `subject` did not take part, another stands first, and the target counts as not measured.
    """
    verdicts = []
    for target in targets:
        for outcome in outcomes:
            if outcome.case.name == target.case:
                others = {row.entry.label: row for row in outcome.rows[1:]}
                present = outcome.rows[0].entry.server.name == subject
                other = others.get(target.against) if present else None
                verdicts.append(Verdict(target, None if other is None else ratio(outcome.rows[0], other)))
    return verdicts


def number(value: float | None, form: str = ",.0f") -> str:
    return "-" if value is None else format(value, form)


def print_outcome(console: Console, outcome: Outcome) -> None:
    subject = outcome.rows[0]
    table = Table(
        title=f"{outcome.case.name}: {outcome.case.title}", title_justify="left", title_style="bold"
    )
    table.add_column("server")
    headings = (
        "per server\nCPU-second",
        "spread",
        "µs CPU",
        "per wall\nsecond",
        f"{subject.entry.label}\n÷ this",
    )
    for heading in (*headings, "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in outcome.rows:
        rate, ends = middle(row, per_cpu), spread(row)
        table.add_row(
            row.entry.label,
            number(rate),
            "-" if ends is None or rate is None else f"{(ends[1] - ends[0]) / rate:.0%}",
            number(None if rate is None else 1e6 / rate, ".1f"),
            number(middle(row, per_wall)),
            "1" if row is subject else number(ratio(subject, row), ".2f"),
            f"{len(row.good())}/{len(row.rounds)}",
        )
    console.print(table)
    for line in outcome.faults:
        console.print(f"failed: {line}", style="red", markup=False)
    for line in outcome.remarks:
        console.print(f"note: {line}", style="yellow", markup=False)


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = Table(box=SIMPLE_HEAD, title="targets", title_justify="left", title_style="bold")
    for heading in ("case", "against"):
        table.add_column(heading)
    for heading in ("at least", "measured", ""):
        table.add_column(heading, justify="right")
    words = {True: "[green]met[/]", False: "[red]not met[/]", None: "not measured"}
    for verdict in verdicts:
        target = verdict.target
        table.add_row(
            target.case,
            target.against,
            f"{target.least:.2f}",
            number(verdict.measured, ".2f"),
            words[verdict.met],
        )
    console.print(table)


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def row_as_json(subject: Row, row: Row) -> dict[str, object]:
    return {
        "server": row.entry.server.name,
        "label": row.entry.label,
        "idle_connections": row.entry.idle,
        "requests_per_server_cpu_second": middle(row, per_cpu),
        "requests_per_wall_second": middle(row, per_wall),
        "subject_ratio": ratio(subject, row),
        "rounds": [None if measured is None else measured.as_json() for measured in row.rounds],
    }


def as_json(outcomes: Sequence[Outcome], verdicts: Sequence[Verdict], plan: Plan) -> dict[str, object]:
    """Everything, down to each round, so that other medians can be made of it later."""
    return {
        "format": 1,
        "machine": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": f"{platform.system()} {platform.machine()} {platform.release()}",
            "byte_order": sys.byteorder,
            "processors": os.cpu_count(),
            "load_average": machine_load(),
            "packages": versions(),
        },
        "plan": {
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "warm_up": plan.warm_up,
            "requests": plan.requests,
        },
        "cases": {
            outcome.case.name: {
                "title": outcome.case.title,
                "rows": [row_as_json(outcome.rows[0], row) for row in outcome.rows],
                "faults": outcome.faults,
                "remarks": outcome.remarks,
            }
            for outcome in outcomes
        },
        "targets": [
            {
                "case": verdict.target.case,
                "against": verdict.target.against,
                "least": verdict.target.least,
                "measured": verdict.measured,
                "met": verdict.met,
            }
            for verdict in verdicts
        ],
    }
