"""`mask`: against the sentence of the RFC, one byte at a time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.websocket.masking import mask
from tests.websocket.driver import naive_mask

KEY = bytes.fromhex("37fa213d")
LENGTHS = [
    *range(10),
    63,
    64,
    65,
    125,
    126,
    127,
    *range(395, 410),
    1021,
    1022,
    1023,
    1024,
    8192,
    65535,
    65536,
]


def test_rfc6455_5_7_masked_hello() -> None:
    assert mask(b"Hello", KEY, 0) == bytes.fromhex("7f9f4d5158")
    assert mask(bytes.fromhex("7f9f4d5158"), KEY, 0) == b"Hello"


@pytest.mark.parametrize("size", LENGTHS)
def test_each_length_and_offset_as_the_naive_way(size: int) -> None:
    data = bytes(i * 31 + 7 & 255 for i in range(size))
    for offset in range(5):
        assert mask(data, KEY, offset) == naive_mask(data, KEY, offset)


@pytest.mark.parametrize("size", [5, 1000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_stays_as_it_is_and_bytes_come_back(size: int, kind: type) -> None:
    data = bytes(i & 255 for i in range(size))
    buffer = kind(bytearray(data))
    masked = mask(buffer, KEY, 3)
    assert type(masked) is bytes
    assert masked == naive_mask(data, KEY, 3)
    assert bytes(buffer) == data


@pytest.mark.parametrize("key", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0"])
@pytest.mark.parametrize("size", [0, 1, 7, 399, 400, 401, 2000])
def test_extreme_keys(key: bytes, size: int) -> None:
    data = b"\0\xff\x80" * size
    assert mask(data, key, 1) == naive_mask(data, key, 1)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=1200), key=st.binary(min_size=4, max_size=4), offset=st.integers(0, 1 << 40))
def test_property_naive_oracle_and_involution(data: bytes, key: bytes, offset: int) -> None:
    masked = mask(data, key, offset)
    assert masked == naive_mask(data, key, offset)
    assert mask(masked, key, offset) == data


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=1200), key=st.binary(min_size=4, max_size=4), cut=st.integers(0, 1200))
def test_property_pieces_make_the_whole(data: bytes, key: bytes, cut: int) -> None:
    cut = min(cut, len(data))
    assert mask(data[:cut], key, 0) + mask(data[cut:], key, cut) == mask(data, key, 0)
