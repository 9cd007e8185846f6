"""Name servers that fail, at EDNS or at everything; answers that are none: who is asked next, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mungos.dns import (
    Cache,
    Failed,
    Hosts,
    Lookup,
    Message,
    NameNotFound,
    Rcode,
    Record,
    RecordType,
    Resolved,
    ResolverConfig,
    SendDatagram,
    ServerFailed,
    Target,
    address_record,
    alias_record,
    decode,
    encode,
    name_from_text,
    respond,
)
from mungos.dns.cache import MAX_KNOWN_SERVERS, Level
from mungos.dns.config import ServerAddress
from mungos.errors import TimedOut
from tests.dns.dns_servers import BOTH, ONE, TWO, Net, Server, bare, says, silent, zone

PAIR = ResolverConfig(servers=(ONE, TWO))
FAILURES = [Rcode.FORMERR, Rcode.SERVFAIL, Rcode.NOTIMP, Rcode.REFUSED, 9, 11]


def no_edns(otherwise: Server) -> Server:
    """A server that answers queries without EDNS only."""
    return lambda query, stream: zone(query, stream) if query.edns is None else otherwise(query, stream)


def over_tcp_only(query: Message, stream: bool) -> bytes | None:
    """A server whose datagrams are lost."""
    return zone(query, stream) if stream else None


# A bare header.


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_in_a_bare_header_leads_on_at_once(rcode: int) -> None:
    net = Net(one=bare(rcode), two=zone)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now == 100.0


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_in_a_bare_header_leads_to_a_query_without_edns(rcode: int) -> None:
    net = Net(one=no_edns(bare(rcode)))
    assert net.lookup() == BOTH
    assert net.now == 100.0


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_in_a_bare_header_is_told(rcode: int) -> None:
    net = Net(one=bare(rcode))
    end = net.lookup()
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    told = Rcode(rcode).name if rcode in list(Rcode) else f"response code {rcode}"
    assert end.error.reasons == {ONE: f"answered {told}"}
    assert net.now == 100.0


@pytest.mark.parametrize("rcode", [Rcode.NOERROR, Rcode.NXDOMAIN])
@pytest.mark.parametrize("flag", ["truncated", "authoritative", "recursion_available"])
def test_a_bare_header_that_is_no_failure_is_not_believed(rcode: int, flag: str) -> None:
    net = Net(one=bare(rcode, **{flag: True}), two=zone)
    assert net.lookup(config=PAIR) == BOTH
    assert ("one", "tcp", "edns") not in net.asked


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_in_a_header_that_counts_what_is_not_there_leads_on_at_once(rcode: int) -> None:
    def server(query: Message, stream: bool) -> bytes:
        return respond(query, rcode=rcode)[:12]

    net = Net(one=no_edns(server), two=silent)
    assert net.lookup() == BOTH
    net = Net(one=server, two=zone)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now == 100.0


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP])
def test_a_failure_that_repeats_the_query_cut_in_the_middle_leads_on_at_once(rcode: int) -> None:
    def server(query: Message, stream: bool) -> bytes:
        return respond(query, rcode=rcode)[:-3]

    net = Net(one=no_edns(server))
    assert net.lookup() == BOTH
    assert net.now == 100.0
    assert net.asked == [("one", "udp", "edns")] * 2 + [("one", "udp", "plain")] * 2


def test_a_bare_header_of_another_query_is_passed_over() -> None:
    def stray(query: Message, stream: bool) -> bytes | None:
        other = replace(query, header=replace(query.header, id=query.header.id ^ 1))
        return bare(Rcode.SERVFAIL)(other, stream)

    net = Net(one=stray, two=zone)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now > 100.0


# EDNS, and below.


@pytest.mark.parametrize(
    "otherwise", [says(Rcode.SERVFAIL), says(Rcode.REFUSED), says(Rcode.FORMERR), says(Rcode.NOTIMP), silent]
)
def test_a_server_that_fails_at_edns_is_asked_without_and_that_is_remembered(otherwise: Server) -> None:
    cache = Cache(ResolverConfig(cache_entries=0))
    net = Net(one=no_edns(otherwise))
    assert net.lookup(cache=cache) == BOTH
    assert net.asked[:2] == [("one", "udp", "edns")] * 2
    assert net.now == (102.5 if otherwise is silent else 100.0)
    began, net.asked = net.now, []
    assert net.lookup(cache=cache) == BOTH
    assert net.asked == [("one", "udp", "plain")] * 2
    assert net.now == began


@pytest.mark.parametrize("rcode", [*FAILURES, Rcode.BADVERS])
@pytest.mark.parametrize("over_tcp", ["refused", "the same"])
@pytest.mark.parametrize("octets", [None, -1])
def test_a_failure_at_edns_that_claims_to_be_cut_leads_to_a_query_without(
    rcode: int, over_tcp: str, octets: int | None
) -> None:
    def server(query: Message, stream: bool) -> bytes | None:
        if stream and over_tcp == "refused":
            return b"\0" * 12
        # Extended codes stand in the record that would be cut.
        return respond(query, rcode=rcode, truncated=True)[: None if rcode == Rcode.BADVERS else octets]

    net = Net(one=no_edns(server))
    assert net.lookup() == BOTH
    assert net.now == 100.0
    assert {how for _, how, _ in net.asked} == {"udp"}


def test_a_server_that_fails_at_edns_is_asked_without_after_the_others() -> None:
    net = Net(one=no_edns(says(Rcode.SERVFAIL)), two=says(Rcode.SERVFAIL))
    assert net.lookup(config=PAIR, families=("A",)) == Resolved(("192.0.2.1",))
    assert net.asked == [("one", "udp", "edns"), ("two", "udp", "edns"), ("one", "udp", "plain")]


def test_a_mangled_answer_to_edns_leads_to_a_query_without() -> None:
    net = Net(
        one=no_edns(lambda query, stream: respond(query, [address_record("example.com", "192.0.2.1")])[:-1])
    )
    assert net.lookup() == BOTH
    assert net.now == 100.0


def test_a_server_that_is_silent_without_edns_too_is_asked_over_tcp_and_that_is_remembered() -> None:
    config = ResolverConfig(servers=(ONE,), attempts=3, cache_entries=0)
    cache = Cache(config)
    net = Net(one=over_tcp_only)
    assert net.lookup(config=config, cache=cache, families=("A",)) == Resolved(("192.0.2.1",))
    assert net.asked == [("one", "udp", "edns"), ("one", "udp", "plain"), ("one", "tcp", "plain")]
    net.asked.clear()
    assert net.lookup(config=config, cache=cache, families=("A",)) == Resolved(("192.0.2.1",))
    assert net.asked == [("one", "tcp", "plain")]


@pytest.mark.parametrize("attempts", [2, 3, 5])
def test_a_server_whose_datagrams_are_lost_is_asked_over_tcp_in_time(attempts: int) -> None:
    config = ResolverConfig(servers=(ONE,), attempts=attempts, cache_entries=0)
    cache = Cache(config)
    net = Net(one=over_tcp_only)
    assert net.lookup(config=config, cache=cache) == BOTH
    assert net.now < 105.0
    began, net.asked = net.now, []
    assert net.lookup(config=config, cache=cache) == BOTH
    assert net.asked == [("one", "tcp", "plain")] * 2
    assert net.now == began


def test_of_two_servers_whose_datagrams_are_lost_the_first_is_asked_over_tcp_in_time() -> None:
    net = Net(one=over_tcp_only, two=silent)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now < 105.0
    net = Net(one=silent, two=over_tcp_only)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now < 105.0


def test_the_last_turn_is_divided_and_not_prolonged() -> None:
    config = ResolverConfig(servers=(ONE,), timeout=1.0)
    net = Net(one=silent)
    end = net.lookup(config=config, families=("A",))
    assert isinstance(end, Failed)
    assert net.asked == [("one", "udp", "edns"), ("one", "udp", "plain"), ("one", "tcp", "plain")]
    assert net.now == 102.0


def test_who_is_silent_and_refuses_tcp_is_asked_by_datagram_to_the_end() -> None:
    machine = Lookup(
        "example.com",
        config=ResolverConfig(servers=(ONE,)),
        hosts=Hosts(),
        families=("A",),
        random=bytes,
        now=100.0,
        within=4.0,
    )
    for now in (102.0, 103.0):
        assert machine.deadline == now
        machine.expire(now)
    asked = [type(event) for event in iter(machine.next_event, None)]
    machine.exchange_failed(3, "refused", 103.0)
    asked += [type(event) for event in iter(machine.next_event, None)]
    assert asked[-1] is SendDatagram
    assert machine.deadline == 104.0
    machine.expire(104.0)
    *_, end = iter(machine.next_event, None)
    assert isinstance(end, Failed)
    assert isinstance(end.error, TimedOut)


def test_what_is_known_of_a_server_is_forgotten_after_a_while() -> None:
    config = ResolverConfig(servers=(ONE,), level_lifetime=60.0, cache_entries=0)
    cache = Cache(config)
    net = Net(one=no_edns(says(Rcode.SERVFAIL)))
    net.lookup(config=config, cache=cache)
    net.now += 60.0
    net.asked.clear()
    net.lookup(config=config, cache=cache)
    assert net.asked[0] == ("one", "udp", "edns")


def test_a_server_that_has_answered_with_edns_is_not_suspected_for_one_failure() -> None:
    cache = Cache(ResolverConfig(cache_entries=0))
    net = Net(one=zone)
    net.lookup(cache=cache)
    net.servers[ONE] = no_edns(says(Rcode.SERVFAIL))
    assert net.lookup(cache=cache) == BOTH
    net.servers[ONE] = zone
    net.asked.clear()
    net.lookup(cache=cache)
    assert net.asked == [("one", "udp", "edns")] * 2


def test_levels_are_remembered_for_so_many_servers() -> None:
    cache = Cache(ResolverConfig())
    servers = [ServerAddress("192.0.2.53", port) for port in range(1, MAX_KNOWN_SERVERS + 2)]
    for server in servers:
        cache.learn(server, Level.PLAIN, 100.0)
    assert cache.level(servers[0], 100.0) is Level.EDNS
    assert [cache.level(server, 100.0) for server in servers[1:]] == [Level.PLAIN] * MAX_KNOWN_SERVERS
    cache.clear()
    assert cache.level(servers[-1], 100.0) is Level.EDNS


def test_a_better_level_is_believed_at_once_a_worse_one_after_a_while() -> None:
    cache = Cache(ResolverConfig(level_lifetime=60.0))
    for level, now, known in (
        (Level.STREAM, 0.0, Level.STREAM),
        (Level.PLAIN, 1.0, Level.PLAIN),
        (Level.EDNS, 2.0, Level.EDNS),
        (Level.STREAM, 61.0, Level.EDNS),
        (Level.STREAM, 62.0, Level.STREAM),
    ):
        cache.learn(ONE, level, now)
        assert cache.level(ONE, now) is known


def test_one_lost_datagram_does_not_take_all_the_time() -> None:
    lost: list[Message] = []

    def lossy(query: Message, stream: bool) -> bytes | None:
        if len(lost) < 2:
            lost.append(query)
            return None
        return zone(query, stream)

    net = Net(one=lossy)
    assert net.lookup() == BOTH
    assert net.now == 102.5


# Servers that are silent.


def test_a_silent_server_is_asked_last_by_the_lookups_that_follow() -> None:
    config = replace(PAIR, cache_entries=0, silence_lifetime=60.0)
    cache = Cache(config)
    net = Net(one=silent, two=zone)
    assert net.lookup(config=config, cache=cache) == BOTH
    assert net.now == 101.25
    for _ in range(3):
        net.asked.clear()
        assert net.lookup(config=config, cache=cache) == BOTH
        assert net.asked == [("two", "udp", "edns")] * 2
        assert net.now == 101.25
    net.servers[TWO] = silent
    net.servers[ONE] = zone
    assert net.lookup(config=config, cache=cache) == BOTH
    # It has spoken, and the other one has not.
    net.asked.clear()
    assert net.lookup(config=config, cache=cache) == BOTH
    assert net.asked == [("one", "udp", "edns")] * 2


def test_a_silent_server_has_its_place_again_after_a_while_or_when_all_is_forgotten() -> None:
    config = replace(PAIR, cache_entries=0, silence_lifetime=60.0)
    for way in ("the time", "clear"):
        cache = Cache(config)
        net = Net(one=silent, two=zone)
        net.lookup(config=config, cache=cache)
        if way == "clear":
            cache.clear()
        else:
            net.now += 60.0
        net.servers[ONE] = zone
        net.asked.clear()
        assert net.lookup(config=config, cache=cache) == BOTH
        assert net.asked == [("one", "udp", "edns")] * 2


def test_within_one_search_a_silent_server_costs_one_turn() -> None:
    config = replace(PAIR, cache_entries=0, search=("lan", "corp.example"), ndots=5)
    net = Net(one=silent, two=zone)
    assert net.lookup(config=config, cache=Cache(config)) == BOTH
    assert net.asked == [("one", "udp", "edns")] * 2 + [("two", "udp", "edns")] * 6


def test_a_server_that_answers_one_family_is_not_silent() -> None:
    def server(query: Message, stream: bool) -> bytes | None:
        return zone(query, stream) if query.questions[0].type == RecordType.A else None

    cache = Cache(PAIR)
    net = Net(one=server, two=silent)
    net.lookup(config=PAIR, cache=cache)
    assert not cache.is_silent(ONE, net.now)


@pytest.mark.parametrize("lifetime", [0.0, 60.0])
def test_so_many_silent_servers_are_remembered(lifetime: float) -> None:
    cache = Cache(ResolverConfig(silence_lifetime=lifetime))
    servers = [ServerAddress("192.0.2.53", port) for port in range(1, MAX_KNOWN_SERVERS + 2)]
    for server in servers:
        cache.was_silent(server, 100.0)
    told = [cache.is_silent(server, 100.0) for server in servers]
    assert told == [False, *[lifetime > 0] * MAX_KNOWN_SERVERS]


# Octets behind the message, referrals.


@pytest.mark.parametrize("behind", [b"\0", b"\0" * 500, bytes(range(256))])
def test_octets_behind_an_answer_are_passed_over(behind: bytes) -> None:
    net = Net(one=lambda query, stream: (zone(query, stream) or b"") + behind)
    assert net.lookup() == BOTH
    assert net.now == 100.0
    assert len(net.asked) == 2


def altered(query: Message, records: list[Record], **changes: object) -> bytes:
    """A response with other flags, or other sections."""
    answer = decode(respond(query, records))
    flags = {name: value for name, value in changes.items() if name != "authorities"}
    header = replace(answer.header, **flags)  # type: ignore[arg-type]
    return encode(replace(answer, header=header, authorities=changes.get("authorities", ())))  # type: ignore[arg-type]


def delegation(zone_name: str) -> Record:
    """Who is asked for a zone."""
    return Record(name_from_text(zone_name), RecordType.NS, Target(name_from_text("ns.example.net")), 60)


def referral(query: Message, stream: bool) -> bytes:
    """Neither recursion nor authority, and other servers named."""
    return altered(query, [], recursion_available=False, authorities=(delegation("com"),))


def lame(query: Message, stream: bool) -> bytes:
    """Nothing at all, and neither recursion nor authority."""
    return altered(query, [], recursion_available=False)


def upward(query: Message, stream: bool) -> bytes:
    """The root's servers, from who claims to recurse (RFC 2308 section 2.2)."""
    return altered(query, [], authorities=(delegation("."),))


