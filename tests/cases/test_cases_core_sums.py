"""What all connections hold together: bytes, descriptors; and the silence of those that speak no protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mungos import CloseKind, Connection, Limits, http, websocket
from mungos.core.plain import PlainProtocol
from tests.cases.oracles import ended, quiet
from tests.cases.test_cases_core_closing import opened
from tests.cases.tls_stand import Stand
from tests.cases.world import Notes, RawPeer, World

KIB = 1024


def fill(world: World, peer: RawPeer, size: int) -> None:
    """Send so much, as there is room."""
    left = size
    while left:
        left -= peer.send(bytes(min(left, 16 * KIB)))
        world.turn()


def holder(world: World, url: str, size: int) -> RawPeer:
    """A peer that has sent so much to somebody who does not take it."""
    peer = world.connect(url)
    fill(world, peer, size)
    return peer


def test_the_one_that_holds_most_is_aborted_above_the_sum(world: World) -> None:
    manager = world.manager(Limits(held_per_manager=300 * KIB))
    notes = Notes(Opened=lambda connection, _: connection.pause())
    url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
    small = holder(world, url, 60 * KIB)
    large = holder(world, url, 150 * KIB)
    assert not notes.closed
    medium = holder(world, url, 100 * KIB)
    world.run(lambda: notes.closed)
    world.run(lambda: large.reset)
    (end,) = notes.of("Closed")
    assert end.reason.kind is CloseKind.ABORTED  # type: ignore[attr-defined]
    assert "held_per_manager is 307200 bytes" in str(end.reason)  # type: ignore[attr-defined]
    assert manager.holdings.total == 160 * KIB
    assert not small.reset
    assert not medium.reset


def test_the_sum_follows_what_is_handed_out_and_who_ends(world: World) -> None:
    manager = world.manager()
    notes = Notes(Opened=lambda connection, _: connection.pause())
    url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
    peers = [holder(world, url, 100 * KIB) for _ in range(3)]
    assert manager.holdings.total == 300 * KIB
    first, second, third = notes.faces
    assert isinstance(first, Connection)
    assert isinstance(second, Connection)
    assert isinstance(third, Connection)
    first.resume()
    world.turn()
    world.turn()
    assert manager.holdings.total == 200 * KIB
    second.abort()
    assert manager.holdings.total == 100 * KIB
    third.resume()
    third.close()
    world.run(lambda: manager.holdings.total == 0)
    assert not first.unread
    for peer in peers:
        peer.close()


def test_unsent_bytes_count(world: World) -> None:
    manager = world.manager(Limits(held_per_manager=20 * KIB * KIB))
    notes = Notes(Opened=lambda connection, _: connection.send(bytes(8 * KIB * KIB)))
    url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
    for _ in range(8):
        world.connect(url).deaf = True
        world.turn()
    world.run(lambda: notes.closed)
    assert manager.holdings.total <= 20 * KIB * KIB


def test_unfinished_messages_count(world: World) -> None:
    """Each of them is within its own limit, and answers every Ping."""
    manager = world.manager(Limits(held_per_manager=1024 * KIB))
    notes = Notes()
    listener = websocket.listen(manager, "ws://127.0.0.1:0", notes)
    hello = (
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    head = b"\x82\xff" + (4 * KIB * KIB).to_bytes(8, "big") + b"keys"
    for _ in range(20):
        peer = world.connect(str(listener.url))
        peer.send(hello)
        world.run(lambda peer=peer: bool(peer.received))  # type: ignore[misc]
        peer.send(head)
        fill(world, peer, 100 * KIB)
        assert manager.holdings.total <= 1024 * KIB
    assert len(notes.of("Closed")) >= 8


def test_connections_that_hold_little_are_not_looked_at(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    manager = world.managers[-1]
    for _ in range(10):
        peer.send(b"x" * 1000)
        world.turn()
    assert manager.holdings.total == 0
    assert not manager.holdings._holders


# Descriptors.


@pytest.fixture
def memory() -> Iterator[World]:
    """In memory, where the number of descriptors can be said, and where a minute is nothing."""
    made = World("memory")
    yield made
    made.close()


def test_listeners_pause_at_the_reserve_of_descriptors(memory: World) -> None:
    memory.network.descriptor_limit = 100
    manager = memory.manager(Limits(reserved_descriptors=20))
    notes = Notes()
    url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
    peers = [memory.connect(url) for _ in range(90)]
    for _ in range(5):
        memory.turn()
    assert len(manager.connections) == 80
    assert manager.is_full
    quiet(manager)
    peers[0].close()
    memory.run(lambda: len(notes.of("Opened")) == 81)


def test_a_small_number_of_descriptors_is_not_all_reserved(memory: World) -> None:
    memory.network.descriptor_limit = 40
    manager = memory.manager()
    url = str(manager.listen("tcp://127.0.0.1:0", Notes()).url)
    for _ in range(35):
        memory.connect(url)
    for _ in range(5):
        memory.turn()
    assert len(manager.connections) == 30


# Silence.


def test_a_silent_plain_connection_is_ended_by_default_where_it_was_accepted(memory: World) -> None:
    notes = Notes()
    opened(memory, notes)
    began = memory.now()
    memory.run(lambda: notes.closed, 100.0)
    assert memory.now() - began == pytest.approx(60.0, abs=1.1)
    ended(memory, notes, CloseKind.TIMED_OUT)


@pytest.mark.parametrize("who", ["connected", "told not to"])
def test_others_are_not(memory: World, who: str) -> None:
    notes = Notes()
    if who == "told not to":
        opened(memory, notes, Limits(idle_accepted=None))
    else:
        listener = memory.listener()
        memory.manager().connect(listener.url, notes)
        memory.accept(listener)
    memory.sleep(1000.0)
    assert not notes.closed


def test_a_pause_is_not_the_peers_silence(memory: World) -> None:
    notes = Notes(Opened=lambda connection, _: connection.pause())
    peer = opened(memory, notes)
    peer.send(b"early")
    memory.sleep(500.0)
    assert not notes.closed
    notes.connection.resume()
    memory.sleep(30.0)
    assert notes.data == b"early"
    assert not notes.closed
    memory.run(lambda: notes.closed, 150.0)


def test_a_websocket_and_http_have_deadlines_of_their_own(memory: World) -> None:
    limits = Limits(idle_within=1.0)
    manager = memory.manager(limits)
    client_manager = memory.manager(limits)
    served, asked = Notes(), Notes()
    listener = websocket.listen(manager, "ws://127.0.0.1:0", served, ping_interval=None)
    websocket.connect(client_manager, str(listener.url), asked, ping_interval=None)
    memory.run(lambda: bool(asked.of("Established")))
    notes = Notes(Request=lambda session, _: session.respond(200, b"ok"))
    peer = memory.connect(str(http.listen(manager, "http://127.0.0.1:0", notes).url))
    peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    memory.sleep(60.0)
    assert [served.closed, asked.closed, notes.closed] == [False] * 3


def test_what_is_upgraded_to_no_protocol_is_watched_and_the_other_way_round(memory: World) -> None:
    class Own(PlainProtocol):
        """A protocol, as far as anybody can tell."""

    def upgrade(connection: Connection, _event: object) -> None:
        connection.upgrade(Own(limits), face=connection)

    limits = Limits()
    notes = Notes(Opened=upgrade)
    opened(memory, notes)
    memory.sleep(500.0)
    assert not notes.closed
    notes.connection.upgrade(PlainProtocol(limits), face=notes.connection)
    memory.run(lambda: notes.closed, 70.0)


def test_starttls_begins_the_silence_anew(stand: Stand) -> None:
    if stand.world.wire == "kernel":
        pytest.skip("in memory a minute is nothing")
    notes = Notes()
    peer = stand.open("server", notes)
    began = stand.world.now()
    stand.world.run(lambda: notes.closed, 100.0)
    assert stand.world.now() - began == pytest.approx(60.0, abs=1.1)
    assert notes.of("Closed")[0].reason.kind is CloseKind.TIMED_OUT  # type: ignore[attr-defined]
    del peer
