"""A multiprocessing pool or process is joined, and its workers do not end."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Have the workers end (a sentinel, a time-out in what they do), or terminate() them before "
    "join(); daemon=True ends them with their parent."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process in scene.living():
        main = stacks.main_stack(process)
        pool = stacks.passes(
            main, "multiprocessing/pool.py", "join", "_terminate_pool", "terminate", "get", "map"
        )
        ends = stacks.passes(main, "multiprocessing/util.py", "_exit_function")
        joined = ends and stacks.passes(main, "multiprocessing/process.py", "join")
        children = [child for child in scene.children(process.pid) if child.threads]
        if main is None or not (pool or joined) or not children:
            continue
        thread = next((t for t in process.threads if t.tid == process.pid), None)
        yield found(
            case,
            RULE.name,
            "A pool is waited for, and its worker processes do not end"
            if pool
            else "The program has ended, but multiprocessing joins its child processes first, and one "
            "does not end",
            process,
            thread,
            waits_for=f"process {children[0].pid}",
            evidence=(
                f"main thread: {stacks.waits_at(main)}",
                *(f"worker process {child.pid}: {stands(child, child.threads[0])}" for child in children[:4]),
            ),
            advice=ADVICE,
        )


RULE = Rule("pool-never-ends", "multiprocessing waits for workers or children that do not end", _examine)
