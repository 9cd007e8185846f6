"""WebSocket frames and handshakes on real connections: W21 to W31."""

from __future__ import annotations

import re

import pytest

from mungos import CloseKind, http, websocket
from mungos.errors import TimedOut
from mungos.websocket import CloseStatus
from tests.cases.web import HANDSHAKE, OK, Web, get
from tests.cases.web_peers import SecureSpeaker
from tests.websocket.driver import close_frame, frame, response_to

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
over_tls = pytest.mark.parametrize("web", [True], ids=["tls"], indirect=True)
roles = pytest.mark.parametrize("role", ["server", "client"])

ABNORMAL = CloseStatus(1006, "", False)
SIZES = (0, 1, 125, 126, 127, 65535, 65536)


def echo(session: websocket.Session, message: websocket.Message) -> None:
    session.send(message.data)


@pytest.mark.parametrize("size", [5, 200, 70_000])
@pytest.mark.parametrize("masked", [False, True])
def test_w21_header_cut_at_every_byte_dispatches_nothing(web: Web, size: int, masked: bool) -> None:
    whole = frame(2, bytes(size), masked=masked)
    header = len(whole) - size
    assert header in {2, 4, 6, 8, 10, 14}
    listener = web.serve_sockets(watch := web.watch())
    for cut in range(1, header + 1):
        if masked:
            peer = web.open_peer(listener, watch)
        else:
            watch = web.watch()
            peer = web.open_server(watch)
        peer.say(whole[:cut])
        peer.end()
        web.run(lambda: not web.manager.connections)
        assert watch.messages == []
        assert watch.detail() == ABNORMAL
        assert watch.reason().kind is CloseKind.PROTOCOL_ERROR


@both
def test_w22_lengths_at_their_borders_in_network_byte_order(web: Web) -> None:
    server = web.watch(Message=echo)
    peer = web.open_peer(web.serve_sockets(server), server)
    for size in SIZES:
        peer.say(frame(2, b"x" * size))
    web.run(lambda: peer.has_frames(len(SIZES)))
    assert [len(payload) for _, payload, _ in peer.frames] == list(SIZES)
    raw = bytes(peer.received).partition(b"\r\n\r\n")[2]
    assert b"\x82\x7e\x00\x7e" in raw
    assert b"\x82\x7e\xff\xff" in raw
    assert b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" in raw


@both
def test_w22_ours_against_ours(web: Web) -> None:
    server = web.watch(Message=echo)
    client = web.watch(Established=lambda s, _: [s.send("x" * size) for size in SIZES])
    web.open_socket(web.serve_sockets(server), client)
    web.run(lambda: client.count("Message") == len(SIZES))
    assert client.messages == ["x" * size for size in SIZES]


