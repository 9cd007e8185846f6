"""Who holds which pipe and which socket: the descriptors of all processes that matter, by inode."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from mungos.lab.autopsy.proc import command_of, names, shortened
from mungos.lab.facts import Holder

__all__ = ["Entry", "Holders", "entries_of"]

MOST_ENTRIES = 20_000  # of one process; its limit is seldom higher
COMMAND_SHOWN = 80  # characters
_NUMBERED = re.compile(r"(pipe|socket):\[(\d+)\]")
_READABLE, _WRITABLE = 0o400, 0o200  # of the link in /proc/PID/fd


@dataclass(frozen=True, slots=True)
class Entry:
    """One descriptor as the link in /proc/PID/fd shows it."""

    number: int
    target: str
    what: str = ""  # "pipe" or "socket"; a FIFO with a name is a pipe
    inode: int = 0
    end: str = ""  # of a pipe


def entries_of(pid: int, until: float) -> tuple[list[Entry], int]:
    """A process's descriptors and how many there are.

    Args:
        pid: whose.
        until: instant (monotonic) at which the list is cut short.
    """
    folder = f"/proc/{pid}/fd"
    numbers = names(folder)
    found: list[Entry] = []
    for number in numbers[:MOST_ENTRIES]:
        path = f"{folder}/{number}"
        try:
            target = os.readlink(path)
            match = _NUMBERED.fullmatch(target)
            if match is None:
                found.append(_named(number, target, path))
            elif match[1] == "socket":
                found.append(Entry(number, target, "socket", int(match[2])))
            else:
                found.append(Entry(number, target, "pipe", int(match[2]), _end(os.lstat(path).st_mode)))
        except OSError:  # closed meanwhile
            continue
        if len(found) % 256 == 0 and time.monotonic() > until:
            break
    return found, len(numbers)


def _named(number: int, target: str, path: str) -> Entry:
    # A FIFO bears its path. Others with a path are looked at no further than its name: a file on a dead
    # network mount would hold us up.
    if target.startswith("/") and not target.startswith(("/dev/", "/memfd:", "/proc/", "/sys/")):
        found = os.stat(path)
        if found.st_mode & 0o170000 == 0o010000:
            return Entry(number, target, "pipe", found.st_ino, _end(os.lstat(path).st_mode))
    return Entry(number, target)


def _end(mode: int) -> str:
    if mode & _READABLE and mode & _WRITABLE:
        return "both"
    return "read" if mode & _READABLE else "write"


@dataclass(slots=True)
class Holders:
    """The index. `own` are the lab's processes."""

    own: frozenset[int]
    commands: dict[int, str]
    by_inode: dict[tuple[str, int], list[tuple[int, Entry]]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def enter(self, pid: int, entries: Iterable[Entry]) -> None:
        """What a process holds."""
        self.seen.add(pid)
        for entry in entries:
            if entry.what:
                self.by_inode.setdefault((entry.what, entry.inode), []).append((pid, entry))

    def look_around(self, until: float) -> bool:
        """Look at every other process of the machine; False when time ran out before the last."""
        for pid in names("/proc"):
            if pid not in self.seen:
                if time.monotonic() > until:
                    return False
                self.enter(pid, entries_of(pid, until)[0])
        return True

    def lonely(self) -> bool:
        """Whether some pipe lacks an end, or a socket's opposite may be elsewhere."""
        for (what, _), held in self.by_inode.items():
            if what == "pipe":
                ends = {entry.end for _, entry in held}
                if "both" not in ends and len(ends) < 2:
                    return True
        return False

    def opposite(self, entry: Entry, pid: int) -> tuple[Holder, ...]:
        """Who holds the other end of a pipe, the process itself last."""
        wanted = {"read": {"write", "both"}, "write": {"read", "both"}}.get(
            entry.end, {"read", "write", "both"}
        )
        found = [
            (holder, other)
            for holder, other in self.by_inode.get(("pipe", entry.inode), ())
            if other.end in wanted and not (holder == pid and other.number == entry.number)
        ]
        return self._named(found, pid)

    def of_socket(self, inodes: Iterable[int], pid: int, number: int) -> tuple[Holder, ...]:
        """Who holds any of these sockets, this very descriptor aside."""
        found = [
            (holder, other)
            for inode in inodes
            for holder, other in self.by_inode.get(("socket", inode), ())
            if not (holder == pid and other.number == number)
        ]
        return self._named(found, pid)

    def _named(self, found: list[tuple[int, Entry]], pid: int) -> tuple[Holder, ...]:
        found.sort(key=lambda each: (each[0] == pid, each[0], each[1].number))
        return tuple(Holder(holder, entry.number, self.command(holder)) for holder, entry in found)

    def command(self, pid: int) -> str:
        """A process in words."""
        if pid in self.own:
            return "the lab"
        if pid not in self.commands:
            self.commands[pid] = command_of(pid)
        return shortened(self.commands[pid], COMMAND_SHOWN)
