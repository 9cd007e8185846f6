"""What a lookup keeps of each question, and of each time that it asks a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mungos.dns.cache import Level
from mungos.dns.config import ServerAddress
from mungos.dns.messages import Question

__all__ = ["Exchange", "Outcome", "Query", "outcome_of"]


class Outcome(Enum):
    """How one question of a candidate name ended."""

    ADDRESSES = "addresses"
    NO_DATA = "the name has no such address"
    NO_NAME = "no such name"
    FAILED = "every try failed"


@dataclass(slots=True, eq=False)
class Query:
    """One question, asked of the servers in turn until its outcome is known."""

    question: Question
    tries: int = 0
    outcome: Outcome | None = None
    addresses: tuple[str, ...] = ()
    reasons: dict[ServerAddress, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Exchange:
    """One query sent to one server, over one socket."""

    id: int
    query: Query
    server: ServerAddress
    message_id: int
    stream: bool
    level: Level
    deadline: float
    turn_ends: float
    after_silence: bool = False
    begun: bool = False
    bad_answers: int = 0
    received: bytearray = field(default_factory=bytearray)


def outcome_of(addresses: tuple[str, ...], *, exists: bool) -> Outcome:
    """How a question ended that a server has answered."""
    if addresses:
        return Outcome.ADDRESSES
    return Outcome.NO_DATA if exists else Outcome.NO_NAME
