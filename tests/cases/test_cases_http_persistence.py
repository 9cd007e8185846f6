"""How long an HTTP connection lives: H01, H02, H14, H20, and the deadline between two messages."""

from __future__ import annotations

import dataclasses
import re

import pytest

from mungos import CloseKind, http
from tests.cases.web import GET, OK, Web, answer_target, ask, get
from tests.cases.web_peers import SecureSpeaker

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
over_tls = pytest.mark.parametrize("web", [True], ids=["tls"], indirect=True)

BRIEF = dataclasses.replace(http.SERVER_LIMITS, keep_alive_timeout=0.1)


@both
def test_h01_client_says_close_nothing_later_is_processed(web: Web) -> None:
    server = web.watch(Request=answer_target)
    listener = web.serve(server)
    other = web.peer(listener)
    peer = web.peer(listener)
    peer.say(get("/1", "Connection: close") + get("/2"))
    web.run(lambda: peer.over)
    assert [body for _, _, body in peer.responses] == [b"/1"]
    assert peer.responses[0][1]["connection"] == "close"
    assert server.count("Request") == 1
    peer.close()
    other.say(GET)
    web.run(lambda: other.statuses == [200])
    web.run(lambda: len(web.manager.connections) == 1)
    ended = next(events[-1] for events in server.told.values() if len(events) > 3)
    assert ended.reason.kind is CloseKind.CLEAN  # type: ignore[attr-defined]


@both
def test_h01_server_says_close(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(200, b"ok", [("Connection", "close")]))
    peer = web.peer(web.serve(server))
    peer.say(GET + GET)
    web.run(lambda: peer.over)
    assert peer.ended
    assert not peer.reset
    assert len(peer.responses) == 1
    assert server.count("Request") == 1
    peer.close()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.CLEAN


@both
def test_h01_server_says_close_to_our_client(web: Web) -> None:
    client = web.watch(Opened=ask("/1", "/2"), EndOfMessage=ask("/2"))
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" + OK)
    web.run(lambda: peer.ended)
    assert peer.received.count(b"GET ") == 1
    peer.end()
    web.run(lambda: client.closed)
    assert client.statuses == [200]
    assert client.body == b"ok"
    assert client.reason().kind is CloseKind.CLEAN
    assert not client.client.ready


@both
def test_h02_idle_connection_is_closed_by_the_server(web: Web) -> None:
    server = web.watch(Request=answer_target)
    peer = web.peer(web.serve(server, http_limits=BRIEF))
    peer.say(get("/1"))
    web.run(lambda: peer.statuses == [200])
    began = web.world.now()
    web.run(lambda: peer.over)
    assert web.world.now() - began >= 0.09
    assert peer.ended
    assert len(peer.statuses) == 1  # an idle end is no 408
    peer.close()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.CLEAN


@both
def test_h02_request_that_crosses_the_servers_idle_end_is_a_clear_error(web: Web) -> None:
    client = web.watch(Opened=ask("/1"))
    peer = web.asked(client)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.end()
    client.client.request("GET", "/2")  # before the end was seen
    web.run(lambda: client.closed)
    reason = client.reason()
    assert reason.kind is CloseKind.PROTOCOL_ERROR
    assert isinstance(reason.error, http.IncompleteMessage)
    assert "unanswered" in str(reason.error)
    assert client.client.unanswered == (("GET", "/2"),)  # what may be sent again, once, is known


@both
def test_h02_request_on_a_connection_reset_meanwhile(web: Web) -> None:
    client = web.watch(Opened=ask("/1"))
    peer = web.asked(client)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.cut()
    client.client.request("GET", "/2")
    web.run(lambda: client.closed)
    assert client.reason().kind is CloseKind.PEER_RESET
    assert client.client.unanswered == (("GET", "/2"),)


def test_h02_silence_is_counted_from_the_last_message(web: Web) -> None:
    server = web.watch(Request=answer_target)
    limits = dataclasses.replace(http.SERVER_LIMITS, keep_alive_timeout=0.3)
    peer = web.peer(web.serve(server, http_limits=limits))
    for number in range(4):
        peer.say(get("/"))
        web.run(lambda wanted=number + 1: len(peer.statuses) == wanted)  # type: ignore[misc]
        web.world.sleep(0.1)
        assert not peer.over
    web.run(lambda: peer.over)
    assert peer.statuses == [200] * 4


