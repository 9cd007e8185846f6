"""The three small machines of a connection's life, as data. Nothing here knows which role it plays.

A transition that is not in its table raises. The pictures in `docs/architecture.md` are drawn from these
tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

__all__ = [
    "PHASES",
    "READ_SIDES",
    "WRITE_SIDES",
    "IllegalTransition",
    "Phase",
    "ReadSide",
    "WriteSide",
    "step",
]


class Phase(Enum):
    """What the connection as a whole is doing; each name says what is being waited for."""

    LISTENING = "listening"
    RESOLVING = "resolving"
    CONNECTING = "connecting"
    TUNNELLING = "tunnelling"
    SECURING = "securing"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ReadSide(Enum):
    """The peer's direction."""

    OPEN = "open"
    ENDED = "ended"
    TRUNCATED = "truncated"
    FAILED = "failed"


class WriteSide(Enum):
    """Our direction."""

    OPEN = "open"
    FLUSHING = "flushing"
    ENDED = "ended"


State = TypeVar("State", bound=Enum)

PHASES: Mapping[Phase, frozenset[Phase]] = {
    Phase.LISTENING: frozenset({Phase.CLOSED}),
    Phase.RESOLVING: frozenset({Phase.CONNECTING, Phase.CLOSED}),
    Phase.CONNECTING: frozenset({Phase.TUNNELLING, Phase.SECURING, Phase.OPEN, Phase.CLOSED}),
    Phase.TUNNELLING: frozenset({Phase.SECURING, Phase.OPEN, Phase.CLOSING, Phase.CLOSED}),
    Phase.SECURING: frozenset({Phase.OPEN, Phase.CLOSING, Phase.CLOSED}),
    # open → securing is STARTTLS.
    Phase.OPEN: frozenset({Phase.SECURING, Phase.CLOSING, Phase.CLOSED}),
    Phase.CLOSING: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}

READ_SIDES: Mapping[ReadSide, frozenset[ReadSide]] = {
    ReadSide.OPEN: frozenset({ReadSide.ENDED, ReadSide.TRUNCATED, ReadSide.FAILED}),
    ReadSide.ENDED: frozenset(),
    ReadSide.TRUNCATED: frozenset(),
    ReadSide.FAILED: frozenset(),
}

WRITE_SIDES: Mapping[WriteSide, frozenset[WriteSide]] = {
    WriteSide.OPEN: frozenset({WriteSide.FLUSHING, WriteSide.ENDED}),
    WriteSide.FLUSHING: frozenset({WriteSide.ENDED}),
    WriteSide.ENDED: frozenset(),
}


class IllegalTransition(RuntimeError):
    """A defect of this package: a state was left by an arrow that its table does not have."""


def step(table: Mapping[State, frozenset[State]], old: State, new: State) -> State:
    """Return `new` if the table allows the arrow; raise IllegalTransition if it does not."""
    if new not in table[old]:
        raise IllegalTransition(f"{type(old).__name__}: {old.value} → {new.value} is not in the table")
    return new
