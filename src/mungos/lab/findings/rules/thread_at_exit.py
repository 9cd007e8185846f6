"""Python's main thread has ended and waits for threads that are not daemons."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Stack
from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing
from mungos.lab.record import Finding

__all__ = ["RULE", "at_exit", "does"]

ADVICE = (
    "Stop and join the thread before the main thread returns (an event, a sentinel, closing what it reads "
    "from); daemon=True only if its work may be cut off anywhere."
)


def at_exit(stack: Stack | None) -> bool:
    """Whether the main thread stands in threading's shutdown itself, not in what others registered there."""
    return (
        stack is not None
        and stacks.at(stack.frames[-1], "threading.py", "_shutdown")
        and not any(stacks.short(frame) == "_python_exit" for frame in stack.frames)
    )


def does(process: Process, stack: Stack) -> str:
    """A thread and what it does: `worker-7 (thread 813): Event.wait (threading.py:629), called by …`."""
    thread = next((each for each in process.threads if each.tid == stack.thread), None)
    call = thread.call if thread is not None else None
    inside = f", in {call.described or call.name}" if call is not None else ""
    return f"{stack.name or 'unnamed'} (thread {stack.thread}): {stacks.waits_at(stack)}{inside}"


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        main = stacks.main_stack(process)
        if main is None or not at_exit(main):
            continue
        others = [stack for stack in stacks.python_stacks(process) if stack is not main]
        names = listing(stack.name or f"thread {stack.thread}" for stack in others)
        thread = next((each for each in process.threads if each.tid == process.pid), None)
        yield found(
            case,
            RULE.name,
            "The program has ended, but Python waits for a thread that is not a daemon: "
            f"{names or 'not seen'}",
            process,
            thread,
            waits_for=f"the end of {names or 'a thread'}",
            evidence=(
                f"main thread: {stacks.place(main.frames[0])}",
                *(does(process, each) for each in others[:6]),
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "thread-at-exit",
    "the main thread of a Python program has ended and waits for a thread that is not a daemon",
    _examine,
)
