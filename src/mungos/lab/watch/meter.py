"""Looks at a running tree: how much CPU, how many bytes, how many processes; cheap, or else seldom."""

from __future__ import annotations

import os
import time

from mungos.lab.record import Sample
from mungos.lab.watch.tree import Seen, below, read_whole, see

__all__ = ["Look", "Meter", "Samples"]

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_SHARE = 0.01  # of one CPU that looking may cost
_FIRST_PAUSE = 0.05  # seconds; pauses grow from here, short programs have a timeline too
_LONGEST_PAUSE = 0.5
_GROWTH = 1.25
_PARTS = 20  # looks within the stall time, at least
_WORTH = 0.1  # of one CPU, from which on it is asked how much more was wanted
_BUSY_MEMORY = 1.0  # seconds for which that is asked again
_THREADS_LIMIT = 64  # that are asked
_SAMPLES_LIMIT = 2000


class Look:
    """What a tree has used since its start, and how large it is now."""

    __slots__ = ("cpu", "io", "processes", "sockets", "threads", "wanted")

    def __init__(
        self, cpu: float, wanted: float, io: int, processes: int, threads: int, sockets: int | None
    ) -> None:
        self.cpu = cpu
        self.wanted = wanted  # a crowded machine gives less than this
        self.io = io
        self.processes = processes
        self.threads = threads
        self.sockets = sockets


class Meter:
    """Looks at everything below a guard, or at process 1 and all below it.

    Args:
        root: the guard, or process 1.
        guard: `root` is the guard, and does not count itself.
        network: it has a network namespace of its own, which counts its bytes and sockets.
        stall: seconds of the stall clock, within which there have to be enough looks.
    """

    __slots__ = (
        "_at", "_busy_until", "_cost", "_cpu", "_guard", "_io", "_io_before", "_longest", "_network",
        "_pause", "_root", "_scheduled", "_unclaimed", "_wanted",
    )  # fmt: skip

    def __init__(self, root: int, *, guard: bool, network: bool, stall: float) -> None:
        self._root = root
        self._guard = guard
        self._network = network
        self._longest = min(_LONGEST_PAUSE, max(stall / _PARTS, 0.01))
        self._pause = min(_FIRST_PAUSE, self._longest)
        self._cost = 0.0
        self._at = time.monotonic()
        self._cpu = 0.0
        self._wanted = 0.0
        self._unclaimed = 0.0
        self._busy_until = 0.0
        self._scheduled: dict[int, int] = {}
        self._io = 0
        self._io_before = _io(root) if guard else 0

    def look(self) -> Look:
        """One look at all of it."""
        began = time.thread_time()
        ticks = io = processes = threads = 0
        root = see(self._root)
        tree = below(self._root)
        if root is not None:
            ticks = root.child_ticks
            io = _io(self._root) - self._io_before
            if not self._guard:
                tree.append(root)
                ticks = io = 0
        for each in tree:
            ticks += each.ticks + each.child_ticks
            if each.alive:
                processes += 1
                threads += each.threads
                io += _io(each.pid)
        if self._network:
            io += _loopback(self._root)
        now = time.monotonic()
        self._want(tree, ticks * _TICK - self._cpu, now - self._at)
        self._at = now
        # A process that ends between two readings is missed by both: the next look has it again.
        self._cpu = max(self._cpu, ticks * _TICK)
        self._io = max(self._io, io)
        found = Look(
            self._cpu,
            self._wanted,
            self._io,
            processes,
            threads,
            _sockets(self._root) if self._network else None,
        )
        cost = time.thread_time() - began
        self._cost = cost if self._cost == 0.0 else 0.7 * self._cost + 0.3 * cost
        return found

    def _want(self, tree: list[Seen], got: float, window: float) -> None:
        """Add what was wanted since the last look: CPU that it got, or time that one thread was ready."""
        now = self._at + window
        if got >= _WORTH * window:
            self._busy_until = now + _BUSY_MEMORY  # a crowded machine may give it nothing between two looks
        before, self._scheduled = self._scheduled, {}
        most = 0
        if now < self._busy_until:
            threads = [(each.pid, task) for each in tree if each.alive for task in _tasks(each)]
            for pid, task in threads[:_THREADS_LIMIT]:
                words = read_whole(f"/proc/{pid}/task/{task}/schedstat").split()
                if len(words) > 1:  # nanoseconds on a CPU, and waiting for one
                    self._scheduled[task] = ready = int(words[0]) + int(words[1])
                    most = max(most, ready - before.get(task, ready))
        # Waiting is counted when it is over: what a look did not have, a later one may add.
        wanted = max(0.0, got, min(most * 1e-9, window + self._unclaimed))
        self._unclaimed = min(_BUSY_MEMORY, max(0.0, self._unclaimed + window - wanted))
        self._wanted += wanted

    def pause(self) -> float:
        """Seconds until the next look; every call makes the next one longer, up to a limit."""
        now = self._pause
        self._pause = min(self._pause * _GROWTH, self._longest)
        return max(now, self._cost / _SHARE)


