"""The closing handshake of WebSockets on real connections: W01 to W20 (RFC 6455 section 7)."""

from __future__ import annotations

import pytest

from mungos import CloseKind, websocket
from mungos.errors import Broken, TimedOut
from mungos.websocket import CloseStatus
from tests.cases.web import HANDSHAKE, SLOW, Watch, Web
from tests.cases.web_peers import SecureSpeaker, Speaker
from tests.websocket.driver import close_frame, frame

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)
over_tls = pytest.mark.parametrize("web", [True], ids=["tls"], indirect=True)
roles = pytest.mark.parametrize("role", ["server", "client"])

ABNORMAL = CloseStatus(1006, "", False)


class Pair:
    """A WebSocket of ours, in either role, and the bare peer at its other end."""

    def __init__(self, web: Web, role: str, **options: object) -> None:
        self.web = web
        self.role = role
        self.masked = role == "server"  # what the peer sends
        self.watch = web.watch(Message=lambda s, m: s.send(m.data))
        if role == "server":
            self.peer: Speaker = web.open_peer(web.serve_sockets(self.watch, None, **options), self.watch)
        else:
            self.peer = web.open_server(self.watch, b"", **options)

    def say(self, *frames: bytes) -> None:
        self.peer.say(b"".join(frames))

    def frame(self, opcode: int, payload: bytes = b"", **options: object) -> bytes:
        return frame(opcode, payload, masked=self.masked, **options)  # type: ignore[arg-type]

    def close_frame(self, code: int, reason: bytes = b"") -> bytes:
        return close_frame(code, reason, masked=self.masked)

    def frames(self, count: int) -> list[tuple[int, bytes]]:
        """The first frames that the peer received, once so many are there."""
        self.web.run(lambda: self.peer.has_frames(count))
        return [(first, payload) for first, payload, _ in self.peer.frames]

    def over(self) -> None:
        """The peer closes after our side's end, or as the server that ends first."""
        if self.role == "server":
            self.web.run(lambda: self.peer.over)
        self.peer.end()
        self.web.run(lambda: self.watch.closed)


@both
def test_w01_client_closes_server_echoes_and_ends_the_stream_first(web: Web) -> None:
    pair = Pair(web, "server")
    pair.say(pair.close_frame(1000, b"bye"))
    web.run(lambda: pair.peer.ended)  # the server's end of the stream, before the client's
    assert pair.frames(1) == [(0x88, b"\x03\xe8")]
    assert not pair.watch.closed
    if isinstance(pair.peer, SecureSpeaker):
        assert pair.peer.notified
    pair.peer.end()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.names() == ["Opened", "Established", "CloseReceived", "Closed"]
    assert pair.watch.detail() == CloseStatus(1000, "bye", True)
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
def test_w02_server_closes_client_echoes_and_waits_for_the_servers_end(web: Web) -> None:
    pair = Pair(web, "client")
    pair.say(pair.close_frame(4000, b"go"))
    assert pair.frames(1) == [(0x88, b"\x0f\xa0")]
    web.world.sleep(0.05)
    assert not pair.peer.over
    pair.peer.end()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == CloseStatus(4000, "go", True)
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
@pytest.mark.parametrize("first", ["server", "client", "both"])
def test_w03_ours_against_ours(web: Web, first: str) -> None:
    server, client = web.watch(), web.watch()
    web.open_socket(web.serve_sockets(server), client)
    web.run(lambda: client.count("Established") == server.count("Established") == 1)
    if first != "client":
        server.socket.close_with(4001, "s")
    if first != "server":
        client.socket.close_with(4002, "c")
    web.run(lambda: client.closed and server.closed)
    said = {
        "server": (CloseStatus(4001, "", True), CloseStatus(4001, "s", True)),
        "client": (CloseStatus(4002, "c", True), CloseStatus(4002, "", True)),
        "both": (CloseStatus(4002, "c", True), CloseStatus(4001, "s", True)),
    }[first]
    assert (server.detail(), client.detail()) == said
    assert server.reason().kind is client.reason().kind is CloseKind.CLEAN


