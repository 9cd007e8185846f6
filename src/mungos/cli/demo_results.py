"""What a run of the demo finds out: plain data, filled in while it plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mungos.core import CloseReport
from mungos.core.ledger import KINDS, Kind
from mungos.tls.contract import Negotiated

__all__ = ["STEPS", "TIMES", "Failure", "PairResult", "RunResult", "State", "StepResult"]

STEPS = ("handshake", "echo", "fragments", "ping", "closes", "manager")
"""What each pair goes through, in this order."""

TIMES = "\N{MULTIPLICATION SIGN}"


class State(Enum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(slots=True)
class StepResult:
    """One step of one pair.

    Attributes:
        state: how far it is.
        seconds: how long it took.
        progress: what it is at, in a few letters.
    """

    state: State = State.WAITING
    seconds: float = 0.0
    progress: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What hung, broke or leaked.

    Attributes:
        pair: the pair's name; "" for the run as a whole.
        step: one of `STEPS`; "" for the run as a whole.
        what: what was expected, and what came instead.
        evidence: each connection that was alive, or each thing that was left; a line each.
    """

    pair: str
    step: str
    what: str
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.pair, self.step) if part)
        return f"{where}: {self.what}" if where else self.what


@dataclass(slots=True)
class PairResult:
    """A client and a server.

    Attributes:
        client, server: names of TLS engines; both None for plain text.
        steps: by name.
        negotiated: what TLS agreed on, from the client's side.
        connections: how many sockets were opened by clients.
        moved: bytes on the wire, both directions, all connections.
        made, freed: entries in the ledger over the manager's life, by kind.
        report: how the manager's close went.
    """

    client: str | None
    server: str | None
    steps: dict[str, StepResult] = field(default_factory=lambda: {name: StepResult() for name in STEPS})
    negotiated: Negotiated | None = None
    connections: int = 0
    moved: int = 0
    made: dict[str, int] = field(default_factory=dict)
    freed: dict[str, int] = field(default_factory=dict)
    report: CloseReport | None = None

    @property
    def name(self) -> str:
        """The pair's name, client first."""
        return "plain" if self.client is None else f"{self.client} {TIMES} {self.server}"

    @property
    def ok(self) -> bool:
        """Every step passed, and the close left nothing."""
        passed = all(step.state is State.PASSED for step in self.steps.values())
        return passed and self.report is not None and self.report.ok

    @property
    def strays(self) -> int:
        """Descriptors of this manager that the process still had open after its close."""
        return 0 if self.report is None else len(self.report.left) - sum(self.report.census.values())


@dataclass(slots=True)
class RunResult:
    """The whole run.

    Attributes:
        pairs: in the order in which they are played.
        budget: seconds for all of it.
        seconds: what it took.
        failures: what went wrong, in order.
        interrupted: the signal that cut it short, or 0.
    """

    pairs: list[PairResult]
    budget: float
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    interrupted: int = 0

    @property
    def ok(self) -> bool:
        """Everything played, nothing left, within the budget."""
        return not self.failures and not self.interrupted and all(pair.ok for pair in self.pairs)

    @property
    def closed(self) -> list[PairResult]:
        """The pairs whose manager was opened and closed."""
        return [pair for pair in self.pairs if pair.report is not None]

    def census(self) -> dict[Kind, int]:
        """What all managers together have left, by kind."""
        counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        for pair in self.closed:
            if pair.report is not None:
                for kind, count in pair.report.census.items():
                    counts[kind] += count
        return counts

    def made(self) -> dict[Kind, int]:
        """What all managers together acquired, by kind."""
        return {kind: sum(pair.made.get(kind, 0) for pair in self.pairs) for kind in KINDS}
