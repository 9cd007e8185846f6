"""Answers that are remembered: which, for how long, how many; and that nothing foreign comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns import (
    Cache,
    CachedAnswer,
    Failed,
    Message,
    NameNotFound,
    Question,
    Rcode,
    Record,
    RecordType,
    Resolved,
    ResolverConfig,
    StartOfAuthority,
    address_record,
    alias_record,
    decode,
    encode,
    name_from_text,
    respond,
)
from tests.dns.dns_servers import BOTH, ONE, Net, Server, says, zone

EXAMPLE = Question(name_from_text("example.com"), RecordType.A)
CONFIG = ResolverConfig(servers=(ONE,))


def soa(owner: str, ttl: int, minimum: int) -> Record:
    """What a negative answer carries."""
    name = name_from_text("ns.example.com")
    return Record(
        name_from_text(owner), RecordType.SOA, StartOfAuthority(name, name, 1, 3600, 600, 86400, minimum), ttl
    )


def gives(*records: Record) -> Server:
    """A server with one answer to everything."""
    return lambda query, stream: respond(query, records)


def denies(rcode: int, *authorities: Record, answers: tuple[Record, ...] = ()) -> Server:
    """A server with a negative answer to everything."""
    return lambda query, stream: respond(query, answers, rcode=rcode, authorities=authorities)


FOR_60_S = address_record("example.com", "192.0.2.1", 60)
ALIAS_FOR_20_S = alias_record("example.com", "x.a.example", 20)


class Memory:
    """One server's answer to one question, asked for again and again."""

    def __init__(self, server: Server, config: ResolverConfig = CONFIG) -> None:
        self.cache = Cache(config)
        self.net = Net(one=server)
        self.config = config

    def ask(self, host: str = "example.com", after: float = 0.0) -> tuple[Resolved | Failed, int]:
        """The end of a lookup, so many seconds later, and how many queries it took."""
        self.net.now += after
        before = len(self.net.asked)
        end = self.net.lookup(host, config=self.config, cache=self.cache, families=("A",))
        return end, len(self.net.asked) - before

    def lasts(self) -> int:
        """For how many seconds the first answer is remembered, to the second; 0 for none."""
        self.ask()
        held = self.cache.answers(self.net.now)
        return round(held[0].expires - self.net.now) if held else 0


def test_an_answer_is_asked_for_once_while_its_ttl_lasts() -> None:
    memory = Memory(gives(address_record("example.com", "192.0.2.1", 60)))
    assert memory.ask() == (Resolved(("192.0.2.1",)), 1)
    assert memory.ask(after=59.9) == (Resolved(("192.0.2.1",)), 0)
    assert memory.ask(after=0.1) == (Resolved(("192.0.2.1",)), 1)


def test_both_families_are_remembered() -> None:
    cache, net = Cache(CONFIG), Net(one=zone)
    assert net.lookup(cache=cache) == BOTH
    assert net.lookup("EXAMPLE.Com.", cache=cache) == BOTH
    assert len(net.asked) == 2
    assert [(each.name, each.type) for each in cache.answers(net.now)] == [
        ("example.com", RecordType.A),
        ("example.com", RecordType.AAAA),
    ]


def test_what_of_two_families_is_not_remembered_is_asked_for() -> None:
    cache, net = Cache(CONFIG), Net(one=zone)
    net.lookup(cache=cache, families=("AAAA",))
    assert net.lookup(cache=cache) == BOTH
    assert len(net.asked) == 2


