"""What a test left behind: descriptors, threads and child processes that were not there before it."""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PAUSE = 0.01  # seconds between looks at things that are about to end by themselves


@dataclass(frozen=True, slots=True)
class Holdings:
    """What this process holds.

    Attributes:
        descriptors: number and what it stands for, as /proc names it ("socket:[4711]").
        threads: every live thread of Python's.
        children: child processes, zombies too, by number and name.
    """

    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    children: frozenset[tuple[int, str]]


def holdings() -> Holdings:
    """What this process holds now."""
    return Holdings(frozenset(_descriptors()), frozenset(threading.enumerate()), frozenset(_children()))


def left_behind(before: Holdings, patience: float) -> list[str]:
    """What is held now and was not before, in words; things that are about to end get `patience` seconds."""
    found = _difference(before)
    if not found:
        return []
    gc.collect()  # what only a cycle held is no leak; its finalizer may warn, and warnings are errors
    end = time.monotonic() + patience
    while (found := _difference(before)) and time.monotonic() < end:
        time.sleep(PAUSE)
    return found


def _difference(before: Holdings) -> list[str]:
    now = holdings()
    found = [
        f"descriptor {number}: {target}" for number, target in sorted(now.descriptors - before.descriptors)
    ]
    for thread in sorted(now.threads - before.threads, key=lambda each: each.name):
        found.append(f"thread {thread.name!r}{' (daemon)' if thread.daemon else ''}")
    found += [f"child process {pid}: {name}" for pid, name in sorted(now.children - before.children)]
    return found


def _descriptors() -> list[tuple[int, str]]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return found


def _children() -> list[tuple[int, str]]:
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            pids = Path(f"/proc/self/task/{task}/children").read_text().split()
        except OSError:  # the thread ended, or a kernel without CONFIG_PROC_CHILDREN
            continue
        for pid in pids:
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            found.append((int(pid), name))
    return found
