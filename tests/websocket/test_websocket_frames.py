"""`scan_frame` and `encode_header`: known answers, every cut, every first byte, every form of a length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, PeerMisbehaved, ProtocolError
from mungos.websocket.frames import FIN, MASKED, encode_header, scan_frame
from tests.websocket.driver import frame

KEY = bytes.fromhex("37fa213d")


@pytest.mark.parametrize(
    ("octets", "fields"),
    [
        ("810548656c6c6f", (True, 0, 1, False, b"", 2, 5)),  # a single-frame unmasked text message
        ("818537fa213d7f9f4d5158", (True, 0, 1, True, KEY, 6, 5)),  # a single-frame masked one
        ("010348656c", (False, 0, 1, False, b"", 2, 3)),  # a fragmented unmasked text message
        ("80026c6f", (True, 0, 0, False, b"", 2, 2)),
        ("890548656c6c6f", (True, 0, 9, False, b"", 2, 5)),  # unmasked Ping
        ("8a8537fa213d7f9f4d5158", (True, 0, 10, True, KEY, 6, 5)),  # masked Pong
        ("827e0100", (True, 0, 2, False, b"", 4, 256)),  # 256 bytes binary
        ("827f0000000000010000", (True, 0, 2, False, b"", 10, 65536)),  # 64 KiB binary
    ],
)
def test_rfc6455_5_7_examples(octets: str, fields: tuple[object, ...]) -> None:
    data = bytes.fromhex(octets)
    assert scan_frame(data, 0) == fields
    assert scan_frame(bytearray(data), 0) == fields
    assert scan_frame(memoryview(data), 0) == fields


LENGTH_FORMS = [
    (0, "00"),
    (1, "01"),
    (125, "7d"),
    (126, "7e007e"),
    (127, "7e007f"),
    (65535, "7effff"),
    (65536, "7f0000000000010000"),
    ((1 << 63) - 1, "7f7fffffffffffffff"),
]


@pytest.mark.parametrize(("length", "octets"), LENGTH_FORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_w22_lengths_in_network_byte_order(length: int, octets: str, masked: bool) -> None:
    header = bytearray(b"\x82" + bytes.fromhex(octets))
    if masked:
        header[1] |= 0x80
    assert encode_header(FIN | 2, length, MASKED if masked else 0) == header
    key = KEY if masked else b""
    start = len(header) + len(key)
    assert scan_frame(header + key, 0) == (True, 0, 2, masked, key, start, length)


@pytest.mark.parametrize(("length", "octets"), LENGTH_FORMS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("start", [0, 3])
def test_w21_header_cut_at_every_byte(length: int, octets: str, masked: bool, start: int) -> None:
    header = bytearray(b"\x82" + bytes.fromhex(octets))
    if masked:
        header[1] |= 0x80
        header += KEY
    for size in range(len(header)):
        assert scan_frame(b"\xff" * start + header[:size], start) is None
    found = scan_frame(b"\xff" * start + header, start)
    assert found is not None
    assert found[5:] == (start + len(header), length)


LEGAL_FIRST = {0x01, 0x81, 0x41, 0xC1, 0x02, 0x82, 0x42, 0xC2, 0x00, 0x80, 0x88, 0x89, 0x8A}


@pytest.mark.parametrize("first", range(256))
def test_rfc6455_5_2_first_bytes(first: int) -> None:
    if first in LEGAL_FIRST:
        assert scan_frame(bytes([first]), 0) is None
        assert scan_frame(bytes([first, 0]), 0) == (first > 127, first >> 4 & 7, first & 15, False, b"", 2, 0)
    else:
        # It is refused as soon as it is there.
        for data in (bytes([first]), bytes([first, 0])):
            with pytest.raises(PeerMisbehaved):
                scan_frame(data, 0)


@pytest.mark.parametrize("first", [0x88, 0x89, 0x8A])
@pytest.mark.parametrize("second", [126, 127, 254, 255])
def test_rfc6455_5_5_control_frames_of_125_bytes_at_most(first: int, second: int) -> None:
    with pytest.raises(PeerMisbehaved, match="125"):
        scan_frame(bytes([first, second]), 0)


@pytest.mark.parametrize("octets", ["7e0000", "7e007d", "7f0000000000000000", "7f000000000000ffff"])
def test_rfc6455_5_2_lengths_in_a_longer_form_than_needed(octets: str) -> None:
    data = b"\x82" + bytes.fromhex(octets)
    assert scan_frame(data[:-1], 0) is None
    with pytest.raises(Malformed):
        scan_frame(data, 0)


def test_w23_64_bit_length_with_the_top_bit_set() -> None:
    with pytest.raises(Malformed, match="most significant"):
        scan_frame(bytes.fromhex("827f8000000000010000"), 0)
    with pytest.raises(Malformed, match="most significant"):
        scan_frame(bytes.fromhex("82ffffffffffffffffff"), 0)


@settings(max_examples=150, deadline=None)
@given(
    opcode=st.sampled_from([0, 1, 2]),
    fin=st.booleans(),
    masked=st.booleans(),
    size=st.one_of(st.integers(0, 300), st.integers(65500, 65600)),
)
def test_property_a_frame_of_the_driver_is_read_back(opcode: int, fin: bool, masked: bool, size: int) -> None:
    data = frame(opcode, bytes(size), fin=fin, masked=masked, key=KEY)
    start = len(data) - size
    assert scan_frame(data, 0) == (fin, 0, opcode, masked, KEY if masked else b"", start, size)
    header = encode_header((FIN if fin else 0) | opcode, size, MASKED if masked else 0)
    assert data.startswith(header)
    assert len(header) + (4 if masked else 0) == start


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=20))
def test_property_any_bytes_are_a_header_or_too_few_or_a_typed_error(data: bytes) -> None:
    try:
        found = scan_frame(data, 0)
    except ProtocolError:
        return
    if found is not None:
        assert 2 <= found[5] <= len(data)
        assert 0 <= found[6] < 1 << 63
