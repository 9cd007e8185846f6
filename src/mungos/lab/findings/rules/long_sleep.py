"""A wait has a time-out, but it lies beyond the clock that ran out."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.idle_server import doors_of
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "If that long is meant, raise --stall or use --idle-ok; else the wait needs a shorter deadline, "
    "or an event that ends it."
)


_PERIOD = 10.0  # seconds: a helper of a run-time system (Java's compiler, a collector) looks up so often


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is Verdict.SPINNING:
        return
    clock = min(case.order.stall, case.order.deadline) * case.order.factor
    scene = scene_of(case)
    for process, thread in scene.threads():
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
        if limit <= clock and any(
            doors_of(wait) for wait in scene.waits_of(process.pid) if wait.thread is thread
        ):
            continue  # a server that looks now and then whether it is to stop
        own = stacks.owned(stacks.python(process, thread))
        where = f", at {stacks.place(own)}" if own is not None else ""
        slept = "sleeps" if call.name in calls.NAP else "waits"
        # What is left of it may be all that is known; and a library's helper waits for work like that.
        helper = thread.tid != process.pid and own is None and call.name in calls.FUTEX
        if helper and limit < _PERIOD:
            continue
        span = f"{limit:.3g} s" if limit < 1000 else f"{limit:.0f} s"
        yield found(
            case,
            RULE.name,
            f"It {slept} for {span}{where}: longer than the lab's clock"
            if limit > clock
            else f"It {slept} for another {span}{where}",
            process,
            thread,
            waits_for=f"a time-out of {span}",
            evidence=(
                f"{call.name}: time-out {span}",
                f"stall {case.order.stall:g} s, deadline {case.order.deadline:g} s",
            ),
            advice=ADVICE,
            likely=limit <= clock or helper,
        )


RULE = Rule("long-sleep", "a sleep or time-out is longer than the clock that ran out", _examine)
