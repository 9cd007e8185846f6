"""A wait has a time-out, but it lies beyond the clock that ran out."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "If that long is meant, raise --stall or use --idle-ok; else the wait needs a shorter deadline, "
    "or an event that ends it."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is Verdict.SPINNING:
        return
    clock = min(case.order.stall, case.order.deadline) * case.order.factor
    for process, thread in scene_of(case).threads():
        call = thread.call
        timers = [
            timer.within
            for timer in process.timers
            if timer.within is not None and timer.kind != "wait's own time-out"
        ]
        timers += [
            each.timer.within for each in process.descriptors if each.timer and each.timer.within is not None
        ]
        limit = call.timeout if call is not None else None
        if call is None or thread.running:
            continue
        if limit is None and calls.for_ever(thread) and timers and thread.tid == process.pid:
            limit = min(timers)
        if limit is None or limit <= clock / 2:
            continue
        own = stacks.owned(stacks.python(process, thread))
        where = f", at {stacks.place(own)}" if own is not None else ""
        slept = "sleeps" if call.name in calls.NAP else "waits"
        yield found(
            case,
            RULE.name,
            f"It {slept} for {limit:g} s{where}: longer than the lab's clock",
            process,
            thread,
            waits_for=f"a time-out of {limit:g} s",
            evidence=(
                f"{call.name}: time-out {limit:g} s",
                f"stall {case.order.stall:g} s, deadline {case.order.deadline:g} s",
            ),
            advice=ADVICE,
        )


RULE = Rule("long-sleep", "a sleep or time-out is longer than the clock that ran out", _examine)
