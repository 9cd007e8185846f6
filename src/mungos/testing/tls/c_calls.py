"""Section C: what the application calls, and when (T69 to T78)."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

from mungos import CloseKind, Connection
from mungos.errors import Closed
from mungos.testing.tls.c_closing import text
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ALERT, DATA
from mungos.testing.tls.peers import Peer
from mungos.testing.tls.stand import BRIEF, Stand
from mungos.testing.tls.verdicts import Unmet, expect, require
from mungos.testing.tls.world import Notes

JUNK_HEAD = b"\x17\x03\x03\x00\x20" + bytes(32)


def _refused(connection: Connection, data: bytes) -> str:
    """How a write is refused."""
    try:
        connection.send(data)
    except Closed as error:
        return str(error)
    raise Unmet("a write after the end raises Closed", "it was taken")


def _one_notify(stand: Stand, notes: Notes, peer: Peer, before: int) -> None:
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    notes.connection.close()
    notes.connection.abort()
    expect(peer.failure, "", "what the peer died of")
    # A header, the alert, its content type, a tag: another alert would be as much again.
    spent = notes.connection.bytes_sent - before
    require(spent < 2 * 24, "one alert of 24 bytes goes out", f"{spent} bytes")


@scene("T69")
def close_twice(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    before = notes.connection.bytes_sent
    notes.connection.close()
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    notes.connection.close()
    _one_notify(stand, notes, peer, before)


@scene("T69")
def close_from_two_threads(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    before = notes.connection.bytes_sent
    threads = [
        threading.Thread(target=notes.connection.close, name=f"closer {number}") for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stand.world.run(lambda: peer.notified)
    _one_notify(stand, notes, peer, before)


@scene("T70")
def close_while_the_owner_waits(stand: Stand) -> None:
    """On sockets: the owner sleeps in the poller, another thread closes; that wakes it."""
    notes = stand.notes()
    peer = stand.open(notes)
    manager = stand.world.managers[0]
    waiting = threading.Event()

    def closer() -> None:
        waiting.wait()
        notes.connection.close()

    thread = threading.Thread(target=closer, name="closer")
    thread.start()
    began = stand.world.now()
    waiting.set()
    manager.poll(3.0)
    waited = stand.world.now() - began
    thread.join()
    require(waited < 2.0, "the owner wakes when another thread closes", f"it slept {waited:.1f} s")
    stand.world.run(lambda: peer.notified)
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    _refused(notes.connection, b"x")


@scene("T70")
def who_reads_is_told_how_it_ended(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.connection.pause()
    peer.send(b"unread")
    peer.turn()
    peer.raw.cut()
    stand.world.sleep(0.05)
    notes.connection.abort()
    stand.ended(notes, CloseKind.ABORTED, CloseKind.PEER_RESET)
    _refused(notes.connection, b"x")


@scene("T71")
def close_behind_a_blocked_write(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.raw.deaf = True
    said = text(400_000)
    notes.send(said)
    stand.world.sleep(0.01)
    notes.connection.close()
    stand.world.sleep(0.01)
    require(notes.connection.unsent > 0 and not notes.closed, "it waits for room", notes.names)
    _refused(notes.connection, b"more")
    peer.raw.deaf = False
    stand.world.run(lambda: peer.notified)
    expect(bytes(peer.data) == said, True, "close_notify comes behind all of the data")
    peer.leave()
    expect(stand.ended(notes, CloseKind.CLEAN).unsent, 0, "bytes unsent")


def _say_goodbye(connection: Connection) -> None:
    connection.send(b"bye")
    connection.close()


class _Closer:
    """Closes when it is thrown away."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


def _throw_away(connection: Connection) -> None:
    ring: list[object] = [_Closer(connection)]
    ring.append(ring)
    del ring
    gc.collect()


CALLS: dict[str, Callable[[Connection], None]] = {
    "close": lambda connection: connection.close(),
    "abort": lambda connection: connection.abort(),
    "end": lambda connection: connection.end(),
    "send and close": _say_goodbye,
    "a destructor that closes": _throw_away,
}


@scene("T72")
def inside_a_handler(stand: Stand) -> None:
    for event in ("Opened", "Received", "Ended"):
        for call, act in CALLS.items():
            _inside(stand, event, call, act)


