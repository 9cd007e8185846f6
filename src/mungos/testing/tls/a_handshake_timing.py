"""Section A: handshakes in pieces, in time, cancelled, with early data (T05, T06, T20, T31 to T35)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mungos import CloseKind, Connection
from mungos.core import Phase
from mungos.testing.tls.a_handshake_cuts import client_hello
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ForgingPeer
from mungos.testing.tls.oracles import no_residue, one_verdict
from mungos.testing.tls.papers import client_config, server_config
from mungos.testing.tls.peers import Peer, records
from mungos.testing.tls.stand import BRIEF, PATIENCE, Stand
from mungos.testing.tls.verdicts import expect, require
from mungos.testing.tls.world import Notes
from mungos.tls import EarlyDataGuard, SessionCache, TicketKeys

EARLY = b"in the first flight"
LATER = b"after the handshake"


def _farewell(stand: Stand, peer: Peer, notes: Notes, data: bytes) -> None:
    """Data both ways, then a clean end: what a completed handshake is good for."""
    peer.send(data)
    stand.world.run(lambda: notes.data == data)
    notes.send(data)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    expect(bytes(peer.data), data, "what arrives")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T05")
def segments_of_one_byte(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.meet(notes, chunk=1)
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    _farewell(stand, peer, notes, b"slowly")


@scene("T06")
def records_of_one_byte(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.meet(notes, budget=0, limits=BRIEF)
    stand.world.run(lambda: len(peer.out) > 0)
    first, *rest = records(peer.out)
    header = first[:3] + b"\x00\x01"
    peer.out[:] = b"".join(header + first[at : at + 1] for at in range(5, len(first))) + b"".join(rest)
    peer.budget = None
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    _farewell(stand, peer, notes, b"in small pieces")


@scene("T20")
def tickets_over_an_unbuffered_transport(stand: Stand) -> None:
    notes = stand.notes(Opened=lambda connection, _: connection.send(bytes(5000)))
    notes.sent += bytes(5000)
    stand.world.network.capacity = 1
    if stand.role == "client":
        peer = stand.meet(notes, context=stand.context(True, tickets=4))
    else:
        peer = stand.meet(notes, tickets=TicketKeys(count=4))
    stand.world.run(lambda: len(peer.data) == 5000)
    peer.send(b"after the tickets")
    stand.world.run(lambda: notes.data == b"after the tickets")


VERBS: dict[str, Callable[[Connection], None]] = {
    "abort": lambda connection: connection.abort(),
    "close": lambda connection: connection.close(0.2),
}


@scene("T31")
def cancelled_at_every_step(stand: Stand) -> None:
    """Both ends are the engine's; the one under test gives up after 0, 1, 2, … turns."""
    seen: set[Phase] = set()
    for act in VERBS.values():
        for turns in range(9):
            seen |= _cancel(stand, act, turns)
    require({Phase.SECURING, Phase.OPEN} <= seen, "it is cancelled while securing and when open", seen)


def _cancel(stand: Stand, act: Callable[[Connection], None], turns: int) -> set[Phase]:
    world, seen = stand.world, set()
    client, server = stand.crowd(), stand.crowd()
    ours, theirs = world.manager(BRIEF), world.manager(BRIEF)
    listener = stand.serve(server, manager=theirs)
    stand.dial(listener.address.port, client, manager=ours)
    for _ in range(turns):
        ours.poll(0)
        theirs.poll(0)
    for connection in list((ours if stand.role == "client" else theirs).connections.values()):
        if isinstance(connection, Connection):
            seen.add(connection.phase)
            act(connection)
    listener.close()
    for connection in list(ours.connections.values()):
        connection.close(0.2)
    world.run(lambda: all(not each.connections and not each.busy for each in world.managers))
    for events in [*client.told.values(), *server.told.values()]:
        one_verdict(events, list(CloseKind))
    expect(len(client.told), 1, "connections of the client that were told of")
    for manager in (ours, theirs):
        no_residue(manager)
        require(manager.close(1.0).ok, "nothing is left behind", manager)
    world.managers.clear()
    return seen


