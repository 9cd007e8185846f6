"""Domain names as text and on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns.names import (
    MAX_POINTERS,
    Name,
    NameReader,
    Offsets,
    check_host,
    folded,
    name_from_text,
    name_to_text,
    read_name,
    write_name,
)
from mungos.errors import Malformed, Misuse

labels = st.binary(min_size=1, max_size=63)
names = (
    st.lists(labels, max_size=8).map(tuple).filter(lambda name: 1 + len(name) + sum(map(len, name)) <= 255)
)

# RFC 1035 section 4.1.4: F.ISI.ARPA at octet 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92.
EXAMPLE = bytearray(93)
EXAMPLE[20:32] = b"\x01F\x03ISI\x04ARPA\x00"
EXAMPLE[40:46] = b"\x03FOO\xc0\x14"
EXAMPLE[64:66] = b"\xc0\x1a"
EXAMPLE[92:93] = b"\x00"


@pytest.mark.parametrize(
    ("offset", "text", "after"),
    [(20, "F.ISI.ARPA", 32), (40, "FOO.F.ISI.ARPA", 46), (64, "ARPA", 66), (92, ".", 93)],
)
def test_rfc1035_4_1_4_example_is_read(offset: int, text: str, after: int) -> None:
    name, position = read_name(bytes(EXAMPLE), offset)
    assert (name_to_text(name), position) == (text, after)


def test_rfc1035_4_1_4_example_is_written() -> None:
    buffer = bytearray(20)
    offsets: Offsets = {}
    for start, text in ((20, "F.ISI.ARPA"), (40, "FOO.F.ISI.ARPA"), (64, "ARPA"), (92, ".")):
        buffer += bytes(start - len(buffer))
        write_name(buffer, name_from_text(text), offsets)
    assert buffer == EXAMPLE


def test_compression_ignores_case() -> None:
    buffer = bytearray()
    offsets: Offsets = {}
    write_name(buffer, name_from_text("www.Example.COM"), offsets)
    write_name(buffer, name_from_text("ftp.eXAMPLE.com"), offsets)
    assert bytes(buffer[-6:]) == b"\x03ftp\xc0\x04"


def test_names_beyond_the_reach_of_a_pointer_are_not_compressed_to() -> None:
    buffer = bytearray(0x4000)
    offsets: Offsets = {}
    name = name_from_text("example.com")
    write_name(buffer, name, offsets)
    write_name(buffer, name, offsets)
    assert buffer[0x4000:] == b"\x07example\x03com\x00" * 2


@pytest.mark.parametrize(
    ("octets", "offset", "told"),
    [
        (b"", 0, "runs past"),
        (b"\x03ab", 0, "runs past"),
        (b"\x03abc", 0, "runs past"),
        (b"\xc0", 0, "runs past"),
        (b"\x40a\x00", 0, "reserved type 01"),
        (b"\x80a\x00", 0, "reserved type 10"),
        (b"\xc0\x00", 0, "leads forward"),
        (b"\xc0\x02\x00", 0, "leads forward"),
        (b"\x01a\xc0\x00", 0, "leads forward"),
        (b"\x01a\x01b\xc0\x02", 0, "leads forward"),
        # Two pointers that name each other.
        (b"\xc0\x02\xc0\x00", 2, "leads forward"),
        (b"\xc0\x02\xc0\x00", 0, "leads forward"),
        # A pointer into the labels before it, which run into the pointer again.
        (b"\x01a\x01b\xc0\x00", 2, "leads forward"),
        ((b"\x3f" + b"x" * 63) * 4 + b"\x00", 0, "over 255 octets"),
        (b"\x01x" * 128 + b"\x00", 0, "over 255 octets"),
    ],
)
def test_wire_names_that_are_refused(octets: bytes, offset: int, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        read_name(octets, offset)


def test_pointers_have_a_limit() -> None:
    chain = b"\x00\x00" + b"".join((0xC000 | 2 * n).to_bytes(2, "big") for n in range(MAX_POINTERS + 1))
    assert read_name(chain, 2 * MAX_POINTERS) == ((), 2 * MAX_POINTERS + 2)
    with pytest.raises(Malformed, match="over 127 pointers"):
        read_name(chain, 2 * MAX_POINTERS + 2)


def test_longest_name_is_accepted() -> None:
    wire = (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"x" * 61 + b"\x00"
    name, after = read_name(wire, 0)
    assert after == len(wire) == 255
    assert name_from_text(name_to_text(name)) == name
    with pytest.raises(Misuse, match="256 octets"):
        name_from_text(name_to_text(name) + "x")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ()),
        (".", ()),
        ("example.com.", (b"example", b"com")),
        (r"a\.b.c", (b"a.b", b"c")),
        (r"a\046b\\.c", (b"a.b\\", b"c")),
        (r"\000", (b"\0",)),
    ],
)
def test_names_from_text(text: str, name: Name) -> None:
    assert name_from_text(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "..",
        ".a",
        "a..b",
        "x" * 64,
        "bücher",
        "a\\",
        "\\256",
        "\\25",
        "\\²²²",
        ".".join(["a" * 63] * 4),
        "a." * 600,
    ],
)
def test_text_that_is_no_name(text: str) -> None:
    with pytest.raises(Misuse):
        name_from_text(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [("Example.COM", "example.com"), ("a_b-.c.", "a_b-.c."), ("xn--x", "xn--x"), ("1a.b1", "1a.b1")],
)
def test_hosts(text: str, host: str) -> None:
    assert check_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        ".a",
        "-a",
        "a b",
        "a/b",
        "a.1",
        "1",
        "a.0x",
        "a.0x1f",
        "é",
        "x" * 64,
        "a." * 127 + "b",
        "a\n",
    ],
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(Misuse, match="host"):
        check_host(text)


@given(names)
@settings(max_examples=150, deadline=None)
def test_every_name_round_trips_as_text(name: Name) -> None:
    assert name_from_text(name_to_text(name)) == name


@given(st.lists(names, min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_every_name_round_trips_on_the_wire(several: list[Name]) -> None:
    buffer = bytearray(12)
    offsets: Offsets = {}
    for name in several:
        write_name(buffer, name, offsets)
    position = 12
    for name in several:
        read, position = read_name(bytes(buffer), position)
        assert folded(read) == folded(name)
    assert position == len(buffer)


@given(st.binary(max_size=80), st.integers(0, 80))
@settings(max_examples=200, deadline=None)
def test_any_octets_are_a_name_or_malformed(octets: bytes, offset: int) -> None:
    try:
        name, after = read_name(octets, offset)
    except Malformed:
        return
    assert offset < after <= len(octets)
    assert 1 + len(name) + sum(map(len, name)) <= 255


# Several names of one message.

octets = st.lists(
    st.one_of(
        st.sampled_from([b"\0", b"\1a", b"\2bc", b"\3\1x\0", b"\x3f" * 64]),
        st.integers(0, 60).map(lambda target: bytes([0xC0, target])),
        st.binary(max_size=3),
    ),
    max_size=30,
).map(b"".join)


def one(reader: NameReader, offset: int) -> tuple[Name, int] | str:
    """A name, or what is wrong with it."""
    try:
        return reader.read(offset)
    except Malformed as error:
        return str(error)


@given(octets, st.lists(st.integers(0, 80), max_size=30))
@settings(max_examples=300, deadline=None)
def test_a_name_is_the_same_whichever_were_read_before(message: bytes, offsets: list[int]) -> None:
    shared = NameReader(message)
    for offset in offsets:
        found = one(shared, offset)
        if isinstance(found, str) and "across" in found:
            return
        alone = one(NameReader(message), offset)
        # What is wrong with a name that is too long in more than one way may be said in more than one way.
        assert found == alone or (isinstance(found, str) and isinstance(alone, str))


def test_a_name_that_is_too_long_together_with_what_was_read_before_is_malformed() -> None:
    long = b"\x3f" + b"a" * 63
    message = long * 3 + b"\0" + long + b"\xc0\x00"
    reader = NameReader(message)
    assert len(reader.read(0)[0]) == 3
    with pytest.raises(Malformed, match="over 255 octets"):
        reader.read(193)
    assert len(NameReader(message).read(64)[0]) == 2


def test_pointers_are_counted_together_with_those_that_were_read_before() -> None:
    # Place 0 is the root, each later one a pointer to the one before it.
    places = [0, *range(1, 1 + 2 * (MAX_POINTERS + 1), 2)]
    message = b"\0" + b"".join(b"\xc0" + bytes([place]) for place in places[:-1])
    reader = NameReader(message)
    for place in places[:-1]:
        assert reader.read(place)[0] == ()
    with pytest.raises(Malformed, match=f"over {MAX_POINTERS} pointers"):
        reader.read(places[-1])
    with pytest.raises(Malformed, match=f"over {MAX_POINTERS} pointers"):
        read_name(message, places[-1])
