"""The shutdown of an executor waits for work that does not end."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.thread_at_exit import does
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Tell the work to end before shutting its executor down (an event it polls, closing the socket it "
    "reads, a time-out in it): a running call cannot be cancelled."
)

_FILES = ("concurrent/futures/thread.py", "concurrent/futures/process.py")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process in scene.living():
        every = list(stacks.python_stacks(process))
        waiting = next((s for s in every if any(stacks.passes(s, file, "shutdown") for file in _FILES)), None)
        if waiting is None or stacks.passes(waiting, _FILES[0], "_worker"):
            continue
        by_loop = stacks.passes(waiting, "asyncio/base_events.py", "_do_shutdown")
        busy = [
            s
            for s in every
            if stacks.passes(s, _FILES[0], "_worker") and not stacks.at(s.frames[0], _FILES[0], "_worker")
        ]
        own_process = stacks.passes(waiting, _FILES[1], "shutdown")
        children = scene.children(process.pid) if own_process else []
        tid = process.pid if by_loop else waiting.thread
        thread = next((t for t in process.threads if t.tid == tid), None)
        name = busy[0].name if busy else "a worker"
        yield found(
            case,
            RULE.name,
            f"asyncio.run waits at its end for the default executor, whose worker {name} does not end"
            if by_loop
            else f"The shutdown of an executor waits for {name}, which does not end",
            process,
            thread,
            waits_for=f"the end of {name}",
            evidence=(
                f"the shutdown: {stacks.waits_at(waiting)}",
                *(does(process, stack) for stack in busy[:4]),
                *(f"worker process {c.pid}: {stands(c, c.threads[0])}" for c in children[:3] if c.threads),
            ),
            advice=ADVICE,
        )


RULE = Rule("executor-shutdown", "the shutdown of an executor waits for work that does not end", _examine)
