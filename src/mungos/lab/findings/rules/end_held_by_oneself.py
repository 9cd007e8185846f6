"""A process waits for the end of a pipe whose writing end it has open itself."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.hidden_data import unread_of
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, holders, hung
from mungos.lab.record import Finding

__all__ = ["QUEUE", "RULE"]

QUEUE = ("multiprocessing/queues.py", "get")

ADVICE = (
    "Close the end that is not used right after fork or once it is handed over (in the parent the "
    "child's ends, in the child the parent's); what somebody else was to write needs somebody else."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for wait in scene.waits:
        if wait.kind != "read" or not wait.descriptors or not wait.for_ever:
            continue
        each = wait.descriptors[0]
        ends = scene.opposite(each)
        own = [held for held in ends if held.pid == wait.process.pid]
        if not own or len(own) != len(ends) or unread_of(each):
            continue
        others = [thread for thread in wait.process.threads if thread is not wait.thread]
        if any(not calls.for_ever(thread) for thread in others):
            continue  # one of them may still write
        if stacks.passes(stacks.python(wait.process, wait.thread), *QUEUE):
            continue  # no end is waited for: nobody is left to put something into the queue
        what = "pipe" if each.pipe is not None else "connection"
        # A handler may write to it, as that of a self-pipe does; Python always has one for SIGINT.
        handlers = wait.process.signals.caught - ({2} if wait.process.language == "python" else set())
        yield found(
            case,
            RULE.name,
            f"It reads {what} {each.number} and holds the other end itself, as descriptor "
            f"{own[0].descriptor}: neither data nor an end can come",
            wait.process,
            wait.thread,
            waits_for="itself",
            evidence=(
                f"the other end of descriptor {each.number} is held by {holders(ends)}, by nobody else",
            ),
            advice=ADVICE,
            likely=bool(others or handlers) or not scene.whole,
        )


RULE = Rule(
    "end-held-by-oneself", "a process waits for the end of a pipe whose other end only itself holds", _examine
)
