"""A client's session: requests, responses and every way in which a response can end."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from mungos.errors import Closed, Misuse, TimedOut
from mungos.http import ClientSession, Failed, HTTPLimits, IncompleteMessage, SendingSide, WaitingSide
from tests.http.http_peers import Client, Server, drain, due, ok_at_end, over

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOTES = [("response", 200, "OK", (("content-length", "2"),)), ("data", b"ok"), ("end", ())]


def failed(client: Client) -> Failed:
    event = client.events[-1]
    assert isinstance(event, Failed)
    assert over(client)
    assert due(client) is None
    assert client.session.next_event() is None
    return event


def sent(*arguments: object, **named: object) -> bytes:
    session = ClientSession(host="example.com")
    session.request(*arguments, **named)  # type: ignore[arg-type]
    return drain(session)


def test_requests_known_answers() -> None:
    host = b"Host: example.com\r\n"
    assert sent("GET", "/a?b") == b"GET /a?b HTTP/1.1\r\n" + host + b"\r\n"
    assert sent("GET", "/", [("host", "other:1"), ("A", "b")]) == (
        b"GET / HTTP/1.1\r\nHost: other:1\r\nA: b\r\n\r\n"
    )
    assert sent("POST", "/") == b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n"
    assert sent("GET", "/", (), b"") == b"GET / HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n"
    assert sent("PUT", "/", [("Content-Length", "3")], bytearray(b"abc")) == (
        b"PUT / HTTP/1.1\r\n" + host + b"Content-Length: 3\r\n\r\nabc"
    )
    assert sent("OPTIONS", "*", [("Connection", "close, TE"), ("Date", "x")]) == (
        b"OPTIONS * HTTP/1.1\r\n" + host + b"Date: x\r\nConnection: close, te\r\n\r\n"
    )
    assert (
        sent("POST", "/", chunked=True)
        == b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("GET /", "/"), {}),
        (("", "/"), {}),
        (("GET", ""), {}),
        (("GET", "/ HTTP/1.1\r\nX: y"), {}),
        (("GET", "/caf\xe9"), {}),
        (("GET", "/", [("X", "a\r\nb")]), {}),
        (("GET", "/", [("Transfer-Encoding", "chunked")]), {}),
        (("GET", "/", [("Content-Length", "1")]), {}),
        (("POST", "/", [], b"x"), {"length": 1}),
        (("POST", "/", [], b"x"), {"chunked": True}),
        (("POST", "/"), {"length": -1}),
    ],
)
def test_requests_that_are_misuse_queue_nothing(
    arguments: tuple[object, ...], named: dict[str, object]
) -> None:
    session = ClientSession()
    with pytest.raises(Misuse):
        session.request(*arguments, **named)  # type: ignore[arg-type]
    assert session.unsent == 0
    assert session.ready


def test_a_response_and_another_on_the_same_connection() -> None:
    client = Client().get().feed(OK)
    assert client.notes == NOTES
    assert client.session.ready
    client.get().feed(OK)
    assert client.notes == NOTES * 2


def test_one_request_at_a_time_is_the_default() -> None:
    client = Client().get()
    assert not client.session.ready
    with pytest.raises(Misuse):
        client.get()


def test_bodies_streamed() -> None:
    client = Client()
    session = client.session
    session.request("PUT", "/", length=5)
    assert session.sending_side is SendingSide.BODY
    session.send_body(b"abc")
    with pytest.raises(Misuse):
        session.send_body(b"def")
    with pytest.raises(Misuse):
        session.end_request()
    session.send_body(b"de")
    session.end_request()
    with pytest.raises(Misuse):
        session.send_body(b"x")
    client.feed(OK)
    session.request("PUT", "/", chunked=True)
    session.send_body(b"abc")
    session.send_body(b"")
    session.end_request([("T", "u")])
    client.feed(OK)
    assert client.sent.endswith(b"chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n")
    server = Server(ok_at_end).feed(client.sent)
    assert server.kinds == ["request", "data", "end"] * 2


def test_back_pressure_of_a_streamed_request() -> None:
    client = Client(HTTPLimits(max_body=None, high_watermark=100, max_unsent=1000))
    client.session.request("PUT", "/", chunked=True)
    assert not client.session.send_body(b"x" * 200)
    with pytest.raises(Misuse, match="1000 bytes"):
        client.session.send_body(b"x" * 1000)


# How responses end


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 99\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_h14_no_body_whatever_the_fields_say(method: str, head: bytes) -> None:
    client = Client().get(method=method).feed(head)
    assert client.kinds == ["response", "end"]
    assert client.session.ready
    assert client.get().feed(OK).notes[-3:] == NOTES


def test_h03_a_response_without_length_ends_with_the_stream() -> None:
    client = Client().get().feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert client.kinds == ["response", "data"]
    assert not client.session.ready
    client.feed(b"def").eof()
    assert client.kinds == ["response", "data", "end"]
    assert over(client)


def test_h04_a_response_without_length_that_is_truncated_is_incomplete() -> None:
    client = Client().get().feed(b"HTTP/1.1 200 OK\r\n\r\nabc").eof(truncated=True)
    assert client.kinds == ["response", "data", "failed"]
    assert isinstance(failed(client).error, IncompleteMessage)


@pytest.mark.parametrize("truncated", [False, True])
def test_h05_a_response_cut_at_every_byte_is_incomplete(truncated: bool) -> None:
    for response in (
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: u\r\n\r\n",
    ):
        for cut in range(len(response)):
            client = Client().get().feed(response[:cut]).eof(truncated=truncated)
            assert isinstance(failed(client).error, IncompleteMessage)
            assert "end" not in client.kinds
            assert client.session.unanswered == (("GET", "/"),)
        whole = Client().get().feed(response).eof(truncated=truncated)
        assert whole.kinds == ["response", "data", "end"]
        assert over(whole)


def test_h06_h20_bytes_that_answer_no_request_are_no_response() -> None:
    client = Client().get().feed(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.notes == [*NOTES, ("failed", "UNASKED_BYTES")]
    assert over(client)
    with pytest.raises(Closed):
        client.get()
    early = Client().feed(OK)
    assert early.notes == [("failed", "UNASKED_BYTES")]


def test_h20_an_idle_connection_ends_with_the_stream() -> None:
    client = Client().get().feed(OK).eof()
    assert client.notes == NOTES
    assert over(client)
    assert not client.session.ready


def test_h02_the_stream_ends_before_a_response_names_what_is_unanswered() -> None:
    client = Client().get("/x").eof()
    assert client.notes == [("failed", "INCOMPLETE")]
    assert client.session.unanswered == (("GET", "/x"),)


def test_h01_connection_close_from_the_server() -> None:
    for head in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
        client = Client().get().feed(head + b"Content-Length: 2\r\n\r\nokjunk")
        assert client.kinds == ["response", "data", "end"]
        assert over(client)
        with pytest.raises(Closed):
            client.get()
    stays = Client().get().feed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
    assert stays.session.ready


def test_h01_connection_close_from_this_side() -> None:
    client = Client()
    client.session.request("GET", "/", [("Connection", "close")])
    assert not client.session.ready
    client.feed(OK)
    assert client.notes == NOTES
    assert over(client)


def test_close() -> None:
    idle = Client()
    idle.session.close(0.0)
    assert over(idle)
    busy = Client().get()
    busy.session.close(0.0)
    busy.session.close(0.0)
    assert not over(busy)
    busy.feed(OK)
    assert busy.notes == NOTES
    assert over(busy)


def test_h13_informational_responses_then_cut() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    client = Client().get().feed(interim).eof()
    assert client.notes == [("informational", 103), ("informational", 102), ("failed", "INCOMPLETE")]
    flood = Client(HTTPLimits(max_informational=2)).get().feed(interim + interim)
    assert flood.notes[-1] == ("failed", "INFORMATIONAL_TOO_MANY")
    fine = Client().get().feed(interim + OK)
    assert fine.notes[2:] == NOTES


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_rfc9112_6_3_faulty_responses_fail(response: bytes) -> None:
    client = Client().get().feed(response)
    assert client.kinds == ["failed"]
    failed(client)


# 100 (Continue)


def expecting(body: bytes | None = b"abc") -> Client:
    client = Client()
    client.session.request(
        "PUT", "/", [("Expect", "100-continue")], body, length=None if body is not None else 3
    )
    client.pull()
    assert client.sent.endswith(b"Expect: 100-continue\r\n\r\n")
    assert client.session.sending_side is SendingSide.CONTINUE
    return client


def test_rfc9110_10_1_1_the_body_follows_100() -> None:
    client = expecting().feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.pull()
    assert client.sent.endswith(b"\r\n\r\nabc")
    client.feed(OK)
    assert client.kinds == ["informational", "response", "data", "end"]
    assert client.session.ready


def test_h12_100_never_comes_and_the_body_is_sent_after_a_limit() -> None:
    client = expecting()
    client.expire(5.0)
    assert due(client) == 6.0
    client.expire(5.9)
    assert not client.sent.endswith(b"abc")
    client.expire(6.0)
    assert client.sent.endswith(b"\r\n\r\nabc")
    client.expire(6.0)
    assert due(client) == 66.0
    assert client.feed(b"HTTP/1.1 100 Continue\r\n\r\n" + OK).kinds[-1] == "end"


def test_h12_a_streamed_body_is_held_back() -> None:
    client = expecting(None)
    client.session.send_body(b"ab")
    client.session.send_body(b"c")
    client.session.end_request()
    client.pull()
    assert not client.sent.endswith(b"abc")
    client.feed(b"HTTP/1.1 100 Continue\r\n\r\n").pull()
    assert client.sent.endswith(b"abc")


def test_rfc9110_10_1_1_a_final_response_instead_of_100_drops_the_body_and_ends() -> None:
    client = expecting(None).feed(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
    assert client.kinds == ["response", "end"]
    assert client.session.send_body(b"abc")
    client.session.end_request()
    client.pull()
    assert not client.sent.endswith(b"abc")
    assert over(client)


def test_h09_a_response_that_outruns_its_request_ends_the_session() -> None:
    client = Client()
    client.session.request("PUT", "/", length=10)
    client.session.send_body(b"abc")
    client.feed(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
    assert client.kinds == ["response", "end"]
    assert over(client)
    with pytest.raises(Closed):
        client.session.send_body(b"def")


# Pipelining


def test_h11_pipelined_requests_are_answered_in_order() -> None:
    client = Client(max_pipelined=3).get("/1").get("/2").get("/3")
    assert not client.session.ready
    client.feed(OK)
    assert client.session.unanswered == (("GET", "/2"), ("GET", "/3"))
    client.feed(OK + OK)
    assert client.notes == NOTES * 3
    assert client.session.waiting_side is WaitingSide.REQUEST


def test_h11_pipelined_requests_unanswered_when_the_server_closes() -> None:
    client = Client(max_pipelined=3).get("/1").get("/2").get("/3")
    client.feed(OK).feed(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + OK)
    assert client.kinds == ["response", "data", "end", "response", "data", "end", "failed"]
    assert client.session.unanswered == (("GET", "/3"),)
    assert over(client)


def test_h11_close_waits_for_all_that_were_sent() -> None:
    client = Client(max_pipelined=2).get().get()
    client.session.close(0.0)
    client.feed(OK)
    assert not over(client)
    client.feed(OK)
    assert over(client)
    assert client.notes == NOTES * 2


def test_rfc9112_9_3_2_nothing_behind_a_method_that_is_not_idempotent() -> None:
    client = Client(max_pipelined=2)
    client.session.request("POST", "/", (), b"x")
    with pytest.raises(Misuse):
        client.session.request("GET", "/")
    with pytest.raises(Misuse):
        Client(max_pipelined=2).get().session.request("PUT", "/", [("Expect", "100-continue")], b"x")


# Upgrades


def test_h15_bytes_after_101_belong_to_the_next_protocol() -> None:
    client = Client()
    client.session.request("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "x")])
    client.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nfirst")
    client.feed(b"second").eof(truncated=True)
    assert client.notes == [("informational", 101)]
    assert client.session.waiting_side is WaitingSide.UPGRADED
    assert client.session.leftover() == b"firstsecond"
    assert not over(client)


def test_h15_another_answer_to_an_upgrade_is_a_response() -> None:
    client = Client()
    client.session.request("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "x")])
    assert client.feed(OK).notes == NOTES
    assert client.session.ready


def test_h16_connect() -> None:
    client = Client().get("h:1", "CONNECT").feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nraw")
    assert client.kinds == ["response"]
    assert client.session.leftover() == b"raw"
    refused = Client().get("h:1", "CONNECT").feed(OK.replace(b"200 OK", b"407 No"))
    assert refused.kinds == ["response", "data", "end"]


# Deadlines


def test_h18_a_response_has_a_deadline_from_the_end_of_its_request() -> None:
    client = Client()
    client.session.request("PUT", "/", length=3)
    assert due(client) is None
    client.session.send_body(b"abc")
    client.session.end_request()
    client.expire(100.0)
    assert due(client) == 160.0
    client.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP", 159.0)
    assert due(client) == 160.0
    client.expire(160.0)
    error = failed(client).error
    assert isinstance(error, TimedOut)
    assert error.phase == "response"


def test_h18_a_response_body_has_a_least_rate() -> None:
    client = Client().get()
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 1.0)
    assert due(client) == 31.0
    client.feed(b"x" * 40_000, 2.0).expire(31.0)
    assert due(client) == 61.0
    client.feed(b"x", 60.0).expire(61.0)
    error = failed(client).error
    assert isinstance(error, TimedOut)
    assert "1 bytes" in str(error)


def test_a_body_rate_of_zero_is_any_rate() -> None:
    client = Client(HTTPLimits(body_rate=0)).get()
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 1.0)
    for window in (31.0, 61.0, 91.0):
        assert due(client) == window
        client.expire(window)
        assert not over(client)


def test_h20_silence_between_messages_ends_without_a_word() -> None:
    client = Client().get().feed(OK, 1.0)
    assert due(client) == 76.0
    client.expire(76.0)
    assert over(client)
    assert client.notes == NOTES


def test_wake_is_called_by_every_sender() -> None:
    session = ClientSession()
    woken: list[int] = []
    session.wake = lambda: woken.append(session.unsent)
    calls: list[Callable[[], object]] = [
        lambda: session.request("PUT", "/", chunked=True),
        lambda: session.send_body(b"x"),
        session.end_request,
    ]
    for count, call in enumerate(calls, 1):
        call()
        assert len(woken) >= count
    assert woken == sorted(woken)


class Watched(ClientSession):
    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("data", [b"", OK, OK[:9], OK + OK, OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nabc", b"\0"])
def test_a_session_that_is_dropped_in_any_state_is_freed_at_once(data: bytes) -> None:
    client = Client()
    session = Watched()
    client.session = session
    client.get().feed(data)
    watched = weakref.ref(session)
    del session, client
    assert watched() is None
