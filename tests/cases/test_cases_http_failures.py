"""Handlers that raise, at each event in turn: their connection alone ends, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from mungos import CloseKind, http
from mungos.websocket import CloseStatus
from tests.cases.web import GET, HANDSHAKE, OK, Watch, Web, answer_target, big_frame, get, post
from tests.cases.web_peers import Speaker
from tests.websocket.driver import close_frame, frame, response_to

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)


class Clumsy(ValueError):
    """What the handlers here raise."""


class Trap(Watch):
    """A handler that raises once: at the given event of the first session that has it."""

    def __init__(self, event: str, **answers: Callable[..., object]) -> None:
        super().__init__(**answers)
        self.at = event
        self.victim: object = None

    def __call__(self, session: object, event: object) -> None:
        if type(event).__name__ == self.at and self.victim is None:
            self.victim = session
            self.told.setdefault(session, []).append(event)
            raise Clumsy(self.at)
        super().__call__(session, event)

    def victims_end(self) -> None:
        """The victim's reason is the handler's error, unless the end itself was its undoing."""
        number = self.sessions.index(self.victim)
        reason = self.reason(number)
        if self.at == "Closed":
            assert reason.kind is not CloseKind.HANDLER_ERROR
        else:
            assert reason.kind is CloseKind.HANDLER_ERROR
            assert isinstance(reason.error, Clumsy)


def trap(web: Web, event: str, **answers: Callable[..., object]) -> Trap:
    made = Trap(event, **answers)
    web.watches.append(made)
    return made


def logged(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is in the log, once."""
    records = [record for record in caplog.records if record.exc_info and record.levelno == logging.ERROR]
    assert len(records) == 1
    assert records[0].exc_info is not None
    assert isinstance(records[0].exc_info[1], Clumsy)


@both
@pytest.mark.parametrize("event", ["Opened", "Request", "Data", "EndOfMessage", "Writable", "Closed"])
def test_http_server(web: Web, event: str, caplog: pytest.LogCaptureFixture) -> None:
    def answer(session: http.ServerConnection, _event: object) -> None:
        request = session.request
        assert request is not None
        session.respond(200, bytes(1 << 20) if request.target == "/big" else b"ok")

    server = trap(web, event, EndOfMessage=answer)
    listener = web.serve(server)
    victim = web.peer(listener)
    victim.say(post(4) + b"body" + get("/big"))
    web.run(lambda: server.victim is not None or len(victim.received) > 1 << 20)
    if event == "Closed":
        victim.end()
    web.run(lambda: victim.over and not web.manager.connections)
    assert victim.reset is (event != "Closed")
    for number in range(3):
        other = web.peer(listener)
        other.say(GET)
        web.run(lambda other=other: other.statuses == [200])  # type: ignore[misc]
        if number:
            other.close()
    server.victims_end()
    logged(caplog)


@both
@pytest.mark.parametrize(
    "event", ["Opened", "InformationalResponse", "Response", "Data", "EndOfMessage", "Writable", "Closed"]
)
def test_http_client(web: Web, event: str, caplog: pytest.LogCaptureFixture) -> None:
    def ask(session: http.ClientConnection, _event: object) -> None:
        session.request("POST", "/", body=bytes(1 << 20))

    client = trap(web, event, Opened=ask)
    where = web.scripted()
    peers: list[Speaker] = []
    for _ in range(3):
        web.request(where, client)
        peers.append(web.accept(where))
        if event == "Opened" and not peers[1:]:
            web.run(lambda: client.victim is not None)
    asked = peers if event != "Opened" else peers[1:]
    web.run(lambda: all(peer.over or len(peer.received) > 1 << 20 for peer in asked))
    for peer in peers:
        peer.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    web.run(lambda: client.count("EndOfMessage") >= 2)
    if event == "Closed":
        peers[0].end()
    web.run(lambda: client.victim is not None and len(web.manager.connections) == 2)
    survivors = [session for session in client.sessions if session is not client.victim]
    assert len(survivors) == 2
    web.run(lambda: all(session.ready for session in survivors))  # type: ignore[attr-defined]
    client.victims_end()
    logged(caplog)


