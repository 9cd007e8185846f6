"""A process cannot end before a queue's feeder thread has written all to a pipe that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Take everything from the queue before joining who filled it, or call cancel_join_thread() on it "
    "if its items may be lost."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        main = stacks.main_stack(process)
        if not stacks.passes(main, "multiprocessing/queues.py", "_finalize_join", "join_thread"):
            continue
        feeder = next(
            (
                s
                for s in stacks.python_stacks(process)
                if stacks.passes(s, "multiprocessing/queues.py", "_feed")
            ),
            None,
        )
        thread = next((t for t in process.threads if t.tid == process.pid), None)
        writer = next((t for t in process.threads if feeder is not None and t.tid == feeder.thread), None)
        yield found(
            case,
            RULE.name,
            "The process wants to end, but the feeder thread of a multiprocessing queue still has items "
            "that nobody takes",
            process,
            thread,
            waits_for="a reader of the queue",
            evidence=(
                f"main thread: {stacks.place(main.frames[0])} under {stacks.place(main.frames[-1])}"
                if main
                else "",
                f"feeder: {stands(process, writer)}" if writer is not None else "",
            ),
            advice=ADVICE,
        )


RULE = Rule("queue-feeder", "a multiprocessing queue's feeder thread keeps the process from ending", _examine)