@pytest.mark.parametrize(
    ("server", "seconds"),
    [
        (gives(address_record("example.com", "192.0.2.1", 0)), 0),
        (gives(address_record("example.com", "192.0.2.1", 1)), 1),
        (gives(address_record("example.com", "192.0.2.1", 1_000_000)), 3600),
        # RFC 2181 section 8: a TTL with the top bit set counts as 0.
        (gives(address_record("example.com", "192.0.2.1", 0x8000_0000)), 0),
        # RFC 2181 section 5.2: records of a set with different TTLs live as long as the shortest.
        (gives(FOR_60_S, address_record("example.com", "192.0.2.2", 9)), 9),
        (gives(ALIAS_FOR_20_S, address_record("x.a.example", "192.0.2.1", 60)), 20),
        (gives(ALIAS_FOR_20_S, address_record("x.a.example", "192.0.2.1", 10)), 10),
        # Records of other names have no say.
        (gives(FOR_60_S, address_record("other.example", "192.0.2.2", 1)), 60),
        # RFC 2308 section 5: the lesser of the SOA record's own TTL and its minimum.
        (denies(Rcode.NXDOMAIN, soa("example.com", 60, 40)), 40),
        (denies(Rcode.NXDOMAIN, soa("com", 40, 60)), 40),
        (denies(Rcode.NOERROR, soa("com", 40, 60)), 40),
        (denies(Rcode.NXDOMAIN, soa(".", 86400, 86400)), 300),
        (denies(Rcode.NXDOMAIN), 0),
        (denies(Rcode.NOERROR), 0),
        (denies(Rcode.NXDOMAIN, soa("example.com", 60, 0)), 0),
        # Not the name's own zone: it says nothing.
        (denies(Rcode.NXDOMAIN, soa("example.org", 60, 60)), 0),
        (denies(Rcode.NXDOMAIN, soa("www.example.com", 60, 60)), 0),
        # The alias leads to another zone, whose SOA record counts.
        (denies(Rcode.NXDOMAIN, soa("a.example", 60, 60), answers=(ALIAS_FOR_20_S,)), 20),
        (denies(Rcode.NXDOMAIN, soa("example.com", 60, 60), answers=(ALIAS_FOR_20_S,)), 0),
    ],
)
def test_how_long_an_answer_is_remembered(server: Server, seconds: int) -> None:
    assert Memory(server).lasts() == seconds


def test_the_longest_times_are_the_configurations() -> None:
    config = ResolverConfig(servers=(ONE,), longest_ttl=50.0, longest_negative_ttl=5.0)
    assert Memory(gives(address_record("example.com", "192.0.2.1", 60)), config).lasts() == 50
    assert Memory(denies(Rcode.NXDOMAIN, soa("com", 60, 60)), config).lasts() == 5
    never = ResolverConfig(servers=(ONE,), longest_ttl=0.0, longest_negative_ttl=0.0)
    assert Memory(gives(address_record("example.com", "192.0.2.1", 60)), never).lasts() == 0
    assert Memory(denies(Rcode.NXDOMAIN, soa("com", 60, 60)), never).lasts() == 0


@pytest.mark.parametrize(("rcode", "exists"), [(Rcode.NXDOMAIN, False), (Rcode.NOERROR, True)])
def test_rfc2308_5_that_there_is_none_is_remembered_and_told_in_the_same_words(
    rcode: int, exists: bool
) -> None:
    memory = Memory(denies(rcode, soa("com", 60, 60)))
    first, asked = memory.ask()
    assert asked == 1
    second, asked = memory.ask(after=59.0)
    assert asked == 0
    assert isinstance(first, Failed)
    assert isinstance(second, Failed)
    assert isinstance(second.error, NameNotFound)
    assert second.error.exists is exists
    assert str(first.error) == str(second.error)
    assert memory.ask(after=1.0)[1] == 1


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.FORMERR])
def test_failures_are_not_remembered(rcode: int) -> None:
    memory = Memory(says(rcode))
    assert memory.lasts() == 0
    memory.net.servers[ONE] = zone
    assert memory.ask()[0] == Resolved(("192.0.2.1",))


def test_truncated_answers_are_not_remembered() -> None:
    whole = address_record("example.com", "192.0.2.1")
    cut = address_record("example.com", "192.0.2.66")

    def server(query: Message, stream: bool) -> bytes:
        return respond(query, [whole if stream else cut], truncated=not stream)

    memory = Memory(server)
    assert memory.ask()[0] == Resolved(("192.0.2.1",))
    assert memory.ask() == (Resolved(("192.0.2.1",)), 0)


def test_only_the_name_asked_for_and_its_aliases_are_taken() -> None:
    records = [
        address_record("example.com", "192.0.2.1"),
        address_record("bank.example", "192.0.2.66"),
        alias_record("www.bank.example", "evil.example"),
        address_record("evil.example", "192.0.2.67"),
    ]

    def server(query: Message, stream: bool) -> bytes:
        answer = decode(respond(query, records))
        return encode(replace(answer, additionals=(address_record("other.example", "192.0.2.68"),)))

    memory = Memory(server)
    memory.ask()
    assert [(each.name, each.addresses) for each in memory.cache.answers(memory.net.now)] == [
        ("example.com", ("192.0.2.1",))
    ]