@roles
def test_w04_close_with_an_empty_body_is_1005_here(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(pair.frame(8))
    assert pair.frames(1) == [(0x88, b"")]
    pair.over()
    assert pair.watch.detail() == CloseStatus(1005, "", True)
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
@roles
def test_w05_stream_ends_without_close_is_1006_here_and_never_on_the_wire(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.peer.end()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == ABNORMAL
    assert pair.watch.reason().kind is CloseKind.PROTOCOL_ERROR
    assert pair.peer.frames == []


@both
@roles
def test_w05_reset_without_close_is_1006(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.peer.cut()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == ABNORMAL
    assert pair.watch.reason().kind is CloseKind.PEER_RESET
    with pytest.raises(Broken, match="1006"):
        pair.watch.socket.send("to nobody")


@over_tls
@roles
def test_w05_truncated_by_fin_without_close_notify_is_1006(web: Web, role: str) -> None:
    pair = Pair(web, role)
    assert isinstance(pair.peer, SecureSpeaker)
    pair.peer.fin()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == ABNORMAL
    assert pair.watch.reason().kind in {CloseKind.PROTOCOL_ERROR, CloseKind.TRUNCATED}


@over_tls
@roles
def test_w06_tls_failure_is_1015_here_only(web: Web, role: str) -> None:
    pair = Pair(web, role)
    assert isinstance(pair.peer, SecureSpeaker)
    record = bytearray(pair.peer.say_record(pair.frame(1, b"hello")))
    record[-1] ^= 1
    pair.peer.outbox += record
    web.run(lambda: pair.peer.over or pair.watch.closed)
    pair.peer.close()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.messages == []
    assert pair.watch.detail() == CloseStatus(1015, "", False)
    assert pair.watch.reason().kind is CloseKind.TLS_ALERT
    assert pair.peer.frames == []


@over_tls
def test_w06_certificate_that_is_not_trusted(web: Web) -> None:
    server, client = web.watch(), web.watch()
    listener = web.serve_sockets(server)
    web.open_socket(listener, client, server_name="elsewhere.example")
    web.run(lambda: client.closed and server.closed)
    assert client.detail() == CloseStatus(1015, "", False)
    assert client.names() == ["Closed"]
    assert client.reason().kind is CloseKind.TLS_ALERT
    assert server.count("Opened") == 0


BAD_CLOSES = {
    "w07 body of one byte": (b"\x03", 1002),
    "w08 code 0": (b"\x00\x00", 1002),
    "w08 code 999": (b"\x03\xe7", 1002),
    "w08 code 1004": (b"\x03\xec", 1002),
    "w08 code 1005": (b"\x03\xed", 1002),
    "w08 code 1006": (b"\x03\xee", 1002),
    "w08 code 1015": (b"\x03\xf7", 1002),
    "w08 code 1016": (b"\x03\xf8", 1002),
    "w08 code 2999": (b"\x0b\xb7", 1002),
    "w08 code 5000": (b"\x13\x88", 1002),
    "w08 code 65535": (b"\xff\xff", 1002),
    "w09 reason not UTF-8": (b"\x03\xe8\xff\xfe", 1007),
    "w10 reason of 124 bytes": (b"\x03\xe8" + b"x" * 124, 1002),
}


@roles
@pytest.mark.parametrize("what", BAD_CLOSES)
def test_w07_to_w10_bad_close_frames(web: Web, role: str, what: str) -> None:
    body, code = BAD_CLOSES[what]
    pair = Pair(web, role)
    if len(body) > 125:
        # A control frame of more than 125 bytes, its length written in two bytes.
        plain = frame(8, body, masked=pair.masked)
        assert plain[1] & 127 == 126
        pair.say(plain)
    else:
        pair.say(pair.frame(8, body))
    web.run(lambda: pair.peer.over)
    assert pair.peer.close_codes == [code]
    assert not pair.peer.reset
    pair.peer.close()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.reason().kind is CloseKind.PROTOCOL_ERROR
    assert pair.watch.detail() == ABNORMAL
    assert websocket.close_code(pair.watch.reason().error) == code  # type: ignore[arg-type]


@roles
def test_w11_w12_what_follows_a_close_is_ignored(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(
        pair.close_frame(1000, b"first"),
        pair.close_frame(1001, b"second"),
        pair.frame(1, b"late"),
        pair.frame(3, b"nonsense"),
    )
    pair.over()
    assert pair.watch.messages == []
    assert pair.watch.count("CloseReceived") == 1
    assert pair.watch.detail() == CloseStatus(1000, "first", True)
    assert pair.peer.close_codes == [1000]
    assert pair.watch.reason().kind is CloseKind.CLEAN
    assert not pair.peer.reset


@roles
def test_w13_ping_after_close_needs_no_pong(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(pair.close_frame(1000), pair.frame(9, b"there?"))
    pair.over()
    assert pair.frames(1) == [(0x88, b"\x03\xe8")]
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
@roles
def test_w14_w35_ping_and_pong_while_our_close_is_out(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.watch.socket.close_with(1000)
    pair.frames(1)
    pair.say(pair.frame(9, b"there?"), pair.frame(10, b"unasked"), pair.frame(1, b"late"))
    assert pair.frames(2)[1] == (0x8A, b"there?")
    assert not pair.watch.closed
    pair.say(pair.close_frame(1000, b"yes"))
    pair.over()
    assert pair.watch.messages == []
    assert pair.watch.count("Ping") == pair.watch.count("Pong") == 0
    assert pair.watch.detail() == CloseStatus(1000, "yes", True)


@roles
def test_w15_close_between_the_fragments_of_a_message(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(pair.frame(1, b"half", fin=False), pair.close_frame(1000))
    pair.over()
    assert pair.watch.messages == []
    assert pair.watch.detail() == CloseStatus(1000, "", True)
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
@roles
def test_w16_peer_never_answers_our_close(web: Web, role: str) -> None:
    pair = Pair(web, role, close_timeout=0.2, limits=SLOW)
    began = web.world.now()
    pair.watch.socket.close_with(1000)
    web.run(lambda: pair.watch.closed)
    assert 0.19 <= web.world.now() - began < 2.0
    assert pair.watch.detail() == ABNORMAL
    assert pair.watch.reason().kind is CloseKind.TIMED_OUT
    assert isinstance(pair.watch.reason().error, TimedOut)
    web.run(lambda: pair.peer.over)


@both
def test_w16_the_connections_own_deadline_stands_behind_the_sessions(web: Web) -> None:
    pair = Pair(web, "server", close_timeout=60.0)
    began = web.world.now()
    pair.watch.connection().close(0.2)
    web.run(lambda: pair.watch.closed)
    assert 0.19 <= web.world.now() - began < 2.0
    assert pair.peer.close_codes == [1001]
    assert pair.watch.reason().kind is CloseKind.TIMED_OUT
    assert pair.watch.detail() == ABNORMAL


@both
def test_w17_peer_echoes_but_never_ends_the_stream(web: Web) -> None:
    pair = Pair(web, "client", close_timeout=0.2, limits=SLOW)
    began = web.world.now()
    pair.watch.socket.close_with(1000)
    pair.frames(1)
    pair.say(pair.close_frame(1000))
    web.run(lambda: pair.peer.ended)  # our FIN, after a limited wait
    assert 0.19 <= web.world.now() - began < 2.0
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == CloseStatus(1000, "", True)
    assert web.world.now() - began < 2.0


def test_w17_client_that_leaves_its_stream_open_after_the_servers_end(web: Web) -> None:
    pair = Pair(web, "server", limits=SLOW)
    pair.say(pair.close_frame(1000))
    web.run(lambda: pair.peer.ended)
    began = web.world.now()
    web.run(lambda: pair.watch.closed)
    assert web.world.now() - began < 2.0
    assert pair.watch.detail() == CloseStatus(1000, "", True)


@both
@roles
def test_w18_close_and_the_end_of_the_stream_in_one(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(pair.frame(1, b"last"), pair.close_frame(4321, b"gone"))
    pair.peer.end()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.messages == ["last"]
    assert pair.watch.detail() == CloseStatus(4321, "gone", True)
    assert pair.watch.reason().kind is CloseKind.CLEAN


@both
@roles
def test_w19_reset_after_close_was_received_keeps_the_code(web: Web, role: str) -> None:
    pair = Pair(web, role)
    pair.say(pair.close_frame(1000, b"bye"))
    web.run(lambda: pair.watch.count("CloseReceived") == 1)
    pair.peer.cut()
    web.run(lambda: pair.watch.closed)
    assert pair.watch.detail() == CloseStatus(1000, "bye", True)


@both
@roles
def test_w20_big_message_close_and_ping_back_to_back(web: Web, role: str) -> None:
    pair = Pair(web, role)
    message = bytes(range(256)) * 1024
    pair.say(pair.frame(2, message), pair.close_frame(1000), pair.frame(9, b"?"))
    pair.over()
    assert pair.watch.messages == [message]
    frames = pair.frames(2)
    assert frames == [(0x82, message), (0x88, b"\x03\xe8")]
    assert pair.watch.detail() == CloseStatus(1000, "", True)


def test_closes_of_one_leave_the_others_alone(web: Web) -> None:
    server = web.watch(Message=lambda s, m: s.send(m.data))
    listener = web.serve_sockets(server)
    peers = [web.open_peer(listener, server) for _ in range(4)]
    peers[0].say(close_frame(1000))
    peers[1].say(frame(3, b"nonsense"))
    peers[2].cut()
    web.run(lambda: peers[0].ended and peers[1].ended)
    peers[0].close()
    peers[1].close()
    web.run(lambda: len(web.manager.connections) == 1)
    peers[3].say(frame(1, b"still here"))
    web.run(lambda: peers[3].has_frames(1))
    assert peers[3].frames[0][:2] == (0x81, b"still here")
    kinds = [server.reason(number).kind for number in range(3)]
    assert kinds == [CloseKind.CLEAN, CloseKind.PROTOCOL_ERROR, CloseKind.PEER_RESET]


def test_handshake_in_single_bytes(web: Web) -> None:
    server: Watch = web.watch()
    peer = web.peer(web.serve_sockets(server))
    for byte in HANDSHAKE + close_frame(1000):
        peer.say(bytes([byte]))
        web.world.turn()
    web.run(lambda: peer.over)
    assert peer.close_codes == [1000]
    peer.close()
