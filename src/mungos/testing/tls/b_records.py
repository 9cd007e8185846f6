"""Section B: records in pieces, in crowds, damaged, and at their limits (T36 to T50)."""

from __future__ import annotations

from mungos import CloseKind, Ended, Limits
from mungos.testing.tls.c_closing import text
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ALERT, DATA
from mungos.testing.tls.oracles import quiet
from mungos.testing.tls.peers import CLOSE_NOTIFY
from mungos.testing.tls.stand import BRIEF, Stand
from mungos.testing.tls.verdicts import expect, require

FULL = 1 << 14
"""Bytes of the largest plaintext of a record (RFC 8446 section 5.1)."""

MOST_CIPHERTEXT = FULL + 256
"""Bytes of the largest protected record behind its header (section 5.2)."""


@scene("T36")
def record_in_pieces(stand: Stand) -> None:
    for size in (1, 2, 7, 100):
        notes = stand.notes()
        peer = stand.open(notes)
        peer.chunk = size
        said = text(300)
        peer.send(said)
        stand.world.run(lambda notes=notes, said=said: notes.data == said)  # type: ignore[misc]
        expect(len(notes.of("Received")), 1, f"messages, of one record in pieces of {size} bytes")
        quiet(stand.world.managers[-1])


@scene("T37")
def message_across_records(stand: Stand) -> None:
    for count in (2, 3, 7):
        notes = stand.notes()
        peer = stand.open(notes)
        message = text(8192)
        step = -(-len(message) // count)
        for at in range(0, len(message), step):
            peer.send(message[at : at + step])
        stand.world.run(lambda notes=notes, message=message: notes.data == message)  # type: ignore[misc]
        expect(len(notes.of("Received")), count, "messages, one a record")


@scene("T38")
def hidden_data(stand: Stand) -> None:
    """Each record is delivered though no readiness of the stream announces it."""
    world = stand.world
    notes = stand.notes(Received=lambda connection, _: connection.pause())
    peer = stand.open(notes)
    for part in (b"one", b"two", b"three"):
        peer.send(part)
    for said in (b"one", b"onetwo", b"onetwothree"):
        world.run(lambda said=said: notes.data == said)  # type: ignore[misc]
        world.sleep(0.02)
        expect(notes.data, said, "what is delivered while paused")
        quiet(world.managers[0])
        notes.connection.resume()


@scene("T38")
def more_records_than_events_of_a_turn(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=Limits(events_per_turn=4))
    said = b"".join(b"%04d" % number for number in range(1000))
    for at in range(0, len(said), 4):
        peer.out += peer.seal(said[at : at + 4])
    stand.world.run(lambda: len(notes.data) == len(said))


@scene("T38")
def more_plaintext_than_may_be_unread(stand: Stand) -> None:
    """The engine's own cap on unread plaintext is small; nothing is lost, nothing waits for a readiness."""
    notes = stand.notes()
    peer = stand.open(notes, max_unread=1000)
    said = text(60_000)
    for at in range(0, len(said), 500):
        peer.out += peer.seal(said[at : at + 500])
    stand.world.run(lambda: len(notes.data) == len(said))
    quiet(stand.world.managers[0])


@scene("T39")
def half_a_record_behind_a_whole_one(stand: Stand) -> None:
    for size in (1, 4, 5, 9):
        notes = stand.notes()
        peer = stand.open(notes)
        first, second = peer.seal(b"first"), peer.seal(b"second")
        peer.out += first + second[:size]
        stand.world.run(lambda notes=notes: notes.data == b"first")  # type: ignore[misc]
        stand.world.sleep(0.02)
        quiet(stand.world.managers[-1])
        peer.out += second[size:]
        stand.world.run(lambda notes=notes: notes.data == b"firstsecond")  # type: ignore[misc]


@scene("T40")
def plaintext_of_exactly_16_kib(stand: Stand) -> None:
    notes, said = stand.notes(), text(FULL)
    peer = stand.open(notes)
    peer.send(said)
    stand.world.run(lambda: notes.data == said)
    expect(len(notes.of("Received")), 1, "messages")


@scene("T40")
def plaintext_of_one_byte_more(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.record(DATA, bytes(FULL + 1))
    stand.told(peer, "record_overflow")
    stand.ended(notes, CloseKind.TLS_ALERT)
    require(not notes.data, "nothing of it is delivered", f"{len(notes.data)} bytes")


@scene("T40")
def padding_counts(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.text(b"padded", FULL - 6)
    stand.world.run(lambda: notes.data == b"padded")
    peer.out += peer.record(DATA, b"padded", FULL - 5)
    stand.world.run(lambda: bool(peer.failure) or len(notes.data) > 6)
    stand.policy(
        bool(peer.failure),
        "record_overflow",
        "takes padding above 2^14 + 1 bytes, where what is left is small",
    )
    stand.told(peer, "record_overflow")
    stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T41")
def ciphertext_at_the_limit(stand: Stand) -> None:
    for size, alert in ((MOST_CIPHERTEXT, "bad_record_mac"), (MOST_CIPHERTEXT + 1, "record_overflow")):
        notes = stand.notes()
        peer = stand.open(notes, limits=BRIEF)
        peer.out += b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)
        stand.told(peer, alert)
        stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T42")
def empty_records(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += b"".join(peer.text(b"", number % 3) for number in range(20)) + peer.text(b"real")
    stand.world.run(lambda: notes.data == b"real")
    expect(notes.names, ["Opened", "Received"], "the events")
    quiet(stand.world.managers[0])


@scene("T43")
def flood_of_empty_records(stand: Stand) -> None:
    """Another connection of the same manager keeps running."""
    world, notes, calm = stand.world, stand.notes(), stand.notes()
    peer = stand.forge_open(notes)
    manager = world.managers[0]
    other = world.connect(str(manager.listen("tcp://127.0.0.1:0", calm).url))
    world.run(lambda: bool(calm.of("Opened")))
    peer.out += b"".join(peer.text(b"") for _ in range(2000))
    other.send(b"x")
    for _ in range(3):
        peer.turn()
        manager.poll(0)
    expect(calm.data, b"x", "what the other connection got meanwhile")
    world.run(lambda: not peer.out and not manager.busy)
    require(notes.names in (["Opened"], ["Opened", "Closed"]), "no message, no end of stream", notes.names)


@scene("T44")
def inner_plaintext_all_zero(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.record(0, bytes(5))
    stand.told(peer, "unexpected_message")
    stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T45")
def flipped_bit(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    good, bad, late = peer.seal(b"good"), bytearray(peer.seal(b"bad")), peer.seal(b"late")
    bad[-1] ^= 1
    peer.out += good + bad + late
    stand.told(peer, "bad_record_mac")
    stand.ended(notes, CloseKind.TLS_ALERT)
    expect(notes.data, b"good", "what is delivered")


@scene("T46")
def record_cut_at_every_byte(stand: Stand) -> None:
    """A whole record, then one that is cut at each of its bytes, up to the last one missing."""
    size = len(b"cut") + 22
    for kept in range(1, size):
        notes = stand.notes()
        peer = stand.open(notes, limits=BRIEF)
        whole, part = peer.seal(b"whole"), peer.seal(b"cut")
        require(kept < len(part), "a record has 22 bytes around its content", len(part))
        peer.out += whole + part[:kept]
        peer.turn()
        stand.cut(peer.raw)
        if stand.how == "silence":
            stand.world.run(lambda notes=notes: notes.data == b"whole")  # type: ignore[misc]
            notes.connection.close(0.1)
            stand.ended(notes, CloseKind.TIMED_OUT)
        else:
            stand.ended(notes, CloseKind.TRUNCATED if stand.how == "FIN" else CloseKind.PEER_RESET)
        expect(notes.data, b"whole", "whole records only")
        if stand.how == "FIN":
            expect([each.how for each in notes.events if isinstance(each, Ended)], ["truncated"], "the end")


@scene("T47")
def last_byte_missing_and_a_reset(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    peer.out += (peer.seal(b"whole") + peer.seal(b"cut"))[:-1]
    peer.turn()
    stand.cut(peer.raw)
    # What the kernel still held when the reset came is its own affair.
    stand.ended(notes, CloseKind.PEER_RESET)
    require(notes.data in (b"", b"whole"), "whole records only", notes.data)
    require(not notes.of("Ended"), "it is never reported as clean", notes.names)


@scene("T48")
def alert_over_two_records(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.record(ALERT, b"\x01") + peer.record(ALERT, b"\x00")
    stand.world.run(lambda: bool(peer.failure) or notes.closed)
    stand.ended(notes, CloseKind.TLS_ALERT)
    require(not notes.of("Ended"), "it is no close_notify", notes.names)


@scene("T49")
def empty_alert(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.out += peer.record(ALERT, b"")
    stand.told(peer, "unexpected_message")
    stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T50")
def close_notify_in_the_clear(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    peer.out += CLOSE_NOTIFY
    reason = stand.ended(notes, CloseKind.TLS_ALERT)
    require(not reason.clean and not notes.of("Ended"), "it does not close cleanly", notes.names)
