"""What is parsed by a quicker way because it is usual is found, and refused, as by the way for everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.x509 import extensions as module
from mungos.x509.der import INTEGER, OCTET_STRING, OID, SEQUENCE, Reader
from mungos.x509.errors import CertificateMalformed
from mungos.x509.names import reference_identity, wanted_identity

Found = tuple[bytes, bool, int, int] | str


def told(read: Callable[[], list[bytes]]) -> list[bytes] | str:
    """What is read, or why it is refused."""
    try:
        return read()
    except CertificateMalformed as error:
        return str(error)


class Never:
    """A pattern that nothing fits."""

    def match(self, _data: bytes, _at: int, _end: int) -> None:
        return None


def next_extension(data: bytes, at: int, end: int) -> tuple[Found, int]:
    """What is found and where the reader then stands."""
    reader = Reader(data, at, end)
    try:
        return module._next(reader), reader.position
    except CertificateMalformed:
        return "malformed", -1


def both_ways(data: bytes, at: int, end: int) -> tuple[Found, int]:
    quick = next_extension(data, at, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_USUAL", Never())
        assert next_extension(data, at, end) == quick
    return quick


USUAL = bytes.fromhex("300c0603551d130101ff04023000")
PLAIN = bytes.fromhex("30090603551d1304023000")


@pytest.mark.parametrize("extension", [USUAL, PLAIN])
def test_usual_extension(extension: bytes) -> None:
    data = b"\0\0" + extension + extension
    end = 2 + len(extension)
    expected = (b"\x55\x1d\x13", extension == USUAL, end - 2, end)
    assert both_ways(data, 2, len(data)) == (expected, end)
    assert both_ways(data, 2, end) == (expected, end)


@pytest.mark.parametrize("extension", [USUAL, PLAIN])
def test_usual_extension_cut_or_with_any_byte_changed(extension: bytes) -> None:
    for end in range(len(extension)):
        assert both_ways(extension, 0, end) == ("malformed", -1)
        # What lies behind the end is there, and not to be looked at.
        assert both_ways(extension[:end], 0, end) == ("malformed", -1)
    for at in range(len(extension)):
        for byte in (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x7F, 0x80, 0x81, 0x82, 0xFF):
            changed = bytearray(extension + b"\0" * 140)
            changed[at] = byte
            both_ways(bytes(changed), 0, len(extension))
            both_ways(bytes(changed), 0, len(changed))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=4),
    st.sampled_from([b"", b"\x01\x01\xff", b"\x01\x01\x00", b"\x01\x02\xff\xff"]),
    st.binary(max_size=140),
    st.integers(-2, 2),
    st.integers(-2, 2),
)
def test_any_extension(identifier: bytes, critical: bytes, value: bytes, wrong: int, off: int) -> None:
    def element(tag: int, content: bytes, more: int = 0) -> bytes:
        length = max(len(content) + more, 0)
        size = bytes((length,)) if length < 0x80 else bytes((0x81, length & 0xFF))
        return bytes((tag,)) + size + content

    inner = element(OID, b"\x55" + identifier) + critical + element(OCTET_STRING, value, wrong)
    data = element(SEQUENCE, inner, off) + b"\x30\x03\x02\x01\x00"
    both_ways(data, 0, len(data))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=140), max_size=3), st.integers(0, 400), st.binary(max_size=3))
def test_elements_one_after_another(contents: list[bytes], cut: int, junk: bytes) -> None:
    written = [
        bytes((SEQUENCE,)) + (b"" if len(each) < 0x80 else b"\x81") + bytes((len(each),)) + each
        for each in contents
    ]
    data = (b"".join(written) + junk)[:cut]
    one, other = Reader(data), Reader(data)
    tags = (SEQUENCE,) * len(contents)
    expected = told(lambda: [one.element(tag) for tag in tags])
    assert told(lambda: other.elements(tags)) == expected
    if isinstance(expected, list):
        assert other.position == one.position


def test_elements_have_the_tags_that_are_asked_for() -> None:
    with pytest.raises(CertificateMalformed, match="tag 0x02 at offset 2 where 0x30"):
        Reader(bytes.fromhex("3000020100")).elements((SEQUENCE, SEQUENCE))
    assert Reader(bytes.fromhex("3000020100")).elements((SEQUENCE, INTEGER)) == [b"\x30\0", b"\2\1\0"]


def test_into_is_the_last() -> None:
    reader = Reader(bytes.fromhex("3003020105"))
    reader.into(SEQUENCE)
    assert reader.integer() == 5
    reader.close()
    with pytest.raises(CertificateMalformed, match="left over"):
        Reader(bytes.fromhex("300302010500")).into(SEQUENCE)


def test_names_that_are_wanted_are_those_of_reference() -> None:
    for name in ("LocalHost.", "127.0.0.1", "[::1]"):
        assert wanted_identity(name) == reference_identity(name)
