"""Back-pressure through HTTP from end to end: what waits is bounded, and everything arrives."""

from __future__ import annotations

import hashlib
import pathlib

import pytest

from mungos import http
from mungos.errors import Misuse
from tests.cases.web import GET, OK, Web, get, post
from tests.cases.web_peers import SecureSpeaker, little_buffers

both = pytest.mark.parametrize("web", [False, True], ids=["plain", "tls"], indirect=True)

MIB = 1 << 20
# What may wait in one connection: the session's watermark and one more piece, what TLS holds, what was
# received and not pulled; the wire's own buffers are not ours.
BOUND = http.SERVER_LIMITS.high_watermark + http.SERVER_LIMITS.max_receive + 512 * 1024


class Echo:
    """Echoes an upload as it comes; pauses when the reader is slow, and notes how much ever waited."""

    def __init__(self) -> None:
        self.most_unsent = 0
        self.most_unread = 0
        self.pauses = 0

    def request(self, session: http.ServerConnection, request: http.Request) -> None:
        session.start_response(200, length=int(request.headers["content-length"]))

    def data(self, session: http.ServerConnection, event: http.Data) -> None:
        connection = session.connection
        if not session.send_body(event.data):
            self.pauses += 1
            connection.pause()
        self.most_unsent = max(self.most_unsent, connection.unsent)
        self.most_unread = max(self.most_unread, connection.unread)

    def end(self, session: http.ServerConnection, _event: object) -> None:
        session.end_response()

    def writable(self, session: http.ServerConnection, _event: object) -> None:
        session.connection.resume()


