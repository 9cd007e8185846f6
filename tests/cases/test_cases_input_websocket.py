"""Bad input to WebSockets, through the whole stack: the right close code, a typed error, nothing left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos import CloseKind, websocket
from mungos.errors import ProtocolError, TimedOut
from mungos.websocket import CloseStatus
from tests.cases.test_cases_input_http import mutated
from tests.cases.web import HANDSHAKE, Watch, Web
from tests.cases.web_peers import Speaker
from tests.cases.world import World
from tests.websocket.driver import close_frame, frame, response_to

FRAMES = (
    frame(1, "grüße".encode())
    + frame(2, bytes(300))
    + frame(1, b"one ", fin=False)
    + frame(9, b"ping")
    + frame(0, b"two")
    + frame(10, b"pong")
    + close_frame(1000, b"bye")
)
FRAMES_OF_A_SERVER = (
    frame(1, "grüße".encode(), masked=False)
    + frame(2, bytes(300), masked=False)
    + frame(1, b"one ", fin=False, masked=False)
    + frame(9, b"ping", masked=False)
    + frame(0, b"two", masked=False)
    + close_frame(1000, b"bye", masked=False)
)
WHOLE = ["grüße", bytes(300), "one two"]
SAMPLE = response_to(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
ON_THE_WIRE = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, None, *range(3000, 5000)}


@pytest.fixture
def web() -> Iterator[Web]:
    """Only the memory wire."""
    made = Web(World("memory"), secure=False)
    yield made
    made.close()


def verdict(watch: Watch, peer: Speaker, number: int = 0) -> None:
    """One Closed, with a typed error where it was none of the peer's Close; one Close frame at most."""
    reason = watch.reason(number)
    detail = watch.detail(number)
    assert not peer.reset
    codes = peer.close_codes
    assert len(codes) <= 1
    assert not set(codes) - ON_THE_WIRE - set(range(1000, 1015))
    if reason.kind is CloseKind.CLEAN:
        assert detail.clean
        assert detail.code not in {1006, 1015}
    else:
        assert reason.kind in {CloseKind.PROTOCOL_ERROR, CloseKind.TIMED_OUT}
        assert isinstance(reason.error, ProtocolError | TimedOut)
        assert str(reason.error)
        if watch.count("CloseReceived") == 0:
            assert detail == CloseStatus(1006, "", False)
        if codes and codes[0] not in {1000, 1001}:
            assert codes == [websocket.close_code(reason.error)]


@pytest.mark.parametrize("end", ["fin", "silence", "reset"])
def test_frames_cut_at_every_byte(web: Web, end: str) -> None:
    server = web.watch()
    listener = web.serve_sockets(server, ping_interval=5.0, ping_timeout=5.0)
    for number, cut in enumerate(range(0, len(FRAMES), 1 if end == "fin" else 7)):
        peer = web.open_peer(listener, server)
        peer.say(FRAMES[:cut])
        if end == "fin":
            peer.end()
        elif end == "reset":
            peer.cut()
        web.run(lambda: not web.manager.connections or web.world.peers[-1].ended, within=30.0)
        if end != "reset":
            peer.end()
        web.run(lambda: not web.manager.connections)
        messages = [e.data for e in server.told[server.sessions[number]] if isinstance(e, websocket.Message)]
        assert messages == WHOLE[: len(messages)]
        if end == "reset":
            assert server.reason(number).kind is CloseKind.PEER_RESET
        else:
            assert server.reason(number).kind is not CloseKind.CLEAN
            verdict_of_cut = CloseStatus(1006, "", False)
            assert server.detail(number) == verdict_of_cut
            assert peer.close_codes == ([] if end == "fin" else [1011])
        peer.close()


def test_frames_whole(web: Web) -> None:
    for data, role in ((FRAMES, "server"), (FRAMES_OF_A_SERVER, "client")):
        watch = web.watch()
        if role == "server":
            peer = web.open_peer(web.serve_sockets(watch), watch)
        else:
            peer = web.open_server(watch)
        for byte in data:
            peer.say(bytes([byte]))
            web.world.turn()
        peer.end()
        web.run(lambda watch=watch: watch.closed)  # type: ignore[misc]
        assert watch.messages == WHOLE
        assert watch.detail() == CloseStatus(1000, "bye", True)
        assert watch.reason().kind is CloseKind.CLEAN