def _tasks(process: Seen) -> list[int]:
    if process.threads <= 1:
        return [process.pid]
    try:
        return [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
    except OSError:
        return []


def _io(pid: int) -> int:
    words = read_whole(f"/proc/{pid}/io").split(None, 4)
    return int(words[1]) + int(words[3]) if len(words) > 3 else 0


def _loopback(pid: int) -> int:
    _, found, rest = read_whole(f"/proc/{pid}/net/dev").partition(b"lo:")
    return int(rest.split(None, 1)[0]) if found else 0


def _sockets(pid: int) -> int | None:
    """TCP and UDP sockets, and what TCP remembers of closed ones."""
    data = read_whole(f"/proc/{pid}/net/sockstat")
    if not data:
        return None
    count = 0
    for line in (data + read_whole(f"/proc/{pid}/net/sockstat6")).splitlines():
        words = line.split()
        if words[0] in {b"TCP:", b"UDP:", b"TCP6:", b"UDP6:"}:
            count += int(words[2])
            if b"tw" in words:
                count += int(words[words.index(b"tw") + 1])
    return count


class Samples:
    """The timeline: all looks of a short run, coarser ones of a long run."""

    __slots__ = ("_at", "_cpu", "_io", "_output", "_resolution", "_samples")

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._resolution = 0.0
        self._at = 0.0
        self._cpu = 0.0
        self._io = 0
        self._output = 0

    def add(self, at: float, look: Look, output: int) -> None:
        """A look, if the last one is long enough ago.

        Args:
            at: seconds since the command was started.
            look: what was seen.
            output: bytes printed since the start.
        """
        took = at - self._at
        if took <= 0 or took < self._resolution:
            return
        self._samples.append(
            Sample(
                at, max(0.0, look.cpu - self._cpu) / took, output - self._output, max(0, look.io - self._io),
                look.processes, look.threads, look.sockets,
            )
        )  # fmt: skip
        self._at, self._cpu, self._io, self._output = at, look.cpu, look.io, output
        if len(self._samples) > _SAMPLES_LIMIT:
            self._halve()

    def _halve(self) -> None:
        before = 0.0
        halved: list[Sample] = []
        for first, second in zip(self._samples[::2], self._samples[1::2], strict=False):
            busy = first.cpu * (first.at - before) + second.cpu * (second.at - first.at)
            halved.append(
                Sample(
                    second.at, busy / (second.at - before),
                    first.output + second.output, first.io + second.io,
                    max(first.processes, second.processes), max(first.threads, second.threads),
                    second.sockets if first.sockets is None else max(first.sockets, second.sockets or 0),
                )
            )  # fmt: skip
            before = second.at
        if len(self._samples) % 2:
            halved.append(self._samples[-1])
        self._samples = halved
        self._resolution = max(2 * self._resolution, self._at / _SAMPLES_LIMIT * 1.5)

    def all(self) -> tuple[Sample, ...]:
        """Oldest first."""
        return tuple(self._samples)
