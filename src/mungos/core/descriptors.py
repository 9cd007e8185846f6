"""How many descriptors a manager takes, for what, and what it leaves to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mungos.core.manager import Manager

__all__ = ["Descriptors"]

_LOOKUPS_SHARE: Final = 8


class Descriptors:
    """Connections count one each, from the call on; an attempt beside another one's, and a lookup, one more.
    (A lookup has two sockets at most, or one and its connection's first attempt.)

    All together take RLIMIT_NOFILE less the reserve; attempts and lookups no more than a part of it, so that
    there is some left for those who want to be accepted.

    Attributes:
        most_connections: connections that there may be.
        beside: addresses that are being tried, beside the first of each connection.
        lookups: lookups that have sockets.
    """

    __slots__ = (
        "_beside_most",
        "_lookups_most",
        "_manager",
        "_spare",
        "beside",
        "lookups",
        "most_connections",
    )

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.beside = self.lookups = 0
        self.look()

    def look(self) -> None:
        """How many are there? The limit may have been raised."""
        limits, allowed = self._manager.limits, self._manager.wire.descriptor_limit()
        self.most_connections = limits.max_connections
        self._lookups_most = limits.max_lookups
        self._spare: int | None = None
        self._beside_most: int | None = None
        if allowed is not None:
            reserved = min(limits.reserved_descriptors, allowed // 4)
            self._spare = spare = allowed - reserved
            self.most_connections = min(limits.max_connections, spare)
            self._beside_most = spare - self.most_connections + reserved // 2
            self._lookups_most = min(limits.max_lookups, max(1, spare // _LOOKUPS_SHARE))

    @property
    def full(self) -> bool:
        """Whether there may be no more connections."""
        return len(self._manager.connections) >= self.most_connections or self._none_left()

    @property
    def for_attempt(self) -> bool:
        """Whether there is one for an attempt beside another one's of the same connection."""
        return self._beside_most is None or (self.beside < self._beside_most and not self._none_left())

    @property
    def for_lookup(self) -> bool:
        """Whether there are some for another lookup; always for one."""
        return not self.lookups or (self.lookups < self._lookups_most and not self._none_left())

    def _none_left(self) -> bool:
        taken = len(self._manager.connections) + self.beside + self.lookups
        return self._spare is not None and taken >= self._spare

    def attempt_ended(self) -> None:
        """One that was beside another, or after which another one stays."""
        self.beside -= 1
        self.freed()

    def lookup_ended(self) -> None:
        """Its sockets are released."""
        self.lookups -= 1
        self.freed()

    def freed(self) -> None:
        """One less is taken: if it was the last one, there is room again."""
        manager = self._manager
        count = len(manager.connections)
        last = count == self.most_connections - 1
        if last or (self._spare is not None and count + self.beside + self.lookups == self._spare - 1):
            for listener in manager.listeners.values():
                listener.look_again()
