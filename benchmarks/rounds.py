"""Runs the rounds, A B C, B C A, C A B, …, and makes medians and paired ratios of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from benchmarks.cases import Case, Entry
from benchmarks.load.closed_loop import Measured
from benchmarks.processes import Child, ChildFailed, cpus_for, free_port

__all__ = ["Outcome", "Plan", "Row", "play", "ratio", "run_once"]

START_SECONDS = 10.0
HOLD_SECONDS = 30.0
SPARE_SECONDS = 15.0  # what a load process may take beyond the time that it measures


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often. `requests` replaces `seconds` as the end of a measurement, up to `longest`."""

    rounds: int
    seconds: float
    warm_up: float
    requests: int | None = None
    longest: float = 20.0

    @property
    def span(self) -> float:
        """Seconds that one measurement may last."""
        return self.seconds if self.requests is None else self.longest


@dataclass(slots=True)
class Row:
    """One entry's rounds, in order; None where a round went wrong."""

    entry: Entry
    rounds: list[Measured | None] = field(default_factory=list)

    def good(self) -> list[Measured]:
        return [measured for measured in self.rounds if measured is not None]


@dataclass(slots=True)
class Outcome:
    """What a case came to.

    Attributes:
        rows: the subject first.
        faults: rounds that count for nothing, and why.
        remarks: what did not spoil a round but should be known.
    """

    case: Case
    rows: list[Row]
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def per_cpu(measured: Measured) -> float:
    """Requests per second of the server's processor time."""
    return measured.requests / measured.server_cpu


def per_wall(measured: Measured) -> float:
    """Requests per second of the clock on the wall."""
    return measured.requests / measured.wall


def middle(row: Row, figure: Callable[[Measured], float]) -> float | None:
    """The median of a figure over a row's good rounds."""
    values = [figure(measured) for measured in row.good()]
    return median(values) if values else None


def spread(row: Row) -> tuple[float, float] | None:
    """The least and the most requests per server CPU-second."""
    values = [per_cpu(measured) for measured in row.good()]
    return (min(values), max(values)) if values else None


def ratio(subject: Row, other: Row) -> float | None:
    """Median over the rounds of subject ÷ other, both of the same round; None when no round has both."""
    pairs = zip(subject.rounds, other.rounds, strict=False)
    ratios = [per_cpu(a) / per_cpu(b) for a, b in pairs if a is not None and b is not None]
    return median(ratios) if ratios else None


def load_command(case: Case, plan: Plan, *, port: int, server_pid: int, seed: int) -> list[str]:
    module = "http_load" if case.protocol == "http" else "websocket_load"
    command = ["-m", f"benchmarks.load.{module}", "--port", str(port), "--server-pid", str(server_pid)]
    command += ["--connections", str(case.connections), "--pool", str(case.pool), "--seed", str(seed)]
    command += ["--warm-up", str(plan.warm_up), "--seconds", str(plan.span)]
    if case.size:
        command += ["--size", str(case.size)]
    if plan.requests is not None:
        command += ["--requests", str(plan.requests)]
    return command


def run_once(case: Case, entry: Entry, plan: Plan, *, seed: int) -> tuple[Measured, list[str]]:
    """A fresh server, its load, and the end of both. Also what should be remarked on.

    Raises:
        ChildFailed: no figure came of it.
    """
    remarks: list[str] = []
    server_cpu, load_cpu = cpus_for()
    port = free_port()
    with ExitStack() as running:
        name = f"{case.name}, {entry.label}"
        server = running.enter_context(
            Child(f"{name}: server", [str(entry.server.path), "--port", str(port)], cpu=server_cpu)
        )
        server.wait_ready(START_SECONDS)
        holder: Child | None = None
        if entry.idle:
            options = ["--port", str(port), "--connections", str(entry.idle)]
            holder = running.enter_context(
                Child(f"{name}: idle holder", ["-m", "benchmarks.load.idle_holder", *options], cpu=load_cpu)
            )
            holder.wait_ready(HOLD_SECONDS)
        command = load_command(case, plan, port=port, server_pid=server.pid, seed=seed)
        load = running.enter_context(Child(f"{name}: load", command, cpu=load_cpu))
        try:
            line = load.wait_done(plan.warm_up + plan.span + SPARE_SECONDS)
        except ChildFailed as fault:
            raise ChildFailed(f"{fault}\nserver says: {server.complaint() or 'nothing'}") from None
        measured = Measured(**json.loads(line))
        if measured.requests == 0 or measured.server_cpu <= 0:
            raise ChildFailed(
                f"{name}: {measured.requests} requests in {measured.server_cpu} s of server CPU time"
            )
        if not server.running():
            raise ChildFailed(f"{name}: the server ended during the round\n{server.complaint()}")
        if holder is not None:
            holder.stop()
            tally = json.loads(holder.wait_done(1.0))
            if tally["kept"] != entry.idle:
                raise ChildFailed(f"{name}: {tally['kept']} of {entry.idle} idle connections were kept")
        server.stop()
        if server.killed:
            remarks.append(f"{name}: the server did not end on SIGTERM and was killed")
    return measured, remarks


def play(
    cases: Iterable[tuple[Case, Sequence[Entry]]], plan: Plan, *, step: Callable[[str], None]
) -> list[Outcome]:
    """All rounds of all cases.

    Args:
        cases: each with the entries that take part, the subject first.
        step: called with a line of text before each run of a server.
    """
    outcomes = []
    for case, chosen in cases:
        outcome = Outcome(case, [Row(entry) for entry in chosen])
        outcomes.append(outcome)
        for number in range(plan.rounds):
            first = number % len(outcome.rows)  # nobody is always the one that starts on a quiet machine
            for row in (*outcome.rows[first:], *outcome.rows[:first]):
                step(f"{case.name}: {row.entry.label}, round {number + 1} of {plan.rounds}")
                try:
                    measured, remarks = run_once(case, row.entry, plan, seed=number + 1)
                except ChildFailed as fault:
                    row.rounds.append(None)
                    outcome.faults.append(str(fault))
                else:
                    row.rounds.append(measured)
                    outcome.remarks += remarks
    return outcomes


def raise_descriptor_limit(wanted: int) -> int:
    """Let this process and those it starts open `wanted` descriptors, as far as the system allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def machine_load() -> float:
    """The system's one-minute load average: above the number of processors, wall rates mean little."""
    return os.getloadavg()[0]
