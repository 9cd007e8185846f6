"""The closing handshake: who sends what, who ends the stream, what is reported (RFC 6455 section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from mungos.errors import Broken, Closed, Misuse, PeerMisbehaved, TimedOut
from mungos.protocol import Failed
from mungos.websocket import CloseReceived, CloseStatus, Message, Ping, State
from mungos.websocket.states import TRANSITIONS
from tests.websocket.driver import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    ROLES,
    TEXT,
    close_frame,
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


def closes(session: Any) -> list[bytes]:
    return [payload for first, payload in sent(session) if first == 0x80 | CLOSE]


def failed_with(session: Any, found: list[Any], code: int) -> None:
    assert isinstance(found[-1], Failed)
    assert closes(session) == [code.to_bytes(2, "big") + str(found[-1].error).encode()]
    assert session.ended
    assert session.detail == CloseStatus(1006, "", False)


# Who closes.


def test_w01_client_closes_server_echoes_and_ends_the_stream_first() -> None:
    client, server = open_pair()
    client.close_with(1000, "done")
    assert exchange(client, server) == ([CloseReceived(1000, "")], [CloseReceived(1000, "done")])
    assert server.ended
    assert server.state is State.CLOSED
    assert server.deadline is None
    # The client waits for the server's end of the stream.
    assert not over(client)
    assert client.state is State.AWAITING_STREAM_END
    client.receive_eof(1.0, False)
    assert client.ended
    assert client.deadline is None
    assert client.detail == CloseStatus(1000, "", True)
    assert server.detail == CloseStatus(1000, "done", True)
    assert events(client) == events(server) == []


def test_w02_server_closes_client_echoes_and_waits_a_limited_time() -> None:
    client, server = open_pair()
    server.close_with(4000, "go")
    assert exchange(client, server) == ([CloseReceived(4000, "go")], [CloseReceived(4000, "")])
    assert server.ended
    assert not over(client)
    assert client.deadline is not None
    client.expire(7.0)
    assert client.deadline == 12.0
    client.expire(11.9)
    assert not over(client)
    client.expire(12.0)
    assert client.ended
    assert client.detail == CloseStatus(4000, "go", True)
    assert events(client) == []


def test_w03_both_send_close_at_once() -> None:
    client, server = open_pair()
    client.close_with(1000, "c")
    server.close_with(1001, "s")
    assert exchange(client, server) == ([CloseReceived(1001, "s")], [CloseReceived(1000, "c")])
    assert server.ended
    client.receive_eof(0.0, False)
    assert client.ended
    assert client.detail == CloseStatus(1001, "s", True)
    assert server.detail == CloseStatus(1000, "c", True)


@pytest.mark.parametrize("role", ROLES)
def test_w04_close_with_an_empty_body_is_1005_and_echoed_empty(role: str) -> None:
    session = open_session(role)
    assert feed(session, frame(CLOSE, masked=from_peer(role))) == [CloseReceived(1005, "")]
    assert sent(session) == [(0x88, b"")]
    assert session.detail == CloseStatus(1005, "", True)


def test_w04_close_sent_without_a_code() -> None:
    client, server = open_pair()
    client.close_with(None)
    assert exchange(client, server) == ([CloseReceived(1005, "")], [CloseReceived(1005, "")])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("truncated", [False, True])
def test_w05_stream_ends_without_close_is_1006_locally_only(role: str, truncated: bool) -> None:
    session = open_session(role)
    data = frame(TEXT, b"a", masked=from_peer(role)) + frame(TEXT, b"cut", masked=from_peer(role))[:-1]
    session.receive(data, 0.0)
    session.receive_eof(0.0, truncated)
    found = events(session)
    assert found[0] == Message("a")
    assert isinstance(found[1], Failed)
    assert isinstance(found[1].error, PeerMisbehaved)
    assert len(found) == 2
    assert sent(session) == []
    assert session.ended
    assert session.detail == CloseStatus(1006, "", False)


@pytest.mark.parametrize("role", ROLES)
def test_w06_tls_failure_is_1015_locally_only(role: str) -> None:
    session = open_session(role)
    session.tls_failed()
    assert session.detail == CloseStatus(1015, "", False)
    assert sent(session) == []
    session = open_session(role)
    feed(session, close_frame(1000, masked=from_peer(role)))
    session.tls_failed()
    assert session.detail == CloseStatus(1000, "", True)


# What a Close frame may hold.


@pytest.mark.parametrize("role", ROLES)
def test_w07_close_body_of_one_byte_1002(role: str) -> None:
    session = open_session(role)
    failed_with(session, feed(session, frame(CLOSE, b"\x03", masked=from_peer(role))), 1002)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_w08_codes_that_may_not_be_on_the_wire_1002(role: str, code: int) -> None:
    session = open_session(role)
    failed_with(session, feed(session, close_frame(code, b"why", masked=from_peer(role))), 1002)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535, 65536])
def test_w08_codes_that_may_not_be_sent_are_misuse(code: int) -> None:
    session = open_session("server")
    with pytest.raises(Misuse):
        session.close_with(code)
    assert session.state is State.OPEN
    assert session.send("still open")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_w08_codes_that_may_be_are_echoed(role: str, code: int) -> None:
    session = open_session(role)
    assert feed(session, close_frame(code, b"why", masked=from_peer(role))) == [CloseReceived(code, "why")]
    assert closes(session) == [code.to_bytes(2, "big")]


@pytest.mark.parametrize("reason", [b"\xff", b"\xed\xa0\x80", b"a\xc3"])
def test_w09_reason_not_utf8_1007(reason: bytes) -> None:
    session = open_session("server")
    failed_with(session, feed(session, close_frame(1000, reason)), 1007)


def test_w10_reason_of_124_bytes_1002() -> None:
    session = open_session("server")
    assert feed(session, close_frame(1000, b"x" * 123)) == [CloseReceived(1000, "x" * 123)]
    session = open_session("server")
    failed_with(session, feed(session, close_frame(1000, b"x" * 124)), 1002)
    session = open_session("server")
    with pytest.raises(Misuse, match="124 bytes, the limit is 123 bytes"):
        session.close_with(1000, "x" * 124)


# What comes after.


@pytest.mark.parametrize("role", ROLES)
def test_w11_second_close_is_ignored(role: str) -> None:
    session = open_session(role)
    data = close_frame(1000, b"first", masked=from_peer(role)) + close_frame(1002, masked=from_peer(role))
    assert feed(session, data) == [CloseReceived(1000, "first")]
    assert feed(session, close_frame(999, masked=from_peer(role))) == []
    assert len(closes(session)) == 1
    assert session.detail.code == 1000


@pytest.mark.parametrize("role", ROLES)
def test_w12_data_after_close_are_discarded(role: str) -> None:
    session = open_session(role)
    masked = from_peer(role)
    data = close_frame(1000, masked=masked) + frame(TEXT, b"late", masked=masked) + b"\xff\xff\xff"
    assert feed(session, data) == [CloseReceived(1000, "")]
    big = bytes(1 << 20)
    assert session.receive(big, 0.0) == len(big)
    assert events(session) == []
    assert session.leftover() == b""
    assert len(sent(session)) == 1


@pytest.mark.parametrize("role", ROLES)
def test_w12_data_before_the_peers_close_but_after_ours_are_discarded(role: str) -> None:
    session = open_session(role)
    masked = from_peer(role)
    session.receive(frame(TEXT, b"half", fin=False, masked=masked)[:-2], 0.0)
    assert session.next_event() is None
    session.close_with(1000)
    rest = frame(TEXT, b"half", fin=False, masked=masked)[-2:]
    data = rest + frame(0, b"\xff", masked=masked) + frame(BINARY, bytes(300_000), masked=masked)
    assert feed(session, data) == []
    assert feed(session, close_frame(1000, masked=masked)) == [CloseReceived(1000, "")]
    assert session.detail.clean


@pytest.mark.parametrize("role", ROLES)
def test_w13_ping_after_close_was_received_gets_no_pong(role: str) -> None:
    session = open_session(role)
    data = close_frame(1000, masked=from_peer(role)) + frame(PING, b"x", masked=from_peer(role))
    assert feed(session, data) == [CloseReceived(1000, "")]
    assert [first for first, _ in sent(session)] == [0x88]


@pytest.mark.parametrize("role", ROLES)
def test_w14_ping_while_our_close_is_out_is_answered_and_the_peers_close_awaited(role: str) -> None:
    session = open_session(role)
    session.close(0.0)
    deadline = session.deadline
    assert feed(session, frame(PING, b"x", masked=from_peer(role)), 1.0) == []
    assert [first for first, _ in sent(session)] == [0x88, 0x8A]
    assert session.state is State.AWAITING_CLOSE
    assert session.deadline == deadline == 5.0
    assert feed(session, close_frame(1000, masked=from_peer(role))) == [CloseReceived(1000, "")]
    assert session.detail.clean


@pytest.mark.parametrize("role", ROLES)
def test_w15_close_between_the_fragments_of_a_message(role: str) -> None:
    session = open_session(role)
    masked = from_peer(role)
    data = frame(TEXT, b"part", fin=False, masked=masked) + close_frame(1000, masked=masked)
    assert feed(session, data) == [CloseReceived(1000, "")]
    assert session.detail.clean


def test_w15_our_own_close_between_the_fragments_of_a_message() -> None:
    client, server = open_pair()
    server.send_fragment("part", False)
    server.close_with(1001)
    assert exchange(client, server)[0] == [CloseReceived(1001, "")]
    assert server.detail.clean


# Who never answers.


@pytest.mark.parametrize("role", ROLES)
def test_w16_peer_never_echoes_deadline_then_1006(role: str) -> None:
    session: Any = open_session(role)
    session.close(100.0)
    assert session.deadline == 105.0
    # One deadline, not extended by traffic.
    for second in range(5):
        feed(session, frame(TEXT, b"more", masked=from_peer(role)), 100.0 + second)
        assert session.deadline == 105.0
    session.expire(105.0)
    (failed,) = events(session)
    assert isinstance(failed.error, TimedOut)
    assert failed.error.limit == 5.0
    assert session.ended
    assert session.deadline is None
    assert session.detail == CloseStatus(1006, "", False)
    assert len(closes(session)) == 1


@pytest.mark.parametrize("role", ROLES)
def test_w16_close_that_was_told_no_time_gets_its_deadline_from_expire(role: str) -> None:
    session = open_session(role)
    session.close_with(1000)
    assert session.deadline is not None
    assert session.deadline <= 50.0
    session.expire(50.0)
    assert session.deadline == 55.0
    assert not over(session)
    session.expire(55.0)
    assert session.ended
    assert [type(event) for event in events(session)] == [Failed]


def test_w16_peer_ends_the_stream_instead_of_an_echo() -> None:
    session = open_session("server")
    session.close_with(1000)
    session.receive_eof(0.0, False)
    (failed,) = events(session)
    assert isinstance(failed.error, PeerMisbehaved)
    assert session.ended
    assert session.detail == CloseStatus(1006, "", False)


def test_w16_a_close_that_lies_unpulled_in_the_buffer_counts_at_the_deadline() -> None:
    session = open_session("server")
    session.close(0.0)
    session.receive(frame(TEXT, b"x") + close_frame(1000, b"late"), 4.0)
    session.expire(5.0)
    assert events(session) == [CloseReceived(1000, "late")]
    assert session.detail == CloseStatus(1000, "late", True)
    assert session.ended


def test_w17_server_echoes_and_never_ends_its_stream() -> None:
    session = open_session("client")
    session.close(10.0)
    assert feed(session, close_frame(1000, masked=False), 12.0) == [CloseReceived(1000, "")]
    assert not over(session)
    # The echo does not begin a new deadline: it is total.
    assert session.deadline == 15.0
    feed(session, b"x" * 1000, 14.0)
    session.expire(15.0)
    assert session.ended
    assert events(session) == []
    assert session.detail == CloseStatus(1000, "", True)


@pytest.mark.parametrize("role", ROLES)
def test_w18_peer_sends_close_and_ends_the_stream_at_once(role: str) -> None:
    session = open_session(role)
    session.receive(close_frame(1011, b"bug", masked=from_peer(role)), 0.0)
    session.receive_eof(0.0, False)
    assert events(session) == [CloseReceived(1011, "bug")]
    assert session.ended
    assert session.deadline is None
    assert session.detail == CloseStatus(1011, "bug", True)


@pytest.mark.parametrize("role", ROLES)
def test_w19_reset_after_close_was_received_keeps_its_code(role: str) -> None:
    session = open_session(role)
    feed(session, close_frame(1000, b"bye", masked=from_peer(role)))
    session.receive_eof(0.0, True)
    assert events(session) == []
    assert session.detail == CloseStatus(1000, "bye", True)
    assert session.ended


@pytest.mark.parametrize("role", ROLES)
def test_w20_large_message_close_and_ping_back_to_back(role: str) -> None:
    session = open_session(role)
    masked = from_peer(role)
    payload = b"\xaa" * (256 * 1024)
    data = (
        frame(BINARY, payload, masked=masked)
        + close_frame(1000, masked=masked)
        + frame(PING, b"x", masked=masked)
    )
    assert feed(session, data) == [Message(payload), CloseReceived(1000, "")]
    assert [first for first, _ in sent(session)] == [0x88]


@pytest.mark.parametrize("role", ROLES)
def test_w33_close_queued_behind_megabytes_that_nobody_reads(role: str) -> None:
    session = open_session(role)
    for _ in range(4):
        session.send(bytes(1 << 20))
    session.close(0.0)
    unsent = session.unsent
    assert unsent > 4 << 20
    assert not over(session)
    session.expire(5.0)
    assert session.ended
    assert [type(event) for event in events(session)] == [Failed]
    # How much was cut stays visible to whoever aborts.
    assert session.unsent == unsent


@pytest.mark.parametrize("role", ROLES)
def test_w35_unsolicited_pong_during_close_is_ignored(role: str) -> None:
    session = open_session(role)
    session.close_with(1000)
    output(session)
    assert feed(session, frame(PONG, b"x", masked=from_peer(role))) == []
    assert session.state is State.AWAITING_CLOSE
    assert sent(session) == []


def test_w36_server_shutdown_sends_1001_to_all_in_bounded_time() -> None:
    pairs = [open_pair() for _ in range(20)]
    for _, server in pairs:
        server.close(3.0)
        server.close(4.0)
        assert server.deadline == 8.0
    for client, server in pairs[:10]:
        assert exchange(client, server)[0] == [CloseReceived(1001, "")]
        assert server.ended
    for _, server in pairs[10:]:
        server.expire(8.0)
        assert server.ended


def test_w36_codes_of_close_by_role() -> None:
    for role, code in (("server", 1001), ("client", 1000)):
        session = open_session(role)
        session.close(0.0)
        assert closes(session) == [code.to_bytes(2, "big")]
    session = open_session("server", going_away=1012)
    session.close(0.0)
    assert closes(session) == [(1012).to_bytes(2, "big")]


# The rest of the rules.


@pytest.mark.parametrize("role", ROLES)
def test_close_is_idempotent_in_every_state(role: str) -> None:
    session = open_session(role)
    for _ in range(3):
        session.close_with(1000)
        session.close(0.0)
    assert len(closes(session)) == 1
    feed(session, close_frame(1000, masked=from_peer(role)))
    session.close_with(1000)
    session.close(0.0)
    session.receive_eof(0.0, False)
    session.receive_eof(0.0, False)
    session.close(0.0)
    assert session.ended
    assert session.unsent == 0


def test_send_after_the_peers_close_blames_the_world() -> None:
    session = open_session("server")
    feed(session, close_frame(4001))
    with pytest.raises(Broken, match="4001"):
        session.send("x")
    session = open_session("server")
    feed(session, b"\x83")
    with pytest.raises(Broken, match="failed"):
        session.send("x")
    session = open_session("server")
    session.close_with(1000)
    feed(session, close_frame(1000))
    with pytest.raises(Closed):
        session.send("x")


@pytest.mark.parametrize("role", ROLES)
def test_faults_while_the_peers_close_is_awaited_send_no_second_close(role: str) -> None:
    session = open_session(role)
    session.close_with(1000)
    found = feed(session, b"\x83")
    assert isinstance(found[0], Failed)
    assert len(closes(session)) == 1
    assert session.ended


@pytest.mark.parametrize("role", ROLES)
def test_ping_flood_while_the_peers_close_is_awaited_is_bounded(role: str) -> None:
    session = open_session(role)
    session.close_with(1000)
    for _ in range(10):
        feed(session, frame(PING, b"x" * 100, masked=from_peer(role)) * 500)
    assert session.unsent < 6000


def test_the_reason_of_a_failure_fits_a_close_frame() -> None:
    session = open_session("server", max_message=10)
    feed(session, frame(BINARY, bytes(11)))
    (body,) = closes(session)
    assert body[:2] == (1009).to_bytes(2, "big")
    assert len(body) <= 125
    assert body[2:].decode()


def test_every_state_can_end() -> None:
    assert set(TRANSITIONS) == set(State)
    for state in State:
        assert state is State.CLOSED or State.CLOSED in TRANSITIONS[state]
    assert TRANSITIONS[State.CLOSED] == frozenset()


def test_ping_events_before_close_are_handed_out() -> None:
    session = open_session("server")
    assert feed(session, frame(PING, b"x") + close_frame(1000)) == [Ping(b"x"), CloseReceived(1000, "")]
    assert [first for first, _ in sent(session)] == [0x8A, 0x88]
