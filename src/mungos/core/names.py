"""How a manager's lookups are made: what the system's files say, and what earlier lookups have learned."""

from __future__ import annotations

from mungos.dns import Cache, Hosts, ResolverConfig, SystemFiles

__all__ = ["Names"]


class Names:
    """What all lookups of a manager have in common.

    Args:
        given: how names are looked up; as the system's files have it when None.

    Attributes:
        files: the system's files.
    """

    __slots__ = ("_cache", "_config", "_given", "files")

    def __init__(self, given: tuple[ResolverConfig, Hosts] | None) -> None:
        self.files = SystemFiles()
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
