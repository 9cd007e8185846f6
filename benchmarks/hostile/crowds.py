"""What an innocent client feels beside attackers, and whether the server still ends when told to."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cputime import cpu_seconds
from benchmarks.processes import Child, ChildFailed, cpus_for

__all__ = ["CROWDS", "Crowd", "Delay", "Outcome", "play"]

START_SECONDS = 20.0
SPARE_SECONDS = 30.0
SETTLE_SECONDS = 0.5  # the first burst fills the kernel's buffers: it is not counted
HTTP, HTTPS, WS = range(3)
MODULE = "benchmarks.hostile"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Attackers beside each other: kind, which of the server's listeners, and how many."""

    name: str
    title: str
    parts: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """How long answers took, in seconds."""

    middle: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Delay:
        ordered = sorted(values) or [float("inf")]
        last = len(ordered) - 1
        return cls(ordered[last // 2], ordered[round(last * 0.99)], ordered[-1], len(values))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a crowd came to.

    Attributes:
        quiet, kept, fresh: the innocent client's delays: alone; on a connection that it keeps; on new ones.
        stopped: seconds from SIGTERM, the attack going on, to the server's end; None: it had to be killed.
        sent: bytes of attack.
        cpu: the server's CPU seconds while it was attacked.
        seconds: how long that was.
        memory: bytes that the server's peak of resident memory grew by.
        load: each part's share of its processor.
        lost: connections of attackers that the server ended.
    """

    crowd: Crowd
    quiet: Delay
    kept: Delay
    fresh: Delay
    stopped: float | None
    sent: int
    cpu: float
    seconds: float
    memory: int
    load: tuple[float, ...]
    lost: int


CROWDS = (
    Crowd("pipelining", "200 that pipeline 1,800 GETs each", (("pipelining", HTTP, 200),)),
    Crowd("chunks", "50 with chunks of one byte", (("chunks", HTTP, 50),)),
    Crowd("fragments", "20 with fragments of one byte", (("fragments", WS, 20),)),
    Crowd("records", "30 with TLS records of one byte", (("records", HTTPS, 30),)),
    Crowd(
        "all",
        "all of them",
        (("pipelining", HTTP, 200), ("chunks", HTTP, 50), ("fragments", WS, 20), ("records", HTTPS, 30)),
    ),
)


def play(crowd: Crowd, seconds: float) -> Outcome:
    """One server, the innocent client alone, then beside the crowd for `seconds`, then SIGTERM.

    Raises:
        ChildFailed: a process did not start, answered wrongly or did not finish.
    """
    server_cpu, load_cpu = cpus_for()
    with ExitStack() as stack:
        server = stack.enter_context(Child("the server", ["-m", f"{MODULE}.house"], cpu=server_cpu))
        server.wait_ready(START_SECONDS)
        ports = [int(port) for port in server.output()[0].split()]
        quiet = ask(ports[HTTP], seconds / 2, load_cpu)
        memory = peak_memory(server.pid)
        attackers = []
        for kind, listener, count in crowd.parts:
            arguments = [
                f"--connections={count}",
                f"--port={ports[listener]}",
                f"--seconds={seconds * 3 + 40}",
            ]
            child = Child(kind, ["-m", f"{MODULE}.attackers", kind, *arguments], cpu=load_cpu)
            attackers.append(stack.enter_context(child))
        for child in attackers:
            child.wait_ready(START_SECONDS)
        for child in attackers:
            os.kill(child.pid, signal.SIGUSR1)
        time.sleep(SETTLE_SECONDS)
        before, begun = cpu_seconds(server.pid), time.monotonic()
        beside = ask(ports[HTTP], seconds, load_cpu)
        cpu, ended = cpu_seconds(server.pid) - before, time.monotonic()
        grown = peak_memory(server.pid) - memory
        told = time.monotonic()
        server.stop(SPARE_SECONDS)
        stopped = None if server.killed else time.monotonic() - told
        found = []
        for child in attackers:
            child.stop()
            found.append(json.loads(child.wait_done(START_SECONDS)))
    return Outcome(
        crowd,
        Delay.of(quiet["kept"] + quiet["fresh"]),
        Delay.of(beside["kept"]),
        Delay.of(beside["fresh"]),
        stopped,
        sum(sent_by(part["samples"], ended) - sent_by(part["samples"], begun) for part in found),
        cpu,
        ended - begun,
        grown,
        tuple(part["load"] for part in found),
        sum(part["lost"] for part in found),
    )


def sent_by(samples: list[tuple[float, int]], when: float) -> int:
    """Bytes at the last look before `when`; the clock is the same for all processes."""
    return max((sent for at, sent in samples if at <= when), default=0)


def ask(port: int, seconds: float, cpu: int) -> dict[str, list[float]]:
    """The innocent client's delays."""
    arguments = ["-m", f"{MODULE}.innocent", f"--port={port}", f"--seconds={seconds}"]
    with Child("the innocent client", arguments, cpu=cpu) as child:
        result: dict[str, list[float]] = json.loads(child.wait_done(seconds + SPARE_SECONDS))
    return result


def peak_memory(pid: int) -> int:
    """The most resident memory that the process has had, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ChildFailed(f"process {pid} tells no VmHWM")
