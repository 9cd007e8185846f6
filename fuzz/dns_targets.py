"""DNS messages (RFC 1035)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from fuzz.target import Target, require, told
from mungos.dns import (
    Cache,
    Failed,
    Hosts,
    Lookup,
    OpenStream,
    Resolved,
    ResolverConfig,
    SendDatagram,
    ServerAddress,
    address_record,
    alias_record,
    respond,
)
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


CONFIG = ResolverConfig((ServerAddress("192.0.2.53"),), cache_entries=4)


def answer(data: bytes) -> str:
    cache = Cache(CONFIG)
    ends: list[str] = []
    for _ in range(2):
        lookup = Lookup(
            "www.example.com",
            config=CONFIG,
            hosts=Hosts(),
            families=("A",),
            cache=cache,
            random=lambda count: b"\0\1"[:count],
            now=0.0,
            within=5.0,
        )
        asked = 0
        while (event := lookup.next_event()) is not None:
            if isinstance(event, SendDatagram):
                asked += 1
                lookup.receive_datagram(event.exchange_id, data, 0.0)
            elif isinstance(event, OpenStream):
                asked += 1
                lookup.receive_stream(event.exchange_id, len(data).to_bytes(2, "big") + data, 0.0)
            elif isinstance(event, Resolved | Failed):
                ends.append(str(event))
        require(asked <= 6, "one message leads to more than six queries")
        require(cache.size <= CONFIG.cache_bytes and len(cache) <= 1, "more is remembered than was asked")
    require(len(set(ends)) <= 1, "what is remembered is not what was answered")
    return ends[0][:60] if ends else "no end yet"


def answers() -> list[bytes]:
    query = Message(Header(1), (Question(name_from_text("www.example.com"), RecordType.A),))
    records = [alias_record("www.example.com", "example.com"), address_record("example.com", "192.0.2.1")]
    return [
        respond(query, records),
        respond(query, records[:1], rcode=3),
        respond(query, truncated=True),
        *(respond(query, rcode=rcode) for rcode in range(6)),
        *(respond(query, rcode=rcode)[:12] for rcode in (1, 2, 4, 5)),
        *seeds(),
    ]


TARGETS = (
    Target("dns-message", "one message, read and written again", message, seeds, WORDS, 1500),
    Target("dns-answer", "one message, whatever a lookup asks, and asks again", answer, answers, WORDS, 1500),
)