def dangling(query: Message, stream: bool) -> bytes:
    """The owner's alias of somebody else's name, not followed."""
    records = [alias_record("example.com", "example.net")]
    return altered(query, records, recursion_available=False, authoritative=True)


@pytest.mark.parametrize("server", [referral, lame, upward, dangling])
def test_a_referral_is_no_answer_and_leads_to_the_next_server(server: Server) -> None:
    net = Net(one=server, two=zone)
    assert net.lookup(config=PAIR) == BOTH
    assert net.now == 100.0
    end = Net(one=server).lookup()
    assert isinstance(end, Failed)
    assert "does not look names up for others" in str(end.error)


@pytest.mark.parametrize("flag", ["recursion_available", "authoritative"])
def test_no_address_is_believed_of_who_recurses_or_is_authoritative(flag: str) -> None:
    flags = {"recursion_available": False, "authoritative": False, flag: True}
    end = Net(one=lambda query, stream: altered(query, [], **flags)).lookup()
    assert isinstance(end, Failed)
    assert isinstance(end.error, NameNotFound)
    assert end.error.exists


def test_addresses_are_taken_whatever_the_flags() -> None:
    def server(query: Message, stream: bool) -> bytes:
        answer = decode(zone(query, stream) or b"")
        return altered(query, list(answer.answers), recursion_available=False)

    assert Net(one=server).lookup() == BOTH
