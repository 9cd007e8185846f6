"""IP addresses as text and as values: literals, access lists, and the order in which to try them. No
sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
    ip_network,
)

from mungos.checking import shown, wrong
from mungos.errors import Misuse
from mungos.printable import quoted

__all__ = [
    "MAX_SCOPE_LENGTH",
    "AccessList",
    "IPAddress",
    "IPNetwork",
    "address_text",
    "literal",
    "normalised",
    "order_for_connecting",
    "parse_literal",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

MAX_SCOPE_LENGTH = 15
"""Characters of an interface's name: Linux keeps 16 octets with the final NUL."""

_LONGEST_LITERAL = 45 + 1 + MAX_SCOPE_LENGTH
_SCOPE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_MAPPED_PREFIX_LENGTH = 96


def literal(text: str) -> IPAddress | None:
    """Read an IP address literal, without brackets.

    Args:
        text: `192.0.2.1` (four decimal parts, no leading zeros), `2001:db8::1`, or `fe80::1%eth0`, where
            the scope is an interface's name or index (RFC 4007 section 11) of 1 to 15 unreserved characters.

    Returns:
        The address as it is written (see `normalised` for v4-mapped ones), or None when `text` is anything
        else.
    """
    if len(text) > _LONGEST_LITERAL or not text.isascii():
        return None
    try:
        if ":" not in text:
            return IPv4Address(text)
        _, percent, scope = text.partition("%")
        if percent and not (0 < len(scope) <= MAX_SCOPE_LENGTH and _SCOPE_CHARACTERS.issuperset(scope)):
            return None
        return IPv6Address(text)
    except AddressValueError:
        return None


def parse_literal(text: str) -> IPAddress:
    """Like `literal`, but raises Misuse, which names the forms that are understood, instead of returning
    None."""
    given: object = text
    address = literal(text) if isinstance(given, str) else None
    if address is None:
        raise Misuse(
            f"{shown(text)} is not an IP address: write 192.0.2.1, 2001:db8::1 or fe80::1%eth0, no brackets"
        )
    return address


def normalised(address: IPAddress) -> IPAddress:
    """The IPv4 address inside a v4-mapped IPv6 one (RFC 4291 section 2.5.5.2); any other address
    unchanged."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def address_text(address: IPAddress) -> str:
    """The canonical text (RFC 5952), the same under every version of Python: v4-mapped ones end in dotted
    decimals (RFC 5952 section 5), a scope follows after `%`."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        scope = f"%{address.scope_id}" if address.scope_id else ""
        return f"::ffff:{address.ipv4_mapped}{scope}"
    return str(address)


def order_for_connecting(addresses: Iterable[str], *, first_family: int = 6) -> tuple[str, ...]:
    """Put addresses in the order in which to try them, families in turn (RFC 8305 section 4).

    Args:
        addresses: literals; within a family their order is kept, and repetitions are dropped.
        first_family: 6 or 4, the family that begins.

    Returns:
        Canonical texts; v4-mapped addresses count as IPv4 and are written as such.

    Raises:
        Misuse: for a text that is not a literal, or another family.
    """
    if isinstance(addresses, str):
        raise wrong("addresses", addresses, 'a tuple of addresses: ("192.0.2.1",)')
    if first_family not in (4, 6):
        raise Misuse(f"first_family is {first_family!r}: write 4 or 6")
    queues: dict[int, dict[str, None]] = {4: {}, 6: {}}
    for text in addresses:
        address = normalised(parse_literal(text))
        queues[address.version][address_text(address)] = None
    first: Iterator[str] = iter(queues[first_family])
    second: Iterator[str] = iter(queues[10 - first_family])
    order: list[str] = []
    total = len(queues[4]) + len(queues[6])
    while len(order) < total:
        order += [text for text in (next(first, None), next(second, None)) if text is not None]
    return tuple(order)


