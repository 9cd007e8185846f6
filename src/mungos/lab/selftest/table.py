"""The results as a person sees them: a table of bugs, the totals, and what is wrong."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mungos.lab.selftest.catalogue import BUGS, LEFT_OUT, PROGRAMS, Bug
from mungos.lab.selftest.results import NAMED_AT_LEAST, Results, Row

__all__ = ["WIDTH", "markdown", "print_catalogue", "print_results"]

WIDTH = 112
"""Columns that the table is made for; what a pipe gets."""

_ASCII = str.maketrans({"✓": "+", "✗": "!", "·": "-"})


def print_results(results: Results, console: Console) -> None:
    """The table, the totals, what was not run and why, and what is wrong.

    Args:
        results: of the selftest.
        console: where; its encoding decides whether marks beyond ASCII are used.
    """
    plain = "utf" not in console.encoding.lower()

    def text(content: str, style: str = "") -> Text:
        return Text(content.translate(_ASCII) if plain else content, style)

    def mark(right: int, of: int, what: str) -> Text:
        if not of:
            return text("·", "dim")
        if right == of:
            return text(f"✓ {what}", "green")
        counted = f" {right} of {of}" if of > 1 and "/" not in what else ""
        return text(f"✗ {what}{counted}", "bold red")

    table = _table()
    table.add_column("bug", no_wrap=True)
    table.add_column("what is planted")
    for head in ("verdict", "finding"):
        table.add_column(head, no_wrap=True)
    table.add_column("explained\nin s", justify="right", no_wrap=True)
    table.add_column("clean\ntwins", justify="right", no_wrap=True)
    for row in results.rows.values():
        bug, runs = row.bug, len(row.outcomes)
        name, title = text(bug.name, "bold"), text(bug.title)
        if row.not_run:
            table.add_row(name, title, text("not run", "dim"), "", "", "")
            continue
        table.add_row(
            name, title,
            mark(row.right_verdicts, runs, bug.verdict.value),
            mark(row.right_findings, runs, _named(row)),
            text(f"{max(row.explained_in):.2f}") if row.explained_in else text("·", "dim"),
            mark(row.clean_twins, len(row.twins), f"{row.clean_twins}/{len(row.twins)}"),
        )  # fmt: skip
    console.print(table)

    def say(line: str, style: str = "") -> None:
        console.print(text(line, style), soft_wrap=True)

    for line in _totals(results):
        say(line)
    reasons: dict[str, list[str]] = {}
    for row in results.rows.values():
        if row.not_run:
            reasons.setdefault(row.not_run, []).append(row.bug.name)
    for reason, names in reasons.items():
        say(f"not run: {', '.join(names)}: {reason}", "dim")
    for fault in results.faults:
        say(f"✗ {fault}", "bold red")
    console.print()
    if results.good:
        say("The lab works here", "bold green")
    else:
        say(_verdict(results), "bold red")


def _named(row: Row) -> str:
    """The rule that was found, the last time."""
    bug = row.bug
    if bug.own_check:
        return "its own check"
    last = row.outcomes[-1].findings if row.outcomes else ()
    return next((rule for rule in last if rule in bug.findings), bug.findings[0])


def _totals(results: Results) -> list[str]:
    named, nameable = results.named()
    quiet, own = results.named(own_check=True)
    lines = [f"verdicts: {results.found} of {results.runs} runs with a planted bug got the right one"]
    if nameable:
        lines.append(f"findings: {named} of {nameable} were rightly named ({named / nameable:.1%})")
    if own:
        lines.append(
            f"own checks: {quiet} of {own} runs that failed by their own check got no finding beside it"
        )
    if results.twins:
        lines.append(f"twins: {results.clean} of {results.twins} runs were clean")
    if results.explained_in is not None:
        fastest, median, slowest = results.explained_in
        lines.append(f"explained in: fastest {fastest:.2f} s, median {median:.2f} s, slowest {slowest:.2f} s")
    lines.append(f"all of it took {results.seconds:.1f} s")
    return lines


def _verdict(results: Results) -> str:
    if not results.shown:
        return "Nothing could be run here"
    wrong = results.runs - results.found
    return (
        f"The lab can't be relied upon here: {wrong} wrong verdicts, {results.twins - results.clean} twins "
        f"that are not clean; at least {NAMED_AT_LEAST:.0%} of the findings have to be right"
    )


def print_catalogue(bugs: tuple[Bug, ...], console: Console) -> None:
    """What is planted, and what is expected of it."""
    plain = "utf" not in console.encoding.lower()
    table = _table()
    for head in ("bug", "what is planted", "verdict", "has to be found", "program"):
        table.add_column(head, no_wrap=head != "what is planted")
    for bug in bugs:
        cells = (bug.name, bug.title, bug.verdict.value, bug.expectation, bug.program)
        table.add_row(*(Text(cell.translate(_ASCII) if plain else cell) for cell in cells))
    console.print(table)
    console.print(Text(f"programs: {PROGRAMS}", "dim"), soft_wrap=True)


def markdown() -> str:
    """The catalogue as a table of Markdown, and what is left out of it."""
    lines = [
        "| bug | what is planted | program | verdict | has to be found |",
        "| --- | --- | --- | --- | --- |",
    ]
    for bug in BUGS:
        expectation = bug.expectation if bug.own_check else f"`{bug.expectation.replace(' or ', '` or `')}`"
        lines.append(f"| {bug.name} | {bug.title} | `{bug.program}` | {bug.verdict.value} | {expectation} |")
    for name, reason in LEFT_OUT.items():
        lines.append(f"| {name} | left out: {reason} | | | |")
    return "\n".join(lines) + "\n"


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
