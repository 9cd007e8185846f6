"""Keep-alive: Pings of this side's own, and what a missing Pong leads to."""

from __future__ import annotations

from typing import Any

import pytest

from mungos.errors import TimedOut
from mungos.protocol import Failed
from mungos.websocket import CloseStatus, Message, Pong, State
from tests.websocket.driver import (
    BINARY,
    PING,
    PONG,
    ROLES,
    TEXT,
    events,
    exchange,
    feed,
    frame,
    from_peer,
    open_pair,
    open_session,
    output,
    over,
    sent,
)


def pinged(session: Any, now: float) -> bytes:
    assert session.deadline == now
    session.expire(now)
    ((first, payload),) = sent(session)
    assert first == 0x80 | PING
    return bytes(payload)


@pytest.mark.parametrize("role", ROLES)
def test_a_ping_after_the_interval_and_again_after_its_pong(role: str) -> None:
    session = open_session(role)
    session.expire(19.9)
    assert session.unsent == 0
    first = pinged(session, 20.0)
    assert session.deadline == 40.0
    # The Pong of our own Ping is nobody's event.
    assert feed(session, frame(PONG, first, masked=from_peer(role)), 23.0) == []
    second = pinged(session, 43.0)
    assert second != first


@pytest.mark.parametrize("role", ROLES)
def test_w34_missing_pong_fails_the_session_and_cancels_both_timers(role: str) -> None:
    session: Any = open_session(role)
    pinged(session, 20.0)
    # Traffic is no Pong.
    feed(session, frame(TEXT, b"x", masked=from_peer(role)), 30.0)
    assert session.deadline == 40.0
    woken = []
    session.wake = lambda: woken.append(1)
    session.expire(40.0)
    assert woken
    (failed,) = events(session)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TimedOut)
    assert failed.error.phase == "keep-alive"
    assert failed.error.limit == 20.0
    assert session.ended
    assert session.deadline is None
    assert session.detail == CloseStatus(1006, "", False)
    ((first, body),) = sent(session)
    assert (first, body[:2]) == (0x88, (1011).to_bytes(2, "big"))
    session.expire(1e9)
    assert session.unsent == 0


@pytest.mark.parametrize("role", ROLES)
def test_w34_close_cancels_the_ping_timer_and_the_wait_for_a_pong(role: str) -> None:
    session = open_session(role)
    pinged(session, 20.0)
    session.close(30.0)
    assert session.deadline == 35.0
    session.expire(34.0)
    assert not over(session)
    session.expire(35.0)
    (failed,) = events(session)
    assert failed.error.phase != "keep-alive"


def test_none_means_no_pings() -> None:
    session = open_session("server", ping_interval=None)
    assert session.deadline is None
    session.expire(1e9)
    assert session.unsent == 0


def test_other_pongs_are_handed_out_and_show_life_too() -> None:
    session = open_session("server")
    pinged(session, 20.0)
    assert feed(session, frame(PONG, b"unasked"), 25.0) == [Pong(b"unasked")]
    assert session.deadline == 45.0
    assert feed(session, frame(PONG, b"keep-alive 1"), 26.0) == [Pong(b"keep-alive 1")]


def test_both_sides_keep_each_other_alive_for_an_hour() -> None:
    client, server = open_pair()
    now = 0.0
    while now < 3600.0:
        assert client.deadline is not None
        assert server.deadline is not None
        now = max(now, min(client.deadline, server.deadline))
        client.expire(now)
        server.expire(now)
        told_client, told_server = exchange(client, server, now)
        assert {type(event).__name__ for event in told_client + told_server} <= {"Ping"}
    assert client.state is server.state is State.OPEN


def test_a_pong_that_lies_unpulled_in_the_buffer_is_not_missing() -> None:
    session = open_session("server")
    payload = pinged(session, 20.0)
    session.receive(frame(TEXT, b"x") + frame(PONG, payload), 21.0)
    session.expire(40.0)
    assert not over(session)
    assert events(session) == [Message("x")]
    assert session.deadline is not None
    assert session.deadline > 40.0


def test_a_long_frame_that_grows_holds_the_pong_up() -> None:
    session = open_session("server", message_rate=0)
    pinged(session, 20.0)
    payload = bytes(100_000)
    data = frame(BINARY, payload)
    at = 0
    for i in range(4):
        assert feed(session, data[at : at + 20_600], 20.0 + 20 * i) == []
        at += 20_600
        assert session.deadline == 40.0 + 20 * i
        session.expire(40.0 + 20 * i)
        assert not over(session)
    assert feed(session, data[at:], 100.0) == [Message(payload)]
    assert feed(session, frame(PONG, b"keep-alive 1"), 100.0) == []
    assert session.deadline == 120.0


def test_a_frame_that_trickles_does_not() -> None:
    session = open_session("server")
    data = frame(BINARY, bytes(100_000))
    assert feed(session, data[:5000], 19.0) == []
    pinged(session, 20.0)
    for i in range(20):
        assert feed(session, data[5000 + 500 * i : 5500 + 500 * i], 20.0 + i) == []
    session.expire(40.0)
    assert session.ended


def test_the_wire_carries_the_ping_masked_for_a_client() -> None:
    session = open_session("client")
    session.expire(20.0)
    assert output(session)[:2] == bytes([0x89, 0x80 | len("keep-alive 1")])
