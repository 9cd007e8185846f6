"""A process was forked while another thread held a lock; in the child nobody can release it."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import locks_of, mentions
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Start processes before threads, or by spawn or exec (multiprocessing.set_start_method('spawn'), "
    "subprocess); else only async-signal-safe calls are allowed."
)


_FORKING = ("fork", "multiprocessing", "ProcessPool")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process in scene.living():
        parent = scene.processes.get(process.parent)
        if parent is None or len(process.threads) != 1:
            continue
        thread = process.threads[0]
        if process.executable != parent.executable or process.command != parent.command:
            continue  # it has run another program since: no lock was kept
        if calls.name_of(thread) not in calls.FUTEX or not calls.for_ever(thread):
            continue
        stack = stacks.python(process, thread)
        if stack is not None:
            first = stack.frames[0]
            waits = stacks.at(first, "logging/__init__.py", "acquire", "_acquireLock") or (
                stacks.at(first, "threading.py", "acquire", "__enter__")
            )
            locks = locks_of(case, process, stack)
            if any(key == locks.wanted for key, _ in locks.held):
                continue
            if locks.wanted is None and not waits:
                continue
            if len(parent.threads) < 2 and not mentions(case, process, stack, *_FORKING):
                continue
        elif calls.native_lock(thread) is None or len(parent.threads) < 2:
            continue
        another = "another thread held" if len(parent.threads) > 1 else "was held"
        yield found(
            case,
            RULE.name,
            f"A forked child waits for a lock that {another} when it was forked: nobody in it can release it",
            process,
            thread,
            waits_for="a lock whose holder does not exist in this process",
            evidence=(
                f"it has 1 thread, its parent {parent.pid} has {len(parent.threads)} now, both run "
                f"{process.executable}",
                f"it stands at {stacks.waits_at(stack)}" if stack is not None else "",
            ),
            advice=ADVICE,
            likely=True,
        )


RULE = Rule(
    "fork-with-lock", "a forked child waits for a lock that another thread held at the fork", _examine
)
