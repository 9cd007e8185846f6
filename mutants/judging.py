"""Run tests against a module that lacks a branch, in a process that was forked for it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mutants.branches import Branch
from mutants.deleting import install

__all__ = ["KILLED", "SURVIVED", "Judged", "judge_all", "warm_up"]

SURVIVED, KILLED = "survived", "killed"
LIMIT = 120.0  # seconds


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
    work: Sequence[tuple[Branch, Sequence[str]]], folder: Path, *, processes: int, limit: float = LIMIT
) -> Iterator[Judged]:
    """Each branch with the tests that cover it; results in the order in which they end.

    Args:
        work: branches and tests' ids, quickest first.
        folder: for the output of each.
        processes: how many at a time.
        limit: seconds for each; longer is a hang, which counts as noticed.
    """
    waiting = list(reversed(work))
    running: dict[int, tuple[Branch, int, float, Path]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                branch, tests = waiting.pop()
                if not tests:
                    yield Judged(branch, SURVIVED, 0, 0.0, "no test reaches it")
                    continue
                log = folder / f"{branch.module}.{branch.index}.log"
                pid = _fork(partial(_run, branch, tests), log)
                running[pid] = (branch, len(tests), time.monotonic(), log)
            yield from _collect(running, limit)
    finally:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _collect(running: dict[int, tuple[Branch, int, float, Path]], limit: float) -> Iterator[Judged]:
    for pid, (branch, tests, since, log) in list(running.items()):
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
        if code in (4, 5):  # pytest: wrong usage, no tests collected
            raise RuntimeError(f"{branch.key}: pytest could not run its tests:\n{said}")
        verdict = SURVIVED if code == 0 else KILLED
        yield Judged(branch, verdict, tests, time.monotonic() - since, said)
    time.sleep(0.005)


def _fork(job: Callable[[], int], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        os.setsid()
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        status = job()
    except BaseException:  # noqa: BLE001 - nobody is above this frame: said, and the status is 3
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(branch: Branch, tests: Sequence[str]) -> int:
    import pytest

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
