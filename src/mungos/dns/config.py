"""What a lookup has to know of its surroundings: servers, search list, patience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from mungos import checking
from mungos.addresses import literal
from mungos.dns.names import name_from_text
from mungos.errors import Misuse

__all__ = [
    "DNS_PORT",
    "MAX_ATTEMPTS",
    "MAX_CACHE",
    "MAX_NDOTS",
    "MAX_SEARCH_DOMAINS",
    "MAX_SERVERS",
    "MAX_TIMEOUT",
    "MAX_TTL",
    "ResolverConfig",
    "ServerAddress",
]

DNS_PORT = 53
MAX_SERVERS = 3
"""Servers read from a file, as resolv.conf(5) has it; a configuration made by hand may have more."""

MAX_NDOTS = 15
"""Dots, as resolv.conf(5) has it."""

MAX_TIMEOUT = 30.0
"""Seconds to wait for one answer, and of each other wait of a lookup."""

MAX_ATTEMPTS = 5
"""Times that a server is asked, as resolv.conf(5) has it."""

MAX_SEARCH_DOMAINS = 32
"""Domains of the search list."""

MAX_CACHE = 1 << 30
"""Entries, and bytes, that a configuration may ask to remember."""

MAX_TTL = 7 * 24 * 3600.0
"""Seconds: more than RFC 8767 section 4 advises to keep anything is a slip of the pen."""

_SERVERS = '(ServerAddress("192.0.2.1"),), an IP address and, where it is not 53, a port, 1 to 65535'
_SECONDS = {
    "resolution_delay": MAX_TIMEOUT,
    "grace": MAX_TIMEOUT,
    "level_lifetime": MAX_TTL,
    "silence_lifetime": MAX_TTL,
    "longest_ttl": MAX_TTL,
    "longest_negative_ttl": MAX_TTL,
}


class _HostAndPort(NamedTuple):
    host: str
    port: int


class ServerAddress(_HostAndPort):
    """Where a name server listens: an IP address literal, with a scope where it needs one, and a port.

    Raises:
        Misuse: they are none.
    """

    __slots__ = ()

    def __new__(cls, host: str, port: int = DNS_PORT) -> Self:
        """Judge both."""
        given: object = host
        if not isinstance(given, str) or literal(given) is None:
            raise checking.wrong("a name server's host", given, _SERVERS)
        checking.count("a name server's port", port, 1, 0xFFFF)
        return super().__new__(cls, host, port)


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """How to ask for names. Sequences are kept as tuples.

    Attributes:
        servers: whom to ask, in this order; at least one.
        search: domains that are put behind a name with fewer than `ndots` dots, in turn, before it is asked
            for as it is; and behind any other name without a final dot after that found nothing.
        ndots: dots in a name, 0 to 15, below which the search list comes first. At it: the name is asked for
            as it is first.
        timeout: seconds to wait for one answer, at most 30. At it: the next attempt, within its share of
            `Limits.resolve_within`.
        attempts: times that each server is asked, 1 to 5. At it: the lookup fails, or `timed out`.
        rotate: begin each lookup with a server drawn by lot, to spread the load.
        use_stream: ask over TCP from the start (`use-vc`).
        payload_size: octets of the largest datagram to accept, told to the servers by EDNS (RFC 6891 section
            6.2.3): 512 to 4096; 1232 avoids fragments. At it: the server cuts its answer, which is asked for
            over TCP.
        resolution_delay: seconds that IPv4 addresses wait for IPv6 ones before they are told of (RFC 8305
            section 3); IPv6 addresses wait for nothing. At it: they are tried.
        grace: seconds that the second family is still asked for once the first has addresses; what it gives
            joins those that are being tried. At it: it is asked for no longer.
        level_lifetime: seconds for which it is remembered how a server must be asked: with EDNS, without, or
            over TCP. At it: it is tried anew.
        silence_lifetime: seconds for which a server that let a turn of its pass is asked after the others,
            unless it answers before; 0: never. At it: it has its place in `servers` again.
        cache_entries: answers that are remembered, 0 for none. At it: the one not used for longest makes
            room.
        cache_bytes: bytes of memory for them, by estimate. At it: the one not used for longest makes room.
        longest_ttl: seconds that an answer with addresses is remembered at most, whatever its TTL; 0: never.
            At it: the servers are asked again.
        longest_negative_ttl: seconds that it is remembered at most that there is no such name or address (RFC
            2308 section 5); 0: never. At it: the servers are asked again.

    Raises:
        Misuse: when a value is of another kind or out of its range.
    """

    servers: Sequence[ServerAddress] = (ServerAddress("127.0.0.1"),)
    search: Sequence[str] = ()
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2
    rotate: bool = False
    use_stream: bool = False
    payload_size: int = 1232
    resolution_delay: float = 0.05
    grace: float = 0.5
    level_lifetime: float = 600.0
    silence_lifetime: float = 60.0
    cache_entries: int = 1024
    cache_bytes: int = 1024 * 1024
    longest_ttl: float = 3600.0
    longest_negative_ttl: float = 300.0

    def __post_init__(self) -> None:
        servers = checking.items("servers", self.servers, tuple, write=_SERVERS)
        object.__setattr__(self, "servers", tuple(map(_server, servers)))
        if not servers:
            raise Misuse(f"servers is empty: write {_SERVERS}")
        search = checking.names("search", self.search, write='a tuple of domains: ("example.org",)')
        object.__setattr__(self, "search", search)
        if len(search) > MAX_SEARCH_DOMAINS:
            raise Misuse(f"search has {len(search)} domains: at most {MAX_SEARCH_DOMAINS} are allowed")
        for domain in search:
            name_from_text(domain)
        checking.count("ndots", self.ndots, 0, MAX_NDOTS)
        checking.seconds("timeout", self.timeout, most=MAX_TIMEOUT)
        checking.count("attempts", self.attempts, 1, MAX_ATTEMPTS)
        checking.count("payload_size", self.payload_size, 512, 4096)
        for name, most in _SECONDS.items():
            checking.seconds(name, getattr(self, name), zero=True, most=most)
        checking.count("cache_entries", self.cache_entries, 0, MAX_CACHE)
        checking.count("cache_bytes", self.cache_bytes, 0, MAX_CACHE)
        zero = ("ndots", "cache_entries", "cache_bytes", *_SECONDS)
        checking.numbers(self, zero=zero, others=("servers", "search"))


def _server(given: tuple[object, ...]) -> ServerAddress:
    host, port = (*given, DNS_PORT)[:2] if 1 <= len(given) <= 2 else (None, DNS_PORT)
    return ServerAddress(host, port)  # type: ignore[arg-type]  # judged there
