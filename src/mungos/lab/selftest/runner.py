"""The selftest: every planted bug and every twin, run by the lab and judged."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mungos.lab.order import Order
from mungos.lab.record import Record
from mungos.lab.selftest.catalogue import Bug, find_bugs
from mungos.lab.selftest.outcome import Outcome, Task
from mungos.lab.selftest.performing import Bench, perform
from mungos.lab.selftest.results import Results
from mungos.lab.selftest.workers import perform_all, pressure

__all__ = ["selftest"]

Progress = Callable[[int, int, Task, Outcome], None]


def selftest(
    times: int = 1,
    names: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
    *,
    twins: int | None = None,
    busy: bool = False,
    factor: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
    run: Callable[[Order], Record] | None = None,
    bugs: Sequence[Bug] | None = None,
) -> Results:
    """Run planted bugs and their twins, and judge what the lab says of them.

    Args:
        times: how often each bug is run.
        names: which; all when empty.
        jobs: how many runs at once.
        progress: told after each run: how many are done, of how many, which one, what came of it.
        twins: how often each twin is run (but where processors are compared); None for as often as its bug.
        busy: every CPU is kept busy meanwhile.
        factor: by how much the clocks are stretched.
        stop: asked after each run whether that was enough; runs that are under way are then ended.
        run: what is tested; None for the lab itself.
        bugs: instead of those of the catalogue.

    Raises:
        LookupError: a name that no bug has.
    """
    chosen = tuple(bugs) if bugs is not None else find_bugs(tuple(names))
    results = Results.of(chosen)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mungos-selftest-")))
        folder.chmod(0o755)
        bench = Bench(folder, _the_lab() if run is None else run, factor)
        if busy:
            stack.enter_context(pressure(os.cpu_count() or 1))
        tasks = _tasks(chosen, times, times if twins is None else twins)
        performing = perform_all(tasks, lambda task: perform(task, bench), jobs)
        for done, (task, outcome) in enumerate(stack.enter_context(contextlib.closing(performing)), 1):
            results.rows[task.bug.name].add(task, outcome)
            if progress is not None:
                progress(done, len(tasks), task, outcome)
            if stop():
                break
    results.seconds = time.monotonic() - began
    return results


def _the_lab() -> Callable[[Order], Record]:
    from mungos.lab.watch import run  # noqa: PLC0415 - the catalogue can be listed without the lab

    return run


def _tasks(bugs: Sequence[Bug], times: int, twins: int) -> list[Task]:
    """All runs in their order: a bug, which mostly waits, beside a twin, which works."""
    pairs = [(Task(bug, False), Task(bug, True)) for bug in bugs]
    tasks = []
    for turn in range(max(times, twins)):
        for bug, twin in pairs:
            if turn < times:
                tasks.append(bug)
            # A clock can't raise a false alarm where two outputs are compared, and emulated runs are dear.
            if turn < twins and (turn < times or not bug.bug.compared):
                tasks.append(twin)
    return tasks