REFUSED_FRAMES = {
    "w23 length with its top bit set": (b"\x82\xff\x80" + bytes(7) + b"mask", 1002),
    "w23 length not in its shortest form": (b"\x82\xfe\x00\x05mask" + bytes(5), 1002),
    "w26 client does not mask": (frame(1, b"bare", masked=False), 1002),
    "message over the limit": (b"\x82\xff" + (5 << 20).to_bytes(8, "big") + b"mask", 1009),
    "reserved bits": (frame(1, b"x", rsv=4), 1002),
    "unknown opcode": (frame(3, b"x"), 1002),
    "unknown control opcode": (frame(11, b"x"), 1002),
    "fragmented ping": (frame(9, b"x", fin=False), 1002),
    "ping of 126 bytes": (frame(9, bytes(126)), 1002),
    "continuation of nothing": (frame(0, b"x"), 1002),
    "message inside a message": (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
    "text not UTF-8": (frame(1, b"\xc3\x28"), 1007),
    "text cut inside a character": (frame(1, b"\xe2\x82", fin=False) + frame(0, b""), 1007),
    "text not UTF-8, told before its end": (frame(1, b"\xff", fin=False), 1007),
}


@pytest.mark.parametrize("what", REFUSED_FRAMES)
def test_w23_w26_frames_that_fail_the_connection(web: Web, what: str) -> None:
    data, code = REFUSED_FRAMES[what]
    server = web.watch(Message=echo)
    listener = web.serve_sockets(server)
    other = web.open_peer(listener, server)
    peer = web.open_peer(listener, server)
    peer.say(frame(1, b"before") + data + frame(1, b"after"))
    web.run(lambda: peer.over)
    assert not peer.reset
    assert peer.frames[0][:2] == (0x81, b"before")
    assert peer.close_codes == [code]
    peer.close()
    web.run(lambda: len(web.manager.connections) == 1)
    assert server.messages == ["before"]
    assert server.detail(1) == ABNORMAL
    assert server.reason(1).kind is CloseKind.PROTOCOL_ERROR
    other.say(frame(1, b"still here"))
    web.run(lambda: other.has_frames(1))


def test_w26_masked_server_frame_fails_our_client(web: Web) -> None:
    client = web.watch()
    peer = web.open_server(client)
    peer.say(frame(1, b"masked", masked=True))
    web.run(lambda: peer.over)
    assert peer.close_codes == [1002]
    peer.close()
    web.run(lambda: client.closed)
    assert client.messages == []
    assert client.reason().kind is CloseKind.PROTOCOL_ERROR


@over_tls
@roles
def test_w24_header_and_payload_in_different_records(web: Web, role: str) -> None:
    message = bytes(range(256)) * 32
    watch = web.watch()
    if role == "server":
        peer = web.open_peer(web.serve_sockets(watch), watch)
    else:
        peer = web.open_server(watch)
    assert isinstance(peer, SecureSpeaker)
    whole = frame(2, message, masked=role == "server")
    header = len(whole) - len(message)
    for cut in (1, header - 1, header, header + 1, len(whole) - 1):
        peer.say(whole[:cut])
        peer.say(whole[cut:])
    # All in one segment, too: nothing may be hidden behind a quiet socket.
    peer.outbox += b"".join(peer.say_record(part) for part in (whole[:header], whole[header:], whole))
    web.run(lambda: watch.count("Message") == 7)
    assert watch.messages == [message] * 7


@both
def test_w25_thousands_of_fragments_with_a_ping_between_each(web: Web) -> None:
    text = "mungos " * 300
    server = web.watch(Message=echo)
    peer = web.open_peer(web.serve_sockets(server), server)
    pieces = []
    for number, letter in enumerate(text.encode()):
        last = number == len(text) - 1
        pieces.append(frame(0 if number else 1, bytes([letter]), fin=last))
        pieces.append(frame(9, str(number).encode()))
    peer.say(b"".join(pieces))
    web.run(lambda: server.count("Message") == 1 and server.count("Ping") == len(text))
    assert server.messages == [text]
    peer.say(close_frame(1000))
    web.run(lambda: peer.over)
    frames = peer.frames
    assert frames[-1][:2] == (0x88, b"\x03\xe8")
    assert (0x81, text.encode(), False) in frames
    assert frames[-2][:2] == (0x8A, str(len(text) - 1).encode())  # the latest Ping is answered at least
    peer.close()


def test_w27_upgrade_request_cut_at_every_byte(web: Web) -> None:
    server = web.watch()
    listener = web.serve_sockets(server)
    for cut in range(len(HANDSHAKE)):
        peer = web.ready(listener)
        peer.say(HANDSHAKE[:cut])
        peer.end()
        web.run(lambda peer=peer: peer.over)  # type: ignore[misc]
        assert not peer.reset
        assert peer.statuses == ([400] if cut else [])
        peer.close()
    web.run(lambda: server.closed)
    assert server.count("Established") == 0
    assert {server.reason(number).kind for number in range(1, len(HANDSHAKE))} == {CloseKind.PROTOCOL_ERROR}


@both
def test_w27_silent_client_meets_the_handshakes_deadline(web: Web) -> None:
    server = web.watch()
    peer = web.ready(web.serve_sockets(server, handshake_timeout=0.2))
    began = web.world.now()
    for byte in HANDSHAKE[:20]:
        peer.say(bytes([byte]))
        web.world.sleep(0.02)
        if peer.over:
            break
    web.run(lambda: peer.over)
    assert web.world.now() - began < 2.0
    assert peer.statuses == [408]
    peer.close()
    web.run(lambda: server.closed)
    assert server.reason().kind is CloseKind.TIMED_OUT
    assert isinstance(server.reason().error, TimedOut)


def test_w28_upgrade_response_cut_at_every_byte(web: Web) -> None:
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    for cut in range(len(response_to(key))):
        client = web.watch()
        where = web.scripted()
        web.open_socket(where, client)
        peer = web.accept(where)
        web.run(lambda peer=peer: b"\r\n\r\n" in peer.received)  # type: ignore[misc]
        peer.say(response_to(bytes(peer.received))[:cut])
        peer.end()
        web.run(lambda client=client: client.closed)  # type: ignore[misc]
        assert client.names() == ["Opened", "Closed"]
        assert client.reason().kind is CloseKind.PROTOCOL_ERROR
        assert client.detail() == ABNORMAL
        peer.close()


@both
def test_w29_frames_glued_to_the_101(web: Web) -> None:
    client = web.watch()
    glued = frame(1, b"one", masked=False) + frame(2, b"two", masked=False) + close_frame(1000, masked=False)
    peer = web.open_server(client, glued)
    web.run(lambda: peer.has_frames(1))
    assert client.names()[:5] == ["Opened", "Established", "Message", "Message", "CloseReceived"]
    assert client.messages == ["one", b"two"]
    peer.end()
    web.run(lambda: client.closed)
    assert client.detail() == CloseStatus(1000, "", True)


@both
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 301 Moved\r\nLocation: /there\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9999999\r\n\r\nnope" + bytes(10_000),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        OK,
    ],
    ids=["404", "301", "401 long", "204", "200"],
)
def test_w30_answer_that_is_no_101(web: Web, answer: bytes) -> None:
    client = web.watch()
    where = web.scripted()
    web.open_socket(where, client)
    peer = web.accept(where)
    web.run(lambda: b"\r\n\r\n" in peer.received)
    peer.say(answer)
    web.run(lambda: peer.over)
    peer.close()
    web.run(lambda: client.closed)
    assert client.names() == ["Opened", "Closed"]
    error = client.reason().error
    assert isinstance(error, websocket.HandshakeRejected)
    assert error.status == int(answer[9:12])
    assert error.body[:4] in {b"nope", b"", b"ok"}
    assert client.reason().kind is CloseKind.PROTOCOL_ERROR


