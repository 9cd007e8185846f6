"""Status codes: which may be on the wire, and that every error has one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import (
    Broken,
    Closed,
    Malformed,
    Misuse,
    PeerIncompatible,
    PeerMisbehaved,
    ProtocolError,
    TimedOut,
)
from mungos.websocket.close_codes import (
    FloodRefused,
    InvalidText,
    MessageTooBig,
    close_code,
    encode_close,
    may_be_sent,
    parse_close,
)

GOOD = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
BAD = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", GOOD)
def test_w08_codes_that_may_be_on_the_wire(code: int) -> None:
    assert may_be_sent(code)
    assert parse_close(encode_close(code, "x")) == (code, "x")


@pytest.mark.parametrize("code", BAD)
def test_w08_codes_that_may_not(code: int) -> None:
    assert not may_be_sent(code)
    with pytest.raises(PeerMisbehaved, match=str(code)):
        parse_close(code.to_bytes(2, "big"))
    with pytest.raises(Misuse, match=str(code)):
        encode_close(code, "")


def test_w04_empty_body_is_1005() -> None:
    assert parse_close(b"") == (1005, "")
    assert encode_close(None, "") == b""


def test_w07_body_of_one_byte() -> None:
    with pytest.raises(Malformed):
        parse_close(b"\x03")


def test_w09_reason_not_utf8() -> None:
    with pytest.raises(InvalidText):
        parse_close(b"\x03\xe8\xff")


def test_w10_reason_of_124_bytes_is_not_sent() -> None:
    assert len(encode_close(1000, "x" * 123)) == 125
    with pytest.raises(Misuse, match="124 bytes, the limit is 123 bytes"):
        encode_close(1000, "x" * 124)
    with pytest.raises(Misuse, match="124 bytes"):
        encode_close(1000, "é" * 62)


def test_reasons_that_can_not_be_sent() -> None:
    with pytest.raises(Misuse):
        encode_close(1000, "\ud800")
    with pytest.raises(Misuse):
        encode_close(None, "why")
    with pytest.raises(Misuse):
        encode_close(-1, "")
    with pytest.raises(Misuse):
        encode_close(1 << 40, "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PeerMisbehaved("x"), 1002),
        (Malformed("x"), 1002),
        (ProtocolError("x"), 1002),
        (InvalidText("x"), 1007),
        (MessageTooBig("x"), 1009),
        (FloodRefused("x"), 1008),
        (PeerIncompatible("x"), 1003),
        (TimedOut("x"), 1011),
        (Broken("x"), 1011),
        (Closed("x"), 1011),
        (Misuse("x"), 1011),
        (ValueError("x"), 1011),
        (KeyboardInterrupt(), 1011),
    ],
)
def test_the_map_from_error_to_code_is_total(error: BaseException, code: int) -> None:
    assert close_code(error) == code
    assert may_be_sent(close_code(error))


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=125))
def test_property_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        code, reason = parse_close(body)
    except ProtocolError:
        return
    assert encode_close(None if code == 1005 else code, reason) == body
