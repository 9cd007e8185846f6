"""The command line of `python -m benchmarks.hostile`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from benchmarks.command_line import (
    FINISHED,
    OwnLoad,
    add_shared_options,
    exit_statuses,
    interruptible,
    load_line,
    progress_on,
    refuse_contradictions,
    status_of,
    write_json,
)
from benchmarks.hostile.crowds import CROWDS, Outcome, play
from benchmarks.hostile.inputs import INPUTS, Cost, Input, measure
from benchmarks.hostile.report import as_json, judge, print_costs, print_outcomes, print_verdicts
from benchmarks.processes import ChildFailed

__all__ = ["main"]

BESIDE_ATTACKERS = 2  # processes: the server and the innocent client

EPILOG = """\
examples:
  python -m benchmarks.hostile                        everything: about two minutes
  python -m benchmarks.hostile --quick                short rounds: does it all run?
  python -m benchmarks.hostile --only request-head    one input
  python -m benchmarks.hostile --only pipelining --seconds 20
                                                      one crowd, for longer
  python -m benchmarks.hostile --check --strict --json hostile.json
                                                      hold the figures to the targets, keep them all
""" + exit_statuses(
    "everything finished",
    "a crowd failed: a process did not start, or the innocent client was not answered",
    "the command line is wrong",
)


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
    add_shared_options(
        command,
        quick="1 s beside each crowd, one size of each input",
        json="every figure",
        listed="inputs and crowds",
    )
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
    own = OwnLoad()
    with progress_on(errors) as progress:
        task = progress.add_task("", total=len(inputs) + len(crowds))
        for chosen, kib in inputs:
            progress.update(task, description=f"{chosen.name}, {kib} KiB")
            with own.of(1):
                costs.append((chosen, measure(chosen, kib, 0.05 if options.quick else 0.2)))
            progress.advance(task)
        for crowd in crowds:
            progress.update(task, description=crowd.title)
            try:
                with own.of(BESIDE_ATTACKERS + len(crowd.parts)):
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
    console.print(load_line(own.average()), highlight=False)
    write_json(options.json, lambda: as_json(costs, outcomes, verdicts))
    return status_of(options, verdicts, failed=faults > 0)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    seconds = options.seconds if options.seconds is not None else (1.0 if options.quick else 6.0)
    if not 0.2 <= seconds <= 60:
        command.error(f"--seconds {seconds:g}: must be 0.2 to 60")
    refuse_contradictions(options, command)
    if options.list:
        for chosen in INPUTS:
            print(f"  {chosen.name:16} {chosen.title}")
        for crowd in CROWDS:
            print(f"  {crowd.name:16} {crowd.title}")
        return FINISHED
    return interruptible(lambda: run(options, seconds))