class AccessList:
    """Which peers may connect: rules in a row, and the last one that matches an address decides.

    A rule is `+NETWORK` (let in) or `-NETWORK` (keep out); a rule without a sign means `+`. NETWORK is an
    address or `address/prefix length` of either family, with no bits set beyond the prefix. A peer that no
    rule matches is refused; hence a list that only keeps out would refuse everybody, and is Misuse. An empty
    list lets everybody in. IPv4 rules also match v4-mapped IPv6 peers, as a dual-stack listener sees them;
    IPv6 rules match IPv6 peers only, whatever their scope: to let the whole world in, write
    `+0.0.0.0/0,+::/0`.

    Args:
        rules: the rules separated by commas ("+0.0.0.0/0,-10.0.0.0/8,+10.1.2.3"), or a sequence of such rules
            and of networks of the module `ipaddress`, each of which means `+`.

    Raises:
        Misuse: for a rule that can't be read, naming the rule.
    """

    __slots__ = ("_rules", "_text")

    def __init__(self, rules: str | Iterable[str | IPNetwork]) -> None:
        given: object = rules
        written: list[str | IPNetwork]
        if isinstance(rules, str):
            written = [*rules.split(",")] if rules.strip() else []
        elif isinstance(given, bytes) or not isinstance(given, Iterable):
            raise wrong("rules", rules, 'AccessList("+10.0.0.0/8,-10.1.2.3")')
        else:
            written = list(rules)
        parsed = [_rule(one) for one in written]
        if parsed and not any(allow for allow, _ in parsed):
            raise Misuse(
                "an access list with '-' rules only refuses every peer: begin it with '+0.0.0.0/0,+::/0'"
                " to let the others in"
            )
        self._text = ",".join(f"{'+' if allow else '-'}{network}" for allow, network in parsed)
        # The last match wins, so the first match of the reversed rules does.
        self._rules = tuple(
            (network.version, int(network.network_address), int(network.netmask), allow)
            for allow, network in reversed(parsed)
        )

    def allows(self, address: str | IPAddress) -> bool:
        """Whether the peer at `address` is let in. Raises Misuse when `address` is not an IP address
        literal."""
        value = normalised(parse_literal(address) if isinstance(address, str) else address)
        if not self._rules:
            return True
        version, number = value.version, int(value)
        for rule_version, network, mask, allow in self._rules:
            if rule_version == version and number & mask == network:
                return allow
        return False

    def __bool__(self) -> bool:
        """False for the empty list, which lets everybody in."""
        return bool(self._rules)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"AccessList({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return self._rules == other._rules if isinstance(other, AccessList) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._rules)


def _rule(written: str | IPNetwork) -> tuple[bool, IPNetwork]:
    if not isinstance(written, str):
        if not isinstance(written, IPv4Network | IPv6Network):
            raise wrong("an access rule", written, '"+10.0.0.0/8", or a network of ipaddress')
        return True, _unmapped(written)
    text = written.strip()
    allow = not text.startswith("-")
    text = text[1:].strip() if text[:1] in ("+", "-") else text
    base, slash, length = text.partition("/")
    address = literal(base)
    if address is None or "%" in base or (slash and not (length.isascii() and length.isdigit())):
        raise Misuse(
            f"access rule {quoted(written)}: write '+' or '-', then an address or a network such as "
            "10.0.0.0/8 or 2001:db8::/32, without a scope"
        )
    try:
        network = ip_network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise Misuse(f"access rule {quoted(written)}: {error}") from error
    if int(network.network_address) != int(address):
        raise Misuse(
            f"access rule {quoted(written)} has bits set beyond its prefix: write {network} or {address}"
        )
    return allow, _unmapped(network)


def _unmapped(network: IPNetwork) -> IPNetwork:
    # Peers are compared in their IPv4 form, so a rule for the mapped range has to be as well.
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_PREFIX_LENGTH:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX_LENGTH))
    return network
