"""The ends of a plain connection, on both wires."""

from __future__ import annotations

from mungos import Closed, CloseKind
from tests.cases.world import Notes, World


def test_close_sends_what_is_queued_and_ends_clean(world: World) -> None:
    server = Notes(Opened=lambda c, _: c.send(b"goodbye"))
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", server)
    peer = world.connect(str(listener.url))
    world.run(lambda: bytes(peer.received) == b"goodbye")
    server.connection.close()
    world.run(lambda: peer.ended)
    peer.close()
    world.run(lambda: server.closed)
    (closed,) = server.of("Closed")
    assert isinstance(closed, Closed)
    assert closed.reason.kind is CloseKind.CLEAN


def test_silent_peer_ends_at_the_linger_deadline(world: World) -> None:
    server = Notes()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", server)
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(server.of("Opened")))
    began = world.now()
    server.connection.close(within=0.2)
    world.run(lambda: server.closed)
    assert peer.ended
    assert 0.2 <= world.now() - began < 2.0
    assert server.connection.reason is not None
    assert server.connection.reason.kind is CloseKind.TIMED_OUT
    assert server.connection.reason.phase == "closing"


def test_a_reset_that_nobody_has_read_yet_is_found_by_our_close(world: World) -> None:
    server = Notes()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", server)
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(server.of("Opened")))
    peer.cut()
    server.connection.close()
    world.run(lambda: server.closed)
    assert server.connection.reason is not None
    assert server.connection.reason.kind is CloseKind.PEER_RESET
    assert isinstance(server.connection.reason.error, ConnectionResetError)
