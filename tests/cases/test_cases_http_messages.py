"""Where an HTTP message ends, and what an end in its middle means: H03 to H08, H11 to H13, and smuggling."""

from __future__ import annotations

import dataclasses

import pytest

from mungos import CloseKind, http
from mungos.errors import TimedOut
from tests.cases.web import GET, OK, Watch, Web, answer_target, ask, get, post
from tests.cases.web_peers import SecureSpeaker

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
over_tls = pytest.mark.parametrize("web", [True], ids=["tls"], indirect=True)

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"a;note=1\r\n0123456789\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"
)


def incomplete(client: Watch) -> None:
    """The end was too early, and is told as that."""
    assert client.names()[-1] == "Closed"
    assert "EndOfMessage" not in client.names()
    reason = client.reason()
    assert reason.kind is CloseKind.PROTOCOL_ERROR
    assert isinstance(reason.error, http.IncompleteMessage)


def test_h03_fin_ends_a_response_without_length(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    peer.end()
    web.run(lambda: client.closed)
    assert client.body == b"to the end"
    assert client.names() == ["Opened", "Response", "Data", "EndOfMessage", "Closed"]
    assert client.reason().kind is CloseKind.CLEAN


@over_tls
def test_h03_close_notify_ends_a_response_without_length(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    peer.end()
    web.run(lambda: client.closed)
    assert client.body == b"to the end"
    assert client.names()[-2:] == ["EndOfMessage", "Closed"]
    assert client.reason().kind is CloseKind.CLEAN


@both
def test_h03_our_server_answers_http_1_0_to_the_end_of_the_stream(web: Web) -> None:
    def answer(session: http.ServerConnection, request: http.Request) -> None:
        session.start_response(200)
        session.send_body(b"to the ")
        session.send_body(b"end")
        session.end_response()

    server = web.watch(Request=answer)
    peer = web.peer(web.serve(server))
    peer.say(b"GET / HTTP/1.0\r\n\r\n")
    web.run(lambda: peer.over)
    assert peer.received.endswith(b"\r\n\r\nto the end")
    if isinstance(peer, SecureSpeaker):
        assert peer.notified
    peer.close()


@over_tls
def test_h04_fin_without_close_notify_does_not_complete_such_a_response(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    assert isinstance(peer, SecureSpeaker)
    peer.say(b"HTTP/1.1 200 OK\r\n\r\nto the e")
    peer.fin()
    web.run(lambda: client.closed)
    assert client.body == b"to the e"
    incomplete(client)


@over_tls
def test_h04_what_marks_its_own_end_is_complete_without_close_notify(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    assert isinstance(peer, SecureSpeaker)
    peer.say(OK)
    peer.fin()
    web.run(lambda: client.closed)
    assert client.names() == ["Opened", "Response", "Data", "EndOfMessage", "Closed"]
    assert client.reason().kind in {CloseKind.CLEAN, CloseKind.TRUNCATED}


@both
def test_h05_content_length_short(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012345678")
    peer.end()
    web.run(lambda: client.closed)
    assert client.body == b"012345678"
    incomplete(client)


@both
def test_h05_content_length_short_of_a_request(web: Web) -> None:
    server = web.watch(EndOfMessage=lambda s, _: s.respond(200))
    peer = web.peer(web.serve(server))
    peer.say(post(10) + b"012345678")
    peer.end()
    web.run(lambda: server.closed)
    assert server.names() == ["Opened", "Request", "Data", "Closed"]
    assert isinstance(server.reason().error, http.IncompleteMessage)
    assert peer.statuses == [400]


@both
def test_h06_bytes_after_content_length_are_not_the_next_response(web: Web) -> None:
    client = web.watch(Opened=ask("/1"), EndOfMessage=ask("/2"))
    peer = web.asked(client)
    peer.say(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")
    web.run(lambda: peer.over or client.closed)
    peer.close()
    web.run(lambda: client.closed)
    assert client.body == b"ok"
    assert client.statuses == [200]


def test_h07_chunked_response_cut_at_every_byte_is_incomplete(web: Web) -> None:
    begin = CHUNKED.index(b"\r\n\r\n") + 4
    for cut in range(begin, len(CHUNKED)):
        client = web.watch(Opened=ask("/"))
        peer = web.asked(client)
        peer.say(CHUNKED[:cut])
        peer.end()
        web.run(lambda client=client: client.closed)  # type: ignore[misc]
        assert b"0123456789abc".startswith(client.body)
        incomplete(client)
        peer.close()


@over_tls
def test_h07_chunked_response_over_tls_without_its_end(web: Web) -> None:
    for cut in (1, 2, 7):
        client = web.watch(Opened=ask("/"))
        peer = web.asked(client)
        peer.say(CHUNKED[:-cut])
        peer.end()
        web.run(lambda client=client: client.closed)  # type: ignore[misc]
        incomplete(client)


@both
def test_h07_chunked_response_whole(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    for byte in CHUNKED:
        peer.say(bytes([byte]))
        web.world.turn()
    web.run(lambda: client.count("EndOfMessage") == 1)
    assert client.body == b"0123456789abc"
    (end,) = client.of("EndOfMessage")
    assert end.trailers.get("x-sum") == "7"  # type: ignore[attr-defined]


def test_h08_trailers_missing_after_the_last_chunk(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
    peer.end()
    web.run(lambda: client.closed)
    assert client.body == b"abc"
    incomplete(client)


@both
def test_h11_pipelined_requests_closed_after_two(web: Web) -> None:
    def answer(session: http.ServerConnection, request: http.Request) -> None:
        last = request.target == "/2"
        session.respond(200, request.target.encode(), [("Connection", "close")] if last else ())

    server = web.watch(Request=answer)
    peer = web.peer(web.serve(server))
    peer.say(b"".join(get(f"/{number}") for number in range(1, 6)))
    web.run(lambda: peer.over)
    assert peer.ended
    assert [body for _, _, body in peer.responses] == [b"/1", b"/2"]
    assert server.count("Request") == 2
    peer.close()


def test_h11_our_client_reports_what_was_not_answered(web: Web) -> None:
    where = web.scripted()

    def pipeline(session: http.ClientSession, _event: object) -> None:
        for number in range(1, 5):
            session.request("GET", f"/{number}")

    client = web.watch(Opened=pipeline)
    web.manager.connect(where.url, client, protocol=Pipelining)
    peer = web.accept(where)
    web.run(lambda: peer.received.count(b"GET ") == 4)
    peer.say(OK + b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: client.closed)
    assert client.statuses == [200, 200]
    (session,) = client.sessions
    assert isinstance(session, Pipelining)
    assert session.unanswered == (("GET", "/3"), ("GET", "/4"))
    assert isinstance(client.reason().error, http.IncompleteMessage)


class Pipelining(http.ClientSession):
    """A client that asks several things at once."""

    def __init__(self, connection: object) -> None:
        super().__init__(host="127.0.0.1", max_pipelined=8)
        self.connection = connection


@both
def test_h12_expectation_that_nobody_answers(web: Web) -> None:
    client = web.watch(
        Opened=lambda s, _: s.request("POST", "/", [("Expect", "100-continue")], b"the body"),
    )
    limits = dataclasses.replace(http.CLIENT_LIMITS, continue_timeout=0.1)
    began = web.world.now()
    peer = web.asked(client, http_limits=limits)
    assert peer.received.endswith(b"\r\n\r\n")
    web.run(lambda: peer.received.endswith(b"the body"))
    assert web.world.now() - began >= 0.09
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)


@both
def test_h12_continue_is_sent_when_the_body_is_wanted(web: Web) -> None:
    server = web.watch(EndOfMessage=lambda s, _: s.respond(200, b"ok"))
    client = web.watch(
        Opened=lambda s, _: s.request("POST", "/", [("Expect", "100-continue")], b"the body"),
    )
    web.request(web.serve(server), client)
    began = web.world.now()
    web.run(lambda: client.count("EndOfMessage") == 1)
    assert web.world.now() - began < 0.9  # not by the client's own patience
    assert client.names()[:3] == ["Opened", "InformationalResponse", "Response"]
    assert server.body == b"the body"


@both
def test_h12_refused_expectation_saves_the_body(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(413))
    client = web.watch(
        Opened=lambda s, _: s.request("POST", "/", [("Expect", "100-continue")], bytes(100_000)),
    )
    web.request(web.serve(server), client)
    web.run(lambda: client.closed and server.closed)
    assert client.statuses == [413]
    assert client.reason().kind is CloseKind.CLEAN
    assert server.connection().bytes_received < 10_000
    assert server.body == b""


@both
def test_h13_several_1xx_then_cut(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 1")
    peer.end()
    web.run(lambda: client.closed)
    assert client.names() == ["Opened", "InformationalResponse", "InformationalResponse", "Closed"]
    assert client.statuses == []
    incomplete(client)


@both
def test_h18_slow_head_has_a_total_deadline(web: Web) -> None:
    server = web.watch(Request=answer_target)
    limits = dataclasses.replace(http.SERVER_LIMITS, head_timeout=0.3)
    listener = web.serve(server, http_limits=limits)
    peer = web.peer(listener)
    began = web.world.now()
    for byte in GET[:20]:
        peer.say(bytes([byte]))
        web.world.sleep(0.02)
        if peer.over:
            break
    web.run(lambda: peer.over)
    assert 0.29 <= web.world.now() - began < 2.0
    assert peer.statuses == [408]
    peer.close()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.TIMED_OUT
    assert isinstance(server.reason().error, TimedOut)
    assert server.reason().error.phase == "head"  # type: ignore[union-attr]


def test_h18_slow_body_has_a_least_rate_and_a_total(web: Web) -> None:
    for limits, phase in (
        (dataclasses.replace(http.SERVER_LIMITS, body_window=0.1), "body"),
        (dataclasses.replace(http.SERVER_LIMITS, body_timeout=0.1, body_rate=1, body_window=1.0), "body"),
    ):
        server = web.watch(EndOfMessage=lambda s, _: s.respond(200))
        peer = web.peer(web.serve(server, http_limits=limits))
        peer.say(post(100))
        for _ in range(40):
            peer.say(b"x")
            web.world.sleep(0.01)
        web.run(lambda peer=peer: peer.over)  # type: ignore[misc]
        assert peer.statuses == [408]
        peer.close()
        web.run(lambda server=server: server.closed)  # type: ignore[misc]
        assert server.reason().kind is CloseKind.TIMED_OUT
        assert server.reason().error.phase == phase  # type: ignore[union-attr]


def test_h18_server_that_drips_its_answer(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    limits = dataclasses.replace(http.CLIENT_LIMITS, response_timeout=0.2)
    peer = web.asked(client, http_limits=limits)
    for byte in OK:
        peer.say(bytes([byte]))
        web.world.sleep(0.02)
        if peer.over:
            break
    web.run(lambda: client.closed or peer.over)
    peer.close()
    web.run(lambda: client.closed)
    assert client.reason().kind is CloseKind.TIMED_OUT
    assert client.reason().error.phase == "response"  # type: ignore[union-attr]


SMUGGLING = {
    "both lengths": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
    "list of lengths": b"Content-Length: 3, 5\r\n\r\nabc",
    "signed length": b"Content-Length: +3\r\n\r\nabc",
    "hex length": b"Content-Length: 0x3\r\n\r\nabc",
    "spaced length name": b"Content-Length : 3\r\n\r\nabc",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "obscured coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding with a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare carriage return": b"X: y\rContent-Length: 3\r\n\r\nabc",
    "null": b"X: \0\r\n\r\n",
}


@pytest.mark.parametrize("trick", SMUGGLING)
def test_smuggled_request_is_never_answered(web: Web, trick: str) -> None:
    """RFC 9112 section 11.2: whatever two parsers could read in two ways ends the connection."""
    server = web.watch(Request=answer_target)
    listener = web.serve(server)
    other = web.peer(listener)
    peer = web.peer(listener)
    peer.say(get("/1") + b"POST /2 HTTP/1.1\r\nHost: a\r\n" + SMUGGLING[trick] + get("/smuggled"))
    web.run(lambda: peer.over)
    assert peer.ended
    assert not peer.reset
    assert peer.statuses[0] == 200
    assert peer.statuses[1] in {400, 501}
    assert len(peer.statuses) == 2
    peer.close()
    web.run(lambda: len(web.manager.connections) == 1)
    failed = next(events[-1] for events in server.told.values() if len(events) > 2)
    assert failed.reason.kind is CloseKind.PROTOCOL_ERROR  # type: ignore[attr-defined]
    assert isinstance(failed.reason.error, http.HTTPError)  # type: ignore[attr-defined]
    other.say(GET)
    web.run(lambda: other.statuses == [200])
