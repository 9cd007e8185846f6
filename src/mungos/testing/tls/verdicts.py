"""What a cell of the table can say, and how a case says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["LibraryDoes", "NotApplicable", "Outcome", "Unmet", "Verdict", "expect", "require"]


class Verdict(Enum):
    """The one word of a cell."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    LIBRARY = "behaviour of the library"


class Unmet(AssertionError):
    """What a case demands did not come about.

    Args:
        wanted: what was expected.
        seen: what was seen instead.
    """

    def __init__(self, wanted: str, seen: str) -> None:
        super().__init__(f"expected: {wanted}; seen: {seen}")
        self.wanted = wanted
        self.seen = seen


class NotApplicable(Exception):
    """The cell can't be tried here; its text is the reason."""


class LibraryDoes(Exception):
    """The library below the engine decides this, and its text is what it does."""


def expect(seen: object, wanted: object, what: str) -> None:
    """Both are equal. Raises Unmet."""
    if seen != wanted:
        raise Unmet(f"{what}: {wanted!r}", repr(seen))


def require(holds: bool, wanted: str, seen: object = "it is not so") -> None:
    """It holds. Raises Unmet."""
    if not holds:
        raise Unmet(wanted, str(seen))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cell of the table.

    Attributes:
        engine: whose.
        case: the id of the row.
        role: "client" or "server", of the engine.
        cut: "FIN", "RST", "silence"; "" where no cut belongs to the case.
        verdict: the word.
        reason: of "fail" what was seen, of the others why, or what the library does.
        wanted: of "fail" what was expected.
        ends: how both sides ended, in the order in which they came about.
        seconds: processor time.
    """

    engine: str
    case: str
    role: str
    cut: str
    verdict: Verdict
    reason: str = ""
    wanted: str = ""
    ends: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The cell, in words."""
        return " ".join(part for part in (self.engine, self.case, self.role, self.cut) if part)
