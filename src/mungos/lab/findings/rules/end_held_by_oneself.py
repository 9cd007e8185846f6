"""A process waits for the end of a pipe whose writing end it has open itself."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.hidden_data import unread_of
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, holders, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Close the end that is not used right after fork or once it is handed over (in the parent the "
    "child's ends, in the child the parent's)."
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
        what = "pipe" if each.pipe is not None else "connection"
        yield found(
            case,
            RULE.name,
            f"It waits for the end of {what} {each.number} and holds the other end itself, as descriptor "
            f"{own[0].descriptor}: the end cannot come",
            wait.process,
            wait.thread,
            waits_for="itself",
            evidence=(
                f"the other end of descriptor {each.number} is held by {holders(ends)}, by nobody else",
            ),
            advice=ADVICE,
            likely=bool(others),
        )


RULE = Rule(
    "end-held-by-oneself", "a process waits for the end of a pipe whose other end only itself holds", _examine
)
