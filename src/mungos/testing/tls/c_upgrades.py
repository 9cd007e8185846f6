"""Section C: leaving TLS, entering it late, one in the other, and many at once (T79 to T82)."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mungos import CloseKind, Connection, Limits
from mungos.errors import Misuse
from mungos.testing.tls.case import scene
from mungos.testing.tls.direct import Direct, Foreign, pump
from mungos.testing.tls.oracles import no_residue
from mungos.testing.tls.peers import LibraryPeer
from mungos.testing.tls.stand import BRIEF, Stand
from mungos.testing.tls.verdicts import Unmet, expect, require
from mungos.testing.tls.watched import WatchedFactory
from mungos.testing.tls.world import Notes
from mungos.tls.contract import Engine, ReadSide

MANY = 1000
MANY_SILENT = 250


def _engine(stand: Stand) -> Engine:
    """A session without a connection."""
    factory = WatchedFactory(stand.factory, stand.watch)
    if stand.role == "server":
        return factory.server(stand.server_config())
    return factory.client(stand.client_config(), "localhost")


@contextmanager
def _pair(stand: Stand) -> Iterator[tuple[Direct, Foreign]]:
    """A session and the standard library's, their handshake done."""
    ours, theirs = (
        Direct(_engine(stand)),
        Foreign(server=stand.role == "client", context=stand.context(stand.role == "client")),
    )
    try:
        pump(ours, theirs)
        require(ours.established and theirs.established, "the handshake completes", ours.names)
        yield ours, theirs
    finally:
        ours.engine.release()


@scene("T79")
def plain_text_behind_both_close_notify(stand: Stand) -> None:
    with _pair(stand) as (ours, theirs):
        ours.write(b"last")
        ours.engine.close_write()
        theirs.give(ours.take())
        require(theirs.closed, "the peer sees close_notify")
        theirs.write(b"in reply")
        theirs.close()
        ours.give(theirs.take() + b"250 plain text again\r\n")
        expect(bytes(ours.data), b"in reply", "the plaintext")
        require(ours.closed, "the peer's close_notify is told", ours.names)
        expect(bytes(ours.engine.unwrap()), b"250 plain text again\r\n", "what followed in the same segment")


@scene("T79")
def leaving_too_early_is_misuse(stand: Stand) -> None:
    with _pair(stand) as (ours, theirs):
        theirs.close()
        ours.give(theirs.take())
        try:
            ours.engine.unwrap()
        except Misuse:
            return
        raise Unmet("unwrap before both close_notify raises Misuse", "it returned")


def _upgraded(stand: Stand) -> tuple[Notes, Notes]:
    """Two ends of ours that both start TLS after one line of plain text each."""

    def ours(connection: Connection, event: object) -> None:
        if getattr(event, "data", b"") == b"STARTTLS\r\n":
            connection.send(b"GO\r\n")
            connection.start_tls(stand.server_config(), engine=stand.engine)

    def theirs(connection: Connection, event: object) -> None:
        if getattr(event, "data", b"") == b"GO\r\n":
            connection.start_tls(stand.client_config(), server_name="localhost", engine=stand.engine)

    def hello(connection: Connection, _: object) -> None:
        if connection.negotiated is None:
            connection.send(b"STARTTLS\r\n")

    server, client = stand.notes(Received=ours), stand.notes(Received=theirs, Opened=hello)
    listener = stand.world.manager().listen("tcp://127.0.0.1:0", server)
    stand.world.manager().connect(f"tcp://127.0.0.1:{listener.url.port}", client)
    stand.world.run(lambda: server.names.count("Opened") == client.names.count("Opened") == 2)
    return server, client


@scene("T80")
def start_tls_on_both_sides(stand: Stand) -> None:
    server, client = _upgraded(stand)
    server.on.clear()
    client.on.clear()
    first, other = (client, server) if stand.role == "client" else (server, client)
    first.connection.send(b"secret")
    stand.world.run(lambda: other.data.endswith(b"secret"))
    first.connection.close()
    for notes in (server, client):
        stand.ended(notes, CloseKind.CLEAN)
        agreed = notes.connection.negotiated
        expect(agreed.version if agreed is not None else None, stand.version, "what was agreed on")


@scene("T80")
def plain_text_behind_starttls_is_not_injected(stand: Stand) -> None:
    for limits in (BRIEF, Limits(linger=0.1, receive_high=10)):
        _inject(stand, limits)


