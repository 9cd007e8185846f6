"""Bytes both ways: half-close, pause and resume, back-pressure, least rate, idleness, upgrades, no spin."""

from __future__ import annotations

import os
import random

import pytest

from mungos import Closed, CloseKind, Connection, Limits, ReadSide, Received, WriteSide
from mungos.errors import Closed as ClosedError
from mungos.errors import Misuse
from tests.cases.oracles import ended, quiet
from tests.cases.test_cases_core_closing import opened
from tests.cases.test_cases_core_handlers import Letters
from tests.cases.world import Notes, World


def turns_while_idle(world: World, seconds: float) -> int:
    """How many turns our managers need while nothing happens for so long."""
    turns = 0
    end = world.now() + seconds
    while world.now() < end:
        for manager in world.managers:
            manager.poll(max(end - world.now(), 0.0))
            turns += 1
    return turns


def test_our_half_close_leaves_the_peers_direction_open(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    notes.connection.send(b"request")
    notes.connection.end()
    notes.connection.end()
    world.run(lambda: peer.ended)
    assert bytes(peer.received) == b"request"
    with pytest.raises(ClosedError):
        notes.connection.send(b"more")
    for number in range(3):
        peer.send(b"%d" % number)
        world.run(lambda number=number: len(notes.data) == number + 1)  # type: ignore[misc]
    assert notes.connection.write_side is WriteSide.ENDED
    assert notes.connection.read_side is ReadSide.OPEN
    assert turns_while_idle(world, 0.1) <= 3
    peer.close()
    ended(world, notes, CloseKind.CLEAN, sent=b"012")
    assert notes.names[-2:] == ["Ended", "Closed"]


def test_the_peers_half_close_ends_us_by_default_after_the_handlers_answer(world: World) -> None:
    notes = Notes(Ended=lambda connection, _: connection.send(b"answer"))
    peer = opened(world, notes)
    peer.send(b"request")
    peer.end()
    world.run(lambda: peer.ended)
    assert bytes(peer.received) == b"answer"
    ended(world, notes, CloseKind.CLEAN, sent=b"request")


def test_the_peers_half_close_leaves_us_open_where_that_is_wanted(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(half_open=True))
    peer.end()
    world.run(lambda: bool(notes.of("Ended")))
    assert turns_while_idle(world, 0.1) <= 3
    quiet(world.managers[0])
    text = os.urandom(500_000)
    notes.connection.send(text)
    world.run(lambda: len(peer.received) == len(text))
    assert peer.received == text
    notes.connection.close()
    ended(world, notes, CloseKind.CLEAN)
    world.run(lambda: peer.ended)


def test_half_open_and_the_peer_is_gone_is_noticed_by_the_next_send(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(half_open=True))
    peer.close()
    world.run(lambda: bool(notes.of("Ended")))
    for _ in range(50):
        if notes.connection.phase.value == "open":
            notes.connection.send(b"x" * 1000)
        world.turn()
    ended(world, notes, CloseKind.PEER_RESET)


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_pause_and_resume_lose_nothing(world: World, size: int) -> None:
    rng = random.Random(size)
    notes = Notes(Received=lambda connection, _: connection.pause() if rng.random() < 0.3 else None)
    peer = opened(world, notes)
    text = os.urandom(size)
    rest = memoryview(text)
    while not notes.closed and len(notes.data) < size:
        if rest:
            rest = rest[peer.send(bytes(rest[:50_000])) :]
        for _ in range(3):
            world.turn()
        notes.connection.resume()
    assert notes.data == text
    peer.close()
    ended(world, notes, CloseKind.CLEAN, sent=text)


def test_a_paused_connection_reads_up_to_its_cap_and_no_more(world: World) -> None:
    notes = Notes(Opened=lambda connection, _: connection.pause())
    peer = opened(world, notes, Limits(receive_high=10_000))
    sent = sum(peer.send(bytes(1 << 20)) for _ in range(3))
    world.sleep(0.02)
    # One read may stand above the cap.
    assert notes.connection.bytes_received <= 10_000 + 65_536
    quiet(world.managers[0])
    assert turns_while_idle(world, 0.1) <= 3
    notes.connection.resume()
    world.run(lambda: len(notes.data) == sent)


def test_the_peers_end_is_seen_behind_paused_data(world: World) -> None:
    notes = Notes(Opened=lambda connection, _: connection.pause())
    peer = opened(world, notes)
    peer.send(b"last words")
    peer.close()
    world.sleep(0.02)
    assert notes.names == ["Opened"]
    assert turns_while_idle(world, 0.1) <= 3
    notes.connection.resume()
    ended(world, notes, CloseKind.CLEAN, sent=b"last words")
    assert notes.names == ["Opened", "Received", "Ended", "Closed"]


@pytest.mark.parametrize("how", ["RST", "FIN"])
def test_a_peer_that_goes_while_we_are_paused(world: World, how: str) -> None:
    notes = Notes(Opened=lambda connection, _: connection.pause())
    peer = opened(world, notes, Limits(receive_high=100))
    peer.send(bytes(1000))
    world.run(lambda: notes.connection.bytes_received > 0)
    (peer.cut if how == "RST" else peer.close)()
    world.sleep(0.02)
    assert turns_while_idle(world, 0.1) <= 3
    notes.connection.resume()
    ended(world, notes, CloseKind.PEER_RESET if how == "RST" else CloseKind.CLEAN, sent=bytes(1000))


def test_back_pressure_false_then_writable(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(send_low=1000, send_high=10_000))
    connection = notes.connection
    peer.deaf = True
    assert connection.send(bytes(5000))
    assert not connection.send(bytes(8 << 20))
    world.sleep(0.02)
    assert not notes.of("Writable")
    assert connection.unsent > 10_000
    assert not connection.send(b"x")
    peer.deaf = False
    world.run(lambda: bool(notes.of("Writable")))
    assert connection.unsent <= 1000
    assert len(notes.of("Writable")) == 1
    assert connection.send(b"y")
    world.run(lambda: len(peer.received) == 5000 + (8 << 20) + 2)


def test_back_pressure_above_the_hard_limit_nothing_is_taken(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(send_high=20_000, send_hard=20_000, send_low=1000))
    connection = notes.connection
    assert connection.send(bytes(20_000))
    with pytest.raises(Misuse, match=r"20000 bytes wait .* 1 more .* 20000 bytes"):
        connection.send(b"x")
    assert connection.unsent == 20_000
    world.run(lambda: len(peer.received) == 20_000)
    assert connection.send(b"x")
    world.run(lambda: len(peer.received) == 20_001)


def test_buffers_may_be_reused_after_send(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    buffer = bytearray(b"first")
    notes.connection.send(buffer, memoryview(buffer)[:2])
    buffer[:] = b"XXXXX"
    world.run(lambda: len(peer.received) == 7)
    assert bytes(peer.received) == b"firstfi"


def test_many_small_parts_keep_their_order(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    peer.deaf = True
    parts = [b"%07d" % number for number in range(20_000)]
    for at in range(0, len(parts), 7):
        notes.connection.send(*parts[at : at + 7])
    notes.connection.send(bytes(6 << 20))
    world.sleep(0.01)
    notes.connection.send(*parts)
    notes.connection.close()
    peer.deaf = False
    world.run(lambda: peer.ended)
    peer.close()
    ended(world, notes, CloseKind.CLEAN)
    assert peer.received == b"".join(parts) + bytes(6 << 20) + b"".join(parts)


def test_least_rate_while_sending(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(least_rate=1000, rate_window=0.2))
    peer.deaf = True
    began = world.now()
    notes.connection.send(bytes(8 << 20))
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert "least rate is 1000 bytes/s" in str(reason.error)
    assert reason.unsent > 0
    assert 0.19 <= world.now() - began < 1.5
    peer.deaf = False
    world.run(lambda: peer.reset)


def test_a_least_rate_of_zero_is_any_rate(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(least_rate=0, rate_window=0.02))
    peer.deaf = True
    notes.connection.send(bytes(8 << 20))
    for _ in range(5):
        world.sleep(0.03)
        assert not notes.closed
    notes.connection.abort()


def test_a_slow_peer_above_the_least_rate_is_served(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(least_rate=1, rate_window=0.05))
    peer.deaf = True
    notes.connection.send(bytes(12 << 20))
    while len(peer.received) < 12 << 20:
        peer.deaf = False
        peer.pump()
        peer.deaf = True
        world.sleep(0.01)
        assert not notes.closed
    notes.connection.close()
    peer.deaf = False
    world.run(lambda: peer.ended)
    peer.close()
    ended(world, notes, CloseKind.CLEAN)


@pytest.mark.parametrize("who", ["server", "client"])
def test_idle_connections_are_ended(world: World, who: str) -> None:
    notes = Notes()
    limits = Limits(idle_within=0.2, linger=0.05)
    if who == "server":
        peer = opened(world, notes, limits)
    else:
        listener = world.listener()
        world.manager(limits).connect(listener.url, notes)
        peer = world.accept(listener)
    world.run(lambda: bool(notes.of("Opened")))
    began = world.now()
    world.sleep(0.1)
    peer.send(b"not yet")
    world.run(lambda: bool(notes.data))
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert 0.29 <= world.now() - began < 1.5
    assert "idle" in str(reason.error)
    world.run(lambda: peer.ended)


def test_sending_is_traffic(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(idle_within=0.1, linger=0.05))
    for _ in range(6):
        notes.connection.send(b"tick")
        world.sleep(0.05)
        assert not notes.closed
    ended(world, notes, CloseKind.TIMED_OUT)
    assert bytes(peer.received) == b"tick" * 6


def test_an_idle_connection_costs_no_turns(world: World) -> None:
    notes = Notes()
    opened(world, notes)
    quiet(world.managers[0])
    assert turns_while_idle(world, 0.2) <= 3


def test_upgrade_hands_over_what_was_received(world: World) -> None:
    letters: list[bytes] = []

    def new(_face: object, event: object) -> None:
        if isinstance(event, Received):
            letters.append(event.data)
        if isinstance(event, Closed):
            letters.append(b"closed")

    def answer(connection: Connection, _: object) -> None:
        connection.send(b"101")
        connection.upgrade(Letters(connection), new)

    notes = Notes(Opened=lambda connection, _: connection.pause(), Received=answer)
    peer = opened(world, notes)
    for text in (b"upgrade", b"early"):
        before = notes.connection.bytes_received
        peer.send(text)
        world.run(lambda before=before: notes.connection.bytes_received > before)  # type: ignore[misc]
    notes.connection.resume()
    world.run(lambda: b"".join(letters) == b"early")
    assert bytes(peer.received) == b"101"
    peer.send(b"more")
    world.run(lambda: b"".join(letters) == b"earlymore")
    peer.close()
    world.run(lambda: letters[-1] == b"closed")
    assert notes.data == b"upgrade"
    with pytest.raises((Misuse, ClosedError)):
        notes.connection.send(b"around")


def test_upgrade_after_the_peers_end_tells_the_new_protocol(world: World) -> None:
    ends: list[object] = []
    notes = Notes(
        Ended=lambda connection, _: connection.upgrade(
            Letters(connection), lambda _face, event: ends.append(event)
        )
    )
    peer = opened(world, notes, Limits(half_open=True))
    peer.close()
    world.run(lambda: bool(ends))
    (closed,) = ends
    assert isinstance(closed, Closed)
    assert closed.reason.kind is CloseKind.CLEAN
