"""What a rule is: a name, and a function from the case to its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mungos.lab.facts import Autopsy
from mungos.lab.order import Order
from mungos.lab.record import Finding, Line, Sample
from mungos.lab.verdicts import Verdict

__all__ = ["Case", "Rule"]


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule may look at."""

    order: Order
    verdict: Verdict
    status: int | None
    autopsy: Autopsy | None  # taken when a clock ran out, or of what was left when the command ended
    lines: tuple[Line, ...]
    samples: tuple[Sample, ...]
    duration: float
    pipes: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that keeps programs from ending.

    Args:
        name: as in reports, lower case with hyphens.
        summary: one line for the list of rules.
        examine: every place in the case where it holds; most certain first; nothing when it does not.
    """

    name: str
    summary: str
    examine: Callable[[Case], Iterable[Finding]]
