"""asyncio waits for a task that never ends."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Let CancelledError through (re-raise it after cleaning up, no `except BaseException` in loops); put "
    "asyncio.timeout around what waits for others, and print asyncio.all_tasks() to see who is left."
)
_ADVICE_WAITS = (
    "Print asyncio.all_tasks() from a debug signal handler to see which task it is, and put asyncio.timeout "
    "around what waits for others."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        for thread in process.threads:
            stack = stacks.python(process, thread)
            if stack is None or not stacks.at(stack.frames[0], "selectors.py", "select"):
                continue
            cancels = stacks.passes(stack, "asyncio/runners.py", "_cancel_all_tasks")
            waits = stacks.passes(stack, "asyncio/base_events.py", "run_until_complete")
            executor = any(
                stacks.passes(s, "asyncio/base_events.py", "_do_shutdown")
                for s in stacks.python_stacks(process)
            )
            if executor or not (cancels or (waits and calls.for_ever(thread))):
                continue
            starter = next((f for f in stack.frames if stacks.at(f, "asyncio/runners.py")), None)
            yield found(
                case,
                RULE.name,
                "asyncio.run has cancelled all tasks at its end and waits for one that goes on: it "
                "swallows CancelledError"
                if cancels
                else "The event loop waits for a task that never ends, and no timer is set in it",
                process,
                thread,
                waits_for="a task",
                evidence=(
                    f"the loop was started by {stacks.place(starter)}" if starter is not None else "",
                    stands(process, thread),
                ),
                advice=ADVICE if cancels else _ADVICE_WAITS,
                likely=not cancels,
            )
            break


RULE = Rule(
    "task-never-finishes", "asyncio waits for a task that never ends, or swallows its cancellation", _examine
)
