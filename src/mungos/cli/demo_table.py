"""The demo as a person sees it: a table of pairs and steps, the ledger, and what went wrong."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mungos.cli.demo_results import STEPS, TIMES, PairResult, RunResult, State, StepResult
from mungos.core.ledger import Kind

__all__ = ["ALL_CLOSED", "WIDTH", "Presentation", "amount"]

WIDTH = 100
_WIDEST = 98
"""Columns that the output is made for; what a pipe gets."""

ALL_CLOSED = "All connections closed"

_COLUMNS = {
    "handshake": ("handshake", 9),
    "echo": ("echo", 8),
    "fragments": ("one-byte\nframes", 8),
    "ping": ("ping\npong", 6),
    "closes": ("closing\n3 ways", 8),
    "manager": ("close\nall", 6),
}
_MARKS = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("…", "cyan"),
    State.PASSED: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "dim"),
}
_KINDS: dict[Kind, str] = {
    "descriptor": "descriptors",
    "engine": "TLS sessions",
    "timer": "user timers",
    "thread": "threads",
    "lookup": "lookups",
}
_ASCII = str.maketrans({"·": ".", "…": "~", "✓": "+", "✗": "!", TIMES: "x", "→": "->", "←": "<-", "↔": "<->"})


class Presentation:
    """Draws a result on a console.

    Args:
        result: filled in while the demo plays.
        console: where; its encoding decides whether marks beyond ASCII are used.
        absent: why some engines take no part, a line each.
    """

    def __init__(self, result: RunResult, console: Console, absent: Sequence[str] = ()) -> None:
        self._result = result
        self._console = console
        self._absent = absent
        self._plain = "utf" not in console.encoding.lower()

    def __rich__(self) -> RenderableType:
        """The table as things stand."""
        return self.table()

    def table(self) -> RenderableType:
        """A row for each pair, a column for each step."""
        narrow = self._console.width < _WIDEST
        table = _table()
        table.add_column(self._text(f"client {TIMES} server"), no_wrap=True)
        if not narrow:
            table.add_column("TLS", no_wrap=True)
        for name in STEPS:
            head, width = _COLUMNS[name]
            table.add_column(head, justify="right", no_wrap=True, min_width=width)
        if not narrow:
            table.add_column("moved\nMiB", justify="right", no_wrap=True)
        for pair in self._result.pairs:
            cells = [self._text(pair.name, "" if pair.report is None or pair.ok else "bold red")]
            if not narrow:
                cells.append(self._text(_agreed(pair), "dim"))
            cells += [self._step(pair.steps[name]) for name in STEPS]
            if not narrow:
                cells.append(self._text(f"{pair.moved / (1 << 20):.1f}" if pair.moved else ""))
            table.add_row(*cells)
        title = self._text("WebSocket on loopback, plain and over each pair of TLS engines", "bold")
        return Group(title, self._text("times in milliseconds", "dim"), "", table, "")

    def print_table(self) -> None:
        """The table alone."""
        self._console.print(self.table())

    def print_end(self) -> None:
        """What follows the table: the ledger, what went wrong, and the last line."""
        result = self._result
        console = self._console
        if result.closed:
            console.print(self._ledger())
        for line in self._absent:
            self._say(line, "dim")
        played = [pair for pair in result.pairs if pair.report is not None]
        self._say(
            f"{_count(len(played), 'pair')}, "
            f"{_count(sum(pair.connections for pair in played), 'connection')}, "
            f"{amount(sum(pair.moved for pair in played))} on the wire, "
            f"in {result.seconds:.2f} s of a budget of {result.budget:g} s"
        )
        for failure in result.failures:
            console.print()
            self._say(f"✗ {failure}", "bold red")
            for line in failure.evidence:
                self._say(f"    {line}")
        console.print()
        left = sum(result.census().values()) + sum(pair.strays for pair in result.pairs)
        if result.ok:
            self._say(ALL_CLOSED, "bold green")
        elif result.interrupted:
            name = signal.Signals(result.interrupted).name
            self._say(f"Interrupted by {name}: {_remainder(left)}", "bold yellow")
        else:
            self._say(f"Failed ({_count(len(result.failures), 'finding')}): {_remainder(left)}", "bold red")

    def _ledger(self) -> RenderableType:
        made, alive = self._result.made(), self._result.census()
        table = _table()
        table.add_column("ledger")
        for name in _KINDS.values():
            table.add_column(name, justify="right")
        table.add_column("open in\nprocess", justify="right")
        table.add_row("opened", *(str(made[kind]) for kind in _KINDS), "")
        table.add_row("released", *(str(made[kind] - alive[kind]) for kind in _KINDS), "")
        strays = sum(pair.strays for pair in self._result.closed)
        table.add_row("still alive", *(self._zero(alive[kind]) for kind in _KINDS), self._zero(strays))
        return Group(table, "")

    def _zero(self, count: int) -> Text:
        return Text(str(count), "bold red" if count else "bold green")

    def _step(self, step: StepResult) -> Text:
        mark, style = _MARKS[step.state]
        text = self._text(mark, style)
        if step.state is State.RUNNING and step.progress:
            text.append(f" {step.progress}", "cyan")
        elif step.state in {State.PASSED, State.FAILED}:
            text.append(f" {_milliseconds(step.seconds)}")
        return text

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(self._text(line, style), soft_wrap=True)

    def _text(self, text: str, style: str = "") -> Text:
        return Text(text.translate(_ASCII) if self._plain else text, style)


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.{1 if seconds < 0.09995 else 0}f}"


def amount(size: int) -> str:
    """Bytes, KiB or MiB."""
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


def _agreed(pair: PairResult) -> str:
    agreed = pair.negotiated
    if agreed is None:
        return "none" if pair.client is None else ""
    # The names of TLS 1.2's suites have the key exchange in front.
    suite = (
        agreed.suite.removeprefix("TLS_")
        .rpartition("_WITH_")[2]
        .removesuffix("_SHA256")
        .removesuffix("_SHA384")
    )
    return f"{agreed.version.removeprefix('TLSv')} {suite}".replace("CHACHA20_POLY1305", "CHACHA20")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _remainder(left: int) -> str:
    return f"{_count(left, 'thing')} left open" if left else "everything that was opened is closed"
