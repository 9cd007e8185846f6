"""The table of hosts (hosts(5)), read from its text."""

from __future__ import annotations

from collections.abc import Mapping

from mungos import checking
from mungos.addresses import address_text, literal, normalised
from mungos.dns.names import check_host
from mungos.errors import Misuse

__all__ = ["MAX_HOST_ADDRESSES", "Hosts", "parse_hosts"]

MAX_HOST_ADDRESSES = 64
"""Addresses that one name has in the table; more are passed over."""


_TABLE = 'a tuple of addresses for each name: {"example.org": ("192.0.2.1",)}'


class Hosts:
    """Names and their addresses.

    Args:
        addresses: for each name, in any case and with or without a final dot, its address literals in order.
            They are copied, and given as they are written best: "::1" for "0:0:0:0:0:0:0:1".

    Raises:
        Misuse: it is no mapping, a name is no host's or stands there twice, or something stands where a tuple
            of address literals is wanted.
    """

    __slots__ = ("_addresses",)

    def __init__(self, addresses: dict[str, tuple[str, ...]] | None = None) -> None:
        checking.instance("addresses", addresses, Mapping, write=_TABLE, none=True)
        self._addresses: dict[str, tuple[str, ...]] = {}
        for name, found in (addresses or {}).items():
            if not isinstance(name, str):
                raise checking.wrong("a name in addresses", name, _TABLE)
            key = _key(check_host(name))
            place = f"addresses[{checking.shown(name)}]"
            if key in self._addresses:
                raise Misuse(
                    f"{place} is there twice, in another case or with a final dot: write one of them"
                )
            self._addresses[key] = tuple(
                _address(f"{place}[{at}]", each)
                for at, each in enumerate(checking.names(place, found, write=_TABLE))
            )

    def addresses(self, host: str) -> tuple[str, ...]:
        """All addresses of a host in the table's order, of both families; empty when it is not there."""
        return self._addresses.get(_key(host), ())

    def __len__(self) -> int:
        return len(self._addresses)

    def __repr__(self) -> str:
        return f"Hosts({len(self._addresses)} names)"


def parse_hosts(text: str) -> Hosts:
    """Read lines of an address and its names. What follows `#` is a comment; a line whose first word is not
    an address literal is passed over; a name on several lines has the addresses of all, each once, up to
    `MAX_HOST_ADDRESSES`. Byte order marks, which editors leave before a file's first line, are passed over.

    Raises:
        Misuse: `text` is no str.
    """
    checking.instance("text", text, str, write='a str: Path("/etc/hosts").read_text()')
    table: dict[str, tuple[str, ...]] = {}
    # Long tables mostly repeat one address.
    seen: dict[str, str | None] = {}
    for line in text.replace("\ufeff", "").split("\n"):
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        word = words[0]
        if word not in seen:
            address = literal(word)
            seen[word] = None if address is None else address_text(normalised(address))
        canonical = seen[word]
        if canonical is None:
            continue
        for name in words[1:]:
            key = _key(name)
            known = table.get(key, ())
            if canonical not in known and len(known) < MAX_HOST_ADDRESSES:
                table[key] = (*known, canonical)
    hosts = Hosts()
    hosts._addresses = table  # made of what was judged, and long tables are read at every start
    return hosts


def _key(name: str) -> str:
    return name.lower().removesuffix(".")


def _address(place: str, written: str) -> str:
    address = literal(written)
    if address is None:
        raise checking.wrong(place, written, f"an address literal: {_TABLE}")
    return address_text(normalised(address))