def _secure(stand: Stand, connection: Connection) -> None:
    if stand.role == "server":
        connection.start_tls(stand.server_config(), engine=stand.engine)
    else:
        connection.start_tls(stand.client_config(), server_name="localhost", engine=stand.engine)


def _plain(stand: Stand, notes: Notes, limits: Limits | None = None):  # type: ignore[no-untyped-def]
    """A plain connection of ours, and its bare peer."""
    manager = stand.world.manager(limits)
    if stand.role == "server":
        return stand.world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    listener = stand.world.listener()
    manager.connect(listener.url, notes)
    return stand.world.accept(listener)


def _inject(stand: Stand, limits: Limits) -> None:
    def answer(connection: Connection, _: object) -> None:
        _secure(stand, connection)

    notes = stand.notes(Opened=lambda connection, _: connection.pause(), Received=answer)
    raw = _plain(stand, notes, limits)
    stand.world.run(lambda: bool(notes.of("Opened")))
    for line in (b"STARTTLS\r\n", b"MAIL FROM:<attacker@example.com>\r\n"):
        before = notes.connection.bytes_received
        raw.send(line)
        stand.world.run(lambda before=before: notes.connection.bytes_received > before)  # type: ignore[misc]
    notes.connection.resume()
    stand.ended(notes, CloseKind.TLS_ALERT)
    expect(notes.data, b"STARTTLS\r\n", "plain text delivered")
    expect(notes.names, ["Opened", "Received", "Closed"], "the events")


@scene("T80")
def a_flight_behind_starttls_in_one_segment(stand: Stand) -> None:
    def answer(connection: Connection, _: object) -> None:
        if connection.negotiated is None:
            _secure(stand, connection)

    # The cap splits the line from what follows it.
    notes = stand.notes(Received=answer)
    peer: LibraryPeer = stand.library(_plain(stand, notes, Limits(receive_high=10)))
    peer.out[:0] = b"STARTTLS\r\n"
    stand.world.run(lambda: peer.established)
    notes.on.clear()
    peer.send(b"within")
    stand.world.run(lambda: notes.data == b"STARTTLS\r\nwithin")
    peer.close_notify()
    stand.world.run(lambda: peer.notified)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T80")
def the_end_behind_starttls(stand: Stand) -> None:
    notes = stand.notes(Received=lambda connection, _: _secure(stand, connection))
    raw = _plain(stand, notes, BRIEF)
    raw.send(b"STARTTLS\r\n")
    raw.end()
    began = stand.world.now()
    stand.ended(notes, CloseKind.BROKEN, CloseKind.PEER_RESET, CloseKind.TLS_ALERT)
    require(stand.world.now() - began < 1.0, "it ends at once")


class _Tunnel:
    """An inner session over an outer one: the outer's plaintext is the inner's stream."""

    def __init__(self, outer: Direct | Foreign, inner: Direct | Foreign) -> None:
        self.outer = outer
        self.inner = inner
        self._given = 0

    def give(self, data: bytes) -> None:
        self.outer.give(data)
        fresh = bytes(self.outer.data[self._given :])
        self._given += len(fresh)
        if fresh:
            self.inner.give(fresh)

    def take(self) -> bytes:
        if said := self.inner.take():
            self.outer.write(said)
        return self.outer.take()


@contextmanager
def _tunnels(stand: Stand) -> Iterator[tuple[Direct, Direct, Foreign, Foreign]]:
    """Outer and inner of ours, outer and inner of the standard library's."""
    with _pair(stand) as (outer, their_outer):
        inner, their_inner = (
            Direct(_engine(stand), now=5.0),
            Foreign(server=stand.role == "client", context=stand.context(stand.role == "client")),
        )
        try:
            pump(_Tunnel(outer, inner), _Tunnel(their_outer, their_inner))
            require(
                inner.established and their_inner.established, "the inner handshake completes", inner.names
            )
            yield outer, inner, their_outer, their_inner
        finally:
            inner.engine.release()