WRONG_HANDSHAKES = {
    "no upgrade": (b"Upgrade: websocket\r\n", b"", 426),
    "version 8": (b"Version: 13", b"Version: 8", 426),
    "no key": (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
    "short key": (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl", 400),
    "POST": (b"GET /", b"POST /", 405),
    "HTTP/1.0": (b"HTTP/1.1", b"HTTP/1.0", 400),
    "no host": (b"Host: 127.0.0.1\r\n", b"", 400),
    "no HTTP": (b"GET / HTTP/1.1", b"\x16\x03\x01\x02\x00\x01", 400),
}


@pytest.mark.parametrize("what", WRONG_HANDSHAKES)
def test_wrong_handshake_gets_its_status(web: Web, what: str) -> None:
    old, new, status = WRONG_HANDSHAKES[what]
    assert old in HANDSHAKE
    server = web.watch()
    peer = web.peer(web.serve_sockets(server))
    peer.say(HANDSHAKE.replace(old, new))
    web.run(lambda: peer.over)
    assert not peer.reset
    assert peer.statuses == [status]
    peer.close()
    web.run(lambda: server.closed)
    assert server.names() == ["Opened", "Closed"]
    assert server.reason().kind is CloseKind.PROTOCOL_ERROR


def test_only_one_path_is_served(web: Web) -> None:
    server = web.watch()
    listener = websocket.listen(web.manager, "ws://127.0.0.1:0/chat", server)
    for path, status in (("/chat?room=1", 101), ("/", 404), ("/chatter", 404)):
        peer = web.peer(listener)
        peer.say(HANDSHAKE.replace(b"GET /", b"GET " + path.encode()))
        web.run(lambda peer=peer: bool(peer.statuses))  # type: ignore[misc]
        assert peer.statuses == [status]
        peer.close()


@both
def test_w31_close_while_connecting_sends_no_close_frame(web: Web) -> None:
    client = web.watch()
    where = web.scripted()
    connection = web.open_socket(where, client)
    connection.close()
    web.run(lambda: client.closed)
    assert client.reason().kind is CloseKind.ABORTED
    assert client.detail() == ABNORMAL


@both
def test_w31_close_while_the_handshake_is_under_way(web: Web) -> None:
    client = web.watch()
    where = web.scripted()
    connection = web.open_socket(where, client)
    peer = web.accept(where)
    web.run(lambda: b"\r\n\r\n" in peer.received)
    connection.close(0.5)
    web.run(lambda: peer.over)
    assert bytes(peer.received).partition(b"\r\n\r\n")[2] == b""
    peer.close()
    web.run(lambda: client.closed)
    assert client.detail() == ABNORMAL


@both
def test_upgrade_from_a_page_that_serves_both(web: Web) -> None:
    """One port: pages over HTTP, and a WebSocket where it is asked for, after other requests."""
    sockets = web.watch(Message=echo)

    def answer(session: http.ServerConnection, request: http.Request) -> None:
        if request.upgrade:
            websocket.upgrade(session, sockets)
        else:
            session.respond(200, b"page")

    server = web.watch(Request=answer)
    web.watches.remove(server)  # an upgraded connection ends with the other handler
    peer = web.peer(web.serve(server))
    peer.say(get("/") + HANDSHAKE)
    web.run(lambda: sockets.count("Established") == 1)
    assert peer.statuses == [200, 101]
    accept = re.search(rb"Sec-WebSocket-Accept: (\S+)", peer.received)
    assert accept is not None
    assert accept[1] == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
    del peer.received[: peer.received.index(b"HTTP/1.1 101")]
    peer.say(frame(1, b"hello"))
    web.run(lambda: peer.has_frames(1))
    web.manager.begin_close(1.0)
    web.run(lambda: len(peer.close_codes) == 1)
    assert peer.close_codes == [1001]
    peer.say(close_frame(1001))
    peer.end()
    web.run(lambda: sockets.closed)
    assert sockets.reason().kind is CloseKind.CLEAN
