"""What a lookup has to know of its surroundings: servers, search list, patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
    """How to ask for names.

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
        Misuse: when a value is out of its range.
    """

    servers: tuple[ServerAddress, ...] = (ServerAddress("127.0.0.1"),)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2
    rotate: bool = False
    use_stream: bool = False
    payload_size: int = 1232
    grace: float = 0.5

    def __post_init__(self) -> None:
        if not self.servers:
            raise Misuse("a resolver needs one server at least")
        for server in self.servers:
            if literal(server.host) is None or not 0 < server.port < 0x10000:
                raise Misuse(
                    f"name server {server.host!r} port {server.port}: write an IP address and 1 to 65535"
                )
        if len(self.search) > MAX_SEARCH_DOMAINS:
            raise Misuse(f"{len(self.search)} search domains: at most {MAX_SEARCH_DOMAINS} are allowed")
        for domain in self.search:
            name_from_text(domain)
        if not 0 <= self.ndots <= MAX_NDOTS:
            raise Misuse(f"ndots is {self.ndots}: 0 to {MAX_NDOTS} are allowed")
        if not 0 < self.timeout <= MAX_TIMEOUT:
            raise Misuse(
                f"timeout is {self.timeout:g} s: more than 0 and at most {MAX_TIMEOUT:g} s are allowed"
            )
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise Misuse(f"attempts are {self.attempts}: 1 to {MAX_ATTEMPTS} are allowed")
        if not 512 <= self.payload_size <= 4096:
            raise Misuse(f"payload_size is {self.payload_size} octets: 512 to 4096 are allowed")
        if not 0 <= self.grace <= MAX_TIMEOUT:
            raise Misuse(f"grace is {self.grace:g} s: 0 to {MAX_TIMEOUT:g} s are allowed")
