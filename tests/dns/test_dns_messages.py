"""The message codec: known octets, then round trips, then everything that is broken."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns.messages import (
    MAX_RECORDS,
    Address,
    Edns,
    Header,
    Message,
    Question,
    Rcode,
    Record,
    RecordData,
    RecordType,
    StartOfAuthority,
    Target,
    decode,
    decode_head,
    encode,
)
from mungos.dns.names import Name, name_from_text
from mungos.errors import Malformed, Misuse

WWW = name_from_text("www.example.com")
EXAMPLE = name_from_text("example.com")

# Written by hand from RFC 1035 section 4.1 and RFC 6891 section 6.1.2.
QUERY = bytes.fromhex(
    "1234 0100 0001 0000 0000 0001"
    "03 777777 07 6578616d706c65 03 636f6d 00 0001 0001"
    "00 0029 04d0 00000000 0000"
)
RESPONSE = bytes.fromhex(
    "1234 8180 0001 0003 0001 0002"
    "03 777777 07 6578616d706c65 03 636f6d 00 0001 0001"  # the question, at 12
    "c00c 0005 0001 0000012c 0008 05 61 6c69 6173 c010"  # CNAME alias.example.com, at 33
    "c02d 0001 0001 0000003c 0004 c0000201"
    "c02d 0001 0001 0000003c 0004 c0000202"
    "c010 0006 0001 00000e10 0020 02 6e73 c010 04 61646d69 c010 00000001 00000e10 00000258 00015180 0000003c"
    "c061 001c 0001 ffffffff 0010 20010db8000000000000000000000001"
    "00 0029 1000 00008000 0000"
)


def example() -> Message:
    return Message(
        Header(0x1234, response=True, recursion_available=True),
        (Question(WWW, RecordType.A),),
        (
            Record(WWW, RecordType.CNAME, Target(name_from_text("alias.example.com")), 300),
            Record(name_from_text("alias.example.com"), RecordType.A, Address(IPv4Address("192.0.2.1")), 60),
            Record(name_from_text("alias.example.com"), RecordType.A, Address(IPv4Address("192.0.2.2")), 60),
        ),
        (
            Record(
                EXAMPLE,
                RecordType.SOA,
                StartOfAuthority(
                    name_from_text("ns.example.com"),
                    name_from_text("admi.example.com"),
                    1,
                    3600,
                    600,
                    86400,
                    60,
                ),
                3600,
            ),
        ),
        (Record(name_from_text("ns.example.com"), RecordType.AAAA, Address(IPv6Address("2001:db8::1")), 0),),
        Edns(4096, flags=0x8000),
    )


def test_query_is_written_as_known() -> None:
    assert encode(Message(Header(0x1234), (Question(WWW, RecordType.A),), edns=Edns(1232))) == QUERY


def test_query_is_read_as_known() -> None:
    assert decode(QUERY) == Message(Header(0x1234), (Question(WWW, RecordType.A),), edns=Edns(1232))


def test_response_is_read_as_known() -> None:
    # The owner of the AAAA record is a pointer into the SOA's data; RFC 2181 section 8 makes its TTL 0.
    assert decode(RESPONSE) == example()


def test_written_response_is_compressed_and_read_back() -> None:
    wire = encode(example())
    assert decode(wire) == example()
    assert wire.count(b"example") == 1


@pytest.mark.parametrize(
    ("flags", "header"),
    [
        (0x8400, Header(1, response=True, authoritative=True, recursion_desired=False)),
        (0x8300, Header(1, response=True, truncated=True)),
        (0x2900, Header(1, opcode=5)),
        (0x8183, Header(1, response=True, recursion_available=True, rcode=Rcode.NXDOMAIN)),
    ],
)
def test_flags_stand_where_rfc1035_4_1_1_puts_them(flags: int, header: Header) -> None:
    octets = b"\x00\x01" + flags.to_bytes(2, "big") + bytes(8)
    assert decode(octets).header == header
    assert encode(Message(header)) == octets


def test_rfc6891_6_1_3_response_code_has_twelve_bits() -> None:
    message = Message(Header(1, response=True, rcode=Rcode.BADVERS), edns=Edns(512))
    wire = encode(message)
    assert wire[3] & 0xF == 0
    assert decode(wire) == message
    with pytest.raises(Misuse, match="needs EDNS"):
        encode(Message(Header(1, rcode=Rcode.BADVERS)))


def test_truncation_at_every_octet_is_malformed() -> None:
    for wire in (QUERY, RESPONSE, encode(example())):
        for size in range(len(wire)):
            with pytest.raises(Malformed):
                decode(wire[:size])


def test_octets_behind_the_last_record_are_passed_over() -> None:
    for wire in (QUERY, RESPONSE, encode(example())):
        assert decode(wire + b"\0") == decode(wire + bytes(range(256))) == decode(wire)


def test_head_of_a_cut_message_is_read() -> None:
    for size in range(33, len(RESPONSE)):
        assert decode_head(RESPONSE[:size]).questions == (Question(WWW, RecordType.A),)
    with pytest.raises(Malformed):
        decode_head(RESPONSE[:32])


def _with(position: int, octets: str) -> bytes:
    changed = bytes.fromhex(octets)
    return RESPONSE[:position] + changed + RESPONSE[position + len(changed) :]


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (b"", "0 octets"),
        (bytes(65_536), "65536 octets"),
        (_with(4, "0002"), "2 questions"),
        (_with(6, "0400"), f"at most {MAX_RECORDS}"),
        (_with(43, "0007"), "their length says"),
        (_with(43, "0009"), "their length says"),
        (_with(43, "ffff"), "run past the end"),
        (_with(33, "c021"), "leads forward"),
        (_with(33, "ffff"), "leads forward"),
        (_with(63, "0005"), "5 octets, 4 are its length"),
    ],
)
def test_broken_messages(wire: bytes, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        decode(wire)


@pytest.mark.parametrize(
    ("counts", "rest"),
    [
        ("0000 0001 0000 0000", "00 0029 0200 00000000 0000"),
        ("0000 0000 0001 0000", "00 0029 0200 00000000 0000"),
        ("0000 0000 0000 0001", "0161 00 0029 0200 00000000 0000"),
        ("0000 0000 0000 0002", "00 0029 0200 00000000 0000 00 0029 0200 00000000 0000"),
    ],
)
def test_rfc6891_6_1_1_option_record_is_single_additional_and_at_the_root(counts: str, rest: str) -> None:
    with pytest.raises(Malformed, match="OPT record"):
        decode(bytes.fromhex("0001 8000" + counts + rest))


@pytest.mark.parametrize(
    "message",
    [
        Message(Header(0x10000)),
        Message(Header(-1)),
        Message(Header(1), (Question(WWW, 0x10000),)),
        Message(Header(1), answers=(Record(WWW, RecordType.A, b"1234"),)),
        Message(Header(1), answers=(Record(WWW, RecordType.AAAA, Address(IPv4Address("192.0.2.1"))),)),
        Message(Header(1), answers=(Record(WWW, 16, Target(WWW)),)),
        Message(Header(1), answers=(Record(WWW, RecordType.A, Address(IPv4Address(1)), record_class=3),)),
        Message(Header(1), answers=(Record(WWW, RecordType.OPT, b""),)),
        Message(Header(1), answers=(Record(WWW, 16, bytes(40_000)), Record(WWW, 16, bytes(40_000)))),
        Message(Header(1), answers=(Record(WWW, 16, bytes(70_000)),)),
    ],
)
def test_what_can_not_be_written_is_misuse(message: Message) -> None:
    with pytest.raises(Misuse):
        encode(message)


def test_other_types_and_classes_are_carried_as_octets() -> None:
    message = Message(
        Header(1, response=True),
        answers=(Record(WWW, 16, b"\x03abc", 5), Record(WWW, RecordType.A, b"abcdefg", record_class=3)),
    )
    assert decode(encode(message)) == message


name_strategy = (
    st.lists(st.binary(min_size=1, max_size=20).map(bytes.lower), max_size=5)
    .map(tuple)
    .filter(lambda name: sum(map(len, name)) <= 200)
)
number32 = st.integers(0, 0xFFFF_FFFF)


def _record(name: Name, ttl: int, typed: tuple[int, RecordData]) -> Record:
    return Record(name, typed[0], typed[1], ttl)


record_strategy = st.builds(
    _record,
    name_strategy,
    st.integers(0, 0x7FFF_FFFF),
    st.one_of(
        st.tuples(st.just(1), st.ip_addresses(v=4).map(Address)),
        st.tuples(st.just(28), st.ip_addresses(v=6).map(Address)),
        st.tuples(st.sampled_from([2, 5, 12]), name_strategy.map(Target)),
        st.tuples(
            st.just(6),
            st.builds(
                StartOfAuthority,
                name_strategy,
                name_strategy,
                number32,
                number32,
                number32,
                number32,
                number32,
            ),
        ),
        st.tuples(st.sampled_from([16, 33, 257]), st.binary(max_size=40)),
    ),
)
message_strategy = st.builds(
    Message,
    st.builds(
        Header,
        st.integers(0, 0xFFFF),
        response=st.booleans(),
        opcode=st.integers(0, 15),
        authoritative=st.booleans(),
        truncated=st.booleans(),
        recursion_desired=st.booleans(),
        recursion_available=st.booleans(),
        rcode=st.integers(0, 15),
    ),
    st.lists(st.builds(Question, name_strategy, st.integers(0, 0xFFFF)), max_size=1).map(tuple),
    st.lists(record_strategy, max_size=4).map(tuple),
    st.lists(record_strategy, max_size=2).map(tuple),
    st.lists(record_strategy, max_size=2).map(tuple),
    st.one_of(
        st.none(),
        st.builds(
            Edns, st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=9)
        ),
    ),
)


@given(message_strategy)
@settings(max_examples=150, deadline=None)
def test_every_message_round_trips(message: Message) -> None:
    assert decode(encode(message)) == message


@given(
    st.sampled_from([QUERY, RESPONSE]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_mutations_are_read_or_malformed(wire: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(wire)
    for position, octet in changes:
        mutated[position % len(mutated)] = octet
    try:
        message = decode(bytes(mutated))
    except Malformed:
        return
    # What was read can be written again, and means the same, but for the reserved bits and the case of names.
    again = decode(encode(message))
    assert replace(again, questions=(), answers=(), authorities=(), additionals=()) == replace(
        message, questions=(), answers=(), authorities=(), additionals=()
    )


@given(st.binary(max_size=120))
@settings(max_examples=150, deadline=None)
def test_any_octets_are_read_or_malformed(octets: bytes) -> None:
    for read in (decode, decode_head):
        try:
            read(octets)
        except Malformed:
            continue