OVERSIZED_HANDSHAKES = {
    "target": (HANDSHAKE.replace(b"GET /", b"GET /" + b"x" * 9000), 414),
    "field": (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 9000 + b"\r\n\r\n"), 431),
    "fields": (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nX: x" * 200 + b"\r\n\r\n"), 431),
    "head that never ends": (HANDSHAKE[:-2] + b"X: y\r\n" * 10_000, 431),
    "key": (HANDSHAKE.replace(b"dGhl", b"dGhl" * 500), 400),
    "body": (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"), 400),
    "null in a field": (HANDSHAKE.replace(b"websocket", b"web\0socket"), 400),
    "key twice": (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: x\r\n\r\n"), 400),
}


@pytest.mark.parametrize("what", OVERSIZED_HANDSHAKES)
def test_oversized_and_forbidden_in_a_handshake(web: Web, what: str) -> None:
    data, status = OVERSIZED_HANDSHAKES[what]
    server = web.watch()
    listener = web.serve_sockets(server)
    other = web.open_peer(listener, server)
    peer = web.peer(listener)
    peer.say(data)
    web.run(lambda: peer.over, within=1.0)
    assert peer.statuses == [status]
    assert not peer.reset
    peer.close()
    web.run(lambda: len(web.manager.connections) == 1)
    assert server.names(1) == ["Opened", "Closed"]
    assert isinstance(server.reason(1).error, ProtocolError)
    other.say(frame(9, b"?"))
    web.run(lambda: other.has_frames(1))


@pytest.mark.parametrize("end", [True, False], ids=["fin", "silence"])
def test_oversized_answer_to_our_handshake(web: Web, end: bool) -> None:
    for answer in (
        b"HTTP/1.1 101 " + b"x" * 20_000,
        b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 103 X\r\n\r\n" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 100,
    ):
        client = web.watch()
        where = web.scripted()
        web.open_socket(where, client)
        peer = web.accept(where)
        peer.say(answer)
        if end:
            peer.end()
        web.run(lambda client=client, peer=peer: client.closed or peer.over, within=15.0)  # type: ignore[misc]
        peer.close()
        web.run(lambda client=client: client.closed)  # type: ignore[misc]
        assert client.names() == ["Opened", "Closed"]
        assert isinstance(client.reason().error, ProtocolError | TimedOut)
        assert client.detail() == CloseStatus(1006, "", False)


@settings(max_examples=150, deadline=None)
@given(data=mutated(FRAMES), pieces=st.integers(1, 40))
def test_mutated_frames_at_a_server(data: bytes, pieces: int) -> None:
    web = Web(World("memory"), secure=False)
    server = web.watch(Message=lambda s, m: s.send(m.data))
    peer = web.open_peer(web.serve_sockets(server), server)
    step = max(1, len(data) // pieces)
    for at in range(0, len(data), step):
        peer.say(data[at : at + step])
        web.world.turn()
    web.run(lambda: peer.over, within=60.0)
    peer.end()
    web.run(lambda: server.closed)
    verdict(server, peer)
    web.close()


@settings(max_examples=150, deadline=None)
@given(data=mutated(FRAMES_OF_A_SERVER))
def test_mutated_frames_at_a_client(data: bytes) -> None:
    web = Web(World("memory"), secure=False)
    client = web.watch(Message=lambda s, m: s.send(m.data))
    peer = web.open_server(client)
    peer.say(data)
    web.run(lambda: peer.over, within=60.0)
    peer.end()
    web.run(lambda: client.closed)
    verdict(client, peer)
    web.close()


@settings(max_examples=150, deadline=None)
@given(data=mutated(HANDSHAKE))
def test_mutated_requests(data: bytes) -> None:
    web = Web(World("memory"), secure=False)
    server = web.watch()
    peer = web.peer(web.serve_sockets(server))
    peer.say(data)
    web.run(lambda: peer.over, within=60.0)
    peer.end()
    web.run(lambda: server.closed)
    assert not peer.reset
    if server.count("Established"):
        assert peer.statuses == [101]
    else:
        assert len(peer.statuses) == 1
        assert peer.statuses[0] in {400, 403, 405, 408, 413, 414, 417, 426, 431, 501, 505}
    assert isinstance(server.reason().error, ProtocolError | TimedOut)
    web.close()


@settings(max_examples=150, deadline=None)
@given(data=mutated(SAMPLE), end=st.booleans())
def test_mutated_answers(data: bytes, end: bool) -> None:
    web = Web(World("memory"), secure=False)
    client = web.watch()
    where = web.scripted()
    web.open_socket(where, client, ping_timeout=1.0, ping_interval=1.0)
    peer = web.accept(where)
    web.run(lambda: b"\r\n\r\n" in peer.received)
    # The key of a run is not the sample's: what would be right is made right for it.
    right = response_to(bytes(peer.received))
    before, after = (text[text.index(b"Accept: ") + 8 :][:28] for text in (SAMPLE, right))
    peer.say(data.replace(before, after))
    if end:
        peer.end()
    web.run(lambda: client.closed or peer.over, within=60.0)
    peer.close()
    web.run(lambda: client.closed)
    assert client.reason().kind in {CloseKind.PROTOCOL_ERROR, CloseKind.TIMED_OUT}
    assert isinstance(client.reason().error, ProtocolError | TimedOut)
    web.close()
