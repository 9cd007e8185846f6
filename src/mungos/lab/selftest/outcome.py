"""What came of one run of a program with a planted bug, or of its twin, and whether that is right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

from mungos.lab.selftest.catalogue import Bug
from mungos.lab.verdicts import Verdict

__all__ = ["Outcome", "Task", "faults", "finding_is_right", "verdict_is_right"]


@dataclass(frozen=True, slots=True)
class Task:
    """A run that is to be done."""

    bug: Bug
    twin: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that was done.

    Args:
        verdict: the lab's.
        status: the command's own.
        findings: the rules that held, in the lab's order.
        seconds: how long all of it took.
        explained_in: seconds from the clock that ran out to the finished explanation, if one did.
        tail: the last lines of output.
        trouble: what went wrong with the lab itself; empty when nothing did.
        not_run: why the program could not show its bug here; empty when it could.
    """

    verdict: Verdict
    status: int | None = None
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    explained_in: float | None = None
    tail: tuple[str, ...] = ()
    trouble: str = ""
    not_run: str = ""

    def as_json(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_json(cls, known: dict[str, object]) -> Outcome:
        """The inverse of `as_json`."""
        findings, tail = (tuple(cast("list[str]", known[name])) for name in ("findings", "tail"))
        typed = {**known, "findings": findings, "tail": tail, "verdict": Verdict(known["verdict"])}
        return cls(**typed)  # type: ignore[arg-type]


def verdict_is_right(task: Task, outcome: Outcome) -> bool:
    """Whether the run is called what it is."""
    expected = Verdict.PASSED if task.twin else task.bug.verdict
    return not outcome.trouble and outcome.verdict is expected


def finding_is_right(task: Task, outcome: Outcome) -> bool:
    """Whether the explanation names the bug, before anything else; a twin, and a program whose own check
    tells, must have none."""
    bug = task.bug
    if outcome.trouble:
        return False
    if task.twin or not bug.findings:
        return not outcome.findings
    looked_at = outcome.findings if bug.anywhere else outcome.findings[:1]
    return any(rule in bug.findings for rule in looked_at)


def faults(task: Task, outcome: Outcome) -> str:
    """What is wrong with it, in a line; empty when nothing is."""
    if outcome.not_run:
        return ""
    if outcome.trouble:
        return outcome.trouble
    found = []
    if not verdict_is_right(task, outcome):
        expected = Verdict.PASSED if task.twin else task.bug.verdict
        status = "" if outcome.status is None else f" (status {outcome.status})"
        found.append(f"{outcome.verdict.value}{status}, and not {expected.value}")
    if not finding_is_right(task, outcome):
        named = ", ".join(outcome.findings) or "nothing"
        expected_rule = " or ".join(task.bug.findings) if task.bug.findings and not task.twin else "nothing"
        found.append(f"found {named}, and not {expected_rule}{'' if task.bug.anywhere else ' first'}")
    if found and outcome.tail:
        found.append(f"it last said: {outcome.tail[-1]}")
    return "; ".join(found)
