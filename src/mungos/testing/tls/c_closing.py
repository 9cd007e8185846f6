"""Section C: close_notify, FIN and RST in every order that two ends can bring about (T56 to T68)."""

from __future__ import annotations

import random

from mungos import CloseKind, Ended, Limits, ReadSide
from mungos.errors import Closed
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ALERT, DATA
from mungos.testing.tls.oracles import quiet
from mungos.testing.tls.stand import BRIEF, HALF_OPEN, Stand
from mungos.testing.tls.verdicts import Unmet, expect, require
from mungos.testing.tls.world import Notes

JUNK = b"\x17\x03\x03\x00\x20" + bytes(32)


def text(size: int, seed: int = 1) -> bytes:
    """So many bytes that do not repeat."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - to be repeated, not to be secret


def how_it_ended(notes: Notes) -> str:
    """What the one Ended event says."""
    found = [event.how for event in notes.events if isinstance(event, Ended)]
    return found[0] if len(found) == 1 else f"{len(found)} Ended events"


@scene("T56")
def we_first(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.send(b"last words")
    notes.connection.close()
    stand.world.run(lambda: peer.notified and peer.raw.ended)
    expect(bytes(peer.data), b"last words", "what was sent before the close arrives")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.connection.read_side, ReadSide.ENDED, "the read side")


@scene("T56")
def the_peer_first(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.close_notify()
    stand.world.run(lambda: peer.notified and peer.raw.ended)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.names, ["Opened", "Ended", "Closed"], "the events")
    expect(how_it_ended(notes), "clean", "the peer's end")


@scene("T56")
def both_ends_of_one_engine(stand: Stand) -> None:
    server, client = stand.notes(), stand.notes()
    stand.ours(server, client)
    first, other = (client, server) if stand.role == "client" else (server, client)
    first.send(b"last words")
    first.connection.close()
    began = stand.world.now()
    for notes in (server, client):
        stand.ended(notes, CloseKind.CLEAN)
    expect(other.data, b"last words", "what was sent before the close arrives")
    require(stand.world.now() - began < 0.5, "nobody waits", f"{stand.world.now() - began:g} s")


@scene("T57")
def the_peer_writes_on(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    notes.connection.end()
    stand.world.run(lambda: peer.notified and peer.raw.ended)
    said = text(200_000)
    peer.send(said)
    stand.world.run(lambda: notes.data == said)
    require(not notes.closed, "it stays open until the peer's own alert")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T57")
def we_write_on(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=HALF_OPEN)
    peer.close_notify()
    peer.notified = False
    stand.world.run(lambda: bool(notes.of("Ended")))
    quiet(stand.world.managers[0])
    said = text(100_000)
    notes.send(said)
    stand.world.run(lambda: peer.data == said)
    notes.connection.close()
    stand.world.run(lambda: peer.notified and peer.raw.ended)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T57")
def both_left_and_no_fin_comes(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    notes.connection.end()
    stand.world.run(lambda: peer.notified)
    peer.close_notify()
    # The peer never closes TCP. That wait is bounded, too.
    stand.ended(notes, CloseKind.CLEAN)


@scene("T58")
def answered_at_once_and_what_waits_is_dropped(stand: Stand) -> None:
    stand.needs("TLSv1.2", "the engine speaks TLS 1.3 only")
    notes = stand.notes()
    peer = stand.open(notes, version="TLSv1.2", limits=HALF_OPEN)
    peer.raw.deaf = True
    size = 2 << 20
    notes.send(bytes(size))
    stand.world.sleep(0.01)
    peer.close_notify()
    stand.world.run(lambda: bool(notes.of("Ended")))
    peer.raw.deaf = False
    stand.world.run(lambda: peer.notified)
    try:
        notes.connection.send(b"more")
    except Closed:
        pass
    else:
        raise Unmet("writing after the answer raises Closed", "it was taken")
    notes.connection.close()
    peer.raw.end()
    began = stand.world.now()
    reason = stand.ended(notes, CloseKind.CLEAN)
    require(stand.world.now() - began < 1.0, "nobody waits", f"{stand.world.now() - began:g} s")
    # RFC 5246 section 7.2.1: pending writes are discarded, and that is reported.
    expect(len(peer.data) + reason.unsent, size, "bytes delivered and bytes told as unsent")
    require(reason.unsent > 0, "what waited is dropped", "everything was sent")


@scene("T59")
def crossing(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.held = True
    notes.connection.close()
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    peer.held = False
    stand.world.run(lambda: peer.notified)
    require(len(notes.of("Ended")) <= 1, "one end at most", notes.names)


@scene("T59")
def crossing_between_two_of_one_engine(stand: Stand) -> None:
    server, client = stand.notes(), stand.notes()
    ours, theirs = stand.ours(server, client)
    for connection in (ours, theirs) if stand.role == "client" else (theirs, ours):
        connection.close()
    stand.ended(server, CloseKind.CLEAN)
    stand.ended(client, CloseKind.CLEAN)


@scene("T60")
def an_abort_is_no_clean_end(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.send(b"lost?")
    notes.connection.abort("no more")
    reason = stand.ended(notes, CloseKind.ABORTED)
    expect(str(reason.error), "no more", "the reason")
    stand.world.run(lambda: peer.raw.reset or peer.truncated or peer.raw.ended)
    require(not peer.notified, "the peer sees no clean end", "close_notify")


@scene("T60")
def a_close_is_flushed_before_fin(stand: Stand) -> None:
    """The other half: who closes gracefully leaves no peer behind that sees a truncation."""
    notes = stand.notes()
    stand.world.network.capacity = 7
    peer = stand.open(notes)
    notes.send(b"through a narrow pipe")
    notes.connection.close()
    stand.world.run(lambda: peer.raw.ended)
    stand.world.run(lambda: peer.notified or peer.truncated)
    require(peer.notified, "close_notify arrives before FIN", "the peer saw a truncation")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T61")
def silence_after_our_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.held = True
    began = stand.world.now()
    notes.connection.close(0.2)
    reason = stand.ended(notes, CloseKind.TIMED_OUT)
    waited = stand.world.now() - began
    require(0.199 <= waited < 1.0, "it waits for its deadline of 0.2 s", f"{waited:g} s")
    expect((reason.phase, reason.unsent), ("closing", 0), "the phase, and bytes unsent")


@scene("T61")
def the_wait_is_bounded_where_all_is_sent(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    peer.held = True
    began = stand.world.now()
    notes.connection.close(60)
    stand.ended(notes, CloseKind.TIMED_OUT)
    require(stand.world.now() - began < 1.0, "it lingers for 0.1 s", f"{stand.world.now() - began:g} s")


@scene("T62")
def fin_without_an_alert_answers_our_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.connection.read_side, ReadSide.TRUNCATED, "no close_notify is recorded: the read side")


def _fin_alone(stand: Stand, limits: Limits) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=limits)
    peer.send(b"so far")
    peer.turn()
    peer.raw.end()
    stand.world.run(lambda: bool(notes.of("Ended")))
    expect(how_it_ended(notes), "truncated", "the peer's end")
    if limits.half_open:
        require(not notes.closed, "our direction stays open")
        notes.connection.close()
    reason = stand.ended(notes, CloseKind.TRUNCATED)
    expect(notes.data, b"so far", "what came before")
    require("close_notify" in str(reason.error), "the reason names what is missing", reason)


@scene("T63")
def fin_alone(stand: Stand) -> None:
    _fin_alone(stand, BRIEF)


@scene("T63")
def fin_alone_half_open(stand: Stand) -> None:
    _fin_alone(stand, HALF_OPEN)


@scene("T64")
def a_reset_instead(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.send(b"so far")
    stand.world.run(lambda: not peer.out and notes.data == b"so far")
    peer.raw.cut()
    stand.ended(notes, CloseKind.PEER_RESET)
    expect(notes.names, ["Opened", "Received", "Closed"], "the events")


@scene("T64")
def a_reset_met_by_a_write(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.send(b"so far")
    peer.turn()
    peer.raw.cut()
    notes.send(b"into the void")
    stand.ended(notes, CloseKind.PEER_RESET)
    expect(notes.data, b"so far", "what came before stays readable")


def _notify_then_reset(stand: Stand, limits: Limits) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=limits)
    peer.close_notify()
    stand.world.run(lambda: bool(notes.of("Ended")))
    peer.raw.cut()
    if limits.half_open:
        notes.connection.close()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T65")
def notify_then_reset(stand: Stand) -> None:
    _notify_then_reset(stand, BRIEF)


@scene("T65")
def notify_then_reset_half_open(stand: Stand) -> None:
    _notify_then_reset(stand, HALF_OPEN)


@scene("T65")
def notify_and_reset_at_once(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.send(b"all")
    peer.close_notify()
    peer.turn()
    peer.raw.cut()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.data, b"all", "what came before")


@scene("T66")
def data_after_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.text(b"all") + peer.record(ALERT, b"\x01\x00") + peer.record(DATA, b"late")
    stand.world.run(lambda: peer.notified)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.data, b"all", "what is delivered")
    expect(notes.names, ["Opened", "Received", "Ended", "Closed"], "the events")


def _after_close_notify(stand: Stand, late: bytes, limits: Limits) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=limits)
    peer.close_notify()
    notify = bytes(peer.out)
    peer.out += late or notify
    stand.world.run(lambda: bool(notes.of("Ended")))
    peer.out += late
    if limits.half_open:
        notes.send(b"still here")
        notes.connection.close()
    stand.world.run(lambda: peer.raw.ended)
    peer.raw.end()
    reason = stand.ended(notes, CloseKind.CLEAN)
    expect((notes.data, reason.discarded), (b"", 0), "data delivered, bytes discarded")
    expect(len(notes.of("Ended")), 1, "ends told")
    expect(peer.failure, "", "what the peer died of")


@scene("T67")
def junk_after_close_notify(stand: Stand) -> None:
    for limits in (BRIEF, HALF_OPEN):
        _after_close_notify(stand, JUNK, limits)


@scene("T67")
def plain_text_after_close_notify(stand: Stand) -> None:
    for limits in (BRIEF, HALF_OPEN):
        _after_close_notify(stand, b"GET / HTTP/1.1\r\n\r\n", limits)


@scene("T68")
def the_same_record_twice(stand: Stand) -> None:
    for limits in (BRIEF, HALF_OPEN):
        _after_close_notify(stand, b"", limits)


@scene("T68")
def a_second_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.record(ALERT, b"\x01\x00") + peer.record(ALERT, b"\x01\x00")
    stand.world.run(lambda: peer.notified)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.names, ["Opened", "Ended", "Closed"], "the events")
