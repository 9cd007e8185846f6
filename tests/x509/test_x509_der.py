"""The DER reader: X.690, shortest forms only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.x509 import CertificateMalformed
from mungos.x509.der import BIT_STRING, INTEGER, MAX_DEPTH, OCTET_STRING, SEQUENCE, Reader
from mungos.x509.oids import dotted, encoded

H = bytes.fromhex


@pytest.mark.parametrize(
    ("data", "size"),
    [("0400", 0), ("047f" + "61" * 127, 127), ("048180" + "61" * 128, 128), ("04820100" + "61" * 256, 256)],
)
def test_x690_8_1_3_lengths(data: str, size: int) -> None:
    with Reader(H(data)) as reader:
        assert reader.content(OCTET_STRING) == b"a" * size
    for length in range(len(H(data))):
        with pytest.raises(CertificateMalformed):
            Reader(H(data)[:length]).content(OCTET_STRING)


@pytest.mark.parametrize(
    "data",
    [
        "04",
        "0480616100",  # indefinite
        "0480",
        "04810161",  # not the shortest
        "04817f" + "61" * 127,
        "04820080" + "61" * 128,
        "0482007f" + "61" * 127,
        "0485000000000161",  # over four bytes
        "04ff61",
        "0484ffffffff61",  # beyond the end
        "040261",
        "0484",
        "048201",
        "240461",  # constructed
        "0301ff",
    ],
)
def test_x690_10_1_lengths_that_are_refused(data: str) -> None:
    with pytest.raises(CertificateMalformed):
        Reader(H(data)).content(OCTET_STRING)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0480616100", "a length of 0 bytes at offset 2"),  # section 8.1.3.6
        ("04850100000061", "a length of 5 bytes at offset 2"),
        ("04ff61", "a length of 127 bytes at offset 2"),  # section 8.1.3.5 (c): reserved
        ("0484", "the data ends within the length at offset 2"),
        ("048201", "the data ends within the length at offset 2"),
        ("04817f" + "61" * 127, "the length at offset 2 is not in its shortest form"),
        ("04820080" + "61" * 128, "the length at offset 2 is not in its shortest form"),
        ("04820100", "has 256 bytes of which 0 are there"),
    ],
)
def test_x690_8_1_3_what_is_wrong_with_a_length(data: str, reason: str) -> None:
    with pytest.raises(CertificateMalformed, match=reason):
        Reader(H(data)).content(OCTET_STRING)


def test_a_length_may_not_be_read_beyond_its_block() -> None:
    # The block ends behind 82; what follows it would make the length 256.
    with pytest.raises(CertificateMalformed, match="ends within the length at offset 4"):
        Reader(H("3002" + "0482" + "0100") + bytes(256)).enter(SEQUENCE).content(OCTET_STRING)


def test_a_block_checks_its_end() -> None:
    with Reader(H("3003020105")) as reader, reader.enter(SEQUENCE) as inner:
        assert inner.integer() == 5
        assert not inner.more()
    with (
        pytest.raises(CertificateMalformed, match="1 bytes left over at offset 5"),
        Reader(H("300302010500")) as reader,
    ):
        reader.element(SEQUENCE)
    with pytest.raises(CertificateMalformed, match="left over"), Reader(H("3003020105")).enter(SEQUENCE):
        pass


def test_a_value_may_not_reach_beyond_its_block() -> None:
    with pytest.raises(CertificateMalformed), Reader(H("30020201" + "05" * 4)).enter(SEQUENCE) as inner:
        inner.integer()


def test_depth_is_bounded() -> None:
    data = b""
    for _ in range(MAX_DEPTH + 1):
        data = bytes((0x30, len(data))) + data
    reader = Reader(data)
    for _ in range(MAX_DEPTH):
        reader = reader.enter(SEQUENCE)
    with pytest.raises(CertificateMalformed, match=f"over {MAX_DEPTH}"):
        reader.enter(SEQUENCE)


@pytest.mark.parametrize(
    ("data", "value"),
    [("020100", 0), ("02017f", 127), ("02020080", 128), ("020180", -128), ("0202ff7f", -129), ("0201ff", -1)],
)
def test_x690_8_3_integers(data: str, value: int) -> None:
    assert Reader(H(data)).integer() == value


@pytest.mark.parametrize("data", ["0200", "02020001", "0202007f", "0202ff80", "0203ffffff", "010100"])
def test_x690_8_3_2_integers_that_are_refused(data: str) -> None:
    with pytest.raises(CertificateMalformed):
        Reader(H(data)).integer()


def test_x690_11_1_booleans() -> None:
    assert Reader(H("0101ff")).boolean() is True
    assert Reader(H("010100")).boolean() is False
    for data in ("010101", "0100", "0102ffff", "020101"):
        with pytest.raises(CertificateMalformed):
            Reader(H(data)).boolean()


def test_x690_11_2_bit_strings() -> None:
    assert Reader(H("03020780")).bit_string() == (b"\x80", 7)
    assert Reader(H("030100")).bit_string() == (b"", 0)
    for data in ("0300", "030101", "03020881", "03020781", "0302ff00"):
        with pytest.raises(CertificateMalformed):
            Reader(H(data)).bit_string(BIT_STRING)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("1.2.840.113549.1.1.11", "06092a864886f70d01010b"),
        ("2.5.29.17", "0603551d11"),
        ("2.999.3", "0603883703"),  # X.690 section 8.19.5, its example
        ("1.3.101.112", "06032b6570"),
        ("1.2.98305", "06042a868001"),  # seven zero bits within a part
    ],
)
def test_x690_8_19_identifiers(text: str, data: str) -> None:
    content = Reader(H(data)).oid()
    assert content == encoded(text)
    assert dotted(content) == text


@pytest.mark.parametrize(
    "data", ["0600", "060180", "0602808a", "06032a8001", "06022a80", "06032a8680", "06062a8680018001"]
)
def test_x690_8_19_2_identifiers_that_are_refused(data: str) -> None:
    with pytest.raises(CertificateMalformed):
        Reader(H(data)).oid()


def test_an_identifier_without_content_has_no_words() -> None:
    assert dotted(b"") == ""


def test_any_refuses_tags_of_two_bytes_and_the_end() -> None:
    assert Reader(H("820161")).any() == (0x82, 2, 3)
    for data in ("", "1f0100", "bf2100"):
        with pytest.raises(CertificateMalformed):
            Reader(H(data)).any()


READS: list[Callable[[Reader], object]] = [
    lambda r: r.integer(),
    lambda r: r.boolean(),
    lambda r: r.oid(),
    lambda r: r.bit_string(),
    lambda r: r.any(),
    lambda r: r.content(OCTET_STRING),
    lambda r: r.element(INTEGER),
    lambda r: r.enter(SEQUENCE),
]


@given(data=st.binary(max_size=40), read=st.sampled_from(READS))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_in_a_value_or_a_typed_error(data: bytes, read: Callable[[Reader], object]) -> None:
    reader = Reader(data)
    try:
        read(reader)
    except CertificateMalformed:
        return
    assert 0 < reader.position <= len(data)


@given(value=st.integers(-(2**200), 2**200))
@settings(max_examples=200, deadline=None)
def test_integers_survive(value: int) -> None:
    content = value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True)
    assert Reader(bytes((2, len(content))) + content).integer() == value
    pad = b"\xff" if value < 0 else b"\0"
    with pytest.raises(CertificateMalformed):
        Reader(bytes((2, len(content) + 1)) + pad + content).integer()


@given(parts=st.lists(st.integers(0, 2**40), min_size=1, max_size=8), first=st.integers(0, 2))
@settings(max_examples=200, deadline=None)
def test_identifiers_survive(parts: list[int], first: int) -> None:
    text = ".".join(map(str, (first, parts[0] % 40 if first < 2 else parts[0], *parts[1:])))
    assert dotted(encoded(text)) == text