@scene("T31")
def cancelled_with_data_that_was_never_sent(stand: Stand) -> None:
    notes = stand.notes()
    raw = stand.raw(notes, limits=BRIEF)
    manager = stand.world.managers[0]
    stand.world.run(lambda: bool(manager.connections) and (stand.role == "server" or len(raw.received) > 0))
    (connection,) = manager.connections.values()
    connection.send(b"never")
    connection.close()
    reason = stand.ended(notes, CloseKind.ABORTED)
    expect(reason.phase, "securing", "the phase")
    stand.world.run(lambda: raw.ended or raw.reset)
    require(b"never" not in raw.received, "no application data goes out")


@scene("T32", client="a client has no listener")
def listener_closes_with_handshakes_in_flight(stand: Stand) -> None:
    world, crowd = stand.world, stand.crowd()
    manager = world.manager(BRIEF)
    listener = stand.serve(crowd, manager=manager)
    peers = [stand.library(world.connect(str(listener.url)), budget=100) for _ in range(5)]
    world.run(lambda: len(manager.connections) == 5)
    listener.close()
    for peer in peers:
        peer.budget = None
    world.run(lambda: all(peer.established for peer in peers))
    # A peer may be through before we are.
    world.run(lambda: len(crowd.told) == len(peers) and crowd.names() == {"Opened"})
    require(manager.close(0.3).ok, "nothing is left behind")
    crowd.all_ended(5, {CloseKind.TIMED_OUT, CloseKind.CLEAN})


@scene("T32", client="a client has no listener")
def manager_closes_with_handshakes_in_flight(stand: Stand) -> None:
    world, crowd = stand.world, stand.crowd()
    manager = world.manager(BRIEF)
    listener = stand.serve(crowd, manager=manager)
    for _ in range(5):
        world.connect(str(listener.url)).send(client_hello(stand))
    world.run(lambda: len(manager.connections) == 5)
    began = world.now()
    require(manager.close(0.3).ok, "nothing is left behind")
    require(world.now() - began < 1.0, "it is bounded", f"{world.now() - began:g} s")
    for reason in crowd.all_ended(5, {CloseKind.ABORTED}):
        expect(reason.phase, "securing", "the phase")


