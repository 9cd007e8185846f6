"""What is remembered from one lookup to the next: answers, and what name servers can't read. No clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mungos import checking
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.messages import Question
from mungos.dns.names import Name, folded, name_to_text

__all__ = ["MAX_KNOWN_SERVERS", "Cache", "CachedAnswer", "Level"]

MAX_KNOWN_SERVERS = 64
"""Name servers of which a level is remembered, or that they were silent; the one learned longest ago makes
room."""

# What an entry costs beside its octets and texts, on a 64-bit build: the objects and their places in tables.
_ENTRY_BYTES = 512
_LABEL_BYTES = 40
_ADDRESS_BYTES = 72


class Level(IntEnum):
    """How a name server is asked; each level is for those that fail at the one before."""

    EDNS = 0
    PLAIN = 1
    STREAM = 2


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """One answer that is remembered.

    Attributes:
        name: the name asked for, in lower case, without a final dot.
        type: the type of record asked for.
        addresses: canonical literals; none for a negative answer.
        exists: False when there is no such name, of whatever type (NXDOMAIN).
        expires: the instant until which it holds, on the caller's clock.
    """

    name: str
    type: int
    addresses: tuple[str, ...]
    exists: bool
    expires: float


class Cache:
    """Answers of name servers, negative ones too (RFC 2308), for as long as their TTLs allow; and how each
    server must be asked (RFC 6891 section 6.2.2), and which were silent. A manager has one for all its
    lookups.

    Failures are not kept, nor what has a TTL of 0 or no SOA record; where room is short, what was used
    longest ago goes first.

    Args:
        config: the bounds are its `cache_entries`, `cache_bytes`, `longest_ttl`, `longest_negative_ttl`,
            `level_lifetime` and `silence_lifetime`.

    Raises:
        Misuse: it is no configuration.

    Attributes:
        size: bytes held, by estimate.
    """

    __slots__ = ("_answers", "_config", "_levels", "_silent", "size")

    def __init__(self, config: ResolverConfig) -> None:
        checking.instance("config", config, ResolverConfig, write="ResolverConfig(...)")
        self._config = config
        self._answers: dict[tuple[Name, int], tuple[CachedAnswer, int]] = {}
        self._levels: dict[ServerAddress, tuple[Level, float]] = {}
        self._silent: dict[ServerAddress, float] = {}
        self.size = 0

    def __len__(self) -> int:
        """How many answers are held, those included whose time is over and that nobody asked for since."""
        return len(self._answers)

    def __repr__(self) -> str:
        return f"Cache({len(self._answers)} answers, {self.size} bytes)"

    def answers(self, now: float) -> tuple[CachedAnswer, ...]:
        """All that still holds at `now`, in seconds on the caller's clock; what was used last comes last."""
        return tuple(answer for answer, _ in self._answers.values() if now < answer.expires)

    def clear(self) -> None:
        """Forget everything: the next lookup asks the servers, in their order, and asks them with EDNS."""
        self._answers.clear()
        self._levels.clear()
        self._silent.clear()
        self.size = 0

    def find(self, question: Question, now: float) -> CachedAnswer | None:
        """The answer to a question, if it still holds at `now`."""
        key = (folded(question.name), question.type)
        held = self._answers.get(key)
        if held is None:
            return None
        if now >= held[0].expires:
            self._drop(key)
            return None
        # The end of the table is what was used last.
        self._answers[key] = self._answers.pop(key)
        return held[0]

    def keep(
        self, question: Question, addresses: tuple[str, ...], *, exists: bool, ttl: float, now: float
    ) -> None:
        """Remember an answer.

        Args:
            question: what was asked.
            addresses: what it gave; none for a negative answer.
            exists: False when there is no such name.
            ttl: seconds for which the server lets it be kept; cut to the bounds here.
            now: the present, in seconds on the caller's clock.
        """
        config = self._config
        name = folded(question.name)
        key = (name, question.type)
        self._drop(key)
        ttl = min(ttl, config.longest_ttl if addresses else config.longest_negative_ttl)
        if ttl <= 0:
            return
        size = _ENTRY_BYTES + 2 * sum(map(len, name)) + _LABEL_BYTES * len(name)
        size += sum(map(len, addresses)) + _ADDRESS_BYTES * len(addresses)
        if size > config.cache_bytes or not config.cache_entries:
            return
        while len(self._answers) >= config.cache_entries or self.size + size > config.cache_bytes:
            self._drop(next(iter(self._answers)))
        answer = CachedAnswer(name_to_text(name), question.type, addresses, exists, now + ttl)
        self._answers[key] = (answer, size)
        self.size += size

    def level(self, server: ServerAddress, now: float) -> Level:
        """How a server is to be asked first."""
        known, until = self._levels.get(server, (Level.EDNS, now))
        return known if now < until else Level.EDNS

    def learn(self, server: ServerAddress, level: Level, now: float) -> None:
        """A server gave an answer at this level. What it has answered with EDNS is held to be no accident:
        until that is forgotten, an answer without proves nothing."""
        known, until = self._levels.get(server, (level, now))
        if now < until and known <= level:
            return
        self._levels.pop(server, None)
        while len(self._levels) >= MAX_KNOWN_SERVERS:
            del self._levels[next(iter(self._levels))]
        self._levels[server] = (level, now + self._config.level_lifetime)

    def is_silent(self, server: ServerAddress, now: float) -> bool:
        """Whether the others are to be asked before this one."""
        return now < self._silent.get(server, now)

    def was_silent(self, server: ServerAddress, now: float) -> None:
        """A server let the time for a turn of its pass."""
        self._silent.pop(server, None)
        while len(self._silent) >= MAX_KNOWN_SERVERS:
            del self._silent[next(iter(self._silent))]
        self._silent[server] = now + self._config.silence_lifetime

    def has_spoken(self, server: ServerAddress) -> None:
        """Whatever it was, there is somebody."""
        self._silent.pop(server, None)

    def _drop(self, key: tuple[Name, int]) -> None:
        held = self._answers.pop(key, None)
        if held is not None:
            self.size -= held[1]