@both
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_h14_no_body_follows_whatever_the_length_says(web: Web, method: str, status: int) -> None:
    client = web.watch(
        Opened=lambda s, _: s.request(method, "/1"),
        EndOfMessage=ask("/2"),
    )
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 %d X\r\nContent-Length: 5000\r\n\r\n" % status)
    web.run(lambda: peer.received.count(b"\r\n\r\n") == 2)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 2)
    assert client.statuses == [status, 200]
    assert client.body == b"ok"
    assert client.client.ready


@both
def test_h14_our_server_sends_no_body_and_goes_on(web: Web) -> None:
    def answer(session: http.ServerConnection, request: http.Request) -> None:
        status = int(request.target[1:])
        session.respond(status, b"five!" if status == 200 else b"")

    server = web.watch(Request=answer)
    peer = web.peer(web.serve(server))
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)):
        peer.say(get(f"/{status}").replace(b"GET", method.encode()))
    web.run(lambda: peer.received.endswith(b"five!"))
    assert peer.statuses == [200, 204, 304, 200]
    assert peer.received.count(b"five!") == 1
    heads = bytes(peer.received).split(b"\r\n\r\n")
    assert b"Content-Length: 5" in heads[0]
    assert b"Content-Length" not in heads[1] + heads[2]
    assert not peer.over


@both
def test_h20_idle_client_sees_the_servers_end(web: Web) -> None:
    client = web.watch(Opened=ask("/1"))
    peer = web.asked(client)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.end()
    web.run(lambda: client.closed)
    assert client.reason().kind is CloseKind.CLEAN
    assert client.names() == ["Opened", "Response", "Data", "EndOfMessage", "Closed"]


@over_tls
def test_h20_idle_client_leaves_at_close_notify_alone(web: Web) -> None:
    client = web.watch(Opened=ask("/1"))
    peer = web.asked(client)
    assert isinstance(peer, SecureSpeaker)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.notify()
    web.run(lambda: peer.notified and peer.ended)
    assert not client.client.ready
    peer.fin()
    web.run(lambda: client.closed)
    assert client.reason().kind is CloseKind.CLEAN


@over_tls
def test_h20_session_tickets_alone_are_no_reason_to_leave(web: Web) -> None:
    client = web.watch()
    where = web.scripted()
    web.request(where, client)
    peer = web.accept(where)
    web.run(lambda: client.count("Opened") == 1)
    web.world.sleep(0.05)  # the tickets follow the handshake; nobody has asked for anything
    assert client.names() == ["Opened"]
    client.client.request("GET", "/")
    web.run(lambda: b"\r\n\r\n" in peer.received)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)


@both
def test_h20_stray_bytes_close_an_idle_client(web: Web) -> None:
    client = web.watch(Opened=ask("/1"))
    peer = web.asked(client)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.say(OK)
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: client.closed)
    assert client.statuses == [200]
    reason = client.reason()
    assert reason.kind is CloseKind.PROTOCOL_ERROR
    assert isinstance(reason.error, http.HTTPError)
    assert reason.error.rule is http.Rule.UNASKED_BYTES


@both
def test_date_is_in_every_answer_errors_too(web: Web) -> None:
    server = web.watch(Request=answer_target)
    peer = web.peer(web.serve(server))
    peer.say(get("/1") + get("/2") + b"nonsense\r\n\r\n")
    web.run(lambda: peer.over)
    assert peer.statuses == [200, 200, 400]
    dates = [fields["date"] for _, fields, _ in peer.responses]
    assert len(dates) == 3
    for date in dates:
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    if web.world.wire == "memory":
        # The civil time of the wire's clock (RFC 9110 section 5.6.7).
        assert dates[0] == "Tue, 14 Nov 2023 22:13:20 GMT"


@both
def test_one_connection_carries_many_requests_of_our_own_client(web: Web) -> None:
    targets = [f"/{number}" for number in range(50)]
    going_on = ask(*targets)
    server = web.watch(Request=answer_target)
    client = web.watch(Opened=going_on, EndOfMessage=going_on)
    web.request(web.serve(server), client)
    web.run(lambda: client.count("EndOfMessage") == 50)
    assert client.body == "".join(targets).encode()
    assert len(server.sessions) == len(client.sessions) == 1
