"""A server's session: order, responses, deadlines and ends, with the lifecycle cases that concern it."""

from __future__ import annotations

import weakref

import pytest

from mungos.errors import Closed, Misuse, TimedOut
from mungos.http import (
    Data,
    EndOfMessage,
    Failed,
    HTTPLimits,
    IncompleteMessage,
    Request,
    RequestSide,
    ResponseSide,
    ServerSession,
)
from mungos.protocol import MORE
from tests.http.http_peers import Server, drain, due, ok, ok_at_end, over, pieces, silent

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def post(length: int, more: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n" % (length, more)


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_the_whole_path_of_one_request_known_answer() -> None:
    session = ServerSession(date=lambda: b"Sun, 06 Nov 1994 08:49:37 GMT")
    woken: list[int] = []
    session.wake = lambda: woken.append(session.unsent)
    session.start(0.0)
    assert session.receive(memoryview(GET), 1.0) == len(GET)
    request = session.next_event()
    assert isinstance(request, Request)
    session.respond(200, b"ok", content_type="text/plain")
    end = session.next_event()
    assert isinstance(end, EndOfMessage)
    assert len(end.trailers) == 0
    assert session.next_event() is None
    assert woken
    assert drain(session) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    )
    assert session.unsent == 0
    assert not session.ended
    assert session.deadline == 76.0


def test_rfc9112_9_3_2_pipelined_requests_are_answered_in_order() -> None:
    waiting: list[Request] = []

    def later(session: ServerSession, event: object) -> None:
        if isinstance(event, Request):
            waiting.append(event)

    server = Server(later)
    server.feed(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(3)))
    for number in range(3):
        assert [request.target for request in waiting] == [f"/{each}" for each in range(number + 1)]
        server.session.respond(200, b"%d" % number)
        server.pull()
    assert [part[-1:] for part in server.sent.split(b"HTTP/1.1")[1:]] == [b"0", b"1", b"2"]


def test_many_pipelined_requests_in_one_read() -> None:
    server = Server().feed(GET * 1500)
    assert server.statuses == [200] * 1500
    assert server.session.request_side is RequestSide.HEAD
    assert server.session.response_side is ResponseSide.REQUEST


def test_receive_takes_no_more_than_the_cap_and_goes_on_after_a_pull() -> None:
    limits = HTTPLimits(max_head=1024, max_line=512, max_trailers=512, max_receive=4096)
    session = ServerSession(limits=limits)
    session.start(0.0)
    assert session.receive(GET * 1000, 0.0) == 4096
    assert session.receive(GET, 0.0) == 0
    assert isinstance(session.next_event(), Request)
    assert session.receive(GET, 0.0) == len(GET)


def test_a_client_that_does_not_read_is_not_asked_for_more() -> None:
    limits = HTTPLimits(high_watermark=1000)
    server = Server(limits=limits)
    session = server.session
    woken: list[bool] = []
    session.wake = lambda: woken.append(True)
    session.receive(GET * 1000, 0.0)
    while (event := session.next_event()) is not None:
        ok(session, event)
    assert 1000 < session.unsent < 1100
    woken.clear()
    drain(session)
    assert woken
    assert isinstance(session.next_event(), Request)


# Who ends the connection


def test_h01_connection_close_from_the_client() -> None:
    server = Server().feed(CLOSING + GET)
    assert server.statuses == [200]
    assert b"Connection: close\r\n" in server.sent
    assert server.kinds == ["request", "end"]
    assert over(server)
    assert due(server) is None


def test_h01_connection_close_from_the_application() -> None:
    def closing(session: ServerSession, event: object) -> None:
        if isinstance(event, Request):
            session.respond(200, b"bye", [("Connection", "close")])

    server = Server(closing).feed(GET + GET)
    assert server.statuses == [200]
    assert server.sent.count(b"Connection: close\r\n") == 1
    assert over(server)


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"close", False),
        (b"1.1", b"foo, CLOSE", False),
        (b"1.1", b"keep-alive, close", False),
        (b"1.1", b"Keep-Alive", True),
        (b"1.0", b"", False),
        (b"1.0", b"keep-alive", True),
        (b"1.0", b"foo , Keep-alive", True),
        (b"1.0", b"close, keep-alive", False),
    ],
)
def test_rfc9112_9_3_persistence(version: bytes, connection: bytes, stays: bool) -> None:
    fields = b"Host: h\r\n" + (b"Connection: %b\r\n" % connection if connection else b"")
    server = Server().feed(b"GET / HTTP/%b\r\n%b\r\n" % (version, fields))
    assert over(server) is not stays
    assert (b"Connection: close\r\n" in server.sent) is not stays
    assert (b"Connection: keep-alive\r\n" in server.sent) is (stays and version == b"1.0")


def test_h17_close_between_requests_ends_at_once() -> None:
    server = Server().feed(GET)
    server.session.close(1.0)
    assert over(server)
    assert due(server) is None
    server.feed(GET)
    assert server.statuses == [200]


def test_h17_close_finishes_the_request_in_progress_and_says_so() -> None:
    server = Server(silent).feed(GET + GET)
    server.session.close(1.0)
    server.session.close(1.0)
    assert not over(server)
    server.session.respond(200, b"last")
    server.pull()
    assert server.statuses == [200]
    assert b"Connection: close\r\n" in server.sent
    assert over(server)
    assert server.kinds == ["request", "end"]


def test_h17_close_while_a_response_is_under_way() -> None:
    server = Server(silent).feed(GET)
    server.session.start_response(200, (), 4)
    server.session.send_body(b"ab")
    server.session.close(1.0)
    assert not over(server)
    server.session.send_body(b"cd")
    server.session.end_response()
    server.pull()
    assert over(server)
    assert server.sent.endswith(b"abcd")


def test_close_after_a_response_before_its_end_was_pulled() -> None:
    session = ServerSession()
    session.receive(GET, 0.0)
    session.next_event()
    session.respond(200)
    session.close(0.0)
    assert session.ended
    assert isinstance(session.next_event(), EndOfMessage)
    assert session.next_event() is None
    with pytest.raises(Closed):
        session.respond(200)


def test_h10_a_client_that_half_closes_is_answered() -> None:
    server = Server(silent).feed(GET).eof()
    assert not over(server)
    server.session.respond(200, b"still")
    server.pull()
    assert server.statuses == [200]
    assert b"Connection: close\r\n" in server.sent
    assert over(server)


def test_h10_all_requests_before_the_half_close_are_answered() -> None:
    server = Server()
    server.session.receive(GET * 3 + post(2) + b"ab", 0.0)
    server.eof()
    assert server.statuses == [200] * 4
    assert over(server)
    assert "failed" not in server.kinds


@pytest.mark.parametrize("before", [b"", GET, b"\r\n", GET + b"\r\n"])
@pytest.mark.parametrize("truncated", [False, True])
def test_h21_end_of_stream_between_requests_is_clean(before: bytes, truncated: bool) -> None:
    server = Server().feed(before).eof(truncated=truncated)
    assert over(server)
    assert "failed" not in server.kinds
    assert server.session.next_event() is None


def test_end_of_stream_at_every_byte_of_a_request() -> None:
    data = post(3, b"X: y\r\n") + b"abc"
    head = len(data) - 3
    for cut in range(1, len(data)):
        for truncated in (False, True):
            server = Server(ok_at_end).feed(data[:cut]).eof(truncated=truncated)
            assert server.kinds[-1] == "failed"
            failure = server.events[-1]
            assert isinstance(failure, Failed)
            assert isinstance(failure.error, IncompleteMessage)
            assert ("request" in server.kinds) is (cut >= head)
            assert over(server)
            assert server.statuses == [400]
            assert server.session.next_event() is None


def test_h07_h08_end_of_stream_at_every_byte_of_a_chunked_request() -> None:
    body = b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"
    for cut in range(len(body)):
        server = Server(ok_at_end).feed(CHUNKED + body[:cut]).eof()
        assert server.notes[-1] == ("failed", "INCOMPLETE")
        assert server.statuses == [400]
    whole = Server(ok_at_end).feed(CHUNKED + body).eof()
    assert whole.notes[-1] == ("end", (("t", "u"),))
    assert whole.statuses == [200]


# Bodies


def test_a_body_in_pieces() -> None:
    server = Server(ok_at_end)
    server.feed(post(6))
    for piece in (b"ab", b"c", b"def" + GET):
        server.feed(piece)
    assert server.notes[1:5] == [("data", b"ab"), ("data", b"c"), ("data", b"def"), ("end", ())]
    assert server.statuses == [200, 200]


def test_an_empty_body_is_no_data() -> None:
    server = Server().feed(post(0)).feed(CHUNKED + b"0\r\n\r\n")
    assert server.kinds == ["request", "end", "request", "end"]
    first, second = (event for event in server.events if isinstance(event, Request))
    assert (first.has_body, second.has_body) == (False, True)


def test_a_large_body_is_not_copied_again() -> None:
    server = Server(silent)
    server.feed(post(100_000))
    assert server.session.receive(b"x" * 50_000, 0.0) == 50_000
    kept = server.session._buffer
    server.pull()
    assert server.notes[-1][1] is kept


def test_rfc9110_10_1_1_100_continue_is_sent_when_the_body_is_pulled() -> None:
    server = Server(ok_at_end).feed(post(3, b"Expect: 100-Continue\r\n"))
    request = server.events[0]
    assert isinstance(request, Request)
    assert request.expects_continue
    assert server.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    server.pull()
    server.feed(b"abc")
    assert server.statuses == [100, 200]
    assert not over(server)


def test_rfc9110_10_1_1_no_100_when_the_body_came_already_or_to_http_1_0_or_without_body() -> None:
    expect = b"Expect: 100-continue\r\n"
    assert Server(ok_at_end).feed(post(3, expect) + b"abc").statuses == [200]
    assert Server(ok_at_end).feed(post(0, expect)).statuses == [200]
    old = post(3, expect).replace(b"/1.1", b"/1.0")
    assert Server(ok_at_end).feed(old).statuses == []


def test_rfc9110_10_1_1_a_final_answer_replaces_100_and_ends_the_connection() -> None:
    def refuse(session: ServerSession, event: object) -> None:
        if isinstance(event, Request):
            session.respond(403)

    server = Server(refuse).feed(post(3, b"Expect: 100-continue\r\n"))
    assert server.statuses == [403]
    assert b"Connection: close\r\n" in server.sent
    assert over(server)
    stays = Server(refuse).feed(post(3, b"Expect: 100-continue\r\n") + b"abc")
    assert not over(stays)


def test_rfc9110_10_1_1_other_expectations_are_417() -> None:
    server = Server().feed(post(3, b"Expect: gold\r\n"))
    assert server.statuses == [417]
    assert server.notes == [("failed", "EXPECTATION")]


def test_send_continue_by_hand_happens_once() -> None:
    def ask(session: ServerSession, event: object) -> None:
        if isinstance(event, Request):
            session.send_continue()
            session.send_continue()
            session.informational(103, [("Link", "</a>")])

    server = Server(ask).feed(post(3, b"Expect: 100-continue\r\n"))
    assert server.sent == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_h09_an_early_answer_skips_a_small_body_and_keeps_the_connection() -> None:
    server = Server().feed(post(1000))
    assert server.statuses == [200]
    assert b"close" not in server.sent
    server.feed(b"x" * 1000 + GET)
    assert server.kinds == ["request", "end", "request", "end"]
    assert server.statuses == [200, 200]


def test_h09_an_early_answer_to_a_large_body_ends_the_connection() -> None:
    server = Server().feed(post(1_000_000))
    assert b"Connection: close\r\n" in server.sent
    assert over(server)
    server.feed(b"x" * 200_000)
    assert server.session.next_event() is None
    assert server.kinds == ["request"]


def test_h09_an_endless_chunked_body_is_skipped_up_to_the_bound() -> None:
    server = Server(limits=HTTPLimits(max_discard=10)).feed(CHUNKED)
    assert not over(server)
    server.feed(b"a\r\n0123456789\r\n")
    assert not over(server)
    server.feed(b"1\r\n0\r\n")
    assert over(server)
    assert server.kinds == ["request"]


def test_h09_too_large_a_body_is_413_before_it_is_sent() -> None:
    server = Server(limits=HTTPLimits(max_body=10)).feed(post(11, b"Expect: 100-continue\r\n"))
    assert server.statuses == [413]
    assert server.notes == [("failed", "BODY_TOO_LONG")]
    chunked = Server(silent, HTTPLimits(max_body=10)).feed(CHUNKED + b"a\r\n0123456789\r\n1\r\n")
    assert chunked.statuses == [413]
    assert chunked.kinds == ["request", "data", "failed"]
    assert Server(silent, HTTPLimits(max_body=None)).feed(post(10**17)).kinds == ["request"]


# Responses


def test_respond_follows_the_method_and_the_status() -> None:
    def answer(*arguments: object, method: bytes = b"GET", **named: object) -> bytes:
        server = Server(silent).feed(GET.replace(b"GET", method))
        server.session.respond(*arguments, **named)  # type: ignore[arg-type]
        server.pull()
        assert not over(server)
        return server.sent

    assert answer(200, b"body", method=b"HEAD") == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert answer(200, method=b"HEAD", headers=[("content-length", "9")]).endswith(
        b"Content-Length: 9\r\n\r\n"
    )
    assert answer(204) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert answer(304, headers=[("ETag", '"x"')]) == b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'
    assert answer(304, headers=[("Content-Length", "9")]).endswith(b"Content-Length: 9\r\n\r\n")
    assert answer(404) == b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    assert answer(299, bytearray(b"x")).startswith(b"HTTP/1.1 299 \r\n")
    assert answer(200, memoryview(b"xyz")).endswith(b"Content-Length: 3\r\n\r\nxyz")
    large = answer(200, b"x" * 100_000)
    assert large.endswith(b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
    pairs = [(b"A", b"1"), (b"Date", b"now"), (b"A", b"\xe9")]
    assert answer(200, headers=pairs).startswith(b"HTTP/1.1 200 OK\r\nA: 1\r\nA: \xe9\r\nDate: now\r\n")
    upgrade = answer(426, headers=[("Upgrade", "h"), ("Connection", "upgrade")])
    assert b"Upgrade: h\r\n" in upgrade
    assert b"Connection: upgrade\r\n" in upgrade


@pytest.mark.parametrize(
    "arguments",
    [
        (200, b"", [("X", "a\r\nSet-Cookie: b")]),
        (200, b"", [("X", "a\nb")]),
        (200, b"", [("X", "a\rb")]),
        (200, b"", [("X", "a\0b")]),
        (200, b"", [("X", "\u20ac")]),
        (200, b"", [("X: a\r\nY", "b")]),
        (200, b"", [("X: a", "b")]),
        (200, b"", [("", "b")]),
        (200, b"", [("X ", "b")]),
        (200, b"", [("Transfer-Encoding", "chunked")]),
        (200, b"", [("Content-Length", "1")]),
        (200, b"", [("Content-Length", "x")]),
        (200, b"", [("Keep-Alive", "timeout=5")]),
        (204, b"x"),
        (304, b"x"),
        (100, b""),
        (199, b""),
        (99, b""),
        (600, b""),
    ],
)
def test_response_splitting_and_other_misuse_queue_nothing(arguments: tuple[object, ...]) -> None:
    server = Server(silent).feed(GET)
    with pytest.raises(Misuse):
        server.session.respond(*arguments)  # type: ignore[arg-type]
    assert server.session.unsent == 0
    server.session.respond(200)
    server.pull()
    assert server.statuses == [200]


def test_a_content_type_that_splits_is_misuse() -> None:
    server = Server(silent).feed(GET)
    with pytest.raises(Misuse):
        server.session.respond(200, content_type="text/plain\r\nX: y")


def test_misuse_of_the_order_of_calls() -> None:
    server = Server(silent)
    session = server.session
    for call in (
        lambda: session.respond(200),
        lambda: session.start_response(200),
        lambda: session.send_body(b"x"),
        session.end_response,
        session.send_continue,
        lambda: session.informational(103),
        session.upgrade,
        session.detach,
    ):
        with pytest.raises(Misuse):
            call()
    server.feed(GET)
    for call in (lambda: session.send_body(b"x"), session.end_response, session.upgrade):
        with pytest.raises(Misuse):
            call()
    for status in (99, 101, 200):
        with pytest.raises(Misuse):
            session.informational(status)
    session.start_response(200)
    for call in (lambda: session.respond(200), lambda: session.informational(103), session.upgrade):
        with pytest.raises(Misuse):
            call()


def test_a_streamed_response_of_known_length() -> None:
    server = Server(silent).feed(GET)
    session = server.session
    session.start_response(200, [("A", "b")], 5)
    assert session.response_started is True
    session.send_body(b"")
    session.send_body(memoryview(b"abc"))
    with pytest.raises(Misuse):
        session.send_body(b"def")
    with pytest.raises(Misuse):
        session.end_response()
    session.send_body(b"de")
    with pytest.raises(Misuse):
        session.end_response([("T", "u")])
    session.end_response()
    server.pull()
    assert server.sent == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nabcde"
    assert not over(server)


def test_a_streamed_response_in_chunks() -> None:
    server = Server(silent).feed(GET)
    server.session.start_response(200)
    server.session.send_body(b"abc")
    server.session.send_body(b"x" * 20_000)
    server.session.end_response([("T", "u")])
    server.pull()
    assert server.sent == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\nT: u\r\n\r\n"
    )


def test_a_streamed_response_to_http_1_0_ends_with_the_stream() -> None:
    server = Server(silent).feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    server.session.start_response(200)
    server.session.send_body(b"abc")
    assert not over(server)
    server.session.end_response()
    server.pull()
    assert server.sent == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert over(server)


@pytest.mark.parametrize("length", [None, 10])
def test_h14_a_streamed_response_to_head_sends_nothing(length: int | None) -> None:
    server = Server(silent).feed(GET.replace(b"GET", b"HEAD"))
    server.session.start_response(200, (), length)
    assert server.session.send_body(b"abc")
    server.session.end_response()
    server.pull()
    assert server.sent.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 10" in server.sent) is (length is not None)
    assert server.feed(GET).statuses == [200]


def test_h14_a_streamed_response_of_204() -> None:
    server = Server(silent).feed(GET)
    server.session.start_response(204)
    with pytest.raises(Misuse):
        server.session.send_body(b"x")
    server.session.end_response()
    server.pull()
    assert server.sent == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_back_pressure_of_a_streamed_response() -> None:
    server = Server(silent, HTTPLimits(high_watermark=1000, max_unsent=5000)).feed(GET)
    session = server.session
    session.start_response(200, (), 100_000)
    assert session.send_body(b"x" * 500)
    assert not session.send_body(b"x" * 1000)
    with pytest.raises(Misuse, match="5000 bytes"):
        session.send_body(b"x" * 5000)
    before = session.unsent
    first = session.take(100)
    assert sum(map(len, first)) == 100
    assert session.unsent == before - 100
    rest = drain(session)
    assert len(rest) == before - 100
    assert session.send_body(b"x")


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 1000])
def test_take_divides_without_loss(limit: int) -> None:
    server = Server(silent).feed(GET)
    session = server.session
    session.start_response(200)
    for size in (3, 0, 40_000, 1, 100):
        session.send_body(b"%d" % (size % 10) * size)
    session.end_response()
    total = session.unsent
    taken: list[bytes] = []
    while session.unsent:
        batch = session.take(limit * 50)
        assert 0 < sum(map(len, batch)) <= limit * 50
        taken += [bytes(each) for each in batch]
    assert session.take(10) == []
    again = Server(silent).feed(GET)
    again.session.start_response(200)
    for size in (3, 0, 40_000, 1, 100):
        again.session.send_body(b"%d" % (size % 10) * size)
    again.session.end_response()
    assert b"".join(taken) == drain(again.session)
    assert len(b"".join(taken)) == total


def test_a_body_error_under_a_response_fails_without_a_second_answer() -> None:
    server = Server(silent).feed(CHUNKED)
    server.session.start_response(200)
    server.session.send_body(b"abc")
    server.feed(b"zz\r\n")
    assert server.kinds == ["request", "failed"]
    assert server.statuses == [200]
    assert not server.sent.endswith(b"0\r\n\r\n")
    with pytest.raises(Closed):
        server.session.send_body(b"x")


def test_errors_are_answered_behind_the_responses_before_them() -> None:
    server = Server().feed(GET + GET + b"GET / HTTP/3.0\r\n")
    assert server.statuses == [200, 200, 505]
    assert server.kinds[-1] == "failed"
    assert server.sent.endswith(
        b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nContent-Length: 31\r\n"
        b"Connection: close\r\n\r\n505 HTTP Version Not Supported\n"
    )


def test_an_error_in_a_head_request_is_answered_without_a_body() -> None:
    server = Server().feed(b"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n")
    assert server.statuses == [400]
    assert server.sent.endswith(b"\r\n\r\n")


def test_after_a_failure_everything_is_taken_and_dropped() -> None:
    server = Server().feed(b"\0")
    assert server.session.receive(b"x" * 10**6, 0.0) == 10**6
    assert server.session.next_event() is None
    server.session.receive_eof(0.0, True)
    server.session.expire(10**6)
    server.session.close(0.0)
    assert server.session.next_event() is None
    assert len(server.session._buffer) == 0


# Deadlines


def test_h18_a_slow_head_has_a_total_deadline() -> None:
    server = Server(limits=HTTPLimits(head_timeout=10.0))
    for second, byte in enumerate(pieces(GET, 1)):
        if second >= 10:
            break
        server.feed(byte, float(second))
        assert due(server) == 10.0
    server.expire(9.9)
    assert not over(server)
    server.expire(10.0)
    assert server.statuses == [408]
    failure = server.events[-1]
    assert isinstance(failure, Failed)
    assert isinstance(failure.error, TimedOut)
    assert failure.error.phase == "head"
    assert due(server) is None
    assert over(server)


def test_h18_the_second_head_counts_from_its_first_byte() -> None:
    server = Server().feed(GET, 1.0)
    assert due(server) == 76.0
    server.feed(b"G", 70.0)
    assert due(server) == 80.0
    server.feed(b"E", 79.0)
    assert due(server) == 80.0
    server.expire(80.0)
    assert server.statuses == [200, 408]


def test_silence_ends_without_a_word() -> None:
    for server, deadline in ((Server(), 10.0), (Server().feed(GET, 1.0), 76.0)):
        assert due(server) == deadline
        server.sent = b""
        server.expire(deadline)
        assert over(server)
        assert server.sent == b""
        assert "failed" not in server.kinds


def test_idleness_after_a_late_answer_is_counted_from_the_next_tick() -> None:
    server = Server(silent).feed(GET, 1.0)
    assert due(server) is None
    server.session.respond(200)  # a long time later, which no argument tells
    assert due(server) == 1.0
    server.expire(500.0)
    assert not over(server)
    assert due(server) == 575.0


def test_no_deadline_while_the_application_thinks() -> None:
    server = Server(silent).feed(GET + b"GET / HT", 1.0)
    assert due(server) is None
    server.expire(1000.0)
    assert not over(server)


def test_a_complete_head_that_nobody_pulled_is_not_late() -> None:
    session = ServerSession()
    session.start(0.0)
    session.next_event()
    session.receive(GET, 5.0)
    session.expire(10.0)
    assert not session.ended
    assert isinstance(session.next_event(), Request)


def test_an_incomplete_head_after_a_pause_gets_a_deadline_again() -> None:
    session = ServerSession()
    session.start(0.0)
    session.receive(GET[:5], 5.0)
    session.expire(10.0)
    assert session.deadline is None
    assert session.next_event() is None
    assert session.deadline == 20.0


def test_h18_a_body_has_a_least_rate() -> None:
    server = Server(silent).feed(post(100_000), 0.0)
    assert due(server) == 30.0
    for second in range(30):
        server.feed(b"x" * 1024, float(second))
    server.expire(30.0)
    assert not over(server)
    assert due(server) == 60.0
    for second in range(30, 60):
        server.feed(b"x" * 1000, float(second))
    server.expire(60.0)
    assert server.statuses == [408]
    assert server.notes[-1] == ("failed", "TimedOut")


def test_a_body_rate_of_zero_is_any_rate_and_the_total_still_counts() -> None:
    server = Server(silent, HTTPLimits(body_rate=0, body_timeout=100.0)).feed(post(100_000), 0.0)
    for window in (30.0, 60.0, 90.0):
        assert due(server) == window
        server.expire(window)
        assert not over(server)
    server.expire(100.0)
    assert server.statuses == [408]


def test_h18_a_body_may_have_a_total_deadline() -> None:
    server = Server(silent, HTTPLimits(body_timeout=40.0)).feed(post(10**6), 0.0)
    server.feed(b"x" * 100_000, 1.0)
    assert due(server) == 30.0
    server.expire(30.0)
    assert due(server) == 40.0
    server.feed(b"x" * 100_000, 39.0)
    server.expire(40.0)
    assert server.statuses == [408]


def test_a_body_that_the_application_does_not_pull_is_not_slow() -> None:
    session = ServerSession()
    session.start(0.0)
    session.receive(post(100_000) + b"x", 0.0)
    session.next_event()
    assert session.next_event() is not None
    session.expire(30.0)
    assert not session.ended
    assert session.deadline == 60.0
    session.receive(b"x", 50.0)
    assert session.deadline == 80.0


# Upgrades


UPGRADE = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: a/1, b\r\n\r\n"


def test_h15_bytes_after_an_upgrade_belong_to_the_next_protocol() -> None:
    server = Server(silent).feed(UPGRADE + b"\x81\x00")
    server.session.upgrade([("X", "y")], protocol="b")
    assert server.pull() == 0
    server.session.receive(b"more", 0.0)
    assert server.sent == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: b\r\nX: y\r\n\r\n"
    )
    assert due(server) is None
    assert server.session.next_event() is None
    assert server.session.leftover() == b"\x81\x00more"
    assert server.session.leftover() == b""
    assert not over(server)
    assert server.session.request_side is RequestSide.UPGRADED


def test_h15_an_upgrade_inside_the_request_event() -> None:
    server = Server(lambda session, event: session.upgrade())
    server.feed(UPGRADE + b"next")
    assert server.kinds == ["request"]
    assert server.session.leftover() == b"next"


