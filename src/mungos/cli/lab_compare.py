"""`mungos lab compare`: the first place where the outputs of two processors differ."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

import click

from mungos.errors import Misuse
from mungos.lab.order import Order
from mungos.lab.processors.architectures import NATIVE, Unavailable, architecture
from mungos.lab.processors.difference import Output, draw, first_difference, outputs_of
from mungos.lab.processors.proof import platform
from mungos.lab.verdicts import Verdict
from mungos.printable import printable

if TYPE_CHECKING:
    from mungos.lab.record import Record

__all__ = ["compare"]

SAME, DIFFERENT = 0, 1
_PIPE_WIDTH = 160  # columns, where there is no terminal


def _processors(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name != NATIVE:
            try:
                architecture(name)
            except Misuse as error:
                raise click.UsageError(printable(str(error))) from None
    if len(names) < 2 or len(set(names)) != len(names):
        raise click.UsageError("--arch wants two processors or more, each once: --arch native,s390x")
    return names


def _patterns(texts: tuple[str, ...]) -> list[re.Pattern[str]]:
    try:
        return [re.compile(text) for text in texts]
    except re.error as error:
        raise click.UsageError(f"{error.pattern!r} is no regular expression: {error}") from None


def _ending(record: Record) -> str:
    last = record.attempts[-1]
    if record.verdict is Verdict.FAILED:
        if last.signal is not None:
            return f"was ended by signal {last.signal}"
        return f"failed with status {last.status}"
    if record.verdict is Verdict.PASSED:
        return "passed"
    reasons = [f"{finding.rule}: {finding.title}" for finding in last.findings]
    return f"{record.verdict.value}{' (' + '; '.join(reasons) + ')' if reasons else ''}"


def _run(order: Order) -> tuple[Output, bool]:
    """The output of one run, and whether all of it was kept."""
    from mungos.lab.watch import run  # noqa: PLC0415 - what is wrong with the command line is said without it

    record = run(order)
    if record.verdict is Verdict.NOT_STARTED or not record.attempts:
        raise click.UsageError(f"{order.command[0]} could not be started on {order.processor}")
    last = record.attempts[-1]
    lines = [(line.stream, line.text) for line in last.lines]
    return outputs_of(order.processor, lines, _ending(record)), not last.lines_dropped


def _describe(name: str) -> tuple[float, str]:
    try:
        proven = platform(name)
    except Unavailable as error:
        raise click.UsageError(str(error)) from None
    root = f", Debian {proven.suite}" if proven.suite else ""
    return proven.factor, f"{proven.machine}, {proven.byte_order}-endian, {proven.word_size} bits{root}"


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  mungos lab compare --arch native,s390x -- python3 vectors.py
  mungos lab compare --arch native,s390x -- ./prog-{arch}
  mungos lab compare --arch native,i386 --ignore '0x[0-9a-f]+' -- python3 x.py

\b
Exit status:
  0  the outputs, and the ends, are alike
  1  they differ
  2  wrong usage; also when a processor can't be had, or the command not started""",
)
@click.option(
    "--arch", required=True, metavar="LIST", help="Processors, the first is compared with each other one."
)
@click.option(
    "--deadline", type=click.FloatRange(0, min_open=True), default=600.0, metavar="S", show_default=True
)
@click.option(
    "--stall", type=click.FloatRange(0, min_open=True), default=60.0, metavar="S", show_default=True
)
@click.option("--pid1", is_flag=True, help="The command is process 1 of its namespace.")
@click.option(
    "--pty/--pipe",
    "terminal",
    default=True,
    show_default=True,
    help="A terminal loses nothing when the command aborts; pipes keep standard error apart.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="REGEX",
    help="What matches in a line does not count: addresses, times, ...",
)
@click.option(
    "--context", type=click.IntRange(0, 1000), default=3, show_default=True, help="Lines around it."
)
@click.option("--width", type=click.IntRange(40, 10_000), help="Columns to draw in.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def compare(
    *,
    arch: str,
    deadline: float,
    stall: float,
    pid1: bool,
    terminal: bool,
    ignore: tuple[str, ...],
    context: int,
    width: int | None,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND on several processors under watch, and show the first place where the outputs differ.

    Every {arch} in COMMAND is the processor's name: "native", "s390x", ... Standard output is compared first,
    then standard error, then how it ended; on a terminal (a plain one) the two are one. The clocks are
    stretched by what was measured for each processor.
    """
    names = _processors(arch)
    ignored = _patterns(ignore)
    columns = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH)
    about = {name: _describe(name) for name in names}
    plain = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    outputs: list[Output] = []
    for name in names:
        words = tuple(word.replace("{arch}", name) for word in command)
        order = Order(
            words,
            deadline=deadline,
            stall=stall,
            pid1=pid1,
            terminal=terminal,
            directory=os.getcwd(),
            environment=plain,
            processor=name,
            factor=about[name][0],
        )
        output, whole = _run(order)
        outputs.append(output)
        lines = sum(map(len, output.streams.values()))
        click.echo(f"{name} ({about[name][1]}): {lines} lines, {printable(output.ending)}")
        if not whole:
            click.echo(f"{name}: only the last lines were kept; they are compared", err=True)
    status = SAME
    for other in outputs[1:]:
        found = first_difference(outputs[0], other, ignored=ignored, context=context)
        if found is None:
            click.echo(f"{names[0]} and {other.processor}: identical")
            continue
        status = DIFFERENT
        for line in draw(found, names[0], other.processor, width=columns):
            click.echo(line)
    return status
