"""The report for a terminal: what was found, then the facts, in tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mungos.lab.facts import Autopsy, Process
from mungos.lab.record import Attempt, Finding, Record
from mungos.lab.reports.facts_text import (
    describe_descriptor,
    describe_signals,
    describe_stack,
    describe_thread,
    describe_timers,
)
from mungos.lab.reports.plain_text import LAST_LINES, LOST_TAIL
from mungos.lab.reports.wording import (
    amount,
    command_line,
    count,
    duration,
    headline,
    name_of,
    on_which,
    percent,
    tail_may_be_lost,
    took,
)
from mungos.lab.verdicts import Verdict
from mungos.printable import printable

__all__ = ["STYLES", "console_for", "print_matrix", "print_report", "simple_table"]

STYLES = {
    Verdict.PASSED: "bold green",
    Verdict.FLAKY: "bold yellow",
    Verdict.FAILED: "bold red",
    Verdict.LEAKED: "bold magenta",
    Verdict.STALLED: "bold red",
    Verdict.SPINNING: "bold red",
    Verdict.TIMED_OUT: "bold red",
    Verdict.NOT_STARTED: "bold red",
}
WIDTH = 120
"""Columns of what is no terminal."""

MOST_PROCESSES = 25
MOST_THREADS = 40
MOST_DESCRIPTORS = 40
MOST_SOCKETS = 20
MOST_FRAMES = 12
MOST_STACKS = 12
MOST_EVIDENCE = 20
"""What is shown at most; JSON has all of it."""

_ASCII = str.maketrans({"…": "~", "·": ".", "█": "#", "→": ">", "■": "#"})


def console_for(stream: TextIO | None = None) -> Console:
    """A console that does nothing clever with what it prints.

    Args:
        stream: a text file; standard error when None.
    """
    file = sys.stderr if stream is None else stream
    width = None if file.isatty() else WIDTH
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def simple_table(*columns: str, right: Sequence[str] = (), wrap: Sequence[str] = ()) -> Table:
    """A table with a head and no lines between its rows.

    Args:
        columns: their heads.
        right: those that are aligned to the right.
        wrap: those that take what room is left, and more than one line.
    """
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold"
    )
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in wrap,
            overflow="fold" if name in wrap else "ellipsis",
        )
    return table


def print_report(run: Record, console: Console | None = None) -> None:
    """Everything that a person wants to read of a run that did not pass.

    Args:
        run: any record.
        console: standard error when None.
    """
    console = console or console_for()
    where = "" if run.order.processor == "native" else f" on {on_which(run.platform)}"
    console.print()
    console.print(_text(f"mungos lab{where}: {headline(run)}", STYLES[run.verdict], console), soft_wrap=True)
    console.print(_text(f"  {command_line(run.order.command)}", "dim", console), soft_wrap=True)
    for index, attempt in enumerate(run.attempts, 1):
        if len(run.attempts) > 1:
            console.print()
            after = f"{attempt.verdict.value} after {duration(attempt.duration)}"
            title = f"Attempt {index} of {len(run.attempts)}: {after}"
            console.print(_text(title, STYLES[attempt.verdict], console))
        if attempt.verdict is not Verdict.PASSED:
            for part in _attempt(attempt, console):
                console.print(part)
    console.print()
    console.print(
        _text(
            f"mungos lab: {run.verdict.value} after {duration(took(run))}, status {run.exit_status}",
            STYLES[run.verdict],
            console,
        )
    )


def print_matrix(runs: Sequence[Record], console: Console | None = None) -> None:
    """A line for each processor.

    Args:
        runs: of one command.
        console: standard error when None.
    """
    console = console or console_for()
    table = simple_table(
        "processor",
        "Debian",
        "byte order",
        "bits",
        "slower by",
        "verdict",
        "took",
        "first finding",
        right=("bits", "slower by", "took"),
        wrap=("first finding",),
    )
    for run in runs:
        platform = run.platform
        finding = next((each.title for attempt in run.attempts for each in attempt.findings), "")
        table.add_row(
            _text(
                platform.processor if run.order.processor == "native" else run.order.processor, "", console
            ),
            _text(platform.suite, "", console),
            platform.byte_order,
            str(platform.word_size),
            f"{platform.factor:.1f}" if platform.factor != 1 else "",
            _text(run.verdict.value, STYLES[run.verdict], console),
            duration(took(run)),
            _text(finding, "", console),
        )
    console.print()
    console.print(_text(f"mungos lab: {name_of(runs[0])}", "bold", console), soft_wrap=True)
    console.print(table)


def _attempt(attempt: Attempt, console: Console) -> Iterator[RenderableType]:
    if attempt.problem and attempt.verdict is not Verdict.NOT_STARTED:
        yield _text(f"Problem: {attempt.problem}", "yellow", console)
    for number, finding in enumerate(attempt.findings, 1):
        yield ""
        yield _finding(number, finding, console)
    if not attempt.findings and attempt.autopsy is not None:
        yield ""
        yield _text("No rule explains it. The facts:", "bold", console)
    if attempt.left:
        yield ""
        yield _text(f"Left running: {', '.join(attempt.left)}", "bold magenta", console)
    if attempt.autopsy is not None:
        yield from _autopsy(attempt.autopsy, console)
    if attempt.lines:
        yield ""
        yield _head(f"The last {count(min(len(attempt.lines), LAST_LINES), 'line')} of output", console)
        yield _lines(attempt, console)
        if tail_may_be_lost(attempt):
            yield _text(LOST_TAIL, "yellow", console)
    elif attempt.verdict is not Verdict.NOT_STARTED:
        yield ""
        yield _text(
            "It printed nothing." + (f" {LOST_TAIL}" if tail_may_be_lost(attempt) else ""), "yellow", console
        )


def _finding(number: int, finding: Finding, console: Console) -> RenderableType:
    title = _text(f"{number}. {finding.title}", "bold", console)
    title.append(
        f"  [{finding.rule}{'' if finding.certainty == 'certain' else ', ' + finding.certainty}]", "dim"
    )
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = [("who", finding.who), ("waits for", finding.waits_for)]
    if finding.since is not None:
        rows.append(("since", f"{duration(finding.since)} after the start"))
    for index, each in enumerate(finding.evidence[:MOST_EVIDENCE]):
        rows.append(("evidence" if index == 0 else "", each))
    rows.append(("to do", finding.advice))
    for name, value in rows:
        if value:
            grid.add_row(name, _text(value, "bold cyan" if name == "to do" else "", console))
    return Group(title, Padding(grid, (0, 0, 0, 3)))


def _autopsy(autopsy: Autopsy, console: Console) -> Iterator[RenderableType]:
    processes = autopsy.processes
    yield ""
    yield _head(
        f"{count(len(processes), 'process', 'processes')}, {duration(autopsy.at)} after the start "
        f"(process 1: {autopsy.init}; looked at for {duration(autopsy.took)})",
        console,
    )
    table = simple_table(
        "pid",
        "sees itself as",
        "parent",
        "state",
        "age",
        "CPU",
        "command",
        right=("pid", "sees itself as", "parent", "age", "CPU"),
        wrap=("command",),
    )
    for process in processes[:MOST_PROCESSES]:
        more = f" (emulated {process.emulated})" if process.emulated else ""
        more += f" — zombies: {', '.join(map(str, process.zombies))}" if process.zombies else ""
        more += " — orphan" if process.orphan else ""
        table.add_row(
            str(process.pid),
            str(process.inner),
            str(process.parent),
            process.state,
            duration(process.age),
            duration(process.cpu),
            _text(process.command + more, "", console),
        )
    yield table
    yield from _more(len(processes), MOST_PROCESSES, console)
    yield from _threads(processes, console)
    yield from _signals(processes, console)
    yield from _descriptors(autopsy, console)
    yield from _stacks(processes, console)
    for process in processes:
        if process.mungos is not None:
            yield ""
            yield _head(f"Mungos in {process.pid}: {count(process.mungos.managers, 'manager')}", console)
            for title, lines in (
                ("ledger", process.mungos.ledger),
                ("connections", process.mungos.connections),
                ("last events", process.mungos.events),
            ):
                for line in lines:
                    yield _text(f"  {title}: {line}", "", console)
    missing = [*autopsy.missing, *(f"{each.pid}: {text}" for each in processes for text in each.missing)]
    if missing:
        yield ""
        yield _head("Could not be had", console)
        for text in missing:
            yield _text(f"  {text}", "dim", console)


def _threads(processes: Sequence[Process], console: Console) -> Iterator[RenderableType]:
    all_threads = [(process, thread) for process in processes for thread in process.threads]
    if not all_threads:
        return
    table = simple_table(
        "pid",
        "thread",
        "name",
        "state",
        "CPU now",
        "does",
        right=("pid", "thread", "CPU now"),
        wrap=("does",),
    )
    for process, thread in all_threads[:MOST_THREADS]:
        now = "" if thread.recent_cpu is None else percent(thread.recent_cpu)
        table.add_row(
            str(process.pid),
            str(thread.tid),
            _text(thread.name, "", console),
            thread.state,
            now,
            _text(describe_thread(thread), "", console),
        )
    yield ""
    yield _head("What each thread does", console)
    yield table
    yield from _more(len(all_threads), MOST_THREADS, console)


def _signals(processes: Sequence[Process], console: Console) -> Iterator[RenderableType]:
    yield ""
    yield _head("Signals and timers", console)
    for process in processes[:MOST_PROCESSES]:
        words = "; ".join([*describe_signals(process), *describe_timers(process)])
        yield _text(f"  {process.pid}: {words}", "", console)


def _descriptors(autopsy: Autopsy, console: Console) -> Iterator[RenderableType]:
    rows = [
        (process, each)
        for process in autopsy.processes
        for each in process.descriptors
        if each.kind != "file"
    ]
    if rows:
        table = simple_table("pid", "fd", "kind", "what", right=("pid", "fd"), wrap=("what",))
        for process, each in rows[:MOST_DESCRIPTORS]:
            table.add_row(
                str(process.pid), str(each.number), each.kind, _text(describe_descriptor(each), "", console)
            )
        yield ""
        yield _head("Descriptors (files left out)", console)
        yield table
        yield from _more(len(rows), MOST_DESCRIPTORS, console)
    if autopsy.sockets:
        yield ""
        yield _head("Sockets that no process holds", console)
        for held in autopsy.sockets[:MOST_SOCKETS]:
            yield _text(
                f"  {held.state} {held.local} → {held.remote}, unread {amount(held.unread)}, unsent "
                f"{amount(held.unsent)}" + (f", {held.timer}" if held.timer else ""),
                "",
                console,
            )
        yield from _more(len(autopsy.sockets), MOST_SOCKETS, console)


def _stacks(processes: Sequence[Process], console: Console) -> Iterator[RenderableType]:
    stacks = [(process, stack) for process in processes for stack in process.stacks]
    for process, stack in stacks[:MOST_STACKS]:
        yield ""
        yield _head(f"Stack of {process.pid}, {describe_stack(stack)}", console)
        for frame in stack.frames[:MOST_FRAMES]:
            place = frame.file + (f":{frame.line}" if frame.line is not None else "")
            line = _text(f"  {frame.function}", "bold", console)
            line.append_text(_text(f"  {place}", "dim", console))
            yield line
        yield from _more(len(stack.frames), MOST_FRAMES, console)
    yield from _more(len(stacks), MOST_STACKS, console)


def _lines(attempt: Attempt, console: Console) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in attempt.lines[-LAST_LINES:]:
        text = _text(line.text, "red" if line.stream == "stderr" else "", console)
        if not line.complete:
            text.append(" (no end of line)", "yellow")
        grid.add_row(f"{line.at:.3f}", text)
    return grid


def _head(text: str, console: Console) -> Text:
    return _text(text, "bold", console)


def _more(number: int, most: int, console: Console) -> Iterable[RenderableType]:
    return (
        [_text(f"  and {number - most} more: --json FILE has them all", "dim", console)]
        if number > most
        else []
    )


def _text(text: str, style: str, console: Console) -> Text:
    """Harmless, and in letters that the terminal has."""
    shown = printable(text)
    if "utf" not in console.encoding.lower():
        shown = shown.translate(_ASCII).encode(console.encoding, "backslashreplace").decode(console.encoding)
    return Text(shown, style)
