"""Run tests against a module that lacks a branch, in a process that was forked for it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mutants.branches import Branch
from mutants.deleting import install

__all__ = ["KILLED", "SURVIVED", "Judged", "judge_all", "warm_up"]

SURVIVED, KILLED = "survived", "killed"
LIMIT = 120.0  # seconds, and for slow tests this many times as long as they took before:
SLOWER = 10.0
UNFIT = 70  # exit status of a process that came to no verdict; pytest's own end at 5
TIME_FACTOR = "4"
"""By which the tests' own deadlines are multiplied: a machine that is busy has noticed nothing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a branch that was deleted.

    Args:
        branch: which.
        verdict: KILLED or SURVIVED.
        tests: how many cover it.
        seconds: how long its tests ran.
        said: the last lines of what pytest said.
    """

    branch: Branch
    verdict: str
    tests: int
    seconds: float
    said: str = ""


def warm_up() -> None:
    """Import what every test needs and no mutant touches: it is then there in each fork."""
    import cryptography.hazmat.primitives.serialization  # noqa: F401
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
    import trustme  # noqa: F401


def judge_all(
    work: Sequence[tuple[Branch, Sequence[str]]],
    folder: Path,
    *,
    processes: int,
    seconds: Mapping[str, float] | None = None,
) -> Iterator[Judged]:
    """Each branch with the tests that cover it; results in the order in which they end.

    Args:
        work: branches and tests' ids, quickest first.
        folder: for the output of each.
        processes: how many at a time.
        seconds: how long each test took before. Much longer, and over `LIMIT`, is a hang, which counts as
            noticed.

    Raises RuntimeError when tests could not be run, or nothing was deleted: that is no verdict.
    """
    took = seconds or {}
    waiting = list(reversed(work))
    running: dict[int, tuple[Branch, int, float, float, Path]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                branch, tests = waiting.pop()
                if not tests:
                    yield Judged(branch, SURVIVED, 0, 0.0, "no test reaches it")
                    continue
                log = folder / f"{branch.module}.{branch.index}.log"
                pid = _fork(partial(_run, branch, tests), log)
                limit = LIMIT + SLOWER * sum(took.get(test, 0.0) for test in tests)
                running[pid] = (branch, len(tests), time.monotonic(), limit, log)
            yield from _collect(running)
    finally:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _collect(running: dict[int, tuple[Branch, int, float, float, Path]]) -> Iterator[Judged]:
    for pid, (branch, tests, since, limit, log) in list(running.items()):
        late = time.monotonic() - since > limit
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
        if not ended:
            continue
        del running[pid]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what its tests may have left
        code = os.waitstatus_to_exitcode(status)
        said = "\n".join(log.read_text(errors="replace").splitlines()[-3:])
        if late:
            said = f"hung: over {limit:.0f} s\n{said}"
        if code in (4, 5, UNFIT):  # pytest: wrong usage, no tests collected
            raise RuntimeError(f"{branch.key}: pytest could not run its tests:\n{said}")
        verdict = SURVIVED if code == 0 else KILLED
        yield Judged(branch, verdict, tests, time.monotonic() - since, said)
    time.sleep(0.005)


def _fork(job: Callable[[], int], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = UNFIT
    try:
        os.setsid()
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        status = job()
    except BaseException:  # noqa: BLE001 - nobody is above this frame: said, and no verdict
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(branch: Branch, tests: Sequence[str]) -> int:
    import pytest

    os.environ["MUNGOS_TEST_TIME_FACTOR"] = TIME_FACTOR
    if branch.index >= 0:
        install(branch.module, branch.index)
    quiet = ["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(
        pytest.main(
            [
                *quiet,
                *("-p", "no:cov", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
                "--hypothesis-seed=1",
                *tests,
            ]
        )
    )
