"""How a manager's lookups are made: what files say, what earlier ones have learned, and whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mungos.dns import Cache, Hosts, ResolverConfig, SystemFiles

if TYPE_CHECKING:
    from mungos.core.manager import Manager
    from mungos.core.resolving import Asking

__all__ = ["Names"]


class Names:
    """What all lookups of a manager have in common.

    Args:
        given: how names are looked up; as the system's files have it when None.

    Attributes:
        files: the system's files.
        asking: for each name, the lookup that serves all who want it.
    """

    __slots__ = ("_advancing", "_cache", "_config", "_given", "_manager", "_waiting", "asking", "files")

    def __init__(self, manager: Manager, given: tuple[ResolverConfig, Hosts] | None) -> None:
        self.files = SystemFiles()
        self.asking: dict[str, Asking] = {}
        self._manager = manager
        self._waiting: dict[Asking, None] = {}
        self._advancing = False
        self._given = given
        self._config: ResolverConfig | None = None
        self._cache: Cache | None = None

    def configuration(self, now: float) -> tuple[ResolverConfig, Hosts]:
        """The configuration at `now`. With other servers or another search list the network is another one:
        what the servers before have said counts no longer."""
        config, hosts = self._given or self.files.current(now)
        if self._config != config:
            if self._cache is not None and self._config is not None:
                self._cache.clear()
            self._config = config
        return config, hosts

    def cache(self, now: float) -> Cache:
        """What was learned."""
        if self._cache is None:
            self._cache = Cache(self.configuration(now)[0])
        return self._cache

    def enter(self, lookup: Asking) -> bool:
        """A lookup wants sockets. False: it is begun anew when others have ended."""
        descriptors = self._manager.descriptors
        if (self._waiting and not self._advancing) or not descriptors.for_lookup:
            self._waiting[lookup] = None
            return False
        descriptors.lookups += 1
        return True

    def forget(self, lookup: Asking) -> None:
        """Nobody wants it any more."""
        self._waiting.pop(lookup, None)

    def leave(self) -> None:
        """A lookup has released its sockets: those that wait have their turn."""
        self._manager.descriptors.lookup_ended()
        if self._advancing:
            return
        self._advancing = True
        failure: BaseException | None = None
        while self._waiting and self._manager.descriptors.for_lookup:
            lookup = next(iter(self._waiting))
            del self._waiting[lookup]
            try:
                lookup.begin()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure = failure or error
        self._advancing = False
        if failure is not None:
            raise failure
