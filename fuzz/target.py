"""What a target is: a function of bytes, where its inputs begin, and how a defect shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Defect", "Target", "require", "told"]


class Defect(Exception):
    """Something that must hold for any input does not."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz.

    Attributes:
        run: takes an input. Returns how it ended, in a few words: inputs that end in a new way are built
            upon. Raises for a defect, whatever the exception.
        seeds: makes the inputs to begin with.
        words: pieces that mean something to this target.
        longest: bytes of an input.
    """

    name: str
    title: str
    run: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    longest: int = 4096


def require(held: bool, what: str) -> None:
    """Raise Defect unless `held`."""
    if not held:
        raise Defect(what)


_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9]+|b?['\"].*", re.DOTALL)


def told(error: BaseException) -> str:
    """An error in words that do not depend on the input's values."""
    return f"{type(error).__name__}: {_VARIABLE.sub('#', str(error)[:80])}"
