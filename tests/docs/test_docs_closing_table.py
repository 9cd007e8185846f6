"""The table "What peers do, and what you see" of docs/closing.md, row by row, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mungos import Closed as ClosedEvent
from mungos import CloseKind, CloseReason, Connection, Manager, Phase, ReadSide, Received, http, websocket
from mungos.cli.development_certificate import make_development_certificate
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls import contract as tls
from mungos.tls.engines import select
from mungos.wires import MemoryStream
from tests.cases.world import Notes, RawPeer, World

ENGINES = ("builtin", "openssl")
LINGER = 1.0
CLOSE_WITHIN = 5.0
RATE_WINDOW = 30.0


@pytest.fixture
def world() -> Iterator[World]:
    """In memory, where a minute passes at once."""
    made = World("memory")
    yield made
    made.close()


@pytest.fixture(scope="module")
def configs() -> tuple[ServerConfig, ClientConfig]:
    credential = make_development_certificate().credential
    return ServerConfig((credential,)), ClientConfig(roots=credential.chain)


def reset(peer: RawPeer) -> None:
    assert isinstance(peer.stream, MemoryStream)
    peer.stream.reset()


def verdict(world: World, notes: Notes) -> tuple[CloseReason, float]:
    """Why and how long from now on until the connection ended."""
    began = world.now()
    world.run(lambda: notes.closed, 60)
    [closed] = notes.of("Closed")
    assert isinstance(closed, ClosedEvent)
    return closed.reason, round(world.now() - began, 3)


def plain(world: World, **answers: Callable[[object, object], None]) -> tuple[Notes, RawPeer]:
    notes = Notes(**answers)
    listener = world.listener()
    world.manager().connect(listener.url, notes)
    peer = world.accept(listener)
    world.run(lambda: bool(notes.of("Opened")))
    return notes, peer


class SecurePeer:
    """A TLS server, driven by hand behind a bare peer."""

    def __init__(self, world: World, configs: tuple[ServerConfig, ClientConfig], engine: str) -> None:
        self.notes = Notes()
        self.closed = False
        self._world = world
        self._at = 0
        self._engine = select("openssl").server(configs[0])
        self._engine.start(world.now())
        listener = world.listener()
        url = listener.url.replace("tcp", "tls")
        world.manager().connect(url, self.notes, tls=configs[1], server_name="localhost", engine=engine)
        self.raw = world.accept(listener)
        world.run(lambda: self.turn() or bool(self.notes.of("Opened")))

    def turn(self) -> bool:
        """Move what is there; never a reason to stop."""
        received = bytes(self.raw.received[self._at :])
        self._at += len(received)
        self._engine.receive(received, self._world.now())
        while (event := self._engine.next_event()) is not None:
            self.closed = self.closed or isinstance(event, tls.PeerClosed)
        for part in self._engine.take(1 << 20):
            self.raw.send(bytes(part))
        return False

    def take_leave(self) -> None:
        self._engine.close_write()
        self.turn()

    def write(self, data: bytes) -> None:
        self._engine.write([data])
        self.turn()

    def see_close(self) -> None:
        """Our side closes, and its close_notify arrives."""
        self.notes.connection.close()
        self._world.run(lambda: self.turn() or self.closed)


@pytest.fixture(params=ENGINES)
def secure(
    request: pytest.FixtureRequest, world: World, configs: tuple[ServerConfig, ClientConfig]
) -> SecurePeer:
    return SecurePeer(world, configs, request.param)


# Over TLS, after our close.


def test_t56_peer_answers_close_notify_and_ends(world: World, secure: SecurePeer) -> None:
    secure.see_close()
    secure.take_leave()
    secure.raw.end()
    reason, seconds = verdict(world, secure.notes)
    assert (reason.kind, seconds) == (CloseKind.CLEAN, 0)
    assert secure.notes.connection.read_side is ReadSide.ENDED


def test_t62_peer_answers_with_fin_alone(world: World, secure: SecurePeer) -> None:
    secure.see_close()
    secure.raw.end()
    reason, seconds = verdict(world, secure.notes)
    assert (reason.kind, seconds) == (CloseKind.CLEAN, 0)
    assert secure.notes.connection.read_side is ReadSide.TRUNCATED


def test_t56_peer_answers_close_notify_and_keeps_the_stream(world: World, secure: SecurePeer) -> None:
    secure.see_close()
    secure.take_leave()
    reason, seconds = verdict(world, secure.notes)
    assert (reason.kind, seconds) == (CloseKind.CLEAN, LINGER)


def test_t61_peer_never_answers_close_notify(world: World, secure: SecurePeer) -> None:
    secure.see_close()
    reason, seconds = verdict(world, secure.notes)
    assert (reason.kind, reason.phase, seconds) == (CloseKind.TIMED_OUT, "closing", LINGER)


def test_t55_what_comes_after_our_close_is_discarded_and_counted(world: World, secure: SecurePeer) -> None:
    secure.see_close()
    secure.write(bytes(100))
    reason, _ = verdict(world, secure.notes)
    assert reason.discarded == 100
    assert not secure.notes.of("Received")


# Over TLS, the peer first.


def test_t56_peer_ends_first_with_close_notify(world: World, secure: SecurePeer) -> None:
    secure.take_leave()
    secure.raw.end()
    reason, _ = verdict(world, secure.notes)
    assert reason.kind is CloseKind.CLEAN
    assert repr(secure.notes.of("Ended")) == "[Ended(clean)]"


def test_t63_peer_ends_first_without_close_notify(world: World, secure: SecurePeer) -> None:
    secure.raw.end()
    reason, _ = verdict(world, secure.notes)
    assert reason.kind is CloseKind.TRUNCATED
    assert repr(secure.notes.of("Ended")) == "[Ended(truncated)]"


def test_t65_peer_resets_after_its_close_notify(world: World, secure: SecurePeer) -> None:
    secure.take_leave()
    world.sleep(0.01)
    reset(secure.raw)
    reason, _ = verdict(world, secure.notes)
    assert reason.kind is CloseKind.CLEAN


def test_t64_what_came_before_a_reset_is_handed_out(world: World, secure: SecurePeer) -> None:
    secure.write(b"last words")
    reset(secure.raw)
    reason, _ = verdict(world, secure.notes)
    assert reason.kind is CloseKind.PEER_RESET
    assert secure.notes.data == b"last words"


def test_t77_our_alert_arrives(world: World, secure: SecurePeer) -> None:
    secure.raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    before = len(secure.raw.received)
    reason, seconds = verdict(world, secure.notes)
    assert (reason.kind, seconds) == (CloseKind.TLS_ALERT, LINGER)
    assert len(secure.raw.received) > before
    assert secure.raw.ended
    assert not secure.raw.reset


# TLS's handshake.


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("act", "kind", "seconds"),
    [
        ("peer is silent", CloseKind.TIMED_OUT, 10 + LINGER),
        ("peer ends", CloseKind.BROKEN, 0),
        ("we close", CloseKind.ABORTED, LINGER),
    ],
)
def test_docs_ends_within_the_handshake(
    world: World,
    configs: tuple[ServerConfig, ClientConfig],
    engine: str,
    act: str,
    kind: CloseKind,
    seconds: float,
) -> None:
    notes = Notes()
    listener = world.listener()
    connection = world.manager().connect(
        listener.url.replace("tcp", "tls"), notes, tls=configs[1], server_name="localhost", engine=engine
    )
    peer = world.accept(listener)
    world.run(lambda: bool(peer.received))
    if act == "peer ends":
        peer.end()
    elif act == "we close":
        connection.close()
    reason, took = verdict(world, notes)
    assert (reason.kind, took) == (kind, seconds)
    assert notes.names == ["Closed"]


# Plain connections.


def test_docs_plain_peer_ends_first_and_still_gets_the_answer(world: World) -> None:
    def answer(face: object, _event: object) -> None:
        assert isinstance(face, Connection)
        face.send(b"goodbye")

    notes, peer = plain(world, Ended=answer)
    peer.end()
    reason, _ = verdict(world, notes)
    assert reason.kind is CloseKind.CLEAN
    assert bytes(peer.received) == b"goodbye"


def test_t52_peer_takes_nothing_at_the_close(world: World) -> None:
    notes, peer = plain(world)
    peer.deaf = True
    notes.connection.send(bytes(1_000_000))
    notes.connection.close()
    reason, seconds = verdict(world, notes)
    assert (reason.kind, seconds) == (CloseKind.TIMED_OUT, CLOSE_WITHIN)
    assert reason.unsent == 1_000_000 - 65_536  # what the network in memory holds


def test_docs_peer_takes_nothing_for_a_rate_window(world: World) -> None:
    notes, peer = plain(world)
    peer.deaf = True
    notes.connection.send(bytes(1_000_000))
    reason, seconds = verdict(world, notes)
    assert (reason.kind, reason.phase, seconds) == (CloseKind.TIMED_OUT, "open", RATE_WINDOW)


def test_t54_closed_while_paused(world: World) -> None:
    notes, peer = plain(world)
    notes.connection.pause()
    peer.send(b"abc")
    world.sleep(0.01)
    notes.connection.close()
    peer.end()
    reason, _ = verdict(world, notes)
    assert (reason.kind, reason.discarded) == (CloseKind.CLEAN, 3)


def test_docs_abort_counts_what_is_lost(world: World) -> None:
    notes, peer = plain(world)
    peer.deaf = True
    notes.connection.send(bytes(1000))
    notes.connection.abort("enough")
    reason, _ = verdict(world, notes)
    assert (reason.kind, reason.unsent, str(reason.error)) == (CloseKind.ABORTED, 1000, "enough")
    assert notes.connection.phase is Phase.CLOSED
    assert not isinstance(notes.events[-2], Received)


# HTTP and WebSocket.


def served(world: World, listen: Callable[[Manager, Notes], str]) -> tuple[Notes, RawPeer]:
    notes = Notes(Request=lambda session, _: session.respond(200, b"yes"))
    peer = world.connect(listen(world.manager(), notes))
    world.run(lambda: bool(notes.of("Opened")))
    return notes, peer


def over_http(manager: Manager, notes: Notes) -> str:
    return str(http.listen(manager, "http://127.0.0.1:0/", notes).url)


def over_websocket(manager: Manager, notes: Notes) -> str:
    return str(websocket.listen(manager, "ws://127.0.0.1:0/", notes).url)


@pytest.mark.parametrize(
    ("sent", "kind", "answer"),
    [
        (b"", CloseKind.CLEAN, b""),
        (b"GET / HT", CloseKind.PROTOCOL_ERROR, b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", CloseKind.CLEAN, b"HTTP/1.1 200 "),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
            CloseKind.PROTOCOL_ERROR,
            b"HTTP/1.1 200 ",
        ),
    ],
    ids=["between", "within a head", "after a request (H10)", "before the trailers (H08)"],
)
def test_docs_http_client_ends(world: World, sent: bytes, kind: CloseKind, answer: bytes) -> None:
    notes, peer = served(world, over_http)
    peer.send(sent)
    peer.end()
    reason, _ = verdict(world, notes)
    assert reason.kind is kind
    assert bytes(peer.received).startswith(answer)


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CLOSE_1000 = b"\x88\x82\0\0\0\0\x03\xe8"


@pytest.mark.parametrize(
    ("act", "kind", "code"),
    [
        ("Close", CloseKind.CLEAN, 1000),
        ("end", CloseKind.PROTOCOL_ERROR, 1006),
        ("silence after our Close", CloseKind.TIMED_OUT, 1006),
    ],
)
def test_docs_websocket_client_ends(world: World, act: str, kind: CloseKind, code: int) -> None:
    notes, peer = served(world, over_websocket)
    peer.send(HANDSHAKE)
    world.run(lambda: bool(notes.of("Established")))
    if act == "Close":
        peer.send(CLOSE_1000)
        world.run(lambda: peer.ended)
        peer.end()
    elif act == "end":
        peer.end()
    else:
        notes.connection.close()
    reason, seconds = verdict(world, notes)
    assert reason.kind is kind
    assert seconds <= CLOSE_WITHIN + LINGER
    [closed] = notes.of("Closed")
    assert isinstance(closed, ClosedEvent)
    assert isinstance(closed.detail, websocket.CloseStatus)
    assert closed.detail.code == code
