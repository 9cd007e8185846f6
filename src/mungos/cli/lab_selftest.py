"""`mungos lab selftest`: does the lab find what is planted, and nothing where nothing is?"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import click
from rich.console import Console

from mungos.cli.statuses import FAILED, OK, Interrupted
from mungos.lab.selftest import Results, find_bugs
from mungos.lab.selftest import selftest as run_selftest
from mungos.lab.selftest.progress import Progress
from mungos.lab.selftest.table import WIDTH, print_catalogue, print_results

__all__ = ["selftest"]

_Handler = Callable[[int, FrameType | None], object]
_JOBS_PER_CPU = 2  # most runs wait most of the time


@click.command(
    epilog="""\b
Examples:
  mungos lab selftest                   each planted bug, and each twin, once
  mungos lab selftest --twins 20        the twins twenty times: no false alarm
  mungos lab selftest --only B36 --only B60
  mungos lab selftest --times 1000 --busy
  mungos lab selftest --json | jq .good

\b
Exit status:
  0  each planted bug got its verdict, 95 % or more their finding, and every
     twin was clean
  1  not so: what is wrong is named; also when nothing could be run
  2  wrong usage
  128+N  ended by signal N, after what was run until then has been judged"""
)
@click.option(
    "--times",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    show_default=True,
    help="How often each is run.",
)
@click.option(
    "--twins", type=click.IntRange(0), metavar="N", help="How often each twin is run, if not as often."
)
@click.option("--busy", is_flag=True, help="Keep every CPU busy meanwhile.")
@click.option(
    "--only", multiple=True, metavar="BUG", help="Only these: B36, or B36c for one program; several times."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=_JOBS_PER_CPU * (os.cpu_count() or 1),
    metavar="N",
    help=f"How many runs at once.  [default: {_JOBS_PER_CPU} a CPU]",
)
@click.option(
    "--factor",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    metavar="X",
    show_default=True,
    help="Stretch all clocks, on a slow machine.",
)
@click.option(
    "--within",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Judge what was run until then.",
)
@click.option("--list", "wants_list", is_flag=True, help="Say what is planted, run nothing.")
@click.option("--json", "wants_json", is_flag=True, help="Print the results as JSON.")
def selftest(
    *,
    times: int,
    twins: int | None,
    busy: bool,
    only: tuple[str, ...],
    jobs: int,
    factor: float,
    within: float | None,
    wants_list: bool,
    wants_json: bool,
) -> int:
    """Find the planted bugs: does the lab work here?

    Small programs, one for each way in which a program can fail to end, are run under watch: each has to get
    its verdict and its explanation. So is a twin of each, in which the bug is repaired: it has to pass, with
    nothing found.
    """
    try:
        bugs = find_bugs(only)
    except LookupError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        # A table that can't be written in full is better than none.
        stdout.reconfigure(errors="backslashreplace")
    console = Console(file=stdout, width=None if stdout.isatty() else WIDTH, highlight=False)
    if wants_list:
        print_catalogue(bugs, console)
        return OK
    drawing = Progress(sys.stderr.isatty())
    with _Until(within) as until:
        try:
            results = run_selftest(
                times,
                jobs=jobs,
                progress=drawing,
                twins=twins,
                busy=busy,
                factor=factor,
                stop=until.over,
                bugs=bugs,
            )
        finally:
            drawing.clear()
        _print(results, console, wants_json)
    if until.signal:
        return 128 + until.signal
    return OK if results.good else FAILED


def _print(results: Results, console: Console, wants_json: bool) -> None:
    if wants_json:
        click.echo(json.dumps(results.as_json(), indent=2))
    else:
        print_results(results, console)


class _Until:
    """Until time is up, or a signal comes: what was run by then is still judged. A second one ends it all.

    Args:
        within: seconds; None for no limit.
    """

    def __init__(self, within: float | None) -> None:
        self.signal = 0
        self._end = math.inf if within is None else time.monotonic() + within
        self._before: dict[signal.Signals, signal.Handlers | int | _Handler | None] = {}

    def over(self) -> bool:
        """Whether that was enough."""
        return bool(self.signal) or time.monotonic() >= self._end

    def __enter__(self) -> _Until:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise Interrupted(number)
        self.signal = number
