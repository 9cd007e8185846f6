"""Address literals, access lists, and the order in which addresses are tried."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.addresses import (
    AccessList,
    address_text,
    literal,
    normalised,
    order_for_connecting,
    parse_literal,
)
from mungos.errors import Misuse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::", "::"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%3", "fe80::1%3"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("::ffff:c000:201%eth0", "::ffff:192.0.2.1%eth0"),
    ],
)
def test_literals_have_one_text_on_every_python(text: str, canonical: str) -> None:
    assert address_text(parse_literal(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "192.0.2.01",
        "192.0.2.256",
        "192.0.2.1%eth0",
        "[::1]",
        "::1::",
        "fe80::1%",
        "fe80::1%a%b",
        "fe80::1%/etc",
        "fe80::1%e h",
        "fe80::1%" + "x" * 16,
        "1" * 1000,
        "\u0661.0.2.1",
        "192.0.2.1\n",
    ],
)
def test_what_is_no_literal(text: str) -> None:
    assert literal(text) is None
    with pytest.raises(Misuse, match="is not an IP address"):
        parse_literal(text)


def test_v4_mapped_is_normalised_and_nothing_else() -> None:
    assert normalised(IPv6Address("::ffff:10.1.2.3")) == IPv4Address("10.1.2.3")
    assert normalised(IPv6Address("::10.1.2.3")) == IPv6Address("::10.1.2.3")
    assert normalised(IPv4Address("10.1.2.3")) == IPv4Address("10.1.2.3")


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@settings(max_examples=100, deadline=None)
def test_every_address_round_trips(address: IPv4Address | IPv6Address) -> None:
    assert parse_literal(address_text(address)) == address


def test_rfc8305_4_families_take_turns_and_ipv6_begins() -> None:
    given_addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "2001:db8::2", "10.0.0.1"]
    assert order_for_connecting(given_addresses) == (
        "2001:db8::1",
        "10.0.0.1",
        "2001:db8::2",
        "10.0.0.2",
        "10.0.0.3",
    )
    assert order_for_connecting(given_addresses, first_family=4)[:2] == ("10.0.0.1", "2001:db8::1")


def test_order_counts_mapped_as_ipv4_and_keeps_scopes() -> None:
    assert order_for_connecting(["::ffff:10.0.0.1", "10.0.0.1", "fe80::1%eth0"]) == (
        "fe80::1%eth0",
        "10.0.0.1",
    )
    assert order_for_connecting([]) == ()
    with pytest.raises(Misuse):
        order_for_connecting(["::1"], first_family=5)
    with pytest.raises(Misuse):
        order_for_connecting(["example.com"])


@pytest.mark.parametrize(
    ("rules", "address", "allowed"),
    [
        ("", "10.0.0.1", True),
        ("  ", "::1", True),
        ("+10.0.0.0/8", "10.255.0.1", True),
        ("+10.0.0.0/8", "11.0.0.1", False),
        ("+10.0.0.0/8", "::1", False),
        # The last match wins, in both directions.
        ("+10.0.0.0/8,-10.1.0.0/16", "10.1.2.3", False),
        ("+10.0.0.0/8,-10.1.0.0/16,+10.1.2.3", "10.1.2.3", True),
        ("-0.0.0.0/0,+10.0.0.1", "10.0.0.1", True),
        ("-0.0.0.0/0,+10.0.0.1", "10.0.0.2", False),
        ("-0.0.0.0/0,+10.0.0.1", "2001:db8::1", False),
        ("+10.0.0.0/8,-0.0.0.0/0,+::1", "10.0.0.1", False),
        ("+10.0.0.0/8,-0.0.0.0/0,+::1", "::1", True),
        # Mapped peers are their IPv4 address, for IPv4 rules and for nothing else.
        ("+10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("+::/0", "::ffff:10.0.0.1", False),
        ("+::/0", "10.0.0.1", False),
        ("+::ffff:10.0.0.0/104", "10.9.9.9", True),
        ("+0.0.0.0/0,+::/0,-::ffff:10.0.0.0/104", "10.9.9.9", False),
        ("+fe80::/10", "fe80::1%eth0", True),
        ("+2001:db8::/32, -2001:db8:1::/48", "2001:db8:1::1", False),
        ("192.0.2.1", "192.0.2.1", True),
    ],
)
def test_access_lists(rules: str, address: str, allowed: bool) -> None:
    assert AccessList(rules).allows(address) is allowed


def test_access_list_of_networks_means_let_in() -> None:
    rules = AccessList([IPv4Network("10.0.0.0/8"), "-10.0.0.1", IPv6Network("::1/128")])
    assert str(rules) == "+10.0.0.0/8,-10.0.0.1/32,+::1/128"
    assert rules.allows(IPv4Address("10.0.0.2"))
    assert not rules.allows(IPv4Address("10.0.0.1"))
    assert rules.allows(IPv6Address("::1"))
    assert rules == AccessList(str(rules))
    assert len({rules, AccessList(str(rules))}) == 1
    assert rules
    assert not AccessList("")


@pytest.mark.parametrize(
    ("rules", "hint"),
    [
        ("+10.0.0.1/8", "write 10.0.0.0/8 or 10.0.0.1"),
        ("+10.0.0.0/33", "10.0.0.0/33"),
        ("+10.0.0.0/255.0.0.0", "write '\\+' or '-'"),
        ("+10.0.0.0/", "write '\\+' or '-'"),
        ("+10.0.0.0/8,", "write '\\+' or '-'"),
        ("+example.com", "write '\\+' or '-'"),
        ("+fe80::1%eth0", "without a scope"),
        ("++10.0.0.1", "write '\\+' or '-'"),
        ("-10.0.0.0/8", "begin it with '\\+0.0.0.0/0,\\+::/0'"),
    ],
)
def test_access_rules_that_are_refused(rules: str, hint: str) -> None:
    with pytest.raises(Misuse, match=hint):
        AccessList(rules)


def test_access_list_refuses_what_is_no_address() -> None:
    with pytest.raises(Misuse):
        AccessList("+10.0.0.0/8").allows("example.com")


@given(
    st.lists(st.tuples(st.booleans(), st.ip_addresses(v=4), st.integers(0, 32)), min_size=1, max_size=6),
    st.ip_addresses(v=4),
)
@settings(max_examples=150, deadline=None)
def test_access_list_agrees_with_the_plain_definition(
    rules: list[tuple[bool, IPv4Address, int]], peer: IPv4Address
) -> None:
    networks = [(allow, IPv4Network((base, length), strict=False)) for allow, base, length in rules]
    networks.append((True, IPv4Network("203.0.113.0/32")))
    expected = False
    for allow, network in networks:
        if peer in network:
            expected = allow
    access = AccessList(",".join(f"{'+' if allow else '-'}{network}" for allow, network in networks))
    assert access.allows(peer) is expected
    assert access.allows(f"::ffff:{peer}") is expected
