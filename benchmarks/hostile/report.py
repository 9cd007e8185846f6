"""The tables, the targets and the JSON of the hostile benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.hostile.crowds import Delay, Outcome
from benchmarks.hostile.inputs import ORDINARY_HELLO, Cost, Input

__all__ = ["Verdict", "as_json", "judge", "print_costs", "print_outcomes", "print_verdicts"]

Costs = Sequence[tuple[Input, Cost]]

HEADS = ("request-head", "long-field", "response-head", "trailers", "ws-opening")
MOST_PER_BYTE = 3.0  # microseconds of CPU for each byte of a head that comes byte by byte
MOST_HELLOS = 40.0  # ordinary ClientHellos for one of 64 KiB
MOST_P99 = 0.060  # seconds
MOST_TO_STOP = 5.5  # seconds, where SIGTERM leaves five


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target: `measured` is None where what it needs was not run, or did not end."""

    name: str
    unit: str
    most: float
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.most


def judge(costs: Costs, outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Each target of what was run."""
    verdicts = [
        Verdict(f"{chosen.name} {cost.size / 1024:.0f} KiB", "µs a byte", MOST_PER_BYTE, cost.per_piece)
        for chosen, cost in costs
        if chosen.name in HEADS
    ]
    by_name = {chosen.name: cost for chosen, cost in costs}
    if crowded := by_name.get("hello-crowded"):
        ordinary = by_name.get(ORDINARY_HELLO)
        ratio = None if ordinary is None else crowded.seconds / ordinary.seconds
        verdicts.append(Verdict("hello-crowded", "ordinary hellos", MOST_HELLOS, ratio))
    for outcome in outcomes:
        for name, delay in (("kept", outcome.kept), ("new", outcome.fresh)):
            verdicts.append(
                Verdict(f"{outcome.crowd.name}, p99, {name}", "ms", MOST_P99 * 1e3, delay.p99 * 1e3)
            )
        stopped = float("inf") if outcome.stopped is None else outcome.stopped
        verdicts.append(Verdict(f"{outcome.crowd.name}, SIGTERM", "s", MOST_TO_STOP, stopped))
    return verdicts


def table(title: str, *headings: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="left" if index < 1 else "right", no_wrap=index > 0)
    return made


def print_costs(console: Console, costs: Costs) -> None:
    """CPU time of one session for each KiB of attack."""
    made = table(
        "one session, no sockets: what each KiB costs",
        "attack",
        "KiB",
        "µs CPU\na KiB",
        "µs CPU\na piece",
        "ms\nin all",
    )
    for chosen, cost in costs:
        made.add_row(
            chosen.name,
            f"{cost.size / 1024:,.1f}",
            f"{cost.per_kib:,.0f}",
            f"{cost.per_piece:,.2f}",
            f"{cost.seconds * 1e3:,.2f}",
        )
    console.print(made)


def print_outcomes(console: Console, outcomes: Sequence[Outcome]) -> None:
    """What the innocent client felt, and what the attack cost."""
    waits = table(
        "an innocent client beside attackers, ms: p50 / p99 / worst",
        "",
        "alone",
        "connection kept",
        "new ones",
    )
    work = table(
        "the attack, and the server's end by SIGTERM in the midst of it",
        "",
        "MiB/s",
        "µs CPU\na KiB",
        "MiB\ngrown",
        "attackers'\nload",
        "ended by\nthe server",
        "end\ns",
    )
    for outcome in outcomes:
        sent = outcome.sent or 1
        waits.add_row(outcome.crowd.name, delay(outcome.quiet), delay(outcome.kept), delay(outcome.fresh))
        work.add_row(
            outcome.crowd.name,
            f"{sent / outcome.seconds / 2**20:.1f}",
            f"{outcome.cpu * 1e6 / (sent / 1024):,.0f}",
            f"{outcome.memory / 2**20:.1f}",
            "+".join(f"{load:.0%}" for load in outcome.load),
            f"{outcome.lost:,}",
            "killed" if outcome.stopped is None else f"{outcome.stopped:.2f}",
        )
    console.print(waits)
    console.print(work)
    for outcome in outcomes:
        console.print(f"  {outcome.crowd.name}: {outcome.crowd.title}", highlight=False)


def delay(value: Delay) -> str:
    return f"{value.middle * 1e3:.1f} / {value.p99 * 1e3:.1f} / {value.worst * 1e3:.1f}"


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """The targets."""
    made = table("targets", "target", "at most", "measured", "")
    for verdict in verdicts:
        said = {True: "met", False: "not met", None: "not measured"}[verdict.met]
        measured = "-" if verdict.measured is None else f"{verdict.measured:,.2f}"
        made.add_row(verdict.name, f"{verdict.most:g} {verdict.unit}", measured, said)
    console.print(made)


def as_json(costs: Costs, outcomes: Sequence[Outcome], verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Everything that was measured."""
    return {
        "inputs": [{"name": chosen.name, **asdict(cost)} for chosen, cost in costs],
        "crowds": [asdict(outcome) for outcome in outcomes],
        "targets": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }
