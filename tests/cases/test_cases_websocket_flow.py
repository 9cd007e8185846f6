"""WebSockets under load and at the end of everything: W32 to W36, back-pressure, keep-alive while paused."""

from __future__ import annotations

import pytest

from mungos import CloseKind, Limits, websocket
from mungos.errors import Broken, Closed, Misuse, TimedOut
from mungos.websocket import CloseStatus
from tests.cases.web import HANDSHAKE, SLOW, Web, big_frame
from tests.cases.web_peers import Speaker, little_buffers
from tests.websocket.driver import close_frame, frame

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
roles = pytest.mark.parametrize("role", ["server", "client"])

MIB = 1 << 20
BOUND = 2 * 256 * 1024 + 512 * 1024  # the session's unread bytes, what TLS holds, and a piece on its way


def echo(session: websocket.Session, message: websocket.Message) -> None:
    session.send(message.data)


@both
@roles
def test_w32_send_races_close(web: Web, role: str) -> None:
    """Whatever was taken before the close stands before the Close frame; whatever comes later raises."""
    watch = web.watch()
    if role == "server":
        peer = web.open_peer(web.serve_sockets(watch), watch)
    else:
        peer = web.open_server(watch)
    for number in range(10):
        watch.socket.send(f"{number}")
    watch.socket.close_with(1000)
    for late in (watch.socket.send, watch.socket.ping):
        with pytest.raises(Closed):
            late(b"late")
    web.run(lambda: peer.has_frames(11))
    assert [first & 15 for first, _, _ in peer.frames] == [1] * 10 + [8]
    peer.say(close_frame(1000, masked=role == "server"))
    peer.end()
    web.run(lambda: watch.closed)
    with pytest.raises(Closed):
        watch.socket.send("after the end")


def test_w32_send_inside_the_last_event(web: Web) -> None:
    raised: list[Exception] = []

    def late(session: websocket.ServerConnection, _event: object) -> None:
        try:
            session.send("too late")
        except (Broken, Closed) as error:
            raised.append(error)

    server = web.watch(CloseReceived=late, Closed=late)
    peer = web.open_peer(web.serve_sockets(server), server)
    peer.say(close_frame(1000))
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: server.closed)
    assert [type(error) for error in raised] == [Broken, Broken]
    assert len(peer.frames) == 1


@both
def test_w33_close_behind_megabytes_with_a_window_of_zero(web: Web) -> None:
    server = web.watch()
    peer = web.open_peer(web.serve_sockets(server, max_unsent=64 * MIB), server)
    little_buffers(peer)
    peer.deaf = True
    for _ in range(12):
        server.socket.send(bytes(MIB))
    began = web.world.now()
    server.connection().close(0.2)
    web.run(lambda: server.closed)
    assert 0.19 <= web.world.now() - began < 2.0
    reason = server.reason()
    assert reason.kind is CloseKind.TIMED_OUT
    assert reason.unsent > MIB
    assert server.detail() == CloseStatus(1006, "", False)


@both
@roles
def test_w34_heartbeat_that_nobody_answers(web: Web, role: str) -> None:
    watch = web.watch()
    if role == "server":
        listener = web.serve_sockets(watch, ping_interval=0.1, ping_timeout=0.1, limits=SLOW)
        peer = web.open_peer(listener, watch)
    else:
        peer = web.open_server(watch, ping_interval=0.1, ping_timeout=0.1, limits=SLOW)
    began = web.world.now()
    web.run(lambda: peer.has_frames(2))
    assert 0.18 <= web.world.now() - began < 2.0
    assert [first for first, _, _ in peer.frames] == [0x89, 0x88]
    peer.close()
    web.run(lambda: watch.closed)
    assert watch.reason().kind is CloseKind.TIMED_OUT
    assert isinstance(watch.reason().error, TimedOut)
    assert watch.socket.deadline is None


@both
def test_w34_heartbeat_that_is_answered_goes_on(web: Web) -> None:
    server, client = web.watch(), web.watch()
    listener = web.serve_sockets(server, ping_interval=0.05, ping_timeout=0.2)
    web.open_socket(listener, client, ping_interval=None)
    web.run(lambda: client.count("Ping") == 4)
    assert not server.closed
    assert server.count("Pong") == 0  # those of the session's own Pings are its own affair


@both
def test_w36_going_away_to_all_within_one_deadline(web: Web) -> None:
    """Half of the clients answer, half are silent: the total is one deadline, not one for each."""
    count = 200 if not web.secure else 20
    server = web.watch()
    listener = web.serve_sockets(server)
    clients = web.watch()
    theirs = web.world.manager()
    for _ in range(count // 2):
        web.open_socket(listener, clients, theirs)
    silent: list[Speaker] = [web.peer(listener) for _ in range(count // 2)]
    for peer in silent:
        peer.say(HANDSHAKE)
    web.run(lambda: server.count("Established") == count and clients.count("Established") == count // 2)
    began = web.world.now()
    closing = web.manager.begin_close(0.3)
    web.run(lambda: closing.done)
    took = web.world.now() - began
    assert 0.25 <= took < 2.0
    assert closing.report.ok
    assert len(closing.report.ends) == count
    assert len(closing.report.forced) == count // 2
    web.run(lambda: clients.closed and all(peer.over for peer in silent))
    assert all(peer.close_codes == [1001] for peer in silent)
    assert {clients.detail(number) for number in range(count // 2)} == {CloseStatus(1001, "", True)}
    assert {clients.reason(number).kind for number in range(count // 2)} == {CloseKind.CLEAN}


@both
def test_w36_clients_that_answer_end_at_once(web: Web) -> None:
    server, clients = web.watch(), web.watch()
    listener = web.serve_sockets(server)
    theirs = web.world.manager()
    for _ in range(20):
        web.open_socket(listener, clients, theirs)
    web.run(lambda: server.count("Established") == clients.count("Established") == 20)
    began = web.world.now()
    closing = web.manager.begin_close(4.0)
    web.run(lambda: closing.done and clients.closed)
    assert web.world.now() - began < 2.0
    assert not closing.report.forced


@both
def test_send_over_the_watermark_is_false_then_writable_comes(web: Web) -> None:
    answers: list[bool] = []
    left = [160]

    def fill(session: websocket.ServerConnection, _event: object) -> None:
        while left[0]:
            left[0] -= 1
            more = session.send(bytes(65536))
            answers.append(more)
            if not more:
                return

    server = web.watch(Established=fill, Writable=fill)
    peer = web.ready(web.serve_sockets(server))
    little_buffers(peer)
    peer.say(HANDSHAKE)
    web.run(lambda: server.count("Established") == 1)
    peer.deaf = True
    web.world.sleep(0.05)
    assert answers[-1] is False
    assert left[0] > 0
    assert server.connection().unsent < BOUND
    peer.deaf = False
    web.run(lambda: len(peer.received) > 160 * 65536, within=8)
    web.run(lambda: peer.has_frames(160))
    assert [len(payload) for _, payload, _ in peer.frames] == [65536] * 160
    assert server.count("Writable") > 1


def test_sender_that_ignores_false_meets_the_hard_limit(web: Web) -> None:
    server = web.watch()
    peer = web.open_peer(web.serve_sockets(server, max_unsent=MIB), server)
    peer.deaf = True
    for _ in range(10):
        server.socket.send(bytes(100_000))
    with pytest.raises(Misuse, match=str(MIB)):
        server.socket.send(bytes(100_000))
    assert server.connection().unsent <= MIB + 200
    assert not server.closed


@both
@roles
def test_echo_to_a_slow_reader_is_bounded_by_pausing(web: Web, role: str) -> None:
    most = [0, 0]

    def careful(session: websocket.ServerConnection, message: websocket.Message) -> None:
        if not session.send(message.data):
            session.connection.pause()
        most[0] = max(most[0], session.connection.unsent)
        most[1] = max(most[1], session.connection.unread)

    watch = web.watch(Message=careful, Writable=lambda s, _: s.connection.resume())
    if role == "server":
        peer = web.open_peer(web.serve_sockets(watch), watch)
    else:
        peer = web.open_server(watch)
    little_buffers(peer)
    peer.deaf = True
    messages = 320
    for number in range(messages):
        peer.say(big_frame(bytes([number & 255]) * 32768, masked=role == "server"))
    stalled = -1
    while len(peer.outbox) != stalled:
        stalled = len(peer.outbox)
        web.world.sleep(0.02)
    assert watch.count("Message") < messages
    assert watch.connection().unsent + watch.connection().unread < BOUND
    peer.deaf = False
    web.run(lambda: len(peer.received) >= messages * 32768 and peer.has_frames(messages), within=8)
    assert [payload[0] for _, payload, _ in peer.frames] == [number & 255 for number in range(messages)]
    assert max(most) < BOUND


@both
@roles
def test_pause_and_resume_lose_nothing(web: Web, role: str) -> None:
    watch = web.watch()
    if role == "server":
        peer = web.open_peer(web.serve_sockets(watch), watch)
    else:
        peer = web.open_server(watch)
    watch.connection().pause()
    masked = role == "server"
    size = 65535
    for number in range(64):
        peer.say(big_frame(bytes([number]) * size, masked))
    web.world.sleep(0.05)
    assert watch.messages == []
    assert watch.connection().unread < BOUND
    watch.connection().resume()
    web.run(lambda: watch.count("Message") == 64)
    assert watch.messages == [bytes([number]) * size for number in range(64)]


@both
@roles
def test_pings_while_paused_do_not_fail_the_session(web: Web, role: str) -> None:
    """The peer's Pong lies among bytes that the application has not pulled: that is no silence."""
    watch = web.watch()
    if role == "server":
        peer = web.open_peer(web.serve_sockets(watch, ping_interval=0.05, ping_timeout=0.05), watch)
    else:
        peer = web.open_server(watch, ping_interval=0.05, ping_timeout=0.05)
    masked = role == "server"
    watch.connection().pause()
    web.run(lambda: peer.has_frames(1))
    peer.say(frame(10, peer.frames[0][1], masked=masked) + frame(1, b"waiting", masked=masked))
    web.world.sleep(0.3)
    assert not watch.closed
    assert watch.messages == []
    peer.say(frame(1, b"more", masked=masked))
    watch.connection().resume()
    web.run(lambda: watch.count("Message") == 2)
    assert not watch.closed
    assert watch.messages == ["waiting", "more"]


@both
def test_end_of_a_paused_session_is_not_overlooked(web: Web) -> None:
    server = web.watch()
    peer = web.open_peer(web.serve_sockets(server), server)
    server.connection().pause()
    peer.say(frame(1, b"last") + close_frame(1000, b"bye"))
    peer.end()
    web.world.sleep(0.05)
    assert not server.closed
    server.connection().resume()
    web.run(lambda: server.closed)
    assert server.messages == ["last"]
    assert server.detail() == CloseStatus(1000, "bye", True)


@both
def test_close_of_a_paused_session(web: Web) -> None:
    server = web.watch()
    peer = web.open_peer(web.serve_sockets(server, limits=SLOW), server)
    server.connection().pause()
    peer.say(frame(1, b"unread"))
    web.world.sleep(0.02)
    began = web.world.now()
    server.connection().close(1.0)
    web.run(lambda: peer.has_frames(1))
    assert peer.close_codes == [1001]
    peer.say(close_frame(1001))
    peer.end()
    web.run(lambda: server.closed)
    assert web.world.now() - began < 1.0
    assert server.detail() == CloseStatus(1001, "", True)
    assert server.reason().kind is CloseKind.CLEAN


@both
def test_flood_of_small_messages_leaves_the_others_their_turn(web: Web) -> None:
    server = web.watch(Message=echo)
    listener = web.serve_sockets(server)
    flood = web.open_peer(listener, server)
    other = web.open_peer(listener, server)
    flood.say(frame(1, b"x", key=b"\0\0\0\0") * 5000)
    other.say(frame(1, b"me too"))
    web.run(lambda: other.has_frames(1))
    assert server.count("Message") < 5001
    web.run(lambda: len(flood.received) >= 5000 * 3)
    web.run(lambda: server.count("Message") == 5001)


@both
def test_ours_against_ours_over_many_connections(web: Web) -> None:
    server = web.watch(Message=echo)
    left: dict[object, int] = {}

    def bounce(session: websocket.ClientConnection, event: object) -> None:
        left[session] = left.get(session, 20) - 1
        if left[session]:
            session.send(f"{left[session]}")
        else:
            session.close_with(1000)

    client = web.watch(Established=bounce, Message=bounce)
    listener = web.serve_sockets(server)
    for _ in range(10):
        web.open_socket(listener, client)
    web.run(lambda: len(client.told) == 10 and client.closed and server.closed)
    assert server.count("Message") == 190
    for number in range(10):
        assert client.detail(number) == server.detail(number) == CloseStatus(1000, "", True)
        assert client.reason(number).kind is server.reason(number).kind is CloseKind.CLEAN


def test_half_a_record_does_not_spin(web: Web) -> None:
    """Bytes that make no whole frame yet leave the loop asleep."""
    server = web.watch()
    peer = web.open_peer(web.serve_sockets(server), server)
    peer.say(frame(2, bytes(1000))[:500])
    web.run(lambda: server.connection().bytes_received > 500)
    web.run(lambda: not web.manager.busy)
    for _ in range(20):
        assert not web.world.turn()


@both
def test_a_flood_of_tiny_fragments_waits_for_its_turns(web: Web) -> None:
    """What one peer sends in fragments of a byte is gone through over many turns, and another's message comes
    between them."""
    server = web.watch(Message=echo)
    listener = web.serve_sockets(
        server, max_fragments=100_000, limits=Limits(events_per_turn=4, events_per_share=2)
    )
    flooding = web.open_peer(listener, server)
    other = web.open_peer(listener, server)
    count = 8000
    flooding.say(frame(2, b"x", fin=False) + frame(0, b"x", fin=False) * count)
    other.say(frame(1, b"hello"))
    web.run(lambda: other.has_frames(1))
    session = server.sessions[0]
    assert isinstance(session, websocket.Session)
    assert session._message.kind
    assert len(session._message._data) < count
    flooding.say(frame(0, b"end"))
    web.run(lambda: flooding.has_frames(1))
    assert flooding.frames[0][1] == b"x" * (count + 1) + b"end"
