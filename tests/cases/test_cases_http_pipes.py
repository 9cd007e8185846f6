"""Narrow pipes, calls at odd moments, closes inside every event: nothing is lost, doubled or left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos import CloseKind, http, websocket
from tests.cases.web import GET, HANDSHAKE, OK, SLOW, Web, get, post
from tests.cases.web_peers import Speaker
from tests.cases.world import World
from tests.websocket.driver import close_frame, frame

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)


def narrow(capacity: int, secure: bool) -> Web:
    """The memory wire, each of its pipes `capacity` bytes wide."""
    world = World("memory")
    world.network.capacity = capacity
    return Web(world, secure)


capacities = st.sampled_from([1, 2, 3, 7, 64, 500, 1000, 16384])
sizes = st.lists(st.sampled_from([0, 1, 10, 125, 126, 300]), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(capacity=capacities, bodies=sizes, secure=st.booleans(), pause_every=st.integers(1, 5))
def test_http_through_narrow_pipes(capacity: int, bodies: list[int], secure: bool, pause_every: int) -> None:
    web = narrow(capacity, secure)
    left = list(bodies)
    seen = [0]

    def ask(session: http.ClientConnection, _event: object) -> None:
        if left:
            session.request("POST", "/", body=bytes([len(left)]) * left.pop(0))

    def begin(session: http.ServerConnection, _event: object) -> None:
        session.start_response(200)

    def echo(session: http.ServerConnection, event: http.Data) -> None:
        session.send_body(event.data)
        seen[0] += 1
        if seen[0] % pause_every == 0:
            session.connection.pause()
            web.manager.call_later(0.001, session.connection.resume)

    server = web.watch(Request=begin, Data=echo, EndOfMessage=lambda s, _: s.end_response())
    client = web.watch(Opened=ask, EndOfMessage=ask)
    web.request(web.serve(server), client)
    web.run(lambda: client.count("EndOfMessage") == len(bodies), within=60.0)
    wanted = b"".join(bytes([len(bodies) - number]) * size for number, size in enumerate(bodies))
    assert client.body == server.body == wanted
    web.manager.close(5.0)
    assert client.reason().kind is server.reason().kind is CloseKind.CLEAN
    web.close()


@settings(max_examples=40, deadline=None)
@given(capacity=capacities, lengths=sizes, secure=st.booleans(), pause_every=st.integers(1, 5))
def test_websocket_through_narrow_pipes(
    capacity: int, lengths: list[int], secure: bool, pause_every: int
) -> None:
    web = narrow(capacity, secure)
    seen = [0]

    def fill(session: websocket.ClientConnection, _event: object) -> None:
        for size in lengths:
            session.send(b"m" * size)
            session.ping(b"between")
        session.close_with(1000)

    def echo(session: websocket.ServerConnection, message: websocket.Message) -> None:
        seen[0] += 1
        if seen[0] % pause_every == 0:
            session.connection.pause()
            web.manager.call_later(0.001, session.connection.resume)

    server = web.watch(Message=echo)
    client = web.watch(Established=fill)
    web.open_socket(web.serve_sockets(server), client)
    web.run(lambda: bool(client.told) and client.closed and server.closed, within=60.0)
    assert server.messages == [b"m" * size for size in lengths]
    assert client.detail() == websocket.CloseStatus(1000, "", True)
    assert client.reason().kind is server.reason().kind is CloseKind.CLEAN
    web.close()


def close_twice_then_abort(session: http.ServerConnection) -> None:
    session.connection.close()
    session.connection.close()
    session.connection.abort()


HOW: dict[str, Callable[..., None]] = {
    "close": lambda s: s.connection.close(),
    "close at once": lambda s: s.connection.close(0.0),
    "abort": lambda s: s.connection.abort("enough"),
    "close twice, then abort": close_twice_then_abort,
}


@both
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("event", ["Opened", "Request", "Data", "EndOfMessage", "Writable", "Closed"])
def test_http_server_ends_inside_an_event(web: Web, event: str, how: str) -> None:
    done: list[object] = []

    def act(session: http.ServerConnection, _event: object) -> None:
        if not done:
            done.append(session)
            HOW[how](session)

    def answer(session: http.ServerConnection, event_: object) -> None:
        if event == "EndOfMessage":
            act(session, event_)
        if not session.ended:
            session.respond(200, bytes(1 << 20))

    server = web.watch(**{"EndOfMessage": answer, **({event: act} if event != "EndOfMessage" else {})})
    listener = web.serve(server, limits=SLOW)
    peer = web.peer(listener)
    peer.say(post(4) + b"body")
    if event == "Closed":
        web.run(lambda: len(peer.received) > 1 << 20)
        peer.end()
    web.run(lambda: not web.manager.connections and bool(done))
    web.run(lambda: peer.over)
    other = web.peer(listener)
    other.say(GET)
    web.run(lambda: len(other.received) > 1 << 20)
    kind = server.reason().kind
    if "abort" in how and event != "Closed":
        assert kind is CloseKind.ABORTED
        assert peer.reset
    else:
        assert kind in {CloseKind.CLEAN, CloseKind.TIMED_OUT, CloseKind.ABORTED}


@both
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("event", ["Opened", "Established", "Message", "Ping", "CloseReceived", "Closed"])
def test_websocket_server_ends_inside_an_event(web: Web, event: str, how: str) -> None:
    server = web.watch(**{event: lambda s, _: HOW[how](s)})
    listener = web.serve_sockets(server, limits=SLOW)
    peer = web.ready(listener)
    peer.say(HANDSHAKE + frame(1, b"x") + frame(9, b"y") + close_frame(1000))
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: server.closed)
    reason = server.reason()
    if "abort" in how and event != "Closed":
        assert reason.kind is CloseKind.ABORTED
    else:
        assert reason.kind in {CloseKind.CLEAN, CloseKind.TIMED_OUT, CloseKind.ABORTED}
    assert server.names()[-1] == "Closed"
    if event == "Message":
        assert server.count("Ping") == 0


@both
def test_answers_from_timers(web: Web) -> None:
    """A response that comes from outside the connection's own turn goes out at once, and silence is counted
    from it."""
    server = web.watch(
        EndOfMessage=lambda s, _: web.manager.call_later(0.05, s.respond, 200, b"later"),
    )
    peer = web.peer(web.serve(server))
    for number in (1, 2, 3):
        peer.say(get("/"))
        web.run(lambda number=number: len(peer.statuses) == number, within=2.0)  # type: ignore[misc]
    assert not peer.over
    server.server.connection.close()
    web.run(lambda: peer.over)


@both
def test_close_while_the_request_still_comes(web: Web) -> None:
    server = web.watch(EndOfMessage=lambda s, _: s.respond(200, b"whole"))
    peer = web.peer(web.serve(server))
    peer.say(post(10) + b"01234")
    web.run(lambda: server.count("Request") == 1)
    closing = web.manager.begin_close(2.0)
    web.world.sleep(0.02)
    peer.say(b"56789")
    web.run(lambda: peer.over)
    assert peer.statuses == [200]
    assert server.body == b"0123456789"
    peer.close()
    web.run(lambda: closing.done)
    assert not closing.report.forced


@both
def test_response_that_is_never_ended_is_cut_at_the_deadline(web: Web) -> None:
    def begin(session: http.ServerConnection, _event: object) -> None:
        session.start_response(200)
        session.send_body(b"part")

    server = web.watch(EndOfMessage=begin)
    peer = web.peer(web.serve(server))
    peer.say(GET)
    web.run(lambda: peer.received.endswith(b"part\r\n"))
    began = web.world.now()
    server.connection().close(0.1)
    web.run(lambda: server.closed and peer.over)
    assert 0.09 <= web.world.now() - began < 2.0
    assert server.reason().kind is CloseKind.TIMED_OUT
    assert not peer.received.endswith(b"0\r\n\r\n")  # never made to look complete


@both
def test_answer_that_outruns_the_upload(web: Web) -> None:
    """The server answers and closes while our client still sends: the answer is read all the same."""

    def begin(session: http.ClientConnection, _event: object) -> None:
        session.request("POST", "/", length=8 << 20)
        for _ in range(4):
            session.send_body(bytes(1 << 20))

    client = web.watch(Opened=begin)
    where = web.scripted()
    web.request(where, client)
    peer: Speaker = web.accept(where)
    web.run(lambda: b"\r\n\r\n" in peer.received)
    peer.deaf = True
    peer.say(OK.replace(b"200 OK\r\n", b"413 Too Large\r\nConnection: close\r\n"))
    web.run(lambda: client.count("EndOfMessage") == 1)
    peer.deaf = False
    web.run(lambda: peer.over)
    peer.end()
    web.run(lambda: client.closed)
    assert client.statuses == [413]
    assert client.body == b"ok"


def test_digest_of_a_long_exchange_is_the_same_on_both_wires(world: World) -> None:
    """The same script gives the same bytes, whatever carries them."""
    web = Web(world, secure=False)
    server = web.watch(Request=lambda s, e: s.respond(200, e.target.encode() * 100, [("Date", "x")]))
    peer = web.peer(web.serve(server))
    peer.say(b"".join(get(f"/{number}") for number in range(100)))
    web.run(lambda: len(peer.statuses) == 100 and peer.received.endswith(b"/99"))
    assert hashlib.sha256(peer.received).hexdigest() == DIGEST
    web.close()


DIGEST = hashlib.sha256(
    b"".join(
        b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: %d\r\n\r\n%b" % (len(target) * 100, target * 100)
        for target in (b"/%d" % number for number in range(100))
    )
).hexdigest()
