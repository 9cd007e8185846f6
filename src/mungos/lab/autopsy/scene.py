"""What a system call's description may look at, and the words that all of them share."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mungos.lab.autopsy.memory import Memory
from mungos.lab.facts import Descriptor, EpollEntry

__all__ = [
    "CLOCKS",
    "Relative",
    "Scene",
    "Words",
    "as_int",
    "at_most",
    "limit",
    "mask_to_set",
    "seconds",
    "signals_in_words",
    "thread_in_words",
    "timespec",
]

NANO = 1e-9
CLOCKS = {0: time.CLOCK_REALTIME, 1: time.CLOCK_MONOTONIC, 7: time.CLOCK_BOOTTIME}


class Relative(NamedTuple):
    """A process of the tree as another one's system call may name it."""

    outer: int
    inner: tuple[int, ...]  # its numbers, from the lab's namespace inwards
    parent: int
    state: str
    command: str


class Words(NamedTuple):
    """A description: what follows the call's name, the time-out in seconds, and whether there is none.

    `left` is what is left of the time-out, where the call names an instant and so it can be told;
    `polled` and `holder` are those of `SystemCall`.
    """

    text: str
    timeout: float | None = None
    forever: bool = False
    left: float | None = None
    polled: tuple[EpollEntry, ...] = ()
    holder: int | None = None


@dataclass(slots=True)
class Scene:
    """Everything that a description may need of the process.

    Attributes:
        pid, inner: its numbers.
        level: how deep its PID namespace lies.
        machine: whose system call numbers it uses.
        descriptors: by number.
        threads: inner number to outer number and name, of its own threads.
        relatives: the tree's processes.
        locks: lines of /proc/locks.
        ready: asks poll() about descriptors and events.
        now: clocks at the time of the autopsy.
        thread: inner number of the thread whose call is described.
    """

    pid: int
    inner: int
    level: int
    machine: str
    memory: Memory
    descriptors: Mapping[int, Descriptor]
    threads: Mapping[int, tuple[int, str]]
    relatives: Sequence[Relative]
    locks: Sequence[str] = ()
    ready: Callable[[Sequence[tuple[int, int]]], dict[int, int]] = lambda _wanted: {}
    thread: int = 0
    now: Mapping[int, float] = field(
        default_factory=lambda: {key: time.clock_gettime(clock) for key, clock in CLOCKS.items()}
    )


def signals_in_words(numbers: frozenset[int] | set[int]) -> str:
    """SIGTERM, SIGINT, …"""
    shown = []
    for number in sorted(numbers):
        try:
            shown.append(signal.Signals(number).name)
        except ValueError:
            shown.append(f"signal {number}")
    return ", ".join(shown)


def mask_to_set(mask: int) -> frozenset[int]:
    """A signal mask as a set of numbers."""
    return frozenset(at + 1 for at in range(64) if mask >> at & 1)


def as_int(value: int) -> int:
    """An argument as a C int."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def seconds(value: float) -> str:
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def at_most(timeout: float | None, forever: bool) -> str:
    if forever:
        return ", without a time-out"
    return "" if timeout is None else f", at most {seconds(timeout)}"


def timespec(scene: Scene, address: int, wide: bool = False) -> float | None:
    """Seconds of a timespec; `wide` when both halves have 64 bits on any machine."""
    found = scene.memory.numbers(address, "qq" if wide else "ww")
    return None if found is None else found[0] + found[1] * NANO


def limit(scene: Scene, address: int, wide: bool = False) -> tuple[float | None, bool]:
    """A time-out by its pointer: none, when it is zero."""
    return (None, True) if address == 0 else (timespec(scene, address, wide), False)


def thread_in_words(scene: Scene, inner: int) -> str:
    """A thread of the process, by the number that it has inside."""
    known = scene.threads.get(inner)
    return f"thread {known[0]} ({known[1]})" if known is not None else f"thread {inner}"
