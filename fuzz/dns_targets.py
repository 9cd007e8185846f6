"""DNS messages (RFC 1035)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from fuzz.target import Target, require, told
from mungos.dns.messages import (
    Address,
    Edns,
    Header,
    Message,
    Question,
    Record,
    RecordType,
    StartOfAuthority,
    decode,
    decode_head,
    encode,
)
from mungos.dns.messages import Target as Alias
from mungos.dns.names import name_from_text
from mungos.errors import Malformed

__all__ = ["TARGETS"]

WORDS = (
    b"\xc0\x0c",
    b"\xc0\x00",
    b"\x03www\x07example\x03com\x00",
    b"\x00\x00\x29\x10\x00",
    b"\x00\x1c\x00\x01",
)


def message(data: bytes) -> str:
    try:
        decode_head(data)
        found = decode(data)
    except Malformed as error:
        return told(error)
    again = decode(encode(found))
    empty: tuple[()] = ()
    bare = [
        replace(each, questions=empty, answers=empty, authorities=empty, additionals=empty)
        for each in (found, again)
    ]
    require(bare[0] == bare[1], "written again, it means something else")
    counts = [len(each) for each in (found.questions, found.answers, found.authorities, found.additionals)]
    return f"{counts} {found.header.rcode} {found.edns is not None}"


def seeds() -> list[bytes]:
    www, example = name_from_text("www.example.com"), name_from_text("example.com")
    question = (Question(www, RecordType.A),)
    soa = StartOfAuthority(example, example, 1, 2, 3, 4, 5)
    return [
        encode(Message(Header(1, recursion_desired=True), question, edns=Edns(1232))),
        encode(
            Message(
                Header(1, response=True),
                question,
                (
                    Record(www, RecordType.CNAME, Alias(example), 60),
                    Record(example, RecordType.A, Address(IPv4Address("192.0.2.1")), 60),
                    Record(example, RecordType.AAAA, Address(IPv6Address("2001:db8::1")), 60),
                ),
                (Record(example, RecordType.SOA, soa, 60),),
            )
        ),
    ]


TARGETS = (Target("dns-message", "one message, read and written again", message, seeds, WORDS, 1500),)