@both
@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    "event", ["Opened", "Established", "Message", "Ping", "Pong", "Writable", "CloseReceived", "Closed"]
)
def test_websocket(web: Web, role: str, event: str, caplog: pytest.LogCaptureFixture) -> None:
    masked = role == "server"
    watch = trap(web, event, Message=lambda s, m: s.send(bytes(1 << 20) if m.data == b"big" else m.data))
    peers: list[Speaker] = []
    if role == "server":
        listener = web.serve_sockets(watch)
        for _ in range(3):
            peers.append(web.ready(listener) if event == "Opened" and not peers else web.peer(listener))
            peers[-1].say(HANDSHAKE)
            web.run(lambda: watch.count("Opened") == len(peers))
    else:
        for number in range(3):
            where = web.scripted()
            web.open_socket(where, watch)
            peers.append(web.accept(where))
            web.run(lambda number=number: watch.count("Opened") == number + 1)  # type: ignore[misc]
            if event == "Opened" and not number:
                web.run(lambda: watch.closed)
                continue
            web.run(lambda number=number: b"\r\n\r\n" in peers[number].received)  # type: ignore[misc]
            peers[-1].say(response_to(bytes(peers[-1].received)))
    lost = 1 if event in {"Opened", "Established"} else 0
    web.run(lambda: watch.count("Established") >= 3 - (event == "Opened"))
    # Whose turn comes first is not laid down.
    gone = watch.sessions.index(watch.victim) if lost else 1
    victim, last = [peer for number, peer in enumerate(peers) if number != gone]
    victim.say(
        frame(2, b"big", masked=masked) + frame(9, b"?", masked=masked) + frame(10, b"!", masked=masked)
    )
    if event in {"CloseReceived", "Closed"}:
        victim.say(close_frame(1000, masked=masked))
        if role == "server":
            web.run(lambda: victim.over)
        victim.end()
    web.run(lambda: watch.victim is not None and len(web.manager.connections) == 2)
    watch.victims_end()
    last.say(big_frame(b"y" * 500, masked))
    web.run(lambda: last.received.endswith(b"y" * 500) if masked else last.has_frames(1))
    number = watch.sessions.index(watch.victim)
    if event in {"CloseReceived", "Closed"}:
        assert watch.detail(number) == CloseStatus(1000, "", True)
    else:
        assert watch.detail(number) == CloseStatus(1006, "", False)
    logged(caplog)


@both
def test_authorize_that_raises_ends_its_connection_only(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    def authorize(request: http.Request) -> None:
        asked.append(request.target)
        if len(asked) == 1:
            raise Clumsy("authorize")

    server = web.watch()
    listener = web.serve_sockets(server, authorize=authorize)
    victim = web.peer(listener)
    victim.say(HANDSHAKE)
    web.run(lambda: victim.over)
    other = web.open_peer(listener, server)
    assert other.statuses == [101]
    assert server.reason().kind is CloseKind.HANDLER_ERROR
    logged(caplog)


@both
def test_interrupt_leaves_the_loop_after_the_turn(web: Web) -> None:
    """What is no Exception, as Control-C's, leaves `poll`; its connection ends, and the loop can go on."""
    calls: list[int] = []

    def answer(session: http.ServerConnection, request: http.Request) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        answer_target(session, request)

    server = web.watch(Request=answer)
    listener = web.serve(server)
    victim = web.peer(listener)
    victim.say(GET)
    with pytest.raises(KeyboardInterrupt):
        web.run(lambda: victim.over)
    web.run(lambda: victim.over)
    other = web.peer(listener)
    other.say(GET)
    web.run(lambda: other.statuses == [200])
    assert server.reason().kind is CloseKind.HANDLER_ERROR


@both
def test_misuse_by_a_handler_is_its_own_error(web: Web) -> None:
    def twice(session: http.ServerConnection, _event: object) -> None:
        session.respond(200)
        session.respond(200)

    server = web.watch(Request=twice)
    peer = web.peer(web.serve(server))
    peer.say(GET)
    web.run(lambda: peer.over and server.closed)
    assert server.reason().kind is CloseKind.HANDLER_ERROR