@both
def test_upload_echoed_to_a_slow_reader_keeps_memory_bounded(web: Web) -> None:
    echo = Echo()
    server = web.watch(Request=echo.request, Data=echo.data, EndOfMessage=echo.end, Writable=echo.writable)
    peer = web.ready(web.serve(server))
    little_buffers(peer)
    size = 12 * MIB
    piece = bytes(range(256)) * 256
    peer.say(post(size))
    peer.deaf = True
    for _ in range(size // len(piece)):
        peer.say(piece)
    stalled = -1
    while len(peer.outbox) != stalled:  # until the upload stands still
        stalled = len(peer.outbox)
        web.world.sleep(0.02)
    assert len(server.body) < size
    assert echo.pauses > 0
    connection = server.connection()
    assert connection.unsent + connection.unread < BOUND
    peer.deaf = False
    web.run(lambda: len(peer.received) > size, within=8)
    web.run(lambda: server.count("EndOfMessage") == 1)
    body = bytes(peer.received).partition(b"\r\n\r\n")[2]
    assert hashlib.sha256(body).digest() == hashlib.sha256(piece * (size // len(piece))).digest()
    assert echo.most_unsent < BOUND
    assert echo.most_unread < BOUND
    peer.say(GET.replace(b"GET", b"PUT").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))
    web.run(lambda: server.count("EndOfMessage") == 2)


@both
def test_big_file_to_a_slow_client(web: Web, tmp_path: pathlib.Path) -> None:
    content = bytes(range(256)) * 4096 * 8
    (tmp_path / "big").write_bytes(content)
    files = http.FileServer(tmp_path)
    most = [0]

    def pump(session: http.ServerConnection, _event: object) -> None:
        files.pump(session)
        most[0] = max(most[0], session.connection.unsent)

    server = web.watch(Request=lambda s, e: files.handle(s, e, 1.7e9), Writable=pump)
    listener = web.serve(server)
    other = web.ready(listener)
    peer = web.ready(listener)
    little_buffers(peer)
    peer.deaf = True
    peer.say(get("/big") + get("/none"))
    web.run(lambda: server.count("Request") == 1)
    for _ in range(5):
        web.world.sleep(0.01)
        assert max(connection.unsent for connection in web.manager.connections.values()) < BOUND
    other.say(get("/none"))
    web.run(lambda: other.statuses == [404])
    peer.deaf = False
    web.run(lambda: len(peer.received) > len(content) and 404 in peer.statuses, within=8)
    status, fields, body = peer.responses[0]
    assert (status, fields["content-length"]) == (200, str(len(content)))
    assert body == content
    assert 0 < most[0] < BOUND
    assert server.count("Writable") > 2


@both
def test_response_read_by_a_slow_client_of_ours(web: Web) -> None:
    """A paused client reads no more than its buffers, so that the server has to wait."""
    client = web.watch(Opened=lambda s, _: s.request("GET", "/"), Response=lambda s, _: s.connection.pause())
    server = web.watch(Request=lambda s, _: s.respond(200, bytes(6 * MIB)))
    web.request(web.serve(server), client)
    web.run(lambda: client.count("Response") == 1)
    web.world.sleep(0.05)
    held = client.connection().unread
    assert client.body == b""
    assert held < BOUND
    assert server.connection().unsent > MIB
    client.connection().resume()
    web.run(lambda: client.count("EndOfMessage") == 1)
    assert len(client.body) == 6 * MIB


def test_sender_that_ignores_false_meets_the_hard_limit(web: Web) -> None:
    refused: list[Misuse] = []

    def flood(session: http.ServerConnection, _event: object) -> None:
        session.start_response(200)
        assert session.send_body(bytes(1000))
        try:
            for _ in range(100):
                session.send_body(bytes(MIB))
        except Misuse as error:
            refused.append(error)
            session.connection.abort("too slow a reader")

    server = web.watch(Request=flood)
    peer = web.peer(web.serve(server))
    peer.say(GET)
    web.run(lambda: server.closed)
    (error,) = refused
    assert str(http.SERVER_LIMITS.max_unsent) in str(error)


@both
def test_who_asks_without_reading_the_answers_is_not_asked_for_more(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.respond(200, bytes(50_000)))
    peer = web.ready(web.serve(server))
    little_buffers(peer)
    peer.deaf = True
    peer.say(GET * 600)
    web.run(lambda: server.count("Request") > 0)
    web.world.sleep(0.05)
    assert server.count("Request") < 300
    connection = server.connection()
    assert connection.unsent + connection.unread < BOUND
    peer.deaf = False
    peer.say(b"")
    web.run(lambda: server.count("EndOfMessage") == 600, within=8)
    web.run(lambda: len(peer.received) > 600 * 50_000, within=8)


@both
def test_paused_server_takes_no_more_than_its_buffers(web: Web) -> None:
    server = web.watch(Request=lambda s, _: s.connection.pause())
    peer = web.ready(web.serve(server))
    size = 8 * MIB
    peer.say(post(size))
    for _ in range(size // 65536):
        peer.say(bytes(65536))
    stalled = -1
    while len(peer.outbox) != stalled:
        stalled = len(peer.outbox)
        web.world.sleep(0.02)
    assert server.body == b""
    assert server.connection().unread < BOUND
    server.connection().resume()
    web.run(lambda: server.count("EndOfMessage") == 1)
    assert len(server.body) == size
    server.server.respond(200)
    web.run(lambda: peer.statuses == [200])


@both
def test_client_uploads_as_fast_as_the_server_reads(web: Web) -> None:
    left = [8 * MIB]
    most = [0]

    def begin(session: http.ClientConnection, _event: object) -> None:
        session.request("POST", "/", length=left[0])
        go_on(session, None)

    def go_on(session: http.ClientConnection, _event: object) -> None:
        while left[0]:
            left[0] -= 65536
            more = session.send_body(bytes(65536))
            most[0] = max(most[0], session.connection.unsent)
            if not more:
                return
        if session.sending_side is http.SendingSide.BODY:
            session.end_request()

    client = web.watch(Opened=begin, Writable=go_on)
    where = web.scripted()
    web.request(where, client)
    peer = web.accept(where)
    little_buffers(peer)
    web.run(lambda: not isinstance(peer, SecureSpeaker) or peer.established)
    peer.deaf = True
    web.world.sleep(0.05)
    assert left[0] > 0
    assert most[0] < BOUND
    peer.deaf = False
    web.run(lambda: len(bytes(peer.received).partition(b"\r\n\r\n")[2]) == 8 * MIB, within=8)
    peer.say(OK)
    web.run(lambda: client.count("EndOfMessage") == 1)
    assert client.statuses == [200]
    assert most[0] < BOUND
