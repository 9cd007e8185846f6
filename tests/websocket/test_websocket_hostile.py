"""Mutated, truncated and random streams: a typed error or a good event, and a consistent end."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import ProtocolError
from mungos.protocol import Failed
from mungos.websocket import CloseReceived, Session, State
from mungos.websocket.close_codes import may_be_sent
from tests.websocket.driver import (
    BINARY,
    PING,
    PONG,
    REQUEST,
    ROLES,
    TEXT,
    close_frame,
    events,
    feed,
    feed_bytewise,
    frame,
    from_peer,
    make,
    open_session,
    output,
    read_frames,
    response_to,
)


def stream(role: str) -> bytes:
    masked = from_peer(role)
    return (
        frame(TEXT, "grüße".encode(), masked=masked)
        + frame(BINARY, bytes(130), fin=False, masked=masked)
        + frame(PING, b"ping", masked=masked)
        + frame(0, b"", fin=False, masked=masked)
        + frame(0, bytes(3), masked=masked)
        + frame(PONG, b"pong", masked=masked)
        + close_frame(1000, b"bye", masked=masked)
    )


def check(session: Session, found: list[Any]) -> None:
    """What holds after any bytes at all."""
    ends = [event for event in found if isinstance(event, Failed)]
    assert len(ends) <= 1
    if ends:
        assert found[-1] is ends[0]
        assert isinstance(ends[0].error, ProtocolError)
        assert session.ended
    if session.ended:
        assert session.state is State.CLOSED
        assert session.deadline is None
        assert session.leftover() == b""
    size = session.unsent
    data = output(session)
    assert len(data) == size
    if data[:5] == b"HTTP/" or data[:4] == b"GET ":
        return
    closes = [payload for first, payload, _ in read_frames(data) if first == 0x88]
    assert len(closes) <= 1
    for body in closes:
        assert not body or may_be_sent(int.from_bytes(body[:2], "big"))


def finish(session: Session, found: list[Any]) -> None:
    """The stream ends: the session always does too."""
    session.receive_eof(1.0, False)
    found += events(session)
    check(session, found)
    assert session.ended
    assert any(isinstance(event, Failed | CloseReceived) for event in found)


@pytest.mark.parametrize("role", ROLES)
def test_stream_truncated_at_every_byte(role: str) -> None:
    data = stream(role)
    for size in range(len(data) + 1):
        session = open_session(role)
        finish(session, feed(session, data[:size]))
        assert session.detail.clean is (size == len(data))


@pytest.mark.parametrize("role", ROLES)
def test_stream_with_each_byte_changed(role: str) -> None:
    data = stream(role)
    for at in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            session = open_session(role)
            changed = bytearray(data)
            changed[at] ^= change
            finish(session, feed(session, bytes(changed)))


@pytest.mark.parametrize("role", ROLES)
def test_random_mutations_are_the_same_whole_and_bytewise(role: str) -> None:
    random = Random(6455)
    for _ in range(150):
        data = bytearray(stream(role))
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(data))
            choice = random.randrange(3)
            if choice == 0:
                data[at] = random.randrange(256)
            elif choice == 1:
                del data[at : at + random.randint(1, 5)]
            else:
                data[at:at] = random.randbytes(random.randint(1, 5))
        whole, single = open_session(role), open_session(role)
        found, bytewise = feed(whole, bytes(data)), feed_bytewise(single, bytes(data))
        assert [type(event) for event in found] == [type(event) for event in bytewise]
        assert [repr(e) for e in found if not isinstance(e, Failed)] == [
            repr(e) for e in bytewise if not isinstance(e, Failed)
        ]
        assert whole.state is single.state
        finish(whole, found)
        finish(single, bytewise)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), role=st.sampled_from(ROLES))
def test_property_any_bytes_after_the_handshake(data: bytes, role: str) -> None:
    session = open_session(role)
    finish(session, feed(session, data))


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), role=st.sampled_from(ROLES))
def test_property_any_bytes_instead_of_the_handshake(data: bytes, role: str) -> None:
    session = make(role)
    session.start(0.0)
    finish(session, feed(session, data))


@pytest.mark.parametrize("role", ROLES)
def test_handshake_with_each_byte_changed(role: str) -> None:
    session = make(role)
    session.start(0.0)
    data = REQUEST if role == "server" else response_to(output(session))
    for at in range(len(data)):
        session = make(role)
        session.start(0.0)
        output(session)
        changed = bytearray(data)
        changed[at] ^= 0x20 if at % 2 else 0x81
        found = feed(session, bytes(changed))
        if session.state is State.OPEN:
            output(session)
        finish(session, found)


def test_long_head_by_single_bytes_is_not_read_over_and_over() -> None:
    head = REQUEST[:-2] + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 150) for i in range(80)) + b"\r\n"
    session = make("server")
    session.start(0.0)
    found = feed_bytewise(session, head)
    assert [type(event).__name__ for event in found] == ["Established"]
