"""Medians, paired ratios, targets, tables and JSON of the TLS benchmark."""

from __future__ import annotations

import os
import platform
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from statistics import median
from typing import TextIO

from benchmarks.tls_cases import REFERENCE, SUBJECT, TARGETS, Case, Target

__all__ = ["Outcome", "Row", "Verdict", "as_json", "judge", "outcome_table", "verdict_table", "write_table"]

PACKAGES = ("aioquic", "cryptography", "mungos", "tlslite-ng")

Table = tuple[str, list[str], list[list[str]]]
"""A title, headings, and rows of text."""


@dataclass(slots=True)
class Row:
    """A contestant's rounds of one case: CPU seconds for one operation, or bytes of one end."""

    name: str
    suite: str
    rounds: list[float]
    operations: int = 0
    traced: float | None = None

    @property
    def middle(self) -> float:
        return median(self.rounds)

    @property
    def spread(self) -> float:
        """(most - least) ÷ median."""
        return (max(self.rounds) - min(self.rounds)) / self.middle


@dataclass(slots=True)
class Outcome:
    """What a case came to; the subject first, if it took part."""

    case: Case
    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def row(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.name == name), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; None when that pair did not run under one suite."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        bound = self.target.bound
        return self.measured <= bound if self.target.most else self.measured >= bound


def paired(one: Row, other: Row) -> float:
    """The median of the ratios within each round."""
    return median(a / b for a, b in zip(one.rounds, other.rounds, strict=True))


def judge(outcomes: Sequence[Outcome], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Each target of the cases that ran."""
    verdicts = []
    for target in targets:
        for outcome in outcomes:
            if outcome.case.name == target.case:
                verdicts.append(Verdict(target, _measured(target, outcome)))
    return verdicts


def _measured(target: Target, outcome: Outcome) -> float | None:
    subject, reference = outcome.row(SUBJECT), outcome.row(REFERENCE)
    if subject is None or reference is None or subject.suite != reference.suite:
        return None
    cost = paired(subject, reference)
    return 1 / cost if target.figure == "throughput" else cost


def outcome_table(outcome: Outcome) -> Table:
    """The table of a case. `spread` is (most - least) ÷ median."""
    case = outcome.case
    reference = outcome.row(REFERENCE)
    if case.kind == "memory":
        headings = ["", "KiB", "spread", "of it Python's", f"÷ {REFERENCE}'s"]
    elif case.kind == "write":
        headings = ["", "µs CPU", "spread", "MiB per CPU-second", f"throughput ÷ {REFERENCE}'s"]
    else:
        headings = ["", "µs CPU", "spread", "per CPU-second", f"time ÷ {REFERENCE}'s"]
    lines = []
    for row in outcome.rows:
        cost = None if reference is None or reference is row else paired(row, reference)
        if case.kind == "memory":
            first = f"{row.middle / 1024:.1f}"
            rate = "-" if row.traced is None else f"{row.traced / 1024:.1f}"
        else:
            first = f"{row.middle * 1e6:,.1f}"
            per_second = (case.size / 2**20 or 1) / row.middle
            rate = f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"
        if cost is not None and case.kind == "write":
            cost = 1 / cost
        compared = "-" if cost is None else f"{cost:.2f}"
        lines.append([row.name, first, f"{row.spread:.0%}", rate, compared])
    suites = ", ".join(dict.fromkeys(row.suite for row in outcome.rows))
    return f"{case.name}: {case.title} ({suites})", headings, lines


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """The table of the targets."""
    words = {True: "met", False: "not met", None: "not measured"}
    lines = []
    for verdict in verdicts:
        target = verdict.target
        bound = f"{'≤' if target.most else '≥'} {target.bound:.2f}"
        measured = "-" if verdict.measured is None else f"{verdict.measured:.2f}"
        lines.append([target.case, target.figure, bound, measured, words[verdict.met]])
    return "targets", ["case", f"{SUBJECT} ÷ {REFERENCE}", "wanted", "measured", ""], lines


def write_table(table: Table, stream: TextIO) -> None:
    """With rich where it is installed, else in plain columns."""
    title, headings, lines = table
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
    except ImportError:
        widths = [max(len(line[at]) for line in (headings, *lines)) for at in range(len(headings))]
        print(title, file=stream)
        for line in (headings, *lines):
            padded = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
            print("  " + "  ".join([line[0].ljust(widths[0]), *padded]).rstrip(), file=stream)
        return
    shown = RichTable(title=title, title_justify="left", title_style="bold")
    for index, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if index else "left")
    for line in lines:
        shown.add_row(*line)
    Console(file=stream).print(shown)


def as_json(outcomes: Sequence[Outcome], verdicts: Sequence[Verdict], plan: object) -> dict[str, object]:
    """Everything, down to each round, so that other medians can be made of it later."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "format": 1,
        "machine": {
            "python": platform.python_version(),
            "openssl": ssl.OPENSSL_VERSION,
            "system": f"{platform.system()} {platform.machine()} {platform.release()}",
            "byte_order": sys.byteorder,
            "processors": os.cpu_count(),
            "load_average": os.getloadavg()[0],
            "packages": versions,
        },
        "plan": plan,
        "cases": {
            outcome.case.name: {
                "title": outcome.case.title,
                "unit": "bytes" if outcome.case.kind == "memory" else "CPU seconds per operation",
                "rows": [
                    {
                        "name": row.name,
                        "suite": row.suite,
                        "operations": row.operations,
                        "median": row.middle,
                        "spread": row.spread,
                        "traced": row.traced,
                        "rounds": row.rounds,
                    }
                    for row in outcome.rows
                ],
                "faults": outcome.faults,
            }
            for outcome in outcomes
        },
        "targets": [
            {
                "case": verdict.target.case,
                "figure": verdict.target.figure,
                "at_most" if verdict.target.most else "at_least": verdict.target.bound,
                "measured": verdict.measured,
                "met": verdict.met,
            }
            for verdict in verdicts
        ],
    }