def _inside(stand: Stand, event: str, call: str, act: Callable[[Connection], None]) -> None:
    world = stand.world
    done: list[str] = []

    def answer(connection: Connection, _: object) -> None:
        if not done:
            done.append(event)
            act(connection)

    notes = stand.notes(**{event: answer})
    peer = stand.meet(notes)
    notes.sent += b"bye"
    world.run(lambda: peer.established or peer.raw.reset)
    if peer.raw.reset:
        # A client that aborts as soon as it is open takes its Finished with it.
        expect((stand.role, event, call), ("client", "Opened", "abort"), "who resets in the handshake")
        stand.ended(notes, CloseKind.ABORTED)
        return
    peer.send(b"one")
    peer.send(b"two")
    peer.close_notify()
    world.run(lambda: bool(done))
    world.run(lambda: peer.notified or peer.raw.ended or peer.raw.reset)
    world.run(lambda: not peer.out or peer.raw.reset)
    if not peer.raw.reset:
        peer.raw.end()
    stand.ended(notes, CloseKind.ABORTED if call == "abort" else CloseKind.CLEAN)
    expect(done, [event], "the handler is called")
    if call == "send and close":
        expect(bytes(peer.data), b"bye", "what the handler sent before it closed")


@scene("T73")
def read_after_our_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.send(b"in flight")
    notes.connection.end()
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.data, b"in flight", "what was in flight")


def _write_late(stand: Stand, verb: str) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    connection = notes.connection
    getattr(connection, verb)()
    _refused(connection, b"too late")
    stand.world.run(lambda: peer.notified)
    sent = connection.bytes_sent
    _refused(connection, b"too late")
    stand.world.sleep(0.02)
    expect((connection.bytes_sent - sent, bytes(peer.data)), (0, b""), "bytes sent, and data that arrived")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T74")
def write_after_end(stand: Stand) -> None:
    _write_late(stand, "end")


@scene("T74")
def write_after_close(stand: Stand) -> None:
    _write_late(stand, "close")


@scene("T75")
def alerts_that_tls_1_3_does_not_know(stand: Stand) -> None:
    for words, alert in (
        ("unknown", b"\x01\x63"),
        ("fatal and unknown", b"\x02\x63"),
        ("a warning", b"\x01\x28"),
    ):
        notes = stand.notes()
        peer = stand.forge_open(notes)
        peer.out += peer.record(ALERT, alert) + peer.record(DATA, b"late")
        stand.world.run(lambda notes=notes: notes.closed or bool(notes.data))  # type: ignore[misc]
        stand.policy(not notes.data, f"{words}: treated as fatal", f"ignores an alert that is {words}")
        stand.ended(notes, CloseKind.TLS_ALERT)
        require(not notes.of("Ended"), "it is no clean end", notes.names)


@scene("T76")
def fatal_alert_of_the_peer(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    sent = notes.connection.bytes_sent
    peer.fatal_alert()
    reason = stand.ended(notes, CloseKind.TLS_ALERT)
    words = str(reason.error).lower().replace("_", " ")
    require("bad record mac" in words, "the alert is named", reason.error)
    # RFC 8446 section 6.2: nothing more is sent, no close_notify either.
    expect(notes.connection.bytes_sent - sent, 0, "bytes sent after the alert")


@scene("T77")
def our_alert_arrives(stand: Stand) -> None:
    for size in (100_000, 1_000_000):
        notes = stand.notes()
        peer = stand.open(notes, limits=BRIEF)
        peer.out += JUNK_HEAD + bytes(size)
        stand.told(peer, "bad_record_mac")
        stand.world.run(lambda peer=peer: peer.raw.ended or peer.raw.reset)  # type: ignore[misc]
        peer.raw.close()
        stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T78")
def half_close_is_close_notify_first(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.connection.end()
    stand.world.run(lambda: peer.raw.ended)
    stand.world.run(lambda: peer.notified or peer.truncated)
    require(peer.notified and not peer.truncated, "close_notify stands before FIN", peer.ending)
    peer.send(b"still readable")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.data, b"still readable", "what comes after the half-close is plaintext")
