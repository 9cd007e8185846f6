"""close_notify, FIN and RST in every order that two ends can bring about (T56 to T68)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mungos import CloseKind, Ended, Limits, ReadSide
from mungos.errors import Closed
from tests.cases.oracles import ended, quiet
from tests.cases.tls_stand import SPEAKS_TLS_1_2, Role, Stand, foreign_context
from tests.cases.world import Notes
from tests.tls.conftest import speaks
from tests.tls.forge import HANDSHAKE, Forge

LIMITS = Limits(linger=0.1)
HALF_OPEN = Limits(linger=0.1, half_open=True)


def how_it_ended(notes: Notes) -> str:
    """What the one Ended event says."""
    (event,) = notes.of("Ended")
    assert isinstance(event, Ended)
    return event.how


def test_t56_clean_we_first(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.connection.close()
    world.run(lambda: peer.notified and peer.raw.ended)
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    assert notes.connection.read_side is ReadSide.ENDED


def test_t56_clean_the_peer_first(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.close_notify()
    world.run(lambda: peer.notified and peer.raw.ended)
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    assert notes.names == ["Opened", "Ended", "Closed"]
    assert how_it_ended(notes) == "clean"


def test_t56_both_ends_ours(stand: Stand, role: Role) -> None:
    server, client = Notes(), Notes()
    ours, theirs = stand.ours(server, client)
    first = ours if role == "client" else theirs
    first.send(b"last words")
    first.close()
    began = stand.world.now()
    for notes in (server, client):
        ended(stand.world, notes, CloseKind.CLEAN, sent=b"last words")
    assert (server if role == "client" else client).data == b"last words"
    assert stand.world.now() - began < 0.5


def test_t57_peer_writes_on_after_our_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    notes.connection.end()
    world.run(lambda: peer.notified and peer.raw.ended)
    text = os.urandom(200_000)
    peer.send(text)
    world.run(lambda: notes.data == text)
    assert not notes.closed
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN, sent=text)
    assert notes.data == text


def test_t57_we_write_on_after_the_peers_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=HALF_OPEN)
    peer.notified = False
    peer.close_notify()
    world.run(lambda: bool(notes.of("Ended")))
    quiet(world.managers[0])
    text = os.urandom(100_000)
    notes.connection.send(text)
    world.run(lambda: peer.data == text)
    notes.connection.close()
    world.run(lambda: peer.notified and peer.raw.ended)
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)


def test_t57_half_closed_both_ways_but_no_fin(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    notes.connection.end()
    world.run(lambda: peer.notified)
    peer.close_notify()
    # Both took their leave; the peer never closes TCP. That wait is bounded, too.
    ended(world, notes, CloseKind.CLEAN)


@pytest.mark.parametrize("rest_comes", [True, False])
def test_t57_our_close_between_the_halves_of_the_peers_message(
    stand: Stand, role: Role, rest_comes: bool, tmp_path: Path
) -> None:
    """RFC 8446 section 5.1: a message may be spread over records. Our close_notify may have to wait for the
    rest of it; if that never comes, the limit for closing ends it."""
    if not speaks(stand.engine, "key updates"):
        pytest.skip(f"{stand.engine} has no KeyUpdate")
    context = foreign_context.__wrapped__(role == "client")
    keylog = tmp_path / "keylog"
    context.keylog_filename = str(keylog)
    world, notes = stand.world, Notes()
    peer = stand.meet(role, notes, context=context, limits=Limits(linger=0.1, close_within=0.5))
    world.run(lambda: peer.established and bool(notes.of("Opened")))
    context.keylog_filename = None  # type: ignore[assignment]  # closes it
    forge = Forge(keylog, "SERVER_TRAFFIC_SECRET_0" if role == "client" else "CLIENT_TRAFFIC_SECRET_0")
    before = notes.connection.bytes_received
    peer.raw.send(forge.record(HANDSHAKE, b"\x18\0\0\x01"))
    world.run(lambda: notes.connection.bytes_received > before)
    notes.connection.close()
    world.sleep(0.05)
    assert not notes.closed
    if rest_comes:
        peer.raw.send(forge.record(HANDSHAKE, b"\0"))
        forge.update()
        world.run(lambda: peer.notified and peer.raw.ended)
        peer.raw.send(forge.close_notify())
        peer.raw.end()
        ended(world, notes, CloseKind.CLEAN)
    else:
        began = world.now()
        assert ended(world, notes, CloseKind.TIMED_OUT).phase == "closing"
        assert world.now() - began < 5.0


def test_t58_tls_1_2_answers_at_once_and_drops_what_waits(stand: Stand, role: Role) -> None:
    if stand.engine not in SPEAKS_TLS_1_2:
        pytest.skip(f"{stand.engine} speaks TLS 1.3 only")
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, version="TLSv1.2", limits=HALF_OPEN)
    peer.raw.deaf = True
    notes.connection.send(bytes(6 << 20))
    world.sleep(0.01)
    peer.close_notify()
    world.run(lambda: bool(notes.of("Ended")))
    peer.raw.deaf = False
    world.run(lambda: peer.notified)
    with pytest.raises(Closed):
        notes.connection.send(b"more")
    notes.connection.close()
    peer.raw.end()
    began = world.now()
    reason = ended(world, notes, CloseKind.CLEAN)
    assert world.now() - began < 1.0
    # RFC 5246 section 7.2.1: pending writes are discarded, and that is reported.
    assert len(peer.data) + reason.unsent == 6 << 20
    assert reason.unsent > 0


def test_t59_crossing_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.held = True
    notes.connection.close()
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    peer.held = False
    world.run(lambda: peer.notified)
    assert len(notes.of("Ended")) <= 1


def test_t59_crossing_close_notify_of_two_ours(stand: Stand) -> None:
    server, client = Notes(), Notes()
    ours, theirs = stand.ours(server, client)
    ours.close()
    theirs.close()
    ended(stand.world, server, CloseKind.CLEAN)
    ended(stand.world, client, CloseKind.CLEAN)


def test_t60_abort_is_never_a_clean_end_for_the_peer(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.connection.send(b"lost?")
    notes.connection.abort("no more")
    reason = ended(world, notes, CloseKind.ABORTED)
    assert str(reason.error) == "no more"
    world.run(lambda: peer.raw.reset or peer.truncated)
    assert not peer.notified


def test_t61_peer_never_answers_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.held = True
    began = world.now()
    notes.connection.close(0.2)
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert 0.199 <= world.now() - began < 1.0
    assert reason.phase == "closing"
    assert reason.unsent == 0


def test_t61_linger_bounds_the_wait_where_all_is_sent(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    peer.held = True
    began = world.now()
    notes.connection.close(60)
    ended(world, notes, CloseKind.TIMED_OUT)
    assert world.now() - began < 1.0


def test_t62_fin_without_an_alert_answers_our_close(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.connection.close()
    world.run(lambda: peer.notified)
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    assert notes.connection.read_side is ReadSide.TRUNCATED


@pytest.mark.parametrize("limits", [LIMITS, HALF_OPEN], ids=["default", "half-open"])
def test_t63_fin_without_close_notify_unprompted(stand: Stand, role: Role, limits: Limits) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=limits)
    peer.send(b"so far")
    peer.turn()
    peer.raw.end()
    world.run(lambda: bool(notes.of("Ended")))
    assert how_it_ended(notes) == "truncated"
    quiet_after = not notes.closed
    if limits.half_open:
        assert quiet_after
        notes.connection.close()
    reason = ended(world, notes, CloseKind.TRUNCATED, sent=b"so far")
    assert notes.data == b"so far"
    assert "close_notify" in str(reason.error)


def test_t64_reset_instead_of_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.send(b"so far")
    world.run(lambda: not peer.out and notes.data == b"so far")
    peer.raw.cut()
    ended(world, notes, CloseKind.PEER_RESET, sent=b"so far")
    assert not notes.of("Ended")


def test_t64_reset_met_by_a_write_leaves_received_data_readable(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.send(b"so far")
    peer.turn()
    peer.raw.cut()
    notes.connection.send(b"into the void")
    ended(world, notes, CloseKind.PEER_RESET, sent=b"so far")
    if world.wire == "memory":
        assert notes.data == b"so far"


@pytest.mark.parametrize("limits", [LIMITS, HALF_OPEN], ids=["default", "half-open"])
def test_t65_close_notify_then_reset(stand: Stand, role: Role, limits: Limits) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=limits)
    peer.close_notify()
    world.run(lambda: bool(notes.of("Ended")))
    peer.raw.cut()
    if limits.half_open:
        notes.connection.close()
    ended(world, notes, CloseKind.CLEAN)


def test_t65_close_notify_and_reset_at_once(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.send(b"all")
    peer.close_notify()
    peer.turn()
    peer.raw.cut()
    reason = ended(world, notes, {CloseKind.CLEAN, CloseKind.PEER_RESET}, sent=b"all")
    # A reset may overtake what the kernel held; with the close_notify seen, it is clean.
    assert reason.clean == bool(notes.of("Ended"))
    if world.wire == "memory":
        assert reason.clean


@pytest.mark.parametrize("what", ["junk", "second close_notify", "plain text"])
@pytest.mark.parametrize("limits", [LIMITS, HALF_OPEN], ids=["default", "half-open"])
def test_t67_t68_whatever_follows_close_notify_is_ignored(
    stand: Stand, role: Role, what: str, limits: Limits
) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=limits)
    late = {
        "junk": b"\x17\x03\x03\x00\x20" + bytes(32),
        "plain text": b"GET / HTTP/1.1\r\n\r\n",
    }.get(what, b"")
    peer.close_notify()
    notify = bytes(peer.out)
    peer.out += notify if what == "second close_notify" else late
    world.run(lambda: bool(notes.of("Ended")))
    peer.out += late
    if limits.half_open:
        notes.connection.send(b"still here")
        notes.connection.close()
    world.run(lambda: peer.raw.ended)
    peer.raw.end()
    reason = ended(world, notes, CloseKind.CLEAN)
    assert not notes.data
    assert reason.discarded == 0
    assert peer.error is None
    assert len(notes.of("Ended")) == 1


def test_t87_tickets_arrive_during_the_shutdown(stand: Stand) -> None:
    world, notes = stand.world, Notes()
    peer = stand.meet("client", notes, context=foreign_context(True, tickets=2))
    world.run(lambda: len(peer.out) > 0 or peer.sent > 0)
    world.run(lambda: not peer.out)
    peer.budget = 0
    world.run(lambda: peer.established and bool(notes.of("Opened")))
    assert len(peer.out) > 100
    notes.connection.close()
    world.run(lambda: peer.notified)
    peer.close_notify()
    peer.budget = None
    world.run(lambda: not peer.out)
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    assert notes.names == ["Opened", "Closed"]
    assert notes.connection.read_side is ReadSide.ENDED
