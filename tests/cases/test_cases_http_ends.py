"""The ends of HTTP connections: H09, H10, H15, H17, H19, H21, and a stop in the middle of everything."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time

import pytest

from mungos import CloseKind, Limits, Manager, http, websocket
from mungos.core.plain import PlainProtocol
from mungos.errors import Closed
from tests.cases.web import GET, HANDSHAKE, OK, SLOW, Web, answer_target, ask, get, post
from tests.cases.web_peers import SecureSpeaker, little_buffers
from tests.websocket.driver import frame

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
over_tls = pytest.mark.parametrize("web", [True], ids=["tls"], indirect=True)

MIB = 1 << 20


@both
def test_h09_early_413_reaches_a_client_that_still_uploads(web: Web) -> None:
    """Closing with unread bytes would reset the answer away (RFC 9112 section 9.6)."""
    server = web.watch(Request=lambda s, _: s.respond(413, b"too much"))
    peer = web.ready(web.serve(server))
    peer.deaf = True  # it sends all it has before it looks for an answer
    peer.say(post(4 * MIB))
    for _ in range(32):
        peer.say(bytes(65536))
        web.world.turn()
    web.run(lambda: not peer.outbox)
    peer.deaf = False
    web.run(lambda: peer.over)
    assert peer.statuses == [413]
    assert peer.received.endswith(b"too much")
    assert not peer.reset
    assert peer.ended
    peer.close()
    web.run(lambda: server.closed)
    assert server.count("Data") <= 1
    assert server.reason().kind is CloseKind.CLEAN
    assert server.reason().discarded > MIB


@both
def test_h09_body_over_its_limit_is_refused_in_the_middle(web: Web) -> None:
    server = web.watch(EndOfMessage=lambda s, _: s.respond(200))
    limits = dataclasses.replace(http.SERVER_LIMITS, max_body=100_000)
    peer = web.peer(web.serve(server, http_limits=limits))
    peer.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        peer.say(b"4000\r\n" + bytes(0x4000) + b"\r\n")
        web.world.turn()
    web.run(lambda: not peer.outbox and peer.over)
    assert peer.statuses == [413]
    assert not peer.reset
    peer.close()
    web.run(lambda: server.closed)
    assert len(server.body) <= 100_000
    reason = server.reason()
    assert reason.kind is CloseKind.PROTOCOL_ERROR
    assert isinstance(reason.error, http.HTTPError)
    assert reason.error.rule is http.Rule.BODY_TOO_LONG


def test_h09_client_that_uploads_for_ever_is_cut_at_the_linger_deadline(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(413))
    peer = web.peer(web.serve(server, limits=SLOW))
    peer.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    began = web.world.now()
    while not server.closed:
        if len(peer.outbox) < 65536:
            peer.say(b"10000\r\n" + bytes(65536) + b"\r\n")
        web.world.sleep(0.005)
        assert web.world.now() - began < 5
    assert peer.statuses == [413]
    assert server.reason().kind is CloseKind.TIMED_OUT
    assert server.reason().phase == "closing"
    assert web.world.now() - began >= 0.19


@both
def test_h10_client_half_closes_after_its_request_and_is_answered(web: Web) -> None:
    server = web.watch()
    peer = web.peer(web.serve(server))
    peer.say(get("/1"))
    peer.end()
    web.run(lambda: server.count("EndOfMessage") == 1)
    web.world.sleep(0.01)
    server.server.respond(200, b"late, but here")
    web.run(lambda: peer.over)
    assert peer.received.endswith(b"late, but here")
    assert peer.ended
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.CLEAN


@both
def test_h10_pipelined_requests_before_a_half_close_are_all_answered(web: Web) -> None:
    server = web.watch(Request=answer_target)
    peer = web.peer(web.serve(server))
    peer.say(b"".join(get(f"/{number}") for number in range(20)))
    peer.end()
    web.run(lambda: peer.over and server.closed)
    assert [body for _, _, body in peer.responses] == [f"/{number}".encode() for number in range(20)]
    assert server.reason().kind is CloseKind.CLEAN


@both
def test_h15_bytes_behind_an_upgrade_request_go_to_the_new_protocol(web: Web) -> None:
    sockets = web.watch(Message=lambda s, m: s.send(m.data))
    server = web.watch(EndOfMessage=lambda s, _: websocket.upgrade(s, sockets))
    del web.watches[-1:]  # its connection's end is told to the new handler
    peer = web.peer(web.serve(server))
    peer.say(HANDSHAKE + frame(1, b"glued"))
    web.run(lambda: peer.has_frames(1))
    assert peer.statuses == [101]
    assert peer.frames[0][:2] == (0x81, b"glued")
    assert sockets.messages == ["glued"]
    peer.say(frame(8, b"\x03\xe8"))
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: sockets.closed)
    assert "Closed" not in server.names()
    assert sockets.detail() == websocket.CloseStatus(1000, "", True)


@both
def test_h15_bytes_behind_101_go_to_the_new_protocol_of_our_client(web: Web) -> None:
    plain = web.watch(Received=lambda c, e: c.send(e.data[::-1]))

    def change(session: http.ClientConnection, event: http.InformationalResponse) -> None:
        assert event.status == 101
        session.connection.upgrade(PlainProtocol(Limits()), plain, face=session.connection)

    client = web.watch(
        Opened=lambda s, _: s.request("GET", "/", [("Connection", "upgrade"), ("Upgrade", "echo")]),
        InformationalResponse=change,
    )
    del web.watches[-1:]
    peer = web.asked(client)
    peer.say(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst")
    web.run(lambda: peer.received.endswith(b"tsrif"))
    assert client.names() == ["Opened", "InformationalResponse"]
    peer.end()
    web.run(lambda: plain.closed)


@both
def test_h17_graceful_stop(web: Web) -> None:
    """In-flight requests are finished, idle connections closed at once, new ones refused; all bounded."""
    server = web.watch()
    listener = web.serve(server)
    busy, idle, half = web.peer(listener), web.peer(listener), web.peer(listener)
    idle.say(GET)
    web.run(lambda: server.count("EndOfMessage") == 1)
    answered = next(s for s, events in server.told.items() if len(events) == 3)
    answered.respond(200)  # type: ignore[attr-defined]
    web.run(lambda: idle.statuses == [200])
    busy.say(get("/busy") + get("/behind"))
    half.say(b"GET / HT")
    web.run(lambda: server.count("Request") == 2)
    working = next(s for s in server.sessions if getattr(s, "request", None) is not None)
    assert isinstance(working, http.ServerConnection)

    began = web.world.now()
    closing = web.manager.begin_close(3.0)
    web.run(lambda: idle.ended and half.ended)
    assert web.world.now() - began < 0.5
    assert not busy.over
    late = web.watch()
    web.request(listener, late, web.world.manager())
    web.run(lambda: late.closed)
    assert late.reason().kind is CloseKind.REFUSED
    idle.close()
    half.close()
    working.respond(200, b"finished")
    web.run(lambda: busy.over)
    assert [body for _, _, body in busy.responses] == [b"finished"]
    assert busy.responses[0][1]["connection"] == "close"
    assert "/behind" not in [event.target for event in server.of("Request")]  # type: ignore[attr-defined]
    busy.close()
    web.run(lambda: closing.done)
    assert closing.report.ok
    assert not closing.report.forced
    assert web.world.now() - began < 3.0


@both
def test_h17_request_that_is_never_answered_ends_at_the_deadline(web: Web) -> None:
    server = web.watch()
    peer = web.peer(web.serve(server))
    peer.say(GET)
    web.run(lambda: server.count("Request") == 1)
    began = web.world.now()
    report = web.manager.close(0.2)
    assert 0.19 <= web.world.now() - began < 2.0
    assert report.ok
    assert len(report.forced) == 1
    assert server.reason().kind is CloseKind.TIMED_OUT
    web.run(lambda: peer.over)


@both
def test_h17_stop_in_the_middle_of_pipelined_requests(web: Web) -> None:
    """What a signal does to `run`: the response under way is finished, and says that it is the last."""

    def answer(session: http.ServerConnection, request: http.Request) -> None:
        if request.target == "/3":
            session.connection.manager.begin_close(2.0)
        session.respond(200, request.target.encode())

    server = web.watch(Request=answer)
    listener = web.serve(server)
    other = web.peer(listener)
    web.run(lambda: server.count("Opened") == 1)
    peer = web.peer(listener)
    peer.say(b"".join(get(f"/{number}") for number in range(1, 11)))
    web.run(lambda: peer.over and other.over)
    assert [body for _, _, body in peer.responses] == [b"/1", b"/2", b"/3"]
    assert "connection" not in peer.responses[1][1]
    assert peer.responses[2][1]["connection"] == "close"
    assert not peer.reset
    peer.close()
    other.close()
    web.run(lambda: web.manager.closed)
    assert all(reason.kind is CloseKind.CLEAN for reason in (server.reason(0), server.reason(1)))


@both
def test_h17_response_to_a_slow_reader_is_finished_within_the_deadline(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(200, bytes(2 * MIB)))
    peer = web.ready(web.serve(server))
    peer.deaf = True
    peer.say(GET)
    web.run(lambda: server.count("Request") == 1)
    closing = web.manager.begin_close(4.0)
    web.world.sleep(0.05)
    assert not closing.done
    peer.deaf = False
    web.run(lambda: peer.over)
    assert len(peer.responses[0][2]) == 2 * MIB
    peer.close()
    web.run(lambda: closing.done)
    assert not closing.report.forced
    assert closing.report.unsent == 0


def test_h17_reader_that_never_reads_is_cut_and_the_report_says_so(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(200, bytes(12 * MIB)))
    peer = web.peer(web.serve(server))
    little_buffers(peer)
    peer.deaf = True
    peer.say(GET)
    web.run(lambda: server.count("Request") == 1)
    report = web.manager.close(0.2)
    assert report.ok
    assert len(report.forced) == 1
    assert report.unsent > MIB
    assert server.reason().unsent == report.unsent


@both
def test_h19_client_goes_away_in_the_middle_of_a_streamed_response(web: Web, tmp_path: pathlib.Path) -> None:
    (tmp_path / "big").write_bytes(bytes(8 * MIB))
    files = http.FileServer(tmp_path)
    streams: list[http.FileStream] = []

    def serve(session: http.ServerConnection, event: object) -> None:
        files.handle(session, event, time.time())
        if isinstance(session.stream, http.FileStream):
            streams.append(session.stream)

    server = web.watch(Request=serve, Writable=lambda s, _: files.pump(s))
    listener = web.serve(server)
    for way in ("cut", "close"):
        peer = web.peer(listener)
        little_buffers(peer)
        peer.say(get("/big"))
        web.run(lambda peer=peer: len(peer.received) > 1000)  # type: ignore[misc]
        peer.deaf = True
        getattr(peer, way)()
        web.run(lambda: not web.manager.connections)
    assert len(streams) == 2
    assert all(stream.closed for stream in streams)
    for number in (0, 1):
        assert server.reason(number).kind in {CloseKind.PEER_RESET, CloseKind.BROKEN, CloseKind.TRUNCATED}


def test_h19_file_is_given_back_at_every_kind_of_end(web: Web, tmp_path: pathlib.Path) -> None:
    (tmp_path / "big").write_bytes(bytes(4 * MIB))
    files = http.FileServer(tmp_path)
    server = web.watch(Request=lambda s, e: files.handle(s, e, 0.0), Writable=lambda s, _: files.pump(s))
    listener = web.serve(server, limits=SLOW)
    before = len(os.listdir("/proc/self/fd"))
    peers = [web.peer(listener) for _ in range(3)]
    for peer in peers:
        little_buffers(peer)
        peer.deaf = True
        peer.say(get("/big"))
    web.run(lambda: sum(getattr(s, "stream", None) is not None for s in server.sessions) == 3)
    for session, end in zip(server.sessions, ("abort", "close", "end"), strict=True):
        assert isinstance(session, http.ServerConnection)
        if end == "abort":
            session.connection.abort()
        elif end == "close":
            session.connection.close(0.1)
    web.manager.close(0.2)
    assert server.closed
    for session in server.sessions:
        assert session.stream is None  # type: ignore[attr-defined]
    for peer in peers:
        peer.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@both
def test_h19_late_answer_to_a_client_that_has_gone_raises_closed(web: Web) -> None:
    server = web.watch()
    listener = web.serve(server)
    peer = web.peer(listener)
    peer.say(GET)
    web.run(lambda: server.count("EndOfMessage") == 1)
    peer.cut()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.PEER_RESET
    with pytest.raises(Closed):
        server.server.respond(200)


@over_tls
def test_h21_server_ends_with_close_notify_before_fin(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(200, b"ok", [("Connection", "close")]))
    peer = web.peer(web.serve(server))
    assert isinstance(peer, SecureSpeaker)
    peer.say(GET)
    web.run(lambda: peer.ended)
    assert peer.notified
    assert not peer.truncated
    assert peer.statuses == [200]
    peer.close()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.CLEAN


@over_tls
def test_h21_server_tolerates_a_client_that_ends_without_close_notify(web: Web) -> None:
    server = web.watch(Request=answer_target)
    listener = web.serve(server)
    peer = web.peer(listener)
    assert isinstance(peer, SecureSpeaker)
    peer.say(GET)
    web.run(lambda: peer.statuses == [200])
    peer.fin()
    web.run(lambda: peer.over)
    assert peer.notified
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.CLEAN
    late = web.peer(listener)
    assert isinstance(late, SecureSpeaker)
    late.say(GET)
    late.fin()
    web.run(lambda: late.over)
    assert late.statuses in ([], [200])


def test_close_before_the_first_byte_is_quiet(web: Web) -> None:
    server = web.watch()
    listener = web.serve(server)
    for way in ("end", "cut"):
        getattr(web.ready(listener), way)()
    web.run(lambda: len(server.sessions) == 2 and server.closed)
    assert server.count("Request") == 0
    kinds = {server.reason(number).kind for number in (0, 1)}
    assert kinds == {CloseKind.CLEAN, CloseKind.PEER_RESET}


@both
def test_client_close_waits_for_the_answer_under_way(web: Web) -> None:
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client)
    client.connection().close(2.0)
    web.world.sleep(0.05)
    assert not peer.over
    peer.say(OK)
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: client.closed)
    assert client.statuses == [200]
    assert client.reason().kind is CloseKind.CLEAN


def test_both_ends_of_one_manager_close_together(web: Web) -> None:
    manager: Manager = web.manager
    server = web.watch()
    client = web.watch(Opened=lambda s, _: s.request("GET", "/"))
    listener = web.serve(server)
    for _ in range(20):
        web.request(listener, client)
    web.run(lambda: server.count("Request") == 20)
    began = web.world.now()
    closing = manager.begin_close(1.0)
    for session in server.sessions:
        session.respond(200)  # type: ignore[attr-defined]
    web.run(lambda: closing.done)
    assert web.world.now() - began < 1.0
    assert client.statuses == [200] * 20
    assert not closing.report.forced
