"""Which names to ask for when a host is looked up (the search list of resolv.conf(5))."""

from __future__ import annotations

from mungos.dns.config import ResolverConfig
from mungos.dns.names import Name, name_from_text
from mungos.errors import Misuse

__all__ = ["candidates"]


def candidates(host: str, config: ResolverConfig) -> tuple[Name, ...]:
    """The names to ask for, in turn, until one has an address.

    A final dot makes a name absolute: it is the only one. A name with `ndots` dots or more is asked as it is
    first, any other one last; in between each search domain is put behind it. Names that become too long are
    left out.
    """
    absolute = name_from_text(host)
    if host.endswith("."):
        return (absolute,)
    searched: list[Name] = []
    for domain in config.search:
        try:
            searched.append(name_from_text(f"{host}.{domain}"))
        except Misuse:
            continue
    names = [absolute, *searched] if host.count(".") >= config.ndots else [*searched, absolute]
    return tuple(dict.fromkeys(names))