def _early(stand: Stand) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a client and of a server that let each other send 0-RTT data."""
    stand.needs("early data", "the engine has no 0-RTT data")
    client = {"sessions": SessionCache(), "early_data": "resend"}
    return client, {"tickets": TicketKeys(count=1), "early_data": EarlyDataGuard()}


@scene("T33")
def cut_before_end_of_early_data(stand: Stand) -> None:
    """As a server: the early data came, the rest never does. As a client: they went out, the server falls."""
    client_options, server_options = _early(stand)
    if stand.role == "client":
        _fall_after_early_data(stand, client_options, server_options)
        return
    theirs = {**client_options}
    served = stand.notes()
    listener = stand.serve(served, limits=BRIEF, handshake_timeout=PATIENCE, **server_options)
    visitor = _forging_client(stand, str(listener.url), theirs)
    stand.world.run(lambda: visitor.established and bool(served.of("Opened")))
    visitor.send(b"?")
    stand.world.run(lambda: served.data == b"?")
    visitor.leave()
    stand.world.run(lambda: served.closed)
    before = len(served.events)
    again = _forging_client(stand, str(listener.url), theirs)
    require(again.session.write_early((EARLY,)) == len(EARLY), "the ticket lets early data in")
    again.collect()
    again.budget = len(again.out)
    again.held = True
    stand.world.run(lambda: len(again.raw.received) > 0)
    stand.cut(again.raw)
    stand.world.run(lambda: len(served.events) > before)
    expect(served.names[before:], ["Closed"], "what the application is told of data that may be a replay")
    expect(served.data, b"?", "what is delivered")
    reason = one_verdict(served.events[before:], list(CloseKind))
    wanted = {CloseKind.BROKEN, CloseKind.PEER_RESET, CloseKind.TLS_ALERT, CloseKind.TIMED_OUT}
    require(reason.kind in wanted, "a connection error", reason)


def _forging_client(stand: Stand, url: str, options: dict[str, Any]) -> ForgingPeer:
    config = replace(client_config(), groups=("x25519",), **options)
    return ForgingPeer(stand.world, stand.world.connect(url), config)


def _fall_after_early_data(stand: Stand, options: dict[str, Any], server_options: dict[str, Any]) -> None:
    notes, again = stand.notes(), stand.notes()
    listener = stand.world.listener()
    config = replace(server_config(), **server_options)
    stand.dial(listener.port, notes, **options)
    first = ForgingPeer(stand.world, stand.world.accept(listener), config)
    stand.world.run(lambda: first.established and bool(notes.of("Opened")))
    first.send(b"!")
    stand.world.run(lambda: notes.data == b"!")
    first.leave()
    stand.world.run(lambda: notes.closed)
    connection = stand.dial(listener.port, again, limits=BRIEF, handshake_timeout=PATIENCE, **options)
    connection.send(EARLY)
    raw = stand.world.accept(listener)
    stand.world.run(lambda: len(raw.received) > len(EARLY) and connection.phase is Phase.SECURING)
    stand.cut(raw)
    reason = stand.ended(again, CloseKind.BROKEN, CloseKind.PEER_RESET, CloseKind.TIMED_OUT)
    expect(again.names, ["Closed"], "what the application is told")
    require(reason.error is not None, "a connection error", reason)


@scene("T34")
def early_data_accepted(stand: Stand) -> None:
    _early_data(stand, lets=True)


@scene("T34")
def early_data_rejected(stand: Stand) -> None:
    _early_data(stand, lets=False)


def _early_data(stand: Stand, *, lets: bool) -> None:
    """Both ends are the engine's. What is sent before the connection is open arrives, once."""
    client_options, server_options = _early(stand)
    served, visit, again = stand.notes(), stand.notes(), stand.notes()
    listener = stand.serve(served, **server_options)
    stand.dial(listener.address.port, visit, **client_options)
    stand.world.run(lambda: visit.names == ["Opened"])
    visit.send(b"?")
    stand.world.run(lambda: served.data == b"?")
    # The ticket came before the answer.
    served.send(b"!")
    stand.world.run(lambda: visit.data == b"!")
    visit.connection.close()
    stand.world.run(lambda: visit.closed)
    if not lets:
        listener.use_tls(stand.server_config(tickets=server_options["tickets"]))
    connection = stand.dial(listener.address.port, again, **client_options)
    connection.send(EARLY)
    stand.world.run(lambda: served.data.endswith(EARLY) and again.names == ["Opened"])
    connection.send(LATER)
    stand.world.run(lambda: served.data.endswith(LATER))
    expect(served.data, b"?" + EARLY + LATER, "what arrives, once")
    # The application has heard that the connection is open before it got anything.
    expect(served.names[-3:], ["Opened", "Received", "Received"], "the events")
    agreed = connection.negotiated
    expect(
        agreed.early_data if agreed is not None else None,
        "accepted" if lets else "resent",
        "the client's word",
    )
    connection.close()
    stand.world.run(lambda: again.closed)


@scene("T35")
def at_the_tick_of_the_deadline(stand: Stand) -> None:
    for early in (-0.001, 0.0, 0.001):
        _at_the_tick(stand, early)


def _at_the_tick(stand: Stand, early: float) -> None:
    world, notes = stand.world, stand.notes()
    began = world.now()
    peer = stand.meet(notes, limits=BRIEF, handshake_timeout=1.0, budget=0)
    if stand.role == "server":
        peer.budget = len(peer.out)
        world.run(lambda: peer.established)
    else:
        world.run(lambda: len(peer.out) > 500)
    manager = world.managers[-1]
    world.network.clock.advance(began + 1.0 + early - world.now())
    peer.budget = None
    peer.turn()
    manager.poll(0)
    world.run(lambda: notes.closed or bool(notes.of("Opened")))
    if notes.of("Opened"):
        world.run(lambda: peer.established)
        peer.close_notify()
        stand.ended(notes, CloseKind.CLEAN)
    else:
        stand.ended(notes, CloseKind.TIMED_OUT)
        expect(notes.names, ["Closed"], "exactly one of connected and timed out")
