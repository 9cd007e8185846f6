"""The command line of `python -m benchmarks.hostile`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.hostile.crowds import CROWDS, Outcome, play
from benchmarks.hostile.inputs import INPUTS, Cost, Input, measure
from benchmarks.hostile.report import as_json, judge, print_costs, print_outcomes, print_verdicts
from benchmarks.processes import ChildFailed
from benchmarks.rounds import machine_load

__all__ = ["main"]

FINISHED, FAILED, USAGE, TARGETS_MISSED, INTERRUPTED = 0, 1, 2, 3, 130

EPILOG = """\
examples:
  python -m benchmarks.hostile                        everything: about two minutes
  python -m benchmarks.hostile --quick                short rounds: does it all run?
  python -m benchmarks.hostile --only request-head    one input
  python -m benchmarks.hostile --only pipelining --seconds 20
                                                      one crowd, for longer
  python -m benchmarks.hostile --check --strict --json hostile.json
                                                      hold the figures to the targets, keep them all

exit status:
  0    everything finished (targets met or not, without --strict)
  1    a crowd failed: a process did not start, or the innocent client was not answered
  2    the command line is wrong
  3    --strict, and a target was not met or not measured
  130  interrupted; what had been started was ended
"""


class Interrupted(BaseException):
    """SIGTERM: leave by way of every `with` block, as for SIGINT."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile",
        description="What attacks cost: CPU for each KiB, and how long an innocent client waits beside them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [chosen.name for chosen in INPUTS] + [crowd.name for crowd in CROWDS]
    command.add_argument(
        "--only", action="append", default=[], metavar="NAME", choices=names, help="an input or a crowd"
    )
    command.add_argument(
        "--seconds", type=float, default=None, help="beside each crowd, 0.2 to 60 (default 6)"
    )
    command.add_argument("--quick", action="store_true", help="1 s beside each crowd, one size of each input")
    command.add_argument("--check", action="store_true", help="compare with the targets")
    command.add_argument("--strict", action="store_true", help="with --check: status 3 when one is not met")
    command.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    command.add_argument("--list", action="store_true", help="list inputs and crowds, run nothing")
    return command


def run(options: argparse.Namespace, seconds: float) -> int:
    console, errors = Console(), Console(stderr=True)
    wanted = set(options.only)
    inputs = [
        (chosen, kib)
        for chosen in INPUTS
        if not wanted or chosen.name in wanted
        for kib in (chosen.sizes[-1:] if options.quick else chosen.sizes)
    ]
    crowds = [crowd for crowd in CROWDS if not wanted or crowd.name in wanted]
    costs: list[tuple[Input, Cost]] = []
    outcomes: list[Outcome] = []
    faults = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("", total=len(inputs) + len(crowds))
        for chosen, kib in inputs:
            progress.update(task, description=f"{chosen.name}, {kib} KiB")
            costs.append((chosen, measure(chosen, kib, 0.05 if options.quick else 0.2)))
            progress.advance(task)
        for crowd in crowds:
            progress.update(task, description=crowd.title)
            try:
                outcomes.append(play(crowd, seconds))
            except ChildFailed as fault:
                errors.print(f"{crowd.name} failed: {fault}", style="red", markup=False)
                faults += 1
            progress.advance(task)
    if costs:
        print_costs(console, costs)
    if outcomes:
        print_outcomes(console, outcomes)
    verdicts = judge(costs, outcomes) if options.check else []
    if options.check:
        print_verdicts(console, verdicts)
    console.print(f"load average of the machine at the end: {machine_load():.1f}", highlight=False)
    if options.json is not None:
        text = json.dumps(as_json(costs, outcomes, verdicts), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if faults:
        return FAILED
    if options.strict and not all(verdict.met for verdict in verdicts):
        return TARGETS_MISSED
    return FINISHED


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    seconds = options.seconds if options.seconds is not None else (1.0 if options.quick else 6.0)
    if not 0.2 <= seconds <= 60:
        command.error(f"--seconds {seconds:g}: must be 0.2 to 60")
    if options.strict and not options.check:
        command.error("--strict needs --check")
    if options.list:
        for chosen in INPUTS:
            print(f"  {chosen.name:16} {chosen.title}")
        for crowd in CROWDS:
            print(f"  {crowd.name:16} {crowd.title}")
        return FINISHED
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return run(options, seconds)
    except (KeyboardInterrupt, Interrupted):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
