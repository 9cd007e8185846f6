"""What a lookup has to know of its surroundings: servers, search list, patience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mungos import checking
from mungos.addresses import literal
from mungos.dns.names import name_from_text
from mungos.errors import Misuse

__all__ = [
    "DNS_PORT",
    "MAX_ATTEMPTS",
    "MAX_NDOTS",
    "MAX_SEARCH_DOMAINS",
    "MAX_SERVERS",
    "MAX_TIMEOUT",
    "ResolverConfig",
    "ServerAddress",
]

DNS_PORT = 53
MAX_SERVERS = 3
"""Servers read from a file, as resolv.conf(5) has it; a configuration made by hand may have more."""
MAX_NDOTS = 15
MAX_TIMEOUT = 30.0
"""Seconds."""
MAX_ATTEMPTS = 5
MAX_SEARCH_DOMAINS = 32


class ServerAddress(NamedTuple):
    """Where a name server listens: an IP address literal, with a scope where it needs one, and a port."""

    host: str
    port: int = DNS_PORT


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """How to ask for names. Sequences are kept as tuples.

    Attributes:
        servers: whom to ask, in this order; at least one.
        search: domains that are put behind a name with fewer than `ndots` dots, in turn, before it is asked
            for as it is; and behind any other name without a final dot after that found nothing.
        ndots: 0 to 15.
        timeout: seconds to wait for one answer, at most 30.
        attempts: how many times each server is asked, 1 to 5.
        rotate: begin each lookup with a server drawn by lot, to spread the load.
        use_stream: ask over TCP from the start (`use-vc`).
        payload_size: the largest datagram to accept, told to the servers by EDNS (RFC 6891 section 6.2.3):
            512 to 4096 octets; 1232 avoids fragments.
        grace: seconds that the second family is still waited for once the first has addresses; RFC
            8305 section 3 recommends 0.05 where a late answer can still be added, which it can't be here.

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
    grace: float = 0.5

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
        checking.seconds("grace", self.grace, zero=True, most=MAX_TIMEOUT)
        checking.numbers(self, zero=("grace", "ndots"))


_SERVERS = '(ServerAddress("192.0.2.1"),), an IP address and, where it is not 53, a port, 1 to 65535'


def _server(given: tuple[object, ...]) -> ServerAddress:
    host, port = (*given, DNS_PORT)[:2] if 1 <= len(given) <= 2 else (None, None)
    if not isinstance(host, str) or literal(host) is None:
        raise checking.wrong("a name server's host", host, _SERVERS)
    checking.count("a name server's port", port, 1, 0xFFFF)
    return ServerAddress(host, port)  # type: ignore[arg-type]  # it is a count
