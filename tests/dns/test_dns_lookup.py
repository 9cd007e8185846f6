"""The lookup, driven with a clock of its own and servers that are functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns.answers import Zone, address_record, alias_record, respond
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.events import (
    CloseExchange,
    Event,
    Failed,
    Found,
    NameNotFound,
    OpenStream,
    Resolved,
    SendDatagram,
    ServerFailed,
)
from mungos.dns.hosts import Hosts, parse_hosts
from mungos.dns.lookup import MAX_BAD_ANSWERS, Family, Lookup
from mungos.dns.matching import MAX_ADDRESSES, MAX_CHAIN
from mungos.dns.messages import Message, Question, Rcode, RecordType, decode, encode
from mungos.dns.names import name_from_text, name_to_text
from mungos.errors import Misuse, TimedOut

ONE = ServerAddress("192.0.2.53")
TWO = ServerAddress("2001:db8::53")
THREE = ServerAddress("192.0.2.55", 5353)
BOTH = ("2001:db8::1", "192.0.2.1")

ZONE = Zone(
    {
        "example.com": ["192.0.2.1", "2001:db8::1"],
        "v4.example.com": ["192.0.2.4"],
        "www.example.com": ["alias.example.com."],
        "alias.example.com": ["example.com."],
        "big.example.com": [f"192.0.2.{n}" for n in range(1, 200)],
        "host.corp.example": ["192.0.2.7"],
        "bare": ["192.0.2.8"],
    }
)


def counter() -> Callable[[int], bytes]:
    numbers: Iterator[int] = count(0x1111)
    return lambda size: (next(numbers) % (1 << 8 * size)).to_bytes(size, "big")


def lookup(
    host: str = "example.com",
    *,
    config: ResolverConfig | None = None,
    hosts: Hosts | None = None,
    families: Sequence[Family] = ("A", "AAAA"),
    within: float = 10.0,
    now: float = 100.0,
) -> Lookup:
    return Lookup(
        host,
        config=config or ResolverConfig(servers=(ONE,)),
        hosts=hosts or Hosts(),
        families=families,
        random=counter(),
        now=now,
        within=within,
    )


def events(machine: Lookup) -> list[Event]:
    pulled: list[Event] = []
    while (event := machine.next_event()) is not None:
        pulled.append(event)
    return pulled


def datagrams(machine: Lookup) -> list[SendDatagram]:
    pulled = events(machine)
    assert all(isinstance(event, SendDatagram) for event in pulled)
    return [event for event in pulled if isinstance(event, SendDatagram)]


def failure(machine: Lookup) -> NameNotFound | ServerFailed | TimedOut:
    last = events(machine)[-1]
    assert isinstance(last, Failed)
    assert machine.finished
    assert machine.deadline is None
    return last.error


def question_of(payload: bytes) -> Question:
    return decode(payload).questions[0]


Server = Callable[[Message, bool], bytes | None]


def zone_server(query: Message, stream: bool) -> bytes | None:
    return ZONE.answer(encode(query), stream=stream)


def run(
    machine: Lookup, servers: dict[ServerAddress, Server], now: float = 100.0
) -> tuple[Event, float, list[Event]]:
    """Answer everything at once, and pass the time where nobody answers; each exchange is closed once."""
    seen: list[Event] = []
    open_exchanges: set[int] = set()
    while True:
        event = machine.next_event()
        if event is None:
            deadline = machine.deadline
            assert deadline is not None
            assert deadline >= now
            now = deadline
            machine.expire(now)
            continue
        seen.append(event)
        if isinstance(event, SendDatagram):
            open_exchanges.add(event.exchange_id)
            answer = servers[event.server](decode(event.payload), False)
            if answer is not None:
                machine.receive_datagram(event.exchange_id, answer, now)
        elif isinstance(event, OpenStream):
            open_exchanges.add(event.exchange_id)
            assert int.from_bytes(event.payload[:2], "big") == len(event.payload) - 2
            answer = servers[event.server](decode(event.payload[2:]), True)
            if answer is not None:
                framed = len(answer).to_bytes(2, "big") + answer
                for octet in framed:
                    machine.receive_stream(event.exchange_id, bytes([octet]), now)
        elif isinstance(event, CloseExchange):
            open_exchanges.remove(event.exchange_id)
        elif not isinstance(event, Found):
            assert not open_exchanges
            assert machine.finished
            assert machine.next_event() is None
            return event, now, seen


def silent(query: Message, stream: bool) -> bytes | None:
    return None


def says(rcode: int) -> Server:
    return lambda query, stream: respond(query, rcode=rcode)


# Answers without servers


@pytest.mark.parametrize(
    ("host", "families", "addresses"),
    [
        ("192.0.2.1", ("A", "AAAA"), ("192.0.2.1",)),
        ("::ffff:192.0.2.1", ("A",), ("192.0.2.1",)),
        ("fe80::1%eth0", ("A", "AAAA"), ("fe80::1%eth0",)),
        ("localhost", ("A", "AAAA"), ("127.0.0.1", "::1")),
        ("LOCALHOST.", ("AAAA",), ("::1",)),
        ("a.b.localhost", ("A",), ("127.0.0.1",)),
        ("listed", ("A", "AAAA"), ("192.0.2.9", "2001:db8::9")),
        ("Listed.", ("AAAA",), ("2001:db8::9",)),
    ],
)
def test_rfc6761_6_3_and_hosts_need_no_server(
    host: str, families: tuple[Family, ...], addresses: tuple[str, ...]
) -> None:
    hosts = parse_hosts("192.0.2.9 listed\n2001:db8::9 listed\n192.0.2.66 localhost a.b.localhost")
    machine = lookup(host, hosts=hosts, families=families)
    assert machine.deadline is None
    assert events(machine) == [Resolved(addresses)]


@pytest.mark.parametrize(
    ("host", "families", "exists"),
    [
        ("192.0.2.1", ("AAAA",), True),
        ("::1", ("A",), True),
        ("x.invalid", ("A",), False),
        ("x.onion.", ("A",), False),
    ],
)
def test_names_that_are_never_asked_for(host: str, families: tuple[Family, ...], exists: bool) -> None:
    error = failure(lookup(host, families=families))
    assert isinstance(error, NameNotFound)
    assert error.exists is exists


def test_hosts_of_the_other_family_leave_the_question_to_the_servers() -> None:
    hosts = parse_hosts("192.0.2.9 example.com")
    end, _, _ = run(lookup(hosts=hosts, families=("AAAA",)), {ONE: zone_server})
    assert end == Resolved(("2001:db8::1",))


@pytest.mark.parametrize("host", ["", "a..b", "é", "127.1", "a b", "[::1]", "fe80::1%", "-x"])
def test_what_is_no_host_is_misuse(host: str) -> None:
    with pytest.raises(Misuse):
        lookup(host)


def test_misuse_of_the_other_arguments() -> None:
    for families in ((), ("A", "A"), ("MX",)):
        with pytest.raises(Misuse, match="families"):
            lookup(families=families)  # type: ignore[arg-type]
    for within in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(Misuse, match="within"):
            lookup(within=within)


# Questions and answers


def test_both_families_are_asked_at_once_with_edns_and_fresh_ids() -> None:
    sent = datagrams(lookup())
    assert [event.server for event in sent] == [ONE, ONE]
    assert [question_of(event.payload).type for event in sent] == [RecordType.A, RecordType.AAAA]
    queries = [decode(event.payload) for event in sent]
    assert [query.header.id for query in queries] == [0x1111, 0x1112]
    assert all(query.header.recursion_desired for query in queries)
    assert [query.edns.payload_size if query.edns else 0 for query in queries] == [1232, 1232]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("example.com", BOTH),
        ("EXAMPLE.com", BOTH),
        ("www.example.com", BOTH),
        ("v4.example.com", ("192.0.2.4",)),
        ("big.example.com", tuple(f"192.0.2.{n}" for n in range(1, MAX_ADDRESSES + 1))),
    ],
)
def test_names_are_resolved(host: str, addresses: tuple[str, ...]) -> None:
    end, now, _ = run(lookup(host), {ONE: zone_server})
    assert end == Resolved(addresses)
    assert now == 100.0


@pytest.mark.parametrize("host", ["nowhere.example.com", "v4.example.com"])
def test_no_name_and_no_data_are_not_found(host: str) -> None:
    machine = lookup(host, families=("AAAA",))
    end, now, _ = run(machine, {ONE: zone_server})
    assert isinstance(end, Failed)
    assert isinstance(end.error, NameNotFound)
    assert end.error.exists is (host == "v4.example.com")
    assert now == 100.0
    assert host in str(end.error)


def _forge(**changes: object) -> Callable[[Message], Message]:
    return lambda answer: replace(answer, **changes)  # type: ignore[arg-type]


def _header(**changes: object) -> Callable[[Message], Message]:
    return lambda answer: replace(answer, header=replace(answer.header, **changes))  # type: ignore[arg-type]


EXAMPLE = name_from_text("example.com")


@pytest.mark.parametrize(
    "forge",
    [
        _header(id=0x2222),
        _header(response=False),
        _header(opcode=1),
        _forge(questions=()),
        _forge(questions=(Question(name_from_text("example.org"), RecordType.A),)),
        _forge(questions=(Question(EXAMPLE, RecordType.AAAA),)),
        _forge(questions=(Question(EXAMPLE, RecordType.A, 3),)),
    ],
)
def test_rfc5452_9_1_what_does_not_match_is_passed_over_and_counted(
    forge: Callable[[Message], Message],
) -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    right = respond(decode(sent.payload), [address_record("example.com", "192.0.2.1")])
    machine.receive_datagram(sent.exchange_id, encode(forge(decode(right))), 100.1)
    assert events(machine) == []
    assert machine.ignored == 1
    machine.receive_datagram(sent.exchange_id, memoryview(right), 100.2)
    assert events(machine) == [CloseExchange(sent.exchange_id), Resolved(("192.0.2.1",))]


def test_the_name_in_the_answer_matches_in_any_case() -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    query = replace(decode(sent.payload), questions=(Question(name_from_text("ExAmPlE.CoM"), RecordType.A),))
    machine.receive_datagram(
        sent.exchange_id, respond(query, [address_record("EXAMPLE.com", "192.0.2.1")]), 100.1
    )
    assert events(machine)[-1] == Resolved(("192.0.2.1",))


def test_rfc5452_9_3_a_flood_of_forged_answers_leads_to_tcp() -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    for _ in range(MAX_BAD_ANSWERS):
        machine.receive_datagram(sent.exchange_id, bytes(40), 100.1)
    closed, stream = events(machine)
    assert closed == CloseExchange(sent.exchange_id)
    assert isinstance(stream, OpenStream)
    assert stream.server == ONE
    # What still comes for the closed exchange changes nothing.
    machine.receive_datagram(sent.exchange_id, bytes(40), 100.1)
    assert machine.ignored == MAX_BAD_ANSWERS


def test_records_of_other_names_and_types_are_not_taken() -> None:
    def server(query: Message, stream: bool) -> bytes:
        return respond(
            query,
            [
                address_record("example.org", "192.0.2.66"),
                address_record("example.com", "2001:db8::66"),
                replace(address_record("example.com", "192.0.2.67"), record_class=3, data=b"\xc0\0\x02C"),
                address_record("example.com", "192.0.2.1"),
            ],
        )

    end, _, _ = run(lookup(families=("A",)), {ONE: server})
    assert end == Resolved(("192.0.2.1",))


def test_aliases_are_followed_in_any_order_and_up_to_a_limit() -> None:
    def chain(length: int) -> Server:
        names = ["example.com", *(f"n{n}.example.com" for n in range(length))]
        records = [alias_record(one, two) for one, two in pairwise(names)]
        records.append(address_record(names[-1], "192.0.2.1"))
        return lambda query, stream: respond(query, records[::-1])

    assert run(lookup(families=("A",)), {ONE: chain(MAX_CHAIN)})[0] == Resolved(("192.0.2.1",))
    end, _, _ = run(lookup(families=("A",)), {ONE: chain(MAX_CHAIN + 1)})
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    assert "in a circle or are over 16" in str(end.error)


def test_aliases_in_a_circle_are_the_servers_failure() -> None:
    records = [alias_record("example.com", "a.example"), alias_record("a.example", "example.com")]
    end, _, seen = run(lookup(), {ONE: lambda query, stream: respond(query, records)})
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    assert sum(isinstance(event, SendDatagram) for event in seen) == 4


def test_v4_mapped_answers_are_ipv4() -> None:
    records = [address_record("example.com", "::ffff:192.0.2.1"), address_record("example.com", "192.0.2.1")]
    end, _, _ = run(lookup(), {ONE: lambda query, stream: respond(query, records)})
    assert end == Resolved(("192.0.2.1",))


# Truncation and streams


def test_rfc7766_5_truncated_answers_are_asked_for_over_tcp() -> None:
    zone = Zone({"example.com": [f"2001:db8::{n:x}" for n in range(1, 60)]})

    def server(query: Message, stream: bool) -> bytes | None:
        return zone.answer(encode(query), stream=stream)

    end, _, seen = run(lookup(families=("AAAA",)), {ONE: server})
    assert isinstance(end, Resolved)
    assert len(end.addresses) == 59
    assert [type(event) for event in seen] == [
        SendDatagram,
        CloseExchange,
        OpenStream,
        CloseExchange,
        Resolved,
    ]


def test_a_truncated_answer_that_is_cut_anywhere_leads_to_tcp() -> None:
    for size in (29, 35, 44):
        machine = lookup(families=("A",))
        (sent,) = datagrams(machine)
        whole = respond(decode(sent.payload), [address_record("example.com", "192.0.2.1")], truncated=True)
        machine.receive_datagram(sent.exchange_id, whole[:size], 100.0)
        assert isinstance(events(machine)[-1], OpenStream)


def test_use_vc_asks_over_tcp_from_the_start() -> None:
    config = ResolverConfig(servers=(ONE,), use_stream=True)
    end, _, seen = run(lookup(config=config), {ONE: zone_server})
    assert end == Resolved(BOTH)
    assert not any(isinstance(event, SendDatagram) for event in seen)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"\0\0", "0 octets"),
        (b"\0\x0b" + bytes(11), "11 octets"),
        (b"\0\x0c" + bytes(12), "no answer to the question"),
        (b"\0\x0d\0", ""),
    ],
)
def test_bad_octets_on_a_stream(octets: bytes, told: str) -> None:
    machine = lookup(families=("A",), config=ResolverConfig(servers=(ONE,), use_stream=True, attempts=1))
    (begin,) = events(machine)
    assert isinstance(begin, OpenStream)
    machine.receive_stream(begin.exchange_id, octets, 100.0)
    if told:
        assert told in str(failure(machine))
    else:
        machine.exchange_failed(begin.exchange_id, "the stream ended", 100.0)
        assert "the stream ended" in str(failure(machine))


def test_what_follows_the_answer_on_a_stream_is_not_kept() -> None:
    machine = lookup(families=("A",), config=ResolverConfig(servers=(ONE,), use_stream=True))
    (begin,) = events(machine)
    assert isinstance(begin, OpenStream)
    answer = respond(decode(begin.payload[2:]), [address_record("example.com", "192.0.2.1")])
    machine.receive_stream(
        begin.exchange_id, bytearray(len(answer).to_bytes(2, "big") + answer + bytes(9999)), 100.0
    )
    assert events(machine) == [CloseExchange(begin.exchange_id), Resolved(("192.0.2.1",))]


def test_truncation_over_tcp_is_a_failure() -> None:
    end, _, _ = run(lookup(), {ONE: lambda query, stream: respond(query, truncated=True)})
    assert isinstance(end, Failed)
    assert "truncated answer over TCP" in str(end.error)


def test_datagrams_and_streams_are_not_mixed_up() -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    with pytest.raises(Misuse):
        machine.receive_stream(sent.exchange_id, b"", 100.0)


# EDNS


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS])
def test_rfc6891_7_a_server_without_edns_is_asked_without(rcode: Rcode) -> None:
    plain: list[bool] = []

    def server(query: Message, stream: bool) -> bytes | None:
        plain.append(query.edns is None)
        if query.edns is not None:
            return respond(query, rcode=rcode)
        return zone_server(query, stream)

    end, now, _ = run(lookup(), {ONE: server})
    assert end == Resolved(BOTH)
    assert now == 100.0
    assert plain == [False, False, True, True]


def test_formerr_without_a_question_counts_when_its_id_is_right() -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    head = Message(replace(decode(sent.payload).header, response=True, rcode=Rcode.FORMERR))
    machine.receive_datagram(sent.exchange_id, encode(head), 100.0)
    closed, again = events(machine)
    assert isinstance(again, SendDatagram)
    assert decode(again.payload).edns is None
    # Without EDNS there is nothing left to take away.
    head = Message(replace(decode(again.payload).header, response=True, rcode=Rcode.FORMERR))
    machine.receive_datagram(again.exchange_id, encode(head), 100.0)
    assert machine.exchanges_begun == 3
    assert closed == CloseExchange(sent.exchange_id)


# Servers, tries and time


def test_servers_are_tried_in_turn_and_in_rounds() -> None:
    config = ResolverConfig(servers=(ONE, TWO, THREE), timeout=1.0, attempts=2)
    machine = lookup(config=config, families=("A",), within=30.0)
    end, now, seen = run(machine, {ONE: silent, TWO: silent, THREE: silent})
    assert [event.server for event in seen if isinstance(event, SendDatagram)] == [ONE, TWO, THREE] * 2
    assert now == 106.0
    assert isinstance(end, Failed)
    assert isinstance(end.error, TimedOut)
    assert end.error.phase == "resolving"
    assert end.error.limit == 30.0


def test_a_silent_server_leaves_time_for_the_next() -> None:
    config = ResolverConfig(servers=(ONE, TWO), timeout=30.0)
    end, now, _ = run(lookup(config=config, within=5.0), {ONE: silent, TWO: zone_server})
    assert end == Resolved(BOTH)
    # A quarter of the time: each of the two has two turns.
    assert now == 101.25


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, 11])
def test_a_failing_server_is_left_at_once(rcode: int) -> None:
    config = ResolverConfig(servers=(ONE, TWO))
    end, now, _ = run(lookup(config=config), {ONE: says(rcode), TWO: zone_server})
    assert end == Resolved(BOTH)
    assert now == 100.0


def test_when_all_servers_fail_each_is_named_with_its_reason() -> None:
    config = ResolverConfig(servers=(ONE, TWO), timeout=1.0)
    end, now, _ = run(lookup(config=config), {ONE: says(Rcode.SERVFAIL), TWO: silent})
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    assert end.error.reasons == {ONE: "answered SERVFAIL", TWO: "no answer in time"}
    assert now == 102.0


def test_a_refused_socket_leads_to_the_next_server() -> None:
    config = ResolverConfig(servers=(ONE, TWO))
    machine = lookup(config=config, families=("A",))
    (sent,) = datagrams(machine)
    machine.exchange_failed(sent.exchange_id, "connection refused", 100.0)
    closed, again = events(machine)
    assert closed == CloseExchange(sent.exchange_id)
    assert isinstance(again, SendDatagram)
    assert again.server == TWO
    machine.exchange_failed(sent.exchange_id, "again", 100.0)
    assert events(machine) == []


def test_a_malformed_answer_leads_to_the_next_server() -> None:
    def broken(query: Message, stream: bool) -> bytes:
        return respond(query, [address_record("example.com", "192.0.2.1")])[:-1]

    config = ResolverConfig(servers=(ONE, TWO))
    end, _, _ = run(lookup(config=config), {ONE: broken, TWO: zone_server})
    assert end == Resolved(BOTH)


def test_rotation_begins_with_a_server_drawn_by_lot() -> None:
    config = ResolverConfig(servers=(ONE, TWO, THREE), rotate=True)
    sent = datagrams(lookup(config=config, families=("A",)))
    assert sent[0].server == (ONE, TWO, THREE)[0x1111 % 3]
    assert question_of(sent[0].payload).name == EXAMPLE


def test_the_total_deadline_is_exact_and_never_extended_by_traffic() -> None:
    config = ResolverConfig(servers=(ONE,), timeout=30.0, attempts=1)
    machine = lookup(config=config, families=("A",), within=5.0)
    (sent,) = datagrams(machine)
    assert machine.deadline == 105.0
    for step in range(10):
        machine.receive_datagram(sent.exchange_id, bytes(50), 100.0 + step / 10)
        assert machine.deadline == 105.0
    machine.expire(104.999)
    assert events(machine) == []
    machine.expire(105.0)
    assert isinstance(failure(machine), TimedOut)
    machine.expire(106.0)
    assert events(machine) == []


def test_an_answer_at_the_deadline_is_too_late() -> None:
    machine = lookup(families=("A",), within=5.0)
    (sent,) = datagrams(machine)
    answer = respond(decode(sent.payload), [address_record("example.com", "192.0.2.1")])
    machine.receive_datagram(sent.exchange_id, answer, 105.0)
    assert isinstance(failure(machine), TimedOut)


def test_rfc8305_3_the_second_family_gets_a_short_while() -> None:
    def only(kind: int) -> Server:
        return lambda query, stream: zone_server(query, stream) if query.questions[0].type == kind else None

    for kind, address in ((RecordType.A, "192.0.2.1"), (RecordType.AAAA, "2001:db8::1")):
        end, now, seen = run(lookup(), {ONE: only(kind)})
        assert end == Resolved((address,))
        assert now == 100.5
        assert [event for event in seen if isinstance(event, Found)] == [Found((address,))]


def test_rfc8305_3_ipv4_addresses_wait_a_moment_for_ipv6_ones() -> None:
    machine = lookup()
    first, second = datagrams(machine)
    answer = respond(decode(first.payload), [address_record("example.com", "192.0.2.1")])
    machine.receive_datagram(first.exchange_id, answer, 100.1)
    assert events(machine) == [CloseExchange(first.exchange_id)]
    assert machine.deadline == pytest.approx(100.15)
    machine.expire(100.15)
    assert events(machine) == [Found(("192.0.2.1",))]
    late = respond(decode(second.payload), [address_record("example.com", "2001:db8::1")])
    machine.receive_datagram(second.exchange_id, late, 100.3)
    assert events(machine) == [CloseExchange(second.exchange_id), Resolved(BOTH)]


def test_rfc8305_3_ipv6_addresses_are_told_of_at_once() -> None:
    machine = lookup()
    first, second = datagrams(machine)
    answer = respond(decode(second.payload), [address_record("example.com", "2001:db8::1")])
    machine.receive_datagram(second.exchange_id, answer, 100.1)
    assert events(machine) == [CloseExchange(second.exchange_id), Found(("2001:db8::1",))]
    machine.receive_datagram(first.exchange_id, respond(decode(first.payload)), 100.2)
    assert events(machine) == [CloseExchange(first.exchange_id), Resolved(("2001:db8::1",))]


def test_a_family_that_comes_within_the_moment_is_told_of_with_the_other() -> None:
    machine = lookup()
    for sent, address in zip(datagrams(machine), ("192.0.2.1", "2001:db8::1"), strict=True):
        answer = respond(decode(sent.payload), [address_record("example.com", address)])
        machine.receive_datagram(sent.exchange_id, answer, 100.04)
    assert [type(event) for event in events(machine)] == [CloseExchange, CloseExchange, Resolved]


@pytest.mark.parametrize("late", ["the clock", "a datagram"])
def test_at_the_total_deadline_the_addresses_of_one_family_are_enough(late: str) -> None:
    machine = lookup(within=5.0, config=ResolverConfig(servers=(ONE,), attempts=1))
    first, second = datagrams(machine)
    answer = respond(decode(first.payload), [address_record("example.com", "192.0.2.1")])
    machine.receive_datagram(first.exchange_id, answer, 104.97)
    assert machine.deadline == 105.0
    if late == "the clock":
        machine.expire(105.0)
    else:
        machine.receive_datagram(second.exchange_id, respond(decode(second.payload)), 105.0)
    assert events(machine) == [
        CloseExchange(first.exchange_id),
        CloseExchange(second.exchange_id),
        Resolved(("192.0.2.1",)),
    ]


def test_a_family_without_an_answer_does_not_hide_the_failure_of_the_other() -> None:
    def server(query: Message, stream: bool) -> bytes:
        return respond(
            query, rcode=Rcode.SERVFAIL if query.questions[0].type == RecordType.A else Rcode.NXDOMAIN
        )

    end, _, _ = run(lookup(), {ONE: server})
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)


def test_a_family_that_fails_does_not_hide_the_addresses_of_the_other() -> None:
    def server(query: Message, stream: bool) -> bytes | None:
        if query.questions[0].type == RecordType.A:
            return zone_server(query, stream)
        return respond(query, rcode=Rcode.SERVFAIL)

    assert run(lookup(), {ONE: server})[0] == Resolved(("192.0.2.1",))


# The search list


@pytest.mark.parametrize(
    ("host", "ndots", "asked", "found"),
    [
        ("host", 1, ["host.corp.example"], True),
        ("bare", 1, ["bare.corp.example", "bare.example.com", "bare"], True),
        ("bare.", 1, ["bare"], True),
        ("example.com", 1, ["example.com"], True),
        ("example.com", 2, ["example.com.corp.example", "example.com.example.com", "example.com"], True),
        ("none", 1, ["none.corp.example", "none.example.com", "none"], False),
        ("none.", 1, ["none"], False),
        ("a.none", 1, ["a.none", "a.none.corp.example", "a.none.example.com"], False),
    ],
)
def test_candidates_are_asked_in_turn(host: str, ndots: int, asked: list[str], found: bool) -> None:
    config = ResolverConfig(servers=(ONE,), search=("corp.example", "example.com"), ndots=ndots)
    end, _, seen = run(lookup(host, config=config, families=("A",)), {ONE: zone_server})
    names = [name_to_text(question_of(one.payload).name) for one in seen if isinstance(one, SendDatagram)]
    assert names == asked
    assert isinstance(end, Resolved) is found
    if isinstance(end, Failed):
        assert all(name in str(end.error) for name in asked)


def test_when_every_name_of_the_search_fails_it_is_the_servers_failure() -> None:
    config = ResolverConfig(servers=(ONE,), search=("corp.example",), attempts=1)
    end, _, seen = run(lookup("bare", config=config, families=("A",)), {ONE: says(Rcode.SERVFAIL)})
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    assert sum(isinstance(event, SendDatagram) for event in seen) == 2


# Cancelling


def test_cancel_before_anything_was_begun_leaves_nothing() -> None:
    machine = lookup()
    machine.cancel()
    assert machine.finished
    assert machine.deadline is None
    assert events(machine) == []


def test_cancel_closes_what_was_begun_once() -> None:
    machine = lookup()
    first = machine.next_event()
    assert isinstance(first, SendDatagram)
    machine.cancel()
    machine.cancel()
    assert events(machine) == [CloseExchange(first.exchange_id)]
    machine.receive_datagram(first.exchange_id, bytes(40), 100.0)
    machine.exchange_failed(first.exchange_id, "late", 100.0)
    machine.expire(200.0)
    assert events(machine) == []


def test_cancel_takes_an_end_back_that_was_not_pulled() -> None:
    machine = lookup("localhost")
    machine.cancel()
    assert events(machine) == []
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    machine.expire(200.0)
    machine.cancel()
    assert events(machine) == [CloseExchange(sent.exchange_id)]


def test_cancel_between_close_and_stream() -> None:
    machine = lookup(families=("A",))
    (sent,) = datagrams(machine)
    machine.receive_datagram(sent.exchange_id, respond(decode(sent.payload), truncated=True), 100.0)
    machine.cancel()
    assert events(machine) == [CloseExchange(sent.exchange_id)]


actions = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "right",
                "empty",
                "cut",
                "forged",
                "rcode",
                "truncated",
                "fail",
                "time",
                "expire",
                "pull",
                "cancel",
            ]
        ),
        st.integers(0, 5),
    ),
    max_size=25,
)


@given(actions, st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_exchange_is_closed_once_and_there_is_one_end(
    steps: list[tuple[str, int]], stream: bool
) -> None:
    config = ResolverConfig(servers=(ONE, TWO), search=("corp.example",), use_stream=stream)
    machine = lookup("host", config=config)
    now = 100.0
    opened: dict[int, SendDatagram | OpenStream] = {}
    closed: set[int] = set()
    ends = 0
    cancelled = False

    def pull() -> None:
        nonlocal ends
        for event in events(machine):
            assert ends == 0
            if isinstance(event, SendDatagram | OpenStream):
                assert event.exchange_id not in opened
                opened[event.exchange_id] = event
            elif isinstance(event, CloseExchange):
                assert event.exchange_id in opened
                assert event.exchange_id not in closed
                closed.add(event.exchange_id)
            elif not isinstance(event, Found):
                ends += 1

    pull()
    for action, choice in steps:
        if action == "pull":
            pull()
        elif action == "time":
            now += choice
        elif action == "expire":
            machine.expire(now)
        elif action == "cancel":
            cancelled = cancelled or choice == 0
            if choice == 0:
                machine.cancel()
        elif opened:
            begin = opened[sorted(opened)[choice % len(opened)]]
            query = decode(begin.payload[2:] if isinstance(begin, OpenStream) else begin.payload)
            data = {
                "right": respond(query, [address_record(query.questions[0].name, "192.0.2.1")]),
                "empty": respond(query),
                "cut": respond(query)[:-1],
                "forged": bytes(30),
                "rcode": respond(query, rcode=choice),
                "truncated": respond(query, truncated=True),
            }.get(action)
            if data is None:
                machine.exchange_failed(begin.exchange_id, "broken", now)
            elif isinstance(begin, OpenStream):
                machine.receive_stream(begin.exchange_id, len(data).to_bytes(2, "big") + data, now)
            else:
                machine.receive_datagram(begin.exchange_id, data, now)
        assert machine.finished or (machine.deadline is not None and machine.deadline <= 110.0)
    machine.expire(110.0)
    pull()
    assert machine.finished
    assert closed == set(opened)
    assert ends == 1 or (cancelled and ends == 0)
