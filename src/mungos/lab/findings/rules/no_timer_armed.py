"""Every thread waits without a time-out and nothing will wake any of them by time."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import Wait, scene_of
from mungos.lab.findings.wording import found, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Give the wait a deadline (a time-out on the call, a timer, asyncio.timeout, keep-alive), so that "
    "a lost event becomes an error with a name."
)


def _held_up_by_us(wait: Wait) -> bool:
    """Whether it waits for the lab to take its output."""
    return wait.kind == "write" and any(
        held.command == "the lab" for each in wait.descriptors if each.pipe for held in each.pipe.others
    )


def _examine(case: Case) -> Iterator[Finding]:
    scene = scene_of(case)
    every = list(scene.living())
    if not hung(case) or not every:
        return
    for process in every:
        armed = bool(process.timers) or any(
            each.timer is not None or (each.socket is not None and each.socket.timer)
            for each in process.descriptors
        )
        if armed or not process.threads or process.state in "Tt":
            return
        if not all(calls.for_ever(thread) for thread in process.threads):
            return
    if any(_held_up_by_us(wait) for wait in scene.waits):
        return  # the lab reads on when it has explained
    unseen = any(process.real_timer is None for process in every)
    threads = sum(len(process.threads) for process in every)
    asleep = sorted({calls.name_of(thread) for _, thread in scene.threads()})
    first = every[0]
    yield found(
        case,
        RULE.name,
        f"Nothing is armed that could ever wake it: {threads} thread{'s' * (threads != 1)} in {len(every)} "
        f"process{'es' * (len(every) != 1)} wait{'s' * (threads == 1)} without a time-out",
        first,
        waits_for="events only, none of them in time",
        evidence=(
            f"calls without a time-out: {listing(asleep)}",
            "no timerfd, no POSIX timer, no socket timer"
            + (" (alarm() and setitimer() could not be looked at)" if unseen else ", no interval timer"),
            stands(first, first.threads[0]),
        ),
        advice=ADVICE,
        likely=unseen or not all(t.call is not None and t.call.forever for _, t in scene.threads()),
    )


RULE = Rule(
    "no-timer-armed",
    "every thread waits for ever: no time-out, no timer, no deadline anywhere",
    _examine,
)
