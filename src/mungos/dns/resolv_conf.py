"""The resolver's configuration file (resolv.conf(5)), read from its text."""

from __future__ import annotations

from mungos import checking
from mungos.addresses import literal
from mungos.dns.config import (
    MAX_ATTEMPTS,
    MAX_NDOTS,
    MAX_SEARCH_DOMAINS,
    MAX_SERVERS,
    MAX_TIMEOUT,
    ResolverConfig,
    ServerAddress,
)
from mungos.dns.names import name_from_text
from mungos.errors import Misuse

__all__ = ["parse_resolv_conf"]

_NUMBERS = {"ndots": (0, MAX_NDOTS), "timeout": (1, int(MAX_TIMEOUT)), "attempts": (1, MAX_ATTEMPTS)}
_SWITCHES = frozenset({"rotate", "use-vc"})


def parse_resolv_conf(text: str) -> ResolverConfig:
    """Read `nameserver`, `domain`, `search` and `options` (ndots, timeout, attempts, rotate, use-vc).

    As in the C library: lines and options that are not understood are passed over, the first three servers
    count, of `domain` and `search` the last one that names anything does, numbers are brought into their
    range, and without a server 127.0.0.1 is asked. Unlike it, no search list is made up from the machine's
    own name, and byte order marks are passed over.

    Raises:
        Misuse: `text` is no str.
    """
    checking.instance("text", text, str, write='a str: Path("/etc/resolv.conf").read_text()')
    servers: list[ServerAddress] = []
    search: tuple[str, ...] = ()
    numbers: dict[str, int] = {}
    switches: set[str] = set()
    for line in text.replace("\ufeff", "").split("\n"):
        if line.startswith(("#", ";")):
            continue
        keyword, *words = _words(line) or ("",)
        if keyword == "nameserver":
            if words and literal(words[0]) is not None and len(servers) < MAX_SERVERS:
                servers.append(ServerAddress(words[0]))
        elif keyword in ("domain", "search"):
            # One that names nothing changes nothing; "." alone is an empty list.
            if words:
                search = _domains(words[:1] if keyword == "domain" else words)
        elif keyword == "options":
            for word in words:
                option, _, value = word.partition(":")
                if option in _SWITCHES and not value:
                    switches.add(option)
                elif option in _NUMBERS and value.isascii() and value.isdigit():
                    least, most = _NUMBERS[option]
                    # Nine digits are beyond every limit already.
                    numbers[option] = min(max(int(value[:9]), least), most)
    return ResolverConfig(
        servers=tuple(servers) or (ServerAddress("127.0.0.1"),),
        search=search,
        ndots=numbers.get("ndots", 1),
        timeout=float(numbers.get("timeout", 5)),
        attempts=numbers.get("attempts", 2),
        rotate="rotate" in switches,
        use_stream="use-vc" in switches,
    )


def _words(line: str) -> list[str]:
    words = line.split()
    for index, word in enumerate(words):
        if word.startswith(("#", ";")):
            return words[:index]
    return words


def _domains(words: list[str]) -> tuple[str, ...]:
    domains: list[str] = []
    for word in words:
        try:
            name = name_from_text(word)
        except Misuse:
            continue
        if name and len(domains) < MAX_SEARCH_DOMAINS:
            domains.append(word.rstrip(".").lower())
    return tuple(domains)
