"""The answering side."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns.answers import Zone, address_record, alias_record, respond
from mungos.dns.matching import make_query
from mungos.dns.messages import (
    Edns,
    Header,
    Message,
    Question,
    Rcode,
    RecordType,
    StartOfAuthority,
    decode,
    encode,
)
from mungos.dns.names import name_from_text

ZONE = Zone(
    {
        "example.com": ["192.0.2.1", "2001:db8::1"],
        "www.example.com": ["example.com."],
        "dangling.example.com": ["nowhere.example.com."],
        "loop.example.com": ["loop.example.com."],
        "big.example.com": [f"2001:db8::{n}" for n in range(1, 100)],
    }
)


def ask(
    name: str, kind: int = RecordType.A, *, payload_size: int | None = None, stream: bool = False
) -> Message:
    query = make_query(Question(name_from_text(name), kind), 0xABCD, payload_size)
    data = ZONE.answer(query, stream=stream)
    assert data is not None
    message = decode(data)
    assert message.header.id == 0xABCD
    assert message.header.response
    assert message.questions == (Question(name_from_text(name), kind),)
    assert (message.edns is not None) == (payload_size is not None)
    return message


def test_known_octets_of_a_response() -> None:
    query = Message(Header(0x0102), (Question(name_from_text("a.example"), RecordType.A),))
    assert respond(query, [address_record("a.example", "192.0.2.1", ttl=5)]) == bytes.fromhex(
        "0102 8180 0001 0001 0000 0000 0161 07 6578616d706c65 00 0001 0001"
        "c00c 0001 0001 00000005 0004 c0000201"
    )


def test_addresses_of_each_family() -> None:
    # The owner is a pointer to the question, and so bears its case.
    assert ask("EXAMPLE.com").answers == (address_record("EXAMPLE.com", "192.0.2.1"),)
    assert ask("example.com", RecordType.AAAA).answers == (address_record("example.com", "2001:db8::1"),)


def test_alias_brings_its_target_along() -> None:
    assert ask("www.example.com").answers == (
        alias_record("www.example.com", "example.com"),
        address_record("example.com", "192.0.2.1"),
    )


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("nowhere.example.com", RecordType.A, Rcode.NXDOMAIN),
        ("dangling.example.com", RecordType.A, Rcode.NXDOMAIN),
        ("big.example.com", RecordType.A, Rcode.NOERROR),
        ("loop.example.com", RecordType.A, Rcode.NOERROR),
    ],
)
def test_rfc2308_negative_answers_carry_the_soa(name: str, kind: int, rcode: int) -> None:
    message = ask(name, kind)
    assert message.header.rcode == rcode
    assert isinstance(message.authorities[0].data, StartOfAuthority)


def test_rfc2181_9_what_does_not_fit_is_truncated_and_empty() -> None:
    for payload_size in (None, 100, 1232, 65_535):
        message = ask("big.example.com", RecordType.AAAA, payload_size=payload_size)
        assert message.header.truncated
        assert message.answers == ()
    assert len(ask("big.example.com", RecordType.AAAA, stream=True).answers) == 99


def test_what_deserves_no_answer() -> None:
    assert ZONE.answer(b"") is None
    assert ZONE.answer(bytes(11)) is None
    assert ZONE.answer(bytes.fromhex("0001 8000") + bytes(8)) is None


def test_refusals() -> None:
    question = Question(name_from_text("example.com"), RecordType.A)
    cases = [
        (Message(Header(7, opcode=2), (question,)), Rcode.NOTIMP),
        (Message(Header(7)), Rcode.FORMERR),
        (Message(Header(7), (Question(question.name, 1, 3),)), Rcode.REFUSED),
        (Message(Header(7), (question,), edns=Edns(1232, version=1)), Rcode.BADVERS),
    ]
    for query, rcode in cases:
        data = ZONE.answer(encode(query))
        assert data is not None
        assert decode(data).header.rcode == rcode
    data = ZONE.answer(encode(cases[0][0])[:-1])
    assert data is not None
    assert decode(data).header == Header(7, True, 2, recursion_available=True, rcode=Rcode.FORMERR)


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_octets_get_a_sound_answer_or_none(octets: bytes, whole: bool) -> None:
    data = ZONE.answer(bytes(2) + b"\x01\x00\x00\x01" + bytes(6) + octets if whole else octets)
    if data is not None:
        assert decode(data).header.response
