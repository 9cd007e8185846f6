"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from benchmarks.cases import CASES, SUBJECT, TARGETS, Case, Entry, entries
from benchmarks.command_line import (
    FINISHED,
    USAGE,
    add_shared_options,
    exit_statuses,
    interruptible,
    load_line,
    progress_on,
    refuse_contradictions,
    status_of,
    write_json,
)
from benchmarks.contestants import SERVERS
from benchmarks.report import as_json, judge, print_outcome, print_verdicts
from benchmarks.rounds import Plan, play, raise_descriptor_limit

__all__ = ["main"]

DESCRIPTORS = 16384
PROCESSES = 2  # that run at once: a server and its load

EPILOG = """\
examples:
  python -m benchmarks                            everything: 7 rounds of 0.5 s, about two minutes
  python -m benchmarks --quick                    2 rounds of 0.3 s: does it all run?
  python -m benchmarks --only http-small-get      one case
  python -m benchmarks --only uvicorn --only mungos --only http-small-get
                                                  two servers in one case
  python -m benchmarks --check --strict --json result.json
                                                  hold the ratios to the targets, keep every round
  python -m benchmarks --subject 'bare loop'      compare the bare loop with the peers
""" + exit_statuses(
    "every round finished",
    "a round failed: a server did not start, answered wrongly or lost connections",
    "the command line is wrong, or nothing of what it names can run here",
)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Requests per second of server CPU time: mungos and its peers, in interleaved rounds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [case.name for case in CASES] + list(dict.fromkeys(server.name for server in SERVERS))
    command.add_argument(
        "--seconds", type=float, default=None, help="measured per round, 0.1 to 10 (default 0.5)"
    )
    command.add_argument(
        "--requests", type=int, default=None, help="measured per round instead, 1 to 1,000,000"
    )
    command.add_argument("--rounds", type=int, default=None, help="1 to 25 (default 7)")
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        choices=names,
        help="a case or a server; repeatable",
    )
    command.add_argument(
        "--subject", default=SUBJECT, choices=names[len(CASES) :], metavar="NAME", help="compared"
    )
    add_shared_options(
        command,
        quick="2 rounds of 0.3 s",
        json="every round and the medians",
        listed="cases, servers and targets",
    )
    return command


def plan_from(options: argparse.Namespace, command: argparse.ArgumentParser) -> Plan:
    seconds = options.seconds if options.seconds is not None else (0.3 if options.quick else 0.5)
    rounds = options.rounds if options.rounds is not None else (2 if options.quick else 7)
    if not 0.1 <= seconds <= 10:
        command.error(f"--seconds {seconds:g}: must be 0.1 to 10")
    if not 1 <= rounds <= 25:
        command.error(f"--rounds {rounds}: must be 1 to 25")
    if options.requests is not None and not 1 <= options.requests <= 1_000_000:
        command.error(f"--requests {options.requests}: must be 1 to 1,000,000")
    return Plan(rounds, seconds, warm_up=0.1 if options.quick else 0.15, requests=options.requests)


def print_list(console: Console) -> None:
    console.print("cases:")
    for case in CASES:
        console.print(f"  {case.name:18} {case.title}", highlight=False)
    console.print("servers:")
    for server in SERVERS:
        console.print(
            f"  {server.name:18} {server.protocol:10} {server.missing() or 'ready'}", highlight=False
        )
    console.print("targets (subject ÷ the other, requests per server CPU-second):")
    for target in TARGETS:
        console.print(f"  {target.case:18} {target.against:18} {target.least:.2f}", highlight=False)


def choose(only: Sequence[str], subject: str, console: Console) -> list[tuple[Case, list[Entry]]]:
    """The cases and entries that the options ask for and that can run here; says what is left out."""
    cases = [case for case in CASES if case.name in only] or list(CASES)
    servers = frozenset(only) - {case.name for case in CASES}
    chosen = []
    for case in cases:
        able = []
        for entry in entries(case, subject=subject, only=servers):
            why = entry.server.missing()
            if why is None:
                able.append(entry)
            else:
                console.print(f"left out of {case.name}: {entry.label} ({why})", style="yellow", markup=False)
        if able:
            chosen.append((case, able))
    return chosen


def run(options: argparse.Namespace, plan: Plan) -> int:
    console, errors = Console(), Console(stderr=True)
    chosen = choose(options.only, options.subject, errors)
    if not chosen:
        errors.print("nothing of this can run here; see --list", style="red")
        return USAGE
    raise_descriptor_limit(DESCRIPTORS)
    total = plan.rounds * sum(len(able) for _, able in chosen)
    with progress_on(errors) as progress:
        task = progress.add_task("starting", total=total)
        begun = False

        def step(text: str) -> None:
            nonlocal begun
            progress.update(task, description=text, advance=1 if begun else 0)
            begun = True

        outcomes = play(chosen, plan, step=step)
    for outcome in outcomes:
        print_outcome(console, outcome)
    verdicts = judge(outcomes, subject=options.subject) if options.check else []
    if options.check:
        print_verdicts(console, verdicts)
    console.print(load_line(PROCESSES), highlight=False)
    write_json(options.json, lambda: as_json(outcomes, verdicts, plan))
    return status_of(options, verdicts, failed=any(outcome.faults for outcome in outcomes))


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    plan = plan_from(options, command)
    refuse_contradictions(options, command)
    if options.list:
        print_list(Console())
        return FINISHED
    return interruptible(lambda: run(options, plan))
