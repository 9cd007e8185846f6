"""The ledger: whatever is acquired is entered with its place of creation, and struck out when released."""

from __future__ import annotations

import os.path
import sys
from collections import Counter
from collections.abc import Iterator
from types import CodeType
from typing import Literal

__all__ = ["KINDS", "Entry", "Kind", "Ledger", "Origin", "calling_place"]

Kind = Literal["descriptor", "engine", "lookup", "thread", "timer"]
KINDS: tuple[Kind, ...] = ("descriptor", "engine", "lookup", "thread", "timer")

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_COMMANDS = os.path.join(_PACKAGE, "cli") + os.sep


class Origin:
    """A place in the source: a code object and a line, which cost nothing to keep."""

    __slots__ = ("code", "line")

    def __init__(self, code: CodeType | None, line: int) -> None:
        self.code = code
        self.line = line

    def __str__(self) -> str:
        if self.code is None:
            return "unknown place"
        return f"{self.code.co_filename}:{self.line} in {self.code.co_qualname}"

    def __repr__(self) -> str:
        return f"Origin({self})"


def calling_place() -> Origin:
    """The nearest place in the stack that is not inside this package; its commands count as outside."""
    frame = sys._getframe(1)
    here = frame
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE) or name.startswith(_COMMANDS):
            return Origin(frame.f_code, frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return Origin(here.f_code, here.f_lineno)


class Entry:
    """One thing acquired and not yet released."""

    __slots__ = ("kind", "origin", "since", "what")

    def __init__(self, kind: Kind, what: str, origin: Origin, since: float) -> None:
        self.kind = kind
        self.what = what
        self.origin = origin
        self.since = since

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}, made at {self.origin}"

    def __repr__(self) -> str:
        return f"Entry({self})"


class Ledger:
    """Entries by number. `made` and `freed` count over the whole life."""

    __slots__ = ("_entries", "_next", "freed", "made")

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._next = 0
        self.made: Counter[str] = Counter()
        self.freed: Counter[str] = Counter()

    def enter(self, kind: Kind, what: str, origin: Origin, now: float) -> int:
        """Enter a thing; returns the number by which it is struck out."""
        self._next += 1
        self._entries[self._next] = Entry(kind, what, origin, now)
        self.made[kind] += 1
        return self._next

    def strike(self, number: int) -> None:
        """Strike a thing out. A number that is not there is a defect: the thing was freed twice."""
        entry = self._entries.pop(number)
        self.freed[entry.kind] += 1

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def census(self) -> dict[Kind, int]:
        """How many of each kind are alive: zero for each after a close."""
        counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        for entry in self._entries.values():
            counts[entry.kind] += 1
        return counts
