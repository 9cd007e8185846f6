"""The driver that needs nothing but Python: random mutations, built upon where an input ends in a new way."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType

from fuzz.mutation import mutate
from fuzz.target import Defect, Target

__all__ = ["MOST_GROWTH", "Found", "Run", "attempt", "run_plain"]

MOST_GROWTH = 64 * 1024
"""KiB by which one input may raise the peak of this process's memory."""

_POOL = 1024  # inputs that are built upon


class TooSlow(BaseException):
    """An input took more CPU time than it may."""


@dataclass(slots=True)
class Found:
    """An input that shows a defect."""

    data: bytes
    error: BaseException


@dataclass(slots=True)
class Run:
    """What came of a run.

    Attributes:
        inputs: how many were tried.
        endings: how many different ways they ended in.
        slowest: CPU seconds of the slowest input.
        found: the first defect, which ends the run.
    """

    inputs: int = 0
    endings: int = 0
    slowest: float = 0.0
    found: Found | None = None


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """TooSlow after so many seconds of CPU time. In the main thread only."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def peak() -> int:
    """KiB, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attempt(target: Target, data: bytes, patience: float) -> str | Found:
    """Run one input. Returns how it ended, or the defect that it shows.

    Args:
        patience: CPU seconds that it may take.
    """
    before = peak()
    try:
        with _bounded(patience):
            ending = target.run(data)
    except TooSlow:
        return Found(data, Defect(f"{len(data)} bytes took more than {patience:g} s of CPU time"))
    except Exception as error:  # noqa: BLE001 - any exception at all is what is looked for
        return Found(data, error)
    if (grown := peak() - before) > MOST_GROWTH:
        return Found(data, Defect(f"{len(data)} bytes took {grown} KiB of memory, limit {MOST_GROWTH} KiB"))
    return ending


def run_plain(target: Target, seconds: float, *, seed: int = 0, patience: float = 2.0) -> Run:
    """Try the target's seeds as they are, then mutations of them, for `seconds` or until a defect.

    Args:
        seconds: wall time; the seeds are tried in any case.
        seed: of the random source.
        patience: CPU seconds that one input may take.
    """
    random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    run = Run()
    end = time.monotonic() + seconds
    pool = target.seeds()
    begun = tuple(pool)
    endings: set[str] = set()
    while True:
        if run.inputs < len(begun):
            data = begun[run.inputs]
        elif time.monotonic() < end:
            data = mutate(random.choice(pool or [b""]), pool, target.words, target.longest, random)
        else:
            return run
        before = time.process_time()
        ending = attempt(target, data, patience)
        run.inputs += 1
        run.slowest = max(run.slowest, time.process_time() - before)
        if isinstance(ending, Found):
            run.found = ending
            return run
        if ending not in endings:
            endings.add(ending)
            run.endings = len(endings)
            if data not in begun:
                pool.append(data)
                if len(pool) > _POOL:
                    del pool[random.randrange(len(begun), len(pool))]
