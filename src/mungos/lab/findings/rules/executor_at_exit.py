"""Python joins an executor's workers at exit, before the handlers that would have stopped them run."""

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
    "Stop what the workers do before the main thread returns: atexit handlers run only after this "
    "join. Use shutdown(cancel_futures=True) after telling the work to end, or give it a deadline."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process in scene.living():
        main = stacks.main_stack(process)
        threads = stacks.passes(main, "concurrent/futures/thread.py", "_python_exit")
        processes = stacks.passes(main, "concurrent/futures/process.py", "_python_exit")
        if main is None or not (threads or processes):
            continue
        workers = [
            s
            for s in stacks.python_stacks(process)
            if stacks.passes(s, "concurrent/futures/thread.py", "_worker")
        ]
        busy = [s for s in workers if not stacks.at(s.frames[0], "concurrent/futures/thread.py", "_worker")]
        children = scene.children(process.pid) if processes else []
        thread = next((t for t in process.threads if t.tid == process.pid), None)
        name = busy[0].name if busy else "a worker"
        yield found(
            case,
            RULE.name,
            f"The program has ended, but Python joins the workers of an executor first, and {name} does "
            "not end",
            process,
            thread,
            waits_for=f"the end of {name}",
            evidence=(
                f"main thread: {stacks.place(main.frames[0])} under _python_exit",
                *(does(process, stack) for stack in busy[:4]),
                *(f"worker process {c.pid}: {stands(c, c.threads[0])}" for c in children[:3] if c.threads),
            ),
            advice=ADVICE,
        )


RULE = Rule("executor-at-exit", "Python joins an executor's workers at exit, and one does not end", _examine)
