"""The opening handshake: requests and responses judged, sessions that open or do not (RFC 6455 section 4)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mungos.errors import Malformed, Misuse, PeerMisbehaved, ProtocolError, TimedOut
from mungos.http.errors import HTTPError
from mungos.http.events import Request
from mungos.protocol import Failed, Protocol
from mungos.websocket import (
    ClientSession,
    CloseStatus,
    Established,
    HandshakeRefused,
    HandshakeRejected,
    Message,
    Rejection,
    ServerSession,
    State,
)
from mungos.websocket.handshake import accept_key, build_request, new_key
from tests.websocket.driver import (
    REQUEST,
    SAMPLE_KEY,
    TEXT,
    counting,
    events,
    feed,
    feed_bytewise,
    frame,
    make,
    output,
    over,
    response_to,
    sent,
)


def without(field: bytes, data: bytes = REQUEST) -> bytes:
    return re.sub(rb"%s: [^\r]*\r\n" % field, b"", data)


def replaced(field: bytes, value: bytes, data: bytes = REQUEST) -> bytes:
    return re.sub(rb"(%s: )[^\r]*\r\n" % field, rb"\g<1>%s\r\n" % value, data)


def added(*fields: bytes) -> bytes:
    return REQUEST[:-2] + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def serve(request: bytes, **options: Any) -> tuple[ServerSession, list[Any], bytes]:
    session = ServerSession(**options)
    session.start(0.0)
    found = feed(session, request)
    return session, found, output(session)


def refused(request: bytes, status: int, **options: Any) -> tuple[Failed, bytes]:
    session, found, answer = serve(request, **options)
    assert len(found) == 1
    assert isinstance(found[0], Failed)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
    assert b"\r\nConnection: close" in head
    assert session.ended
    assert session.deadline is None
    assert session.unsent == 0
    # Whatever comes behind is discarded.
    assert feed(session, frame(TEXT, b"x") * 100) == []
    return found[0], answer


def ask(**options: Any) -> tuple[ClientSession, bytes]:
    session = ClientSession(**{"random": counting, "host": "server.example.com", **options})
    session.start(0.0)
    return session, output(session)


def test_sessions_fulfil_the_contract() -> None:
    sessions: list[Protocol] = [ServerSession(), ClientSession(random=counting, host="a")]
    for session in sessions:
        assert not session.ended
        assert session.wake is None
        assert session.unsent == 0


# Known answers.


def test_rfc6455_1_3_accept_key() -> None:
    assert accept_key(SAMPLE_KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_rfc6455_1_3_the_server_answers_the_sample_request() -> None:
    session, found, answer = serve(REQUEST)
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )
    assert len(found) == 1
    assert isinstance(found[0], Established)
    assert found[0].path == "/chat?room=1"
    assert found[0].subprotocol is None
    assert found[0].headers.get("Host") == "server.example.com"
    assert session.state is State.OPEN


def test_rfc6455_4_1_the_client_asks() -> None:
    _, request = ask(
        target="/chat?a=b", subprotocols=["x", "y"], origin="https://example.com", headers=[("A", "b")]
    )
    assert request == (
        b"GET /chat?a=b HTTP/1.1\r\n"
        b"Host: server.example.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AQgPFh0kKzI5QEdOVVxjag==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: x, y\r\n"
        b"Origin: https://example.com\r\n"
        b"A: b\r\n"
        b"\r\n"
    )


def test_a_key_is_made_of_16_bytes() -> None:
    assert new_key(bytes(range(1, 17))) == "AQIDBAUGBwgJCgsMDQ4PEA=="
    with pytest.raises(Misuse, match="15"):
        new_key(bytes(15))


# The server's judgement.


def test_w27_upgrade_request_cut_at_every_byte_waits_then_408() -> None:
    for size in range(len(REQUEST)):
        session = ServerSession()
        session.start(100.0)
        assert session.deadline == 110.0
        assert session.receive(REQUEST[:size], 109.0) == size
        assert session.next_event() is None
        assert session.unsent == 0
        # The deadline is total: bytes that trickle in do not move it.
        assert session.deadline == 110.0
        session.expire(109.9)
        assert not over(session)
        session.expire(110.0)
        (failed,) = events(session)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TimedOut)
        assert failed.error.phase == "handshake"
        assert output(session).startswith(b"HTTP/1.1 408 ")
        assert session.ended


def test_w27_upgrade_request_cut_at_every_byte_by_the_end_of_the_stream() -> None:
    for size in range(len(REQUEST)):
        session, found, _ = serve(REQUEST[:size])
        assert found == []
        session.receive_eof(1.0, False)
        (failed,) = events(session)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, Malformed)
        assert output(session)[:13] == (b"HTTP/1.1 400 " if size else b"")
        assert session.ended
        assert session.detail == CloseStatus(1006, "", False)


def test_w27_request_fed_by_single_bytes_is_the_same_request() -> None:
    session = ServerSession()
    session.start(0.0)
    found = feed_bytewise(session, REQUEST + frame(TEXT, b"first"))
    assert [type(event) for event in found] == [Established, Message]


def test_w29_frames_glued_to_the_request_are_delivered() -> None:
    _, found, _ = serve(REQUEST + frame(TEXT, b"first") + frame(TEXT, b"second"))
    assert found[1:] == [Message("first"), Message("second")]


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"PUT", b"get"])
def test_method_other_than_get_405(method: bytes) -> None:
    failed, answer = refused(REQUEST.replace(b"GET", method), 405)
    assert isinstance(failed.error, HandshakeRefused)
    assert b"\r\nAllow: GET\r\n" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        without(b"Connection"),
        replaced(b"Connection", b"keep-alive"),
        replaced(b"Connection", b"Upgradex"),
        without(b"Sec-WebSocket-Key"),
        without(b"Sec-WebSocket-Version"),
        replaced(b"Sec-WebSocket-Key", b""),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ="),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=a"),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZR=="),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25j"),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZSEh"),
        replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZ_=="),
        added(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        added(b"Sec-WebSocket-Protocol: a b"),
        added(b"Sec-WebSocket-Protocol: a, a"),
        added(b"Sec-WebSocket-Protocol: a,,b"),
        added(b"Content-Length: 5"),
        added(b"Transfer-Encoding: chunked"),
        REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        without(b"Host"),
        added(b"Bad Field: x"),
        REQUEST.replace(b"\r\n", b"\n"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    ],
)
def test_rfc6455_4_2_1_requests_that_break_a_rule_400(request_bytes: bytes) -> None:
    failed, _ = refused(request_bytes, 400)
    assert isinstance(failed.error, PeerMisbehaved | Malformed)


@pytest.mark.parametrize("value", [b"8", b"12", b"14", b"", b"013", b"13, 13", b"13, 8"])
def test_rfc6455_4_4_version_other_than_13_is_426_with_ours(value: bytes) -> None:
    failed, answer = refused(replaced(b"Sec-WebSocket-Version", value), 426)
    assert isinstance(failed.error, HandshakeRefused)
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer
    assert b"\r\nUpgrade: websocket\r\n" in answer
    assert b"\r\nConnection: close, Upgrade\r\n" in answer


@pytest.mark.parametrize("request_bytes", [without(b"Upgrade"), replaced(b"Upgrade", b"h2c")])
def test_no_upgrade_to_websocket_is_426(request_bytes: bytes) -> None:
    _, answer = refused(request_bytes, 426)
    assert b"\r\nUpgrade: websocket\r\n" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        replaced(b"Upgrade", b"WebSocket"),
        replaced(b"Upgrade", b"h2c, websocket"),
        replaced(b"Connection", b"keep-alive, Upgrade"),
        replaced(b"Connection", b"UPGRADE"),
        added(b"Content-Length: 0"),
        added(b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
        REQUEST.replace(b"Upgrade: ", b"uPGRADE:"),
        b"\r\n" + REQUEST,
    ],
)
def test_requests_that_keep_the_rules_in_other_words(request_bytes: bytes) -> None:
    session, found, answer = serve(request_bytes)
    assert isinstance(found[0], Established)
    assert b"Extensions" not in answer
    assert session.state is State.OPEN


def test_head_over_its_limit_431() -> None:
    failed, _ = refused(added(*[b"X-%d: %s" % (i, b"x" * 200) for i in range(90)]), 431)
    assert isinstance(failed.error, HTTPError)
    refused(REQUEST.replace(b"/chat", b"/" + b"x" * 9000), 414)


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [
        ([], b"a, b", None),
        (["b", "a"], b"a, b", "b"),
        (["c", "a"], b"a,b", "a"),
        (["c"], b"a, b", None),
        (["A"], b"a", None),
    ],
)
def test_the_server_chooses_one_of_the_subprotocols_offered(
    ours: list[str], theirs: bytes, chosen: str | None
) -> None:
    _, found, answer = serve(added(b"Sec-WebSocket-Protocol: " + theirs), subprotocols=ours)
    assert found[0].subprotocol == chosen
    assert (b"Sec-WebSocket-Protocol" in answer) is (chosen is not None)
    if chosen:
        assert b"\r\nSec-WebSocket-Protocol: %s\r\n" % chosen.encode() in answer


def test_subprotocols_in_two_fields_are_one_list() -> None:
    request = added(b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Protocol: b")
    _, found, _ = serve(request, subprotocols=["b"])
    assert found[0].subprotocol == "b"


def test_rfc6455_10_2_origin_not_allowed_403() -> None:
    origins = {"https://example.com"}
    refused(added(b"Origin: https://evil.example"), 403, origins=origins)
    refused(added(b"Origin: null"), 403, origins=origins)
    refused(added(b"Origin: https://example.com", b"Origin: https://evil.example"), 403, origins=origins)
    refused(added(b"Origin: https://example.com"), 403, origins=[])


def test_rfc6455_10_2_origin_allowed() -> None:
    origins = {"https://example.com"}
    assert isinstance(serve(added(b"Origin: https://example.com"), origins=origins)[1][0], Established)
    assert isinstance(serve(REQUEST, origins=origins)[1][0], Established)
    assert isinstance(serve(added(b"Origin: https://evil.example"))[1][0], Established)


def test_authorize_sees_the_request_and_refuses_404() -> None:
    seen = []

    def authorize(request: Request) -> Rejection | None:
        seen.append((request.method, request.path, request.query, request.headers.get("host")))
        return Rejection(404, "nothing here", (("X-Why", "gone"),))

    failed, answer = refused(REQUEST, 404, authorize=authorize)
    assert seen == [("GET", "/chat", "room=1", "server.example.com")]
    assert isinstance(failed.error, HandshakeRefused)
    assert failed.error.rejection.status == 404
    assert answer.endswith(b"X-Why: gone\r\n\r\nnothing here")


def test_authorize_is_not_asked_about_a_broken_request() -> None:
    def authorize(_: Request) -> Rejection | None:
        raise AssertionError

    refused(without(b"Sec-WebSocket-Key"), 400, authorize=authorize)


def test_what_authorize_raises_passes_through_and_nothing_is_sent() -> None:
    def authorize(_: Request) -> Rejection | None:
        raise KeyError("session")

    session = ServerSession(authorize=authorize)
    session.start(0.0)
    session.receive(REQUEST, 0.0)
    with pytest.raises(KeyError):
        session.next_event()
    assert session.state is State.AWAITING_HANDSHAKE
    assert session.unsent == 0


def test_a_request_that_http_has_read_already() -> None:
    table = {
        "host": "a",
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-key": SAMPLE_KEY,
        "sec-websocket-version": "13",
    }
    request = Request("GET", "/x", 1, list(table.items()), table, True, False, False)
    session = ServerSession(request=request, leftover=frame(TEXT, b"early"))
    session.start(0.0)
    found = events(session)
    assert [type(event) for event in found] == [Established, Message]
    assert found[0].path == "/x"
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in output(session)


def test_further_fields_of_the_101() -> None:
    _, _, answer = serve(REQUEST, headers=[("Set-Cookie", "a=b")])
    assert b"\r\nSet-Cookie: a=b\r\n" in answer


@pytest.mark.parametrize(
    "headers",
    [
        [("Upgrade", "x")],
        [("Sec-WebSocket-Accept", "x")],
        [("Connection", "close")],
        [("Host", "x")],
        [("X", "a\r\nY: b")],
        [("X Y", "a")],
        [("Content-Length", "3")],
    ],
)
def test_fields_that_would_break_the_handshake_are_misuse(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Misuse):
        ServerSession(headers=headers)
    with pytest.raises(Misuse):
        ClientSession(random=counting, host="a", headers=headers)


@pytest.mark.parametrize("status", [100, 101, 200, 299, 600])
def test_a_rejection_has_a_status_that_rejects(status: int) -> None:
    with pytest.raises(Misuse, match=str(status)):
        Rejection(status)


def test_a_rejection_with_a_field_that_splits_the_answer_is_misuse() -> None:
    with pytest.raises(Misuse):
        Rejection(302, headers=(("Location", "/\r\nSet-Cookie: a=b"),))
    with pytest.raises(Misuse):
        Rejection(302, headers=(("Content-Length", "7"),))


# The client's judgement.


@pytest.mark.parametrize(
    "options",
    [
        {"host": "a b"},
        {"host": ""},
        {"host": "a/b"},
        {"host": "a\r\nX: y"},
        {"target": ""},
        {"target": "chat"},
        {"target": "/a b"},
        {"target": "/a#b"},
        {"target": "/\r\n"},
        {"origin": "a b"},
        {"subprotocols": ["a", "a"]},
        {"subprotocols": ["a,b"]},
        {"subprotocols": [""]},
    ],
)
def test_a_request_is_not_built_from_what_does_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        build_request(**{"host": "a", "target": "/", "key": SAMPLE_KEY, **options})


def test_w28_upgrade_response_cut_at_every_byte() -> None:
    response = response_to(ask()[1])
    for size in range(len(response)):
        session, _ = ask()
        assert feed(session, response[:size]) == []
        assert session.state is State.AWAITING_HANDSHAKE
        session.receive_eof(1.0, True)
        (failed,) = events(session)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, Malformed)
        assert session.ended
        assert session.unsent == 0


def test_w28_upgrade_response_that_does_not_come_in_time() -> None:
    session, request = ask()
    assert feed(session, response_to(request)[:-1]) == []
    assert session.deadline == 10.0
    session.expire(10.0)
    (failed,) = events(session)
    assert isinstance(failed.error, TimedOut)
    assert session.ended
    assert session.unsent == 0


def test_w29_frames_glued_to_the_101_are_delivered() -> None:
    session, request = ask()
    found = feed(session, response_to(request) + frame(TEXT, b"hi", masked=False))
    assert [type(event) for event in found] == [Established, Message]
    session, request = ask()
    found = feed_bytewise(session, response_to(request) + frame(TEXT, b"hi", masked=False))
    assert [type(event) for event in found] == [Established, Message]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: without(b"Upgrade", r),
        lambda r: without(b"Connection", r),
        lambda r: without(b"Sec-WebSocket-Accept", r),
        lambda r: replaced(b"Upgrade", b"h2c", r),
        lambda r: replaced(b"Connection", b"close", r),
        lambda r: replaced(b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", r),
        lambda r: replaced(b"Sec-WebSocket-Accept", b"", r),
        lambda r: replaced(b"Sec-WebSocket-Accept", b"\xe9", r),
        lambda r: r[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        lambda r: r[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n",
        lambda r: r[:-2] + b"Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: wamp\r\n\r\n",
        lambda r: r.replace(b"HTTP/1.1", b"HTTP/2.0"),
        lambda r: r.replace(b"HTTP/1.1", b"ICY"),
        lambda r: b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + r,
    ],
)
def test_rfc6455_4_1_a_101_that_the_client_refuses(change: Any) -> None:
    session, request = ask(subprotocols=["soap", "wamp"])
    (failed,) = feed(session, change(response_to(request)))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ProtocolError)
    assert not isinstance(failed.error, HandshakeRejected)
    assert session.ended
    assert session.unsent == 0  # no Close frame: there is no WebSocket to be closed


def test_the_client_takes_a_subprotocol_that_it_offered() -> None:
    session, request = ask(subprotocols=["soap", "wamp"])
    (event,) = feed(session, response_to(request, b"Sec-WebSocket-Protocol: wamp"))
    assert event.subprotocol == "wamp"


def test_interim_responses_are_passed_over() -> None:
    session, request = ask()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    (event,) = feed(session, early + early + response_to(request))
    assert isinstance(event, Established)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nX: y\r\n\r\nno!more", 403, b"no!"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
        (
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            503,
            b"abcde",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, 200, b"x" * 4096),
        (b"HTTP/1.1 500 Oops\r\n\r\n" + b"y" * 5000, 500, b"y" * 4096),
        (b"HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", 302, b"abc"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b""),
    ],
)
def test_w30_answer_other_than_101(answer: bytes, status: int, body: bytes) -> None:
    for give in (feed, feed_bytewise):
        session, _ = ask()
        (failed,) = give(session, answer)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, HandshakeRejected)
        assert failed.error.status == status
        assert failed.error.body == body
        assert session.ended
        assert session.deadline is None
        assert session.leftover() == b""


def test_w30_body_that_the_end_of_the_stream_ends() -> None:
    session, _ = ask()
    assert feed(session, b"HTTP/1.1 500 Oops\r\nA: b\r\n\r\nsorry") == []
    session.receive_eof(0.0, False)
    (failed,) = events(session)
    assert isinstance(failed.error, HandshakeRejected)
    assert failed.error.body == b"sorry"
    assert failed.error.headers.get("a") == "b"


def test_w30_body_that_never_ends_is_cut_at_the_deadline() -> None:
    session, _ = ask()
    assert feed(session, b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nsor") == []
    session.expire(10.0)
    (failed,) = events(session)
    assert isinstance(failed.error, HandshakeRejected)
    assert failed.error.body == b"sor"


# Giving up.


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("how", ["close", "close_with"])
def test_w31_close_while_connecting_sends_no_frame(role: str, how: str) -> None:
    session = make(role)
    session.start(0.0)
    if role == "server":
        session.receive(REQUEST[:50], 0.0)
        assert session.next_event() is None
    if how == "close":
        session.close(1.0)
        session.close(2.0)
    else:
        session.close_with(1000)
        session.close_with(1000)
    assert session.ended
    assert session.deadline is None
    assert session.unsent == 0
    assert session.take(100) == []
    assert events(session) == []
    assert session.receive(b"x" * 10, 3.0) == 10
    assert session.detail == CloseStatus(1006, "", False)


@pytest.mark.parametrize("role", ["server", "client"])
def test_w31_close_before_start_is_sticky(role: str) -> None:
    session = make(role)
    session.close(0.0)
    session.start(1.0)
    assert session.ended
    assert session.deadline is None
    assert session.unsent == 0


@pytest.mark.parametrize("role", ["server", "client"])
def test_senders_before_the_handshake_are_misuse(role: str) -> None:
    session = make(role)
    session.start(0.0)
    output(session)
    with pytest.raises(Misuse, match="not established"):
        session.send("x")
    with pytest.raises(Misuse, match="not established"):
        session.send_fragment("x", True)
    with pytest.raises(Misuse, match="not established"):
        session.ping()
    assert sent(session) == []


def test_random_source_that_gives_too_little_is_misuse() -> None:
    with pytest.raises(Misuse):
        ClientSession(random=lambda size: bytes(size - 1), host="a")


def test_going_away_has_to_be_a_code_that_may_be_sent() -> None:
    with pytest.raises(Misuse, match="1006"):
        ServerSession(going_away=1006)
