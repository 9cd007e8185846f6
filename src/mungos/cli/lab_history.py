"""`mungos lab history`: earlier runs, and rates over nights."""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from mungos.cli.parameter_types import OUTPUT_FILE, ParamType
from mungos.cli.statuses import Failure
from mungos.lab.reports.history import History
from mungos.lab.reports.history_place import Unwritable, default_history
from mungos.lab.reports.past import PastRun, past_runs
from mungos.lab.reports.rates import Day, Rates, rates
from mungos.lab.reports.terminal import STYLES, console_for, simple_table
from mungos.lab.reports.wording import count, duration, percent
from mungos.lab.verdicts import Verdict
from mungos.printable import printable

__all__ = ["history"]

BAR = 40
"""Columns of the longest bar."""

MOST_DAYS = 60
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LETTERS = {
    Verdict.PASSED: "█",
    Verdict.FLAKY: "▒",
    Verdict.FAILED: "x",
    Verdict.LEAKED: "◊",
    Verdict.STALLED: "‖",
    Verdict.SPINNING: "@",
    Verdict.TIMED_OUT: "⌛",
    Verdict.NOT_STARTED: "?",
}
_PLAIN_LETTERS = dict(zip(_LETTERS, "#~xo=@T?", strict=True)) | {Verdict.TIMED_OUT: "T"}
_LETTERS[Verdict.TIMED_OUT] = "T"


class _Since(ParamType[float]):
    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        if found := re.fullmatch(r"(\d{1,6})([mhdw])", text):
            return time.time() - int(found[1]) * _UNITS[found[2]]
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            return self.fail(
                f"{value!r} is neither like 90m, 12h, 7d, 4w nor a date like 2026-01-31", param, ctx
            )


@click.command(
    epilog="""\b
Examples:
  mungos lab history --last 5
  mungos lab history --rates --since 30d
  mungos lab history --name nightly --since 2026-01-31"""
)
@click.option("--name", metavar="NAME", help="Only runs of this name: --name of `run`, or the whole command.")
@click.option(
    "--since", type=_Since(), metavar="WHEN", default=0.0, help="Only runs since 7d (m, h, d, w), or a date."
)
@click.option(
    "--last", type=click.IntRange(1), metavar="N", help="Only the last N (default: 20; with --rates all)."
)
@click.option(
    "--rates", "with_rates", is_flag=True, help="Rates, verdicts of each day, first and last of each finding."
)
@click.option(
    "--forget", type=click.IntRange(0), metavar="DAYS", help="First forget what is older than so many days."
)
@click.option(
    "--history",
    "path",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Where it is kept, when not at the default place.",
)
def history(
    name: str | None, since: float, last: int | None, with_rates: bool, forget: int | None, path: Path | None
) -> None:
    """List earlier runs, the latest below; or their rates over nights."""
    place = str(path or default_history())
    if not os.path.exists(place):
        raise Failure(f"there is no history yet at {place}: `mungos lab run` writes it")
    try:
        with History(place) as kept:
            if forget is not None:
                gone = kept.prune(before=time.time() - timedelta(days=forget).total_seconds())
                click.echo(f"{count(gone, 'run')} forgotten", err=True)
            runs = past_runs(kept, name=name, since=since, last=last or (None if with_rates else 20))
    except Unwritable as error:
        raise Failure(str(error)) from None
    if not runs:
        raise Failure("no such run in the history" + (f": {name}" if name else ""))
    console = console_for(sys.stdout)
    if not with_rates:
        _list(runs, console)
        return
    for index, each in enumerate(rates(runs)):
        if index:
            console.print()
        _print_rates(each, console)


def _list(runs: tuple[PastRun, ...], console: Console) -> None:
    table = simple_table(
        "began",
        "verdict",
        "took",
        "processor",
        "name",
        "findings",
        right=("took",),
        wrap=("name", "findings"),
    )
    for run in runs:
        rules = dict.fromkeys(finding.rule for finding in run.findings)
        table.add_row(
            _when(run.started),
            Text(run.verdict.value, STYLES[run.verdict]),
            duration(run.duration),
            printable(run.processor),
            printable(run.name),
            printable(", ".join(rules)),
        )
    console.print(table)


def _print_rates(each: Rates, console: Console) -> None:
    console.print(Text(f"{printable(each.name)} on {printable(each.processor)}", "bold"), soft_wrap=True)
    typical = f", typically in {duration(each.typical)}" if each.typical else ""
    console.print(
        f"  {count(each.runs, 'run')}: {percent(each.passed)} passed{typical}, {percent(each.flaky)} flaky, "
        f"{percent(1 - each.passed - each.flaky if each.passed + each.flaky < 1 else 0.0)} neither"
    )
    unicode = "utf" in console.encoding.lower()
    letters = _LETTERS if unicode else _PLAIN_LETTERS
    most = max(day.runs for day in each.days)
    console.print()
    for day in each.days[-MOST_DAYS:]:
        line = Text(f"  {day.day:%Y-%m-%d}  ")
        line.append_text(_bar(day, most, letters))
        line.append(f"  {_words(day)}", "dim")
        console.print(line, soft_wrap=True)
    shown = [verdict for verdict in Verdict if any(day.verdicts.get(verdict) for day in each.days)]
    key = Text("  ")
    for verdict in shown:
        key.append(letters[verdict], STYLES[verdict])
        key.append(f" {verdict.value}  ", "dim")
    console.print(key)
    if each.findings:
        table = simple_table(
            "finding", "runs", "first seen", "last seen", "said", right=("runs",), wrap=("said",)
        )
        for seen in each.findings:
            table.add_row(
                printable(seen.rule),
                str(seen.runs),
                _when(seen.first),
                _when(seen.last),
                printable(seen.title),
            )
        console.print()
        console.print(table)


def _bar(day: Day, most: int, letters: dict[Verdict, str]) -> Text:
    """As long as there were runs; whatever happened is at least one column."""
    scale = min(1.0, BAR / most)
    bar = Text()
    for verdict in Verdict:
        number = day.verdicts.get(verdict, 0)
        if number:
            bar.append(letters[verdict] * max(1, round(number * scale)), STYLES[verdict])
    return bar


def _words(day: Day) -> str:
    return ", ".join(
        f"{day.verdicts[verdict]} {verdict.value}" for verdict in Verdict if day.verdicts.get(verdict)
    )


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
