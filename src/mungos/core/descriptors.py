"""How many descriptors a manager takes, for what, and what it leaves to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mungos.core.manager import Manager

__all__ = ["Descriptors"]

_LOOKUPS_SHARE: Final = 8
_FILES_SHARE: Final = 3  # each needs a connection, and as many may be had by those without


class Descriptors:
    """Connections count one each, from the call on; an attempt beside another one's, and a lookup, one more.
    (A lookup has two sockets at most, or one and its connection's first attempt.) So does a file that a
    response holds open while its reader takes its time.

    All together take RLIMIT_NOFILE less the reserve; attempts, lookups and files no more than a part of it,
    so that there is some left for those who want to be accepted. Of the reserve half is for the files of
    those who are connected already.

    Attributes:
        most_connections: connections that there may be.
        beside: addresses that are being tried, beside the first of each connection.
        lookups: lookups that have sockets.
        files: files that responses hold open.
    """

    __slots__ = (
        "_beside_most",
        "_files_most",
        "_lookups_most",
        "_manager",
        "_reserved",
        "_spare",
        "beside",
        "files",
        "lookups",
        "most_connections",
    )

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.beside = self.lookups = self.files = 0
        self.look()

    def look(self) -> None:
        """How many are there? The limit may have been raised."""
        limits, allowed = self._manager.limits, self._manager.wire.descriptor_limit()
        self.most_connections = limits.max_connections
        self._lookups_most = limits.max_lookups
        self._spare: int | None = None
        self._beside_most: int | None = None
        self._files_most = self._reserved = 0
        if allowed is not None:
            self._reserved = reserved = min(limits.reserved_descriptors, allowed // 4)
            self._spare = spare = allowed - reserved
            self.most_connections = min(limits.max_connections, spare)
            self._beside_most = spare - self.most_connections + reserved // 2
            self._lookups_most = min(limits.max_lookups, max(1, spare // _LOOKUPS_SHARE))
            self._files_most = max(1, spare // _FILES_SHARE)

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

    @property
    def for_file(self) -> bool:
        """Whether a response may hold another file open."""
        return self._spare is None or (
            self.files < self._files_most and self._taken() < self._spare + self._reserved // 2
        )

    def _none_left(self) -> bool:
        return self._spare is not None and self._taken() >= self._spare

    def _taken(self) -> int:
        return len(self._manager.connections) + self.beside + self.lookups + self.files

    def attempt_ended(self) -> None:
        """One that was beside another, or after which another one stays."""
        self.beside -= 1
        self.freed()

    def lookup_ended(self) -> None:
        """Its sockets are released."""
        self.lookups -= 1
        self.freed()

    def file_ended(self) -> None:
        """It is closed, or about to be."""
        self.files -= 1
        self.freed()

    def freed(self) -> None:
        """One less is taken: if it was the last one, there is room again."""
        manager = self._manager
        last = len(manager.connections) == self.most_connections - 1
        if last or (self._spare is not None and self._taken() == self._spare - 1):
            for listener in manager.listeners.values():
                listener.look_again()
