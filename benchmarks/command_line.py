"""What the benchmarks' command lines share: options, statuses, interruption, and the last lines."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.rounds import machine_load

__all__ = [
    "FAILED",
    "FINISHED",
    "INTERRUPTED",
    "TARGETS_MISSED",
    "USAGE",
    "OwnLoad",
    "add_shared_options",
    "exit_statuses",
    "interruptible",
    "load_line",
    "progress_on",
    "refuse_contradictions",
    "status_of",
    "write_json",
]

FINISHED, FAILED, USAGE, TARGETS_MISSED, INTERRUPTED = 0, 1, 2, 3, 130
BUSY = 1.5  # times the benchmark's own load, from which on others had much of the machine
LOAD_SECONDS = 60.0  # over which the kernel's first load average decays


class Verdict(Protocol):
    """A target: whether it was met; None where it was not measured."""

    @property
    def met(self) -> bool | None: ...


class Interrupted(BaseException):
    """SIGTERM: leave by way of every `with` block, as for SIGINT."""


def exit_statuses(finished: str, failed: str, usage: str) -> str:
    """The end of a command's help: its exit statuses, of which three are told in its own words."""
    return (
        f"\nexit status:\n  0    {finished} (targets met or not, without --strict)\n  1    {failed}\n"
        f"  2    {usage}\n  3    --strict, and a target was not met or not measured\n"
        "  130  interrupted; what had been started was ended\n"
    )


def add_shared_options(command: argparse.ArgumentParser, *, quick: str, json: str, listed: str) -> None:
    """The options that all of them have, with what each means here."""
    command.add_argument("--quick", action="store_true", help=quick)
    command.add_argument("--check", action="store_true", help="compare with the targets")
    command.add_argument("--strict", action="store_true", help="with --check: status 3 when one is not met")
    command.add_argument("--json", type=Path, metavar="FILE", help=f"write {json} to FILE")
    command.add_argument("--list", action="store_true", help=f"list {listed}, run nothing")


def refuse_contradictions(options: argparse.Namespace, command: argparse.ArgumentParser) -> None:
    """Ends the process with a message, where options need others."""
    if options.strict and not options.check:
        command.error("--strict needs --check")


def status_of(options: argparse.Namespace, verdicts: Sequence[Verdict], *, failed: bool) -> int:
    """The exit status of a run that came to its end."""
    if failed:
        return FAILED
    if options.strict and not all(verdict.met for verdict in verdicts):
        return TARGETS_MISSED
    return FINISHED


def write_json(path: Path | None, found: Callable[[], object]) -> None:
    """What --json asks for."""
    if path is not None:
        path.write_text(json.dumps(found(), indent=2) + "\n", encoding="utf-8")


def interruptible(run: Callable[[], int]) -> int:
    """The status of `run`; ^C and SIGTERM end it by way of every `with` block."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run()
    except (KeyboardInterrupt, Interrupted):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted


def progress_on(console: Console) -> Progress:
    """A line about what runs, gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


class OwnLoad:
    """What the benchmark itself adds to the load average, at most: each of its processes counts as running.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spans: list[tuple[float, float, int]] = []

    @contextmanager
    def of(self, processes: int) -> Iterator[None]:
        """So many run while it is entered."""
        begun = self._clock()
        try:
            yield
        finally:
            self._spans.append((begun, self._clock(), processes))

    def average(self) -> float:
        """The load average that comes of it now."""
        now = self._clock()
        return sum(
            processes * (math.exp((ended - now) / LOAD_SECONDS) - math.exp((begun - now) / LOAD_SECONDS))
            for begun, ended, processes in self._spans
        )


def load_line(own: float, load: float | None = None) -> str:
    """The machine's load, and whether the figures are to be believed.

    Args:
        own: what the benchmark makes of it; less than one process is taken for one.
        load: the load average; None: as it is now.
    """
    load = machine_load() if load is None else load
    own = max(own, 1.0)
    line = f"load average of the machine at the end: {load:.1f}"
    if load <= BUSY * own:
        return line
    return f"{line}, of which the benchmark makes {own:.1f}: these are the figures of a busy machine"
