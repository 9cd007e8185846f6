"""One run: the order for it, the lab's answer, and what of that counts here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mungos.lab.order import Order
from mungos.lab.record import Record
from mungos.lab.selftest.catalogue import CANNOT_RUN, DIFFERENT_OUTPUTS, FOREIGN, Bug
from mungos.lab.selftest.compiling import Unavailable, compile_program
from mungos.lab.selftest.outcome import Outcome, Task
from mungos.lab.verdicts import Verdict

__all__ = ["Bench", "order_for", "perform"]

_ANSWERING = Path(__file__).with_name("answering.py")
_TAIL = 3  # lines
_GRACE = 0.5  # seconds; none of the programs has anything to do at its end


@dataclass(frozen=True, slots=True)
class Bench:
    """What the runs are done with.

    Args:
        folder: for compiled programs.
        run: the lab.
        factor: by how much the clocks are stretched.
    """

    folder: Path
    run: Callable[[Order], Record]
    factor: float = 1.0


def command_for(bug: Bug, twin: bool, folder: Path) -> tuple[str, ...]:
    """The command line of a program, or of its twin, on this processor. Raises Unavailable."""
    way = "repaired" if twin else "bug"
    if bug.compiled:
        return (str(compile_program(bug.path, folder)), way)
    return (sys.executable, "-I", "-S", str(_ANSWERING), str(bug.path), way)


def order_for(task: Task, command: tuple[str, ...], factor: float) -> Order:
    """What the lab is asked for: the same clocks for both twins."""
    bug = task.bug
    return Order(
        command, deadline=bug.deadline, stall=bug.stall, pid1=bug.pid1, grace=_GRACE, factor=factor,
        directory=str(bug.path.parent),
    )  # fmt: skip


def perform(task: Task, bench: Bench) -> Outcome:
    """Do one run."""
    began = time.monotonic()
    try:
        if task.bug.compared:
            return _compare(task, bench, began)
        command = command_for(task.bug, task.twin, bench.folder)
    except Unavailable as reason:
        return Outcome(Verdict.NOT_STARTED, not_run=str(reason))
    return _outcome(bench.run(order_for(task, command, bench.factor)), began)


def _outcome(record: Record, began: float) -> Outcome:
    seconds = time.monotonic() - began
    if not record.attempts:
        return Outcome(record.verdict, seconds=seconds, trouble="the lab started nothing")
    last = record.attempts[-1]
    tail = tuple(line.text for line in last.lines[-_TAIL:])
    if last.status == CANNOT_RUN and not last.findings:
        return Outcome(
            record.verdict, last.status, seconds=seconds, not_run=tail[-1] if tail else "it says so"
        )
    findings = tuple(finding.rule for finding in last.findings)
    trouble = last.problem
    if record.verdict is Verdict.PASSED and last.left:
        trouble = f"called passed, and left {', '.join(last.left)}"
    return Outcome(record.verdict, last.status, findings, seconds, last.explained_in, tail, trouble)


def _compare(task: Task, bench: Bench, began: float) -> Outcome:
    """Run it here and on a foreign processor; what differs stands for a finding."""
    # Only where there is something to be compared.
    from mungos.lab.processors import architectures, difference, proof  # noqa: PLC0415 - as said

    bug, way = task.bug, "repaired" if task.twin else "bug"
    try:
        factor = proof.platform(FOREIGN).factor
    except architectures.Unavailable as reason:
        raise Unavailable(str(reason)) from None
    native = command_for(bug, task.twin, bench.folder)
    foreign: tuple[str, ...]
    if bug.compiled:
        foreign = (str(compile_program(bug.path, bench.folder, FOREIGN)), way)
    else:
        foreign = ("python3", "-I", "-S", str(bug.path), way)
    outputs = []
    for name, command, stretched in (("native", native, 1.0), (FOREIGN, foreign, factor)):
        order = Order(
            command, deadline=bug.deadline, stall=bug.deadline, processor=name,
            factor=stretched * bench.factor, directory=str(bench.folder if bug.compiled else bug.path.parent),
        )  # fmt: skip
        outcome = _outcome(record := bench.run(order), began)
        if outcome.verdict is not Verdict.PASSED or outcome.findings:
            return outcome
        lines = [(line.stream, line.text) for line in record.attempts[-1].lines]
        outputs.append(difference.outputs_of(name, lines, "passed"))
    found = difference.first_difference(*outputs)
    rules = () if found is None else (DIFFERENT_OUTPUTS,)
    tail = () if found is None else tuple(text or "" for text in found.texts)
    return Outcome(Verdict.PASSED, 0, rules, time.monotonic() - began, tail=tail)
