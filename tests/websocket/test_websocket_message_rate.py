"""A message that was begun goes on at the least rate, or ends its connection."""

from __future__ import annotations

import pytest

from mungos.errors import TimedOut
from mungos.protocol import Failed
from mungos.websocket import Message, Session
from tests.websocket.driver import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    ROLES,
    TEXT,
    events,
    feed,
    frame,
    open_session,
    output,
    sent,
)


def failed_with_1008(session: Session) -> bool:
    (found,) = events(session)
    assert isinstance(found, Failed)
    assert isinstance(found.error, TimedOut)
    assert found.error.phase == "message"
    first, payload = sent(session)[-1]
    return (first, payload[:2]) == (0x80 | CLOSE, (1008).to_bytes(2, "big")) and session.ended


@pytest.mark.parametrize("role", ROLES)
def test_an_unfinished_message_kept_alive_by_pongs_ends(role: str) -> None:
    masked = role == "server"
    session = open_session(role)
    assert feed(session, frame(BINARY, bytes(4 << 20), masked=masked)[:1000], 5.0) == []
    assert session.deadline == 20.0
    session.expire(20.0)
    assert [first for first, _ in sent(session)] == [0x80 | PING]
    assert session.deadline == 35.0
    session.expire(35.0)
    assert failed_with_1008(session)
    session = open_session(role)
    assert feed(session, frame(BINARY, bytes(100_000), fin=False, masked=masked), 5.0) == []
    session.expire(20.0)
    ((_, ping),) = sent(session)
    assert feed(session, frame(PONG, ping, masked=masked), 21.0) == []
    assert session.deadline == 35.0
    session.expire(35.0)
    assert failed_with_1008(session)


def test_fragments_that_trickle_end_too_whatever_lies_between_them() -> None:
    session = open_session("server", ping_interval=None)
    assert feed(session, frame(TEXT, b"a" * 40_000, fin=False), 0.0) == []
    assert session.deadline == 30.0
    session.expire(30.0)  # what came with its first byte came before the window
    assert failed_with_1008(session)
    session = open_session("server", ping_interval=None)
    feed(session, frame(TEXT, b"a", fin=False), 0.0)
    for i in range(29):
        feed(session, frame(0, b"a", fin=False) + frame(0, b"", fin=False) + frame(PING, bytes(100)), 1.0 + i)
    session.expire(30.0)
    assert failed_with_1008(session)


def test_a_message_at_the_least_rate_goes_on_for_ever() -> None:
    session = open_session("server", ping_interval=None, message_rate=100, message_window=10.0)
    feed(session, frame(TEXT, b"a", fin=False), 0.0)
    for i in range(1, 20):
        assert session.deadline == 10.0 * i
        assert feed(session, frame(0, b"a" * 1000, fin=False), 10.0 * i) == []
        session.expire(10.0 * i)
        assert not session.ended
    assert feed(session, frame(0, b"end"), 195.0) == [Message("a" * 19_001 + "end")]
    assert session.deadline is None
    # Silence between messages is no fault.
    session.expire(1000.0)
    assert not session.ended


def test_a_rate_of_zero_waits_for_ever() -> None:
    session = open_session("server", ping_interval=None, message_rate=0)
    feed(session, frame(TEXT, b"a", fin=False), 0.0)
    assert session.deadline is None


def test_what_the_application_does_not_pull_is_not_the_peers_delay() -> None:
    session = open_session("server", ping_interval=None)
    feed(session, frame(TEXT, b"a", fin=False), 0.0)
    session.receive(frame(0, b"b", fin=False), 1.0)  # and nobody pulls
    for now in (30.0, 60.0, 90.0):
        assert session.deadline == now
        session.expire(now)
        assert not session.ended
    # Pulled at last, at 119: what was left of that window was not the peer's.
    assert events(session) == []
    session.expire(120.0)
    assert not session.ended
    session.expire(150.0)
    assert failed_with_1008(session)


def test_a_clean_close_ends_the_watch() -> None:
    session = open_session("server", ping_interval=None)
    feed(session, frame(TEXT, b"a", fin=False), 0.0)
    session.close(1.0)
    assert session.deadline == 6.0
    output(session)