@scene("T81")
def inner_closes_and_outer_lives(stand: Stand) -> None:
    with _tunnels(stand) as (outer, inner, their_outer, their_inner):
        inner.engine.close_write()
        their_outer.give(_Tunnel(outer, inner).take())
        their_inner.give(bytes(their_outer.data[-24:]))
        require(their_inner.closed and not their_outer.closed, "the inner end is told, the outer lives")
        outer.write(b"plain again")
        their_outer.give(outer.take())
        require(their_outer.data.endswith(b"plain again"), "the outer goes on", bytes(their_outer.data[-20:]))
        their_inner.close()
        their_outer.write(their_inner.take())
        outer.give(their_outer.take())
        inner.give(bytes(outer.data[-24:]))
        require(inner.closed and not outer.closed, "our inner end is told, our outer lives")


@scene("T81")
def outer_dies_first(stand: Stand) -> None:
    with _tunnels(stand) as (outer, inner, _, their_inner):
        outer.eof()
        expect(outer.engine.read_side, ReadSide.TRUNCATED, "the outer verdict")
        inner.eof()
        expect(inner.engine.read_side, ReadSide.TRUNCATED, "the inner verdict")
        require(not their_inner.closed, "nobody saw a clean end")


@scene("T81")
def each_layer_has_its_own_deadline(stand: Stand) -> None:
    with _pair(stand) as (outer, _):
        inner = Direct(_engine(stand), now=100.0)
        try:
            expect(outer.engine.deadline, None, "the deadline of an open session")
            expect(inner.engine.deadline, 110.0, "the deadline of the handshake within")
            inner.engine.expire(110.0)
            inner.pull()
            require(len(inner.failures) == 1, "the inner times out", inner.names)
            require(not outer.failures, "the outer lives", outer.names)
        finally:
            inner.engine.release()


def _sessions_alive(engine_type: type) -> int:
    gc.collect()
    return sum(type(each) is engine_type for each in gc.get_objects())


@scene("T82")
def many_closed_at_once(stand: Stand) -> None:
    _many(stand, MANY, answering=True)


@scene("T82")
def many_silent_ones_closed_at_once(stand: Stand) -> None:
    _many(stand, MANY_SILENT, answering=False)


def _many(stand: Stand, count: int, *, answering: bool) -> None:
    world = stand.world
    server, client = stand.crowd(), stand.crowd()
    limits = Limits(linger=5.0)
    server_manager, client_manager = world.manager(limits), world.manager(limits)
    listener = stand.serve(server, manager=server_manager)
    for _ in range(count):
        stand.dial(listener.address.port, client, manager=client_manager)
        server_manager.poll(0)
        client_manager.poll(0)
    world.run(lambda: sum(len(events) for events in server.told.values()) == count)
    world.run(lambda: sum(len(events) for events in client.told.values()) == count)
    ours, theirs = (server_manager, client_manager)
    told, other = server, client
    if stand.role == "client":
        ours, theirs, told, other = client_manager, server_manager, client, server
    kind = type(_first_engine(next(iter(ours.connections.values()))))
    began = world.now()
    level = logging.getLogger("mungos").level
    # A warning for each is not what is timed here.
    logging.getLogger("mungos").setLevel(logging.ERROR)
    try:
        if answering:
            closing = ours.begin_close(4.0)
            world.run(lambda: closing.done)
            report = closing.report
            require(world.now() - began < 4.0, "about one deadline for all", f"{world.now() - began:g} s")
            told.all_ended(count, {CloseKind.CLEAN})
        else:
            report = ours.close(0.3)
            took = world.now() - began
            require(0.299 <= took < 2.0, "one deadline of 0.3 s for all", f"{took:g} s")
            told.all_ended(count, {CloseKind.TIMED_OUT})
            expect(len(report.forced), count, "connections that were forced")
    finally:
        logging.getLogger("mungos").setLevel(level)
    require(report.ok, "nothing is left behind", report)
    expect(len(report.ends), count, "ends that were reported")
    world.run(lambda: other.closed == count)
    no_residue(theirs)
    told.told.clear()
    other.told.clear()
    left = _sessions_alive(kind)
    require(left < count, "sessions are freed", f"{left} objects of {kind.__name__} are alive")


def _first_engine(connection: object) -> Engine:
    secure = getattr(connection, "_secure", None)
    watched = getattr(secure, "engine", None)
    inner = getattr(watched, "inner", None)
    if inner is None:
        raise Unmet("a connection over TLS has a session", connection.__repr__())
    engine: Engine = inner
    return engine
