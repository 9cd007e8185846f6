"""A peer that sends in small pieces: what is held takes about the memory that is counted."""

from __future__ import annotations

import tracemalloc
from typing import cast

import pytest

from mungos import Connection, Limits
from mungos.core.events import Received
from mungos.core.holdings import Holdings
from mungos.core.lifecycle import Lifecycle
from mungos.core.plain import PlainProtocol
from mungos.core.reasons import CloseKind
from tests.cases.tls_stand import Stand
from tests.cases.world import Notes, World

KIB = 1024


def put(protocol: PlainProtocol, pieces: int) -> int:
    """Bytes of memory that so many pieces of two bytes take, received and not handed out."""
    tracemalloc.start()
    try:
        for _ in range(pieces):
            protocol.receive(b"ab", 0.0)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def events(protocol: PlainProtocol) -> list[bytes | str]:
    """The data of all that wait, and the end."""
    found = iter(protocol.next_event, None)
    return [each.data if isinstance(each, Received) else type(each).__name__ for each in found]


def test_small_pieces_that_wait_take_little_more_memory_than_their_bytes() -> None:
    protocol = PlainProtocol(Limits())
    assert put(protocol, 8_000) < 3 * protocol.held == 3 * 16_000
    protocol.receive_eof(0.0, truncated=False)
    assert events(protocol) == [b"ab", b"ab" * 7_999, "Ended"]
    assert protocol.held == 0


def test_a_piece_that_is_handed_out_at_once_comes_as_it_is() -> None:
    protocol = PlainProtocol(Limits())
    for piece in (b"a", b"bc", b"d"):
        protocol.receive(piece, 0.0)
        assert events(protocol) == [piece]


def test_what_waits_is_left_over_whole_and_counted_when_it_is_discarded() -> None:
    protocol = PlainProtocol(Limits())
    put(protocol, 100)
    assert protocol.leftover() == b"ab" * 100
    put(protocol, 100)
    protocol.close(0.0)
    assert protocol.discarded == 200
    assert not protocol.pending


def test_small_pieces_to_send_take_little_more_memory_than_their_bytes() -> None:
    protocol = PlainProtocol(Limits())
    tracemalloc.start()
    try:
        for count in range(20_000):
            protocol.send((count.to_bytes(2, "big"),), 0)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < 3 * protocol.unsent == 3 * 40_000
    sent = b"".join(protocol.take(1000)) + b"".join(protocol.take(1 << 30))
    assert sent == b"".join(count.to_bytes(2, "big") for count in range(20_000))


def test_tls_records_of_two_bytes_wait_as_one_piece(stand: Stand) -> None:
    notes = Notes(Opened=lambda connection, _: connection.pause())
    peer = stand.open("server", notes)
    for _ in range(300):
        peer.send(b"ab")
        stand.world.turn()
    connection = notes.connection
    assert isinstance(connection, Connection)
    protocol = connection.protocol
    assert isinstance(protocol, PlainProtocol)
    stand.world.run(lambda: protocol.held == 600)
    connection.resume()
    stand.world.run(lambda: notes.data == b"ab" * 300)
    assert len(notes.of("Received")) <= 3


# Who is aborted.


class Holder:
    """A connection, as far as the sum looks at it."""

    def __init__(self, clock: World) -> None:
        self.manager = clock
        self.closed: CloseKind | None = None

    def finish(self, kind: CloseKind, error: BaseException | None = None, *, reset: bool = False) -> None:
        """It is aborted."""
        self.closed = kind


class Clock:
    """A manager's."""

    now = 0.0


def holders(count: int) -> tuple[Clock, list[Holder]]:
    """So many, on one clock."""
    clock = Clock()
    return clock, [Holder(cast("World", clock)) for _ in range(count)]


def hold(holdings: Holdings, holder: Holder, size: int) -> None:
    """It holds so many bytes now."""
    holdings.enter(cast("Lifecycle", holder), size)


def test_a_large_message_that_comes_quickly_is_no_victim_of_many_old_hoards() -> None:
    clock, (quick, *hoarders) = holders(41)
    holdings = Holdings(8192 * KIB)
    for each in hoarders:
        hold(holdings, each, 200 * KIB)
    for step in range(1, 17):
        clock.now = 5.0 + step * 0.02
        hold(holdings, quick, step * 64 * KIB)
    assert quick.closed is None
    assert [each.closed for each in hoarders].count(CloseKind.ABORTED) == 5
    assert holdings.total <= holdings.limit


def test_who_gives_up_a_little_now_and_then_stays_an_old_hoard() -> None:
    clock, (dripping, emptied, third) = holders(3)
    holdings = Holdings(300 * KIB)
    for step in range(100):
        clock.now = step / 10
        hold(holdings, dripping, (100 + step % 2) * KIB)
        hold(holdings, emptied, (120 if step % 2 else 20) * KIB)
    hold(holdings, third, 90 * KIB)
    assert [each.closed for each in (dripping, emptied, third)] == [CloseKind.ABORTED, None, None]


@pytest.mark.parametrize("age", [0.0, 1000.0])
def test_age_does_not_weigh_more_than_a_hundredfold(age: float) -> None:
    clock, (old, giant) = holders(2)
    holdings = Holdings(8192 * KIB)
    hold(holdings, old, 64 * KIB)
    clock.now = age
    hold(holdings, giant, 8190 * KIB)
    assert (old.closed, giant.closed) == (None, CloseKind.ABORTED)