def test_rfc9110_9_3_6_connect_is_answered_200_without_length() -> None:
    server = Server(silent).feed(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\nraw")
    with pytest.raises(Misuse):
        server.session.respond(200)
    server.session.upgrade()
    server.pull()
    assert server.sent == b"HTTP/1.1 200 OK\r\n\r\n"
    assert server.session.leftover() == b"raw"


def test_rfc9110_7_8_upgrades_that_are_misuse() -> None:
    server = Server(silent).feed(GET)
    with pytest.raises(Misuse):
        server.session.upgrade()
    server = Server(silent).feed(UPGRADE)
    with pytest.raises(Misuse):
        server.session.upgrade(protocol="c")
    with pytest.raises(Misuse):
        server.session.upgrade([("Connection", "x")])
    server.session.detach()
    with pytest.raises(Misuse):
        server.session.respond(200)
    with_body = UPGRADE.replace(b"Host", b"Content-Length: 3\r\nHost")
    server = Server(silent).feed(with_body)
    with pytest.raises(Misuse):
        server.session.upgrade()
    server.feed(b"abc")
    server.session.upgrade()


def test_the_last_of_max_requests_is_answered_with_connection_close() -> None:
    server = Server(limits=HTTPLimits(max_requests=3)).feed(GET * 5)
    assert server.statuses == [200, 200, 200]
    assert server.sent.count(b"Connection: close\r\n") == 1
    assert server.sent.rpartition(b"HTTP/1.1 ")[2].count(b"Connection: close\r\n") == 1
    assert server.session.ended
    assert "failed" not in server.kinds
    # What the client wants is told as it was sent.
    assert all(event.keep_alive for event in server.events if isinstance(event, Request))


def test_max_requests_none_is_any_number() -> None:
    server = Server(limits=HTTPLimits(max_requests=None))
    for _ in range(20):
        server.feed(GET * 1000)
    assert len(server.statuses) == 20_000
    assert not server.session.ended
    assert HTTPLimits().max_requests == 10_000


def test_a_body_that_is_not_wanted_is_skipped_within_bounded_pulls() -> None:
    server = Server(limits=HTTPLimits(max_discard=1000)).feed(CHUNKED)
    assert server.statuses == [200]
    server.session.receive(b"1\r\na\r\n" * 900 + b"0\r\n\r\n" + GET, 0.0)
    pulled = []
    while not isinstance(event := server.session.next_event(), EndOfMessage):
        pulled.append(event)
    assert len(pulled) >= 14
    assert set(pulled) == {MORE}
    assert isinstance(server.session.next_event(), Request)


def test_a_window_that_the_application_ended_late_is_not_the_clients() -> None:
    session = ServerSession()
    session.start(0.0)
    session.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n", 0.0)
    assert isinstance(session.next_event(), Request)
    assert session.next_event() is None
    session.receive(b"a", 1.0)  # and nobody pulls for 29 seconds and longer
    session.expire(31.0)
    assert isinstance(session.next_event(), Data)
    assert session.next_event() is None
    session.expire(61.0)
    assert session.next_event() is None
    session.expire(91.0)
    assert isinstance(session.next_event(), Failed)


def test_one_pull_puts_a_bounded_number_of_chunks_together() -> None:
    session = ServerSession()
    session.start(0.0)
    session.receive(CHUNKED + b"1\r\na\r\n" * 10_000, 0.0)
    assert isinstance(session.next_event(), Request)
    sizes = []
    while (event := session.next_event()) is not None:
        assert isinstance(event, Data)
        sizes.append(len(event.data))
    assert sum(sizes) == 10_000
    assert max(sizes) == 64


def test_an_upgrade_that_is_refused_stays_http() -> None:
    assert Server().feed(UPGRADE + GET).statuses == [200, 200]


class Watched(ServerSession):
    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    "data", [b"", GET, GET[:9], GET + GET, post(9) + b"abc", CHUNKED + b"3\r\nab", UPGRADE + b"x", b"\0"]
)
def test_a_session_that_is_dropped_in_any_state_is_freed_at_once(data: bytes) -> None:
    server = Server(silent, session=Watched()).feed(data)
    session = server.session
    assert isinstance(session, Watched)
    watched = weakref.ref(session)
    del session, server
    assert watched() is None


def test_an_end_that_comes_without_an_event_wakes_the_connection() -> None:
    server = Server(limits=HTTPLimits(max_discard=1)).feed(CHUNKED)
    woken: list[bool] = []
    server.session.wake = lambda: woken.append(server.session.ended)
    server.feed(b"5\r\nabcde\r\n")
    assert woken == [True]
    idle = ServerSession()
    idle.start(0.0)
    idle.wake = lambda: woken.append(idle.ended)
    idle.expire(10.0)
    assert woken == [True, True]


def test_rfc9112_7_1_an_empty_line_behind_the_head_belongs_to_the_body() -> None:
    data = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    session = ServerSession()
    session.start(0.0)
    session.receive(data, 0.0)
    assert isinstance(session.next_event(), Request)
    failed = session.next_event()
    assert isinstance(failed, Failed)
    assert "chunk size" in str(failed.error)