def test_the_table_of_hosts_is_not_remembered() -> None:
    cache = Cache(CONFIG)
    Net(one=zone).lookup("localhost", cache=cache)
    assert len(cache) == 0


def test_search_domains_are_remembered_one_by_one() -> None:
    config = ResolverConfig(servers=(ONE,), search=("example.com",))
    cache, net = Cache(config), Net(one=zone)
    for _ in range(2):
        assert net.lookup("v4", config=config, cache=cache, families=("A",)) == Resolved(("192.0.2.4",))
        assert net.lookup("bare", config=config, cache=cache, families=("A",)) != BOTH
    assert len(net.asked) == 3


# Bounds.


def keep(cache: Cache, name: str, *addresses: str, now: float = 0.0) -> None:
    """Remember an answer for a minute."""
    cache.keep(Question(name_from_text(name), RecordType.A), addresses, exists=True, ttl=60, now=now)


def test_entries_are_bounded_and_what_was_used_longest_ago_goes_first() -> None:
    cache = Cache(ResolverConfig(cache_entries=3))
    for name in ("a", "b", "c"):
        keep(cache, name, "192.0.2.1")
    assert cache.find(Question((b"A",), RecordType.A), 1.0) is not None
    keep(cache, "d", "192.0.2.1")
    assert [each.name for each in cache.answers(1.0)] == ["c", "a", "d"]


def test_bytes_are_bounded() -> None:
    cache = Cache(ResolverConfig(cache_bytes=10_000))
    many = tuple(f"192.0.2.{last}" for last in range(64))
    for number in range(100):
        keep(cache, f"n{number}.example.com", *many)
        assert cache.size <= 10_000
    assert len(cache) == 1
    keep(cache, "small.example.com", "192.0.2.1")
    assert len(cache) == 2
    tiny = Cache(ResolverConfig(cache_bytes=100))
    keep(tiny, "a", "192.0.2.1")
    assert (len(tiny), tiny.size) == (0, 0)


@pytest.mark.parametrize("config", [ResolverConfig(cache_entries=0), ResolverConfig(cache_bytes=0)])
def test_a_cache_can_be_without_room(config: ResolverConfig) -> None:
    cache = Cache(config)
    keep(cache, "a", "192.0.2.1")
    assert cache.find(Question((b"a",), RecordType.A), 0.0) is None


def test_an_answer_takes_the_place_of_an_older_one() -> None:
    cache = Cache(CONFIG)
    keep(cache, "a", "192.0.2.1")
    size = cache.size
    keep(cache, "A", "192.0.2.2", now=30.0)
    assert cache.answers(30.0) == (CachedAnswer("a", RecordType.A, ("192.0.2.2",), True, 90.0),)
    assert cache.size == size
    cache.keep(Question((b"a",), RecordType.A), ("192.0.2.3",), exists=True, ttl=0, now=31.0)
    assert (len(cache), cache.size) == (0, 0)


def test_what_is_over_is_let_go() -> None:
    cache = Cache(CONFIG)
    keep(cache, "a", "192.0.2.1")
    assert cache.answers(60.0) == ()
    assert len(cache) == 1
    assert cache.find(Question((b"a",), RecordType.A), 60.0) is None
    assert (len(cache), cache.size) == (0, 0)


def test_a_cache_can_be_seen_and_cleared() -> None:
    memory = Memory(gives(address_record("example.com", "192.0.2.1", 60)))
    memory.ask()
    assert memory.cache.answers(memory.net.now) == (
        CachedAnswer("example.com", RecordType.A, ("192.0.2.1",), True, 160.0),
    )
    assert repr(memory.cache).startswith("Cache(1 answers, ")
    memory.cache.clear()
    assert len(memory.cache) == memory.cache.size == 0
    assert memory.ask()[1] == 1


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9), st.integers(0, 3)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_the_bounds_hold_whatever_is_kept(steps: list[tuple[str, int, int]]) -> None:
    cache = Cache(ResolverConfig(cache_entries=4, cache_bytes=4000))
    for now, (name, addresses, ttl) in enumerate(steps):
        question = Question((name.encode(),), RecordType.A)
        texts = tuple(f"192.0.2.{last}" for last in range(addresses))
        cache.keep(question, texts, exists=True, ttl=ttl, now=now)
        held = cache.find(question, now)
        assert (held is not None) is (ttl > 0)
        assert len(cache) <= 4
        assert 0 <= cache.size <= 4000
        assert (cache.size > 0) is (len(cache) > 0)
