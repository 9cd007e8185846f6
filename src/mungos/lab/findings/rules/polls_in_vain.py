"""A program wakes again and again to look for something that never comes."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import SystemCall
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.idle_server import doors_of
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import line_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Look at the condition of this loop: who was to change it? Count time, not turns, and give the "
    "loop a deadline of its own."
)


def _tells_its_pause(call: SystemCall) -> bool:
    """Other calls name an instant, and what is left until then says nothing of the pause."""
    relative = (
        call.name.startswith("clock_nanosleep") and len(call.arguments) > 1 and not call.arguments[1] & 1
    )
    return call.name in calls.READY or call.name == "nanosleep" or relative


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is Verdict.SPINNING:
        return
    clock = min(case.order.stall, case.order.deadline) * case.order.factor
    scene = scene_of(case)
    for process, thread in scene.threads():
        call = thread.call
        if call is None or call.timeout is None or call.timeout > clock / 2:
            continue
        if call.name not in calls.NAP | calls.READY | calls.FUTEX | calls.SIGNAL:
            continue
        if any(doors_of(wait) for wait in scene.waits_of(process.pid) if wait.thread is thread):
            continue  # it waits for visitors, and looks between whether it is to stop
        stack = stacks.python(process, thread)
        own = stacks.owned(stack)
        if thread.tid != process.pid and own is None:
            continue  # a library's helper thread
        line = line_of(case, process, own)
        told = _tells_its_pause(call)
        pause = f"every {call.timeout:.3g} s" if told else "again and again"
        yield found(
            case,
            RULE.name,
            f"It wakes {pause} to look for something that does not come"
            + (f", at {stacks.place(own)}" if own is not None else ""),
            process,
            thread,
            waits_for="a state that does not change",
            evidence=(
                f"{call.name} with a time-out of {call.timeout:.3g} s"
                if told
                else f"{call.name} for another {call.timeout:.3g} s",
                f"its line: {line}" if line else "",
            ),
            advice=ADVICE,
            likely=True,
        )


RULE = Rule(
    "polls-in-vain", "a program wakes again and again to look for something that never comes", _examine
)
