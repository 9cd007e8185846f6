"""How much is done for what a name server sends, counted: octets looked at, and Python's own calls."""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from types import FrameType
from typing import SupportsIndex

import pytest

from mungos.dns import (
    Hosts,
    Lookup,
    Message,
    OpenStream,
    Question,
    Record,
    RecordType,
    ResolverConfig,
    ServerAddress,
    address_record,
    alias_record,
    decode,
    decode_head,
    encode,
    name_from_text,
    respond,
)
from mungos.dns.matching import MAX_CHAIN, answered
from mungos.dns.messages import Header
from mungos.errors import Malformed

SIZES = [1024, 4096, 16384]
QUESTION = Question(name_from_text("example.com"), RecordType.A)
OCTETS_PER_OCTET = 4
CALLS_PER_RECORD = 12


class Counted(bytes):
    """Octets that count how many of them are looked at by index."""

    looked = 0

    def __getitem__(self, index: SupportsIndex | slice) -> int | bytes:  # type: ignore[override]
        found = super().__getitem__(index)
        self.looked += 1 if isinstance(found, int) else len(found)
        return found


def calls_in(work: Callable[[], object]) -> int:
    """How many Python functions were called."""
    count = 0

    def on_event(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    previous = sys.getprofile()
    sys.setprofile(on_event)
    try:
        work()
    finally:
        sys.setprofile(previous)
    return count


def header(records: int) -> bytes:
    """An answer's header and question."""
    return struct.pack("!HHHHHH", 1, 0x8180, 1, records, 0, 0) + b"\7example\3com\0\0\1\0\1"


def record(name: bytes, data: bytes, kind: int = 99) -> bytes:
    """A record as it stands on the wire."""
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def filled(size: int, first: bytes, each: Callable[[int], bytes]) -> tuple[bytes, int]:
    """A message of about so many octets: one record, and then as many as there is room for."""
    body = bytearray(first)
    records = 1
    while records < 1000 and len(header(0)) + len(body) + len(each(records)) <= size:
        body += each(records)
        records += 1
    return header(records) + body, records


def pointer(target: int) -> bytes:
    """A compression pointer."""
    return (0xC000 | target).to_bytes(2, "big")


START = len(header(0)) + 1 + 10
"""Where the data of a first record at the root begin."""


def addresses(size: int) -> tuple[bytes, int]:
    """A good answer: addresses of the name."""
    return filled(
        size, record(pointer(12), b"\1\2\3\4", 1), lambda n: record(pointer(12), n.to_bytes(4, "big"), 1)
    )


def addresses_v6(size: int) -> tuple[bytes, int]:
    """A good answer: IPv6 addresses of the name."""
    return filled(
        size, record(pointer(12), bytes(16), 28), lambda n: record(pointer(12), n.to_bytes(16, "big"), 28)
    )


def pointer_chain(size: int) -> tuple[bytes, int]:
    """Each record's name goes through the same long chain of pointers."""
    links = 120
    chain = b"\1a\0" + b"".join(pointer(START + (3 + 2 * (link - 1) if link else 0)) for link in range(links))
    last = START + 3 + 2 * (links - 1)
    return filled(size, record(b"\0", chain), lambda _: record(pointer(last), b""))


def long_names(size: int) -> tuple[bytes, int]:
    """Each record's name is the same one of 127 labels."""
    return filled(size, record(b"\0", b"\1a" * 127 + b"\0"), lambda _: record(pointer(START), b""))


def own_long_names(size: int) -> tuple[bytes, int]:
    """Each record has a name of 127 labels of its own."""
    return filled(size, record(b"\0", b""), lambda _: record(b"\1a" * 127 + b"\0", b""))


def suffixes(size: int) -> tuple[bytes, int]:
    """Each record's name is a label before the name of the record before it."""

    def each(number: int) -> bytes:
        before = len(header(0)) + 11 + 16 * (number - 2)
        return record(b"\1a" + pointer(12 if number % 100 == 1 else before) + b"", b"\0\0")

    return filled(size, record(b"\0", b""), each)


def lying_across(size: int, step: int) -> tuple[bytes, int]:
    """Names in whose labels others begin: of so many octets in a row, each is the length of a label."""
    blocks = size // 1024
    blob = (bytes([step - 1]) * (256 - step) + bytes(step)) * blocks
    places = [START + 256 * block + place for place in range(step) for block in range(blocks)]
    return filled(size, record(b"\0", blob), lambda n: record(pointer(places[n % len(places)]), b""))


def across(size: int) -> tuple[bytes, int]:
    """Labels of 63 octets."""
    return lying_across(size, 64)


def across_with_short_labels(size: int) -> tuple[bytes, int]:
    """Labels of 31 octets."""
    return lying_across(size, 32)


MESSAGES = [
    addresses,
    addresses_v6,
    pointer_chain,
    long_names,
    own_long_names,
    suffixes,
    across,
    across_with_short_labels,
]


def refused_for_what_it_is(made: Callable[[int], tuple[bytes, int]]) -> AbstractContextManager[object]:
    """Names that lie across one another are no names; all others are read."""
    if made in (across, across_with_short_labels):
        return pytest.raises(Malformed, match="lie across one another")
    return contextlib.nullcontext()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("made", MESSAGES, ids=lambda made: made.__name__)
def test_octets_of_a_message_are_looked_at_a_few_times_each(
    made: Callable[[int], tuple[bytes, int]], size: int
) -> None:
    octets, records = made(size)
    assert len(octets) > size * 0.6
    data = Counted(octets)
    decode_head(data)
    with refused_for_what_it_is(made):
        decode(data)
    # What is read as numbers is looked at once: 12 octets, 4 of a question (twice), 10 of a record.
    assert data.looked + 2 * 16 + 10 * records <= OCTETS_PER_OCTET * len(octets)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("made", MESSAGES, ids=lambda made: made.__name__)
def test_calls_are_a_few_for_each_record(made: Callable[[int], tuple[bytes, int]], size: int) -> None:
    octets, records = made(size)
    read: list[Message] = []

    def work() -> None:
        with contextlib.suppress(Malformed):
            read.append(decode(octets))

    assert calls_in(work) <= CALLS_PER_RECORD * records + 30
    if read:
        for kind in (RecordType.A, RecordType.AAAA):
            question = Question(QUESTION.name, kind)
            count = calls_in(lambda question=question: answered(read[0], question))  # type: ignore[misc]
            assert count <= CALLS_PER_RECORD * records


def test_good_answers_are_read_whole() -> None:
    for made in (addresses, addresses_v6, pointer_chain, long_names, own_long_names, suffixes):
        octets, records = made(4096)
        assert len(decode(octets).answers) == records


def test_a_name_through_a_chain_of_pointers_is_the_name_at_its_end() -> None:
    octets, _ = pointer_chain(4096)
    assert {each.name for each in decode(octets).answers[1:]} == {(b"a",)}


@pytest.mark.parametrize("size", SIZES)
def test_an_answer_that_comes_octet_by_octet_is_looked_at_once(size: int) -> None:
    machine = Lookup(
        "example.com",
        config=ResolverConfig(servers=(ServerAddress("192.0.2.53"),), use_stream=True),
        hosts=Hosts(),
        families=("A",),
        random=lambda count: b"\0\1"[:count],
        now=0.0,
        within=5.0,
    )
    begin = machine.next_event()
    assert isinstance(begin, OpenStream)
    octets, _ = addresses(size)
    framed = len(octets).to_bytes(2, "big") + octets
    pieces = [framed[place : place + 1] for place in range(len(framed) - 1)]

    def work() -> None:
        for piece in pieces:
            machine.receive_stream(begin.exchange_id, piece, 0.0)

    assert calls_in(work) <= CALLS_PER_RECORD * len(pieces)
    assert machine.next_event() is None
    machine.receive_stream(begin.exchange_id, framed[-1:], 0.0)
    assert machine.next_event() is not None


def test_aliases_are_followed_with_a_few_calls_each() -> None:
    def chain(length: int, padding: int) -> Message:
        names = ["example.com", *(f"n{number}.example.com" for number in range(length))]
        records: list[Record] = [alias_record(one, two) for one, two in pairwise(names)]
        records += [alias_record(f"x{number}.example", "y.example") for number in range(padding)]
        records.append(address_record(names[-1], "192.0.2.1"))
        query = Message(Header(1), (QUESTION,))
        return decode(respond(query, records[::-1]))

    for padding in (0, 100, 900):
        message = chain(MAX_CHAIN, padding)
        count = calls_in(lambda message=message: answered(message, QUESTION))  # type: ignore[misc]
        assert count <= CALLS_PER_RECORD * len(message.answers)
        assert answered(message, QUESTION).addresses == ("192.0.2.1",)


def test_names_are_written_and_read_back_however_they_share() -> None:
    names = [
        name_from_text(text) for text in ("a.b.c.example", "b.c.example", "x.b.c.example", "example", ".")
    ]
    records = tuple(Record(name, 99, b"", 60) for name in names * 20)
    assert [each.name for each in decode(encode(Message(Header(1), answers=records))).answers] == names * 20
