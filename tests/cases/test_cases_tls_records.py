"""Records and buffers over TLS: pieces, hidden data, damage, short sends (T36 to T55)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mungos import CloseKind, Ended, Limits
from mungos.http import ServerSession
from mungos.protocol import Buffer
from tests.cases.oracles import ended, quiet
from tests.cases.tls_peer import TlsPeer
from tests.cases.tls_stand import LAX, Role, Stand, cut, foreign_context, server_config
from tests.cases.world import Notes
from tests.tls.forge import ALERT, DATA, HANDSHAKE, Forge

LIMITS = Limits(linger=0.1)
LARGE = 6 * 1024 * 1024  # bytes: more than the kernel's buffers take from a peer that does not read


@dataclass
class Forging:
    """Our side, open, and a peer whose records can be forged."""

    stand: Stand
    role: Role
    notes: Notes
    peer: TlsPeer
    forge: Forge

    def send(self, *forged: bytes) -> None:
        self.peer.out += b"".join(forged)


@pytest.fixture
def forging(stand: Stand, role: Role, tmp_path: Path) -> Iterator[Forging]:
    """Records that no library would send."""
    keylog = tmp_path / "keylog"
    # The pool's contexts are shared: the key log wants one of its own.
    foreign_context.cache_clear()
    context = foreign_context(role == "client")
    foreign_context.cache_clear()
    context.keylog_filename = str(keylog)
    notes = Notes()
    # The suite that the forge speaks; it is OpenSSL's own choice.
    options: dict[str, Any] = {} if stand.engine == "openssl" else {"suites": ("TLS_AES_256_GCM_SHA384",)}
    peer = stand.meet(role, notes, context=context, limits=LIMITS, **options)
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    label = "SERVER_TRAFFIC_SECRET_0" if role == "client" else "CLIENT_TRAFFIC_SECRET_0"
    yield Forging(stand, role, notes, peer, Forge(keylog, label))
    # A context keeps its key log's file open.
    context.keylog_filename = os.devnull
    peer.drop()


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_t36_record_in_pieces(stand: Stand, role: Role, size: int) -> None:
    notes = Notes()
    peer = stand.open(role, notes)
    peer.chunk = size
    text = os.urandom(300)
    peer.send(text)
    stand.world.run(lambda: notes.data == text)
    assert len(notes.of("Received")) == 1
    quiet(stand.world.managers[0])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_t37_message_across_records(stand: Stand, role: Role, count: int) -> None:
    notes = Notes()
    peer = stand.open(role, notes)
    message = os.urandom(8192)
    step = -(-len(message) // count)
    for at in range(0, len(message), step):
        peer.send(message[at : at + step])
    stand.world.run(lambda: notes.data == message)
    assert len(notes.of("Received")) == count


def test_t38_hidden_buffered_data(stand: Stand, role: Role) -> None:
    world = stand.world
    notes = Notes(Received=lambda connection, _: connection.pause())
    peer = stand.open(role, notes)
    raw = peer.seal(b"one") + peer.seal(b"two") + peer.seal(b"three")
    peer.out += raw
    for text in (b"one", b"onetwo", b"onetwothree"):
        world.run(lambda text=text: notes.data == text)  # type: ignore[misc]
        # Whatever else came is held, and no readiness of the socket announces it.
        world.sleep(0.02)
        assert notes.data == text
        quiet(world.managers[0])
        notes.connection.resume()


def test_t38_more_records_than_events_of_a_turn(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=Limits(events_per_turn=4))
    peer.out += b"".join(peer.seal(b"%04d" % number) for number in range(1000))
    stand.world.run(lambda: len(notes.data) == 4000)
    assert notes.data == b"".join(b"%04d" % number for number in range(1000))


def test_t38_bytes_in_records_of_their_own_reach_the_protocol_together(stand: Stand) -> None:
    """A protocol that looks at what it has would look at all of it once for each."""
    received: list[int] = []

    class Session(ServerSession):
        def receive(self, data: Buffer, now: float) -> int:
            received.append(len(data))
            return super().receive(data, now)

    notes = Notes(Request=lambda session, _: session.respond(200, b"ok"))
    listener = stand.world.manager().listen(
        "tls://127.0.0.1:0",
        notes,
        protocol=lambda _: Session(),
        tls=server_config(),
        engine=stand.engine,
    )
    peer = TlsPeer(stand.world, stand.world.connect(str(listener.url)), foreign_context(False), server=False)
    stand.world.run(lambda: peer.established)
    head = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 3000 + b"\r\n\r\n"
    peer.out += b"".join(peer.seal(head[at : at + 1]) for at in range(len(head)))
    stand.world.run(lambda: bool(notes.of("Request")))
    assert sum(received) == len(head)
    assert len(received) <= 25  # reads of up to 64 KiB and TLS's own caps cut them, too


def test_t39_half_a_record_does_not_spin(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    first, second = peer.seal(b"first"), peer.seal(b"second")
    peer.out += first + second[:9]
    world.run(lambda: notes.data == b"first")
    world.sleep(0.02)
    quiet(world.managers[0])
    peer.out += second[9:]
    world.run(lambda: notes.data == b"firstsecond")


def test_t40_plaintext_of_exactly_16_kib(stand: Stand, role: Role) -> None:
    notes, text = Notes(), os.urandom(1 << 14)
    peer = stand.open(role, notes)
    peer.send(text)
    stand.world.run(lambda: notes.data == text)
    assert len(notes.of("Received")) == 1


@pytest.mark.parametrize(
    ("size", "alert"), [((1 << 14) + 256, "bad record mac"), ((1 << 14) + 257, "record overflow")]
)
def test_t41_ciphertext_at_and_above_the_limit(stand: Stand, role: Role, size: int, alert: str) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    peer.out += b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)
    stand.world.run(lambda: peer.error is not None)
    assert peer.saw_alert(alert) or stand.engine in LAX
    ended(stand.world, notes, CloseKind.TLS_ALERT)


def test_t42_t43_flood_of_empty_records_is_no_end_and_no_message(forging: Forging) -> None:
    world = forging.stand.world
    forge = forging.forge
    forging.send(
        *(forge.record(DATA, b"", padding=number % 3) for number in range(20)), forge.record(DATA, b"real")
    )
    world.run(lambda: forging.notes.data == b"real")
    assert forging.notes.names == ["Opened", "Received"]
    quiet(world.managers[0])


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_t43_a_flood_does_not_starve_others(forging: Forging) -> None:
    world, forge = forging.stand.world, forging.forge
    manager = world.managers[0]
    calm = Notes()
    other = world.connect(str(manager.listen("tcp://127.0.0.1:0", calm).url))
    world.run(lambda: bool(calm.of("Opened")))
    forging.send(b"".join(forge.record(DATA, b"") for _ in range(3000)))
    other.send(b"x")
    for _ in range(3):
        forging.peer.turn()
        manager.poll(0)
    assert calm.data == b"x"
    world.run(lambda: not forging.peer.out and not manager.busy)


def test_t44_inner_plaintext_all_zero(forging: Forging) -> None:
    forging.send(forging.forge.record(0, b"\0" * 5))
    ended(forging.stand.world, forging.notes, CloseKind.TLS_ALERT)
    if forging.stand.engine not in LAX:
        forging.stand.world.run(lambda: forging.peer.saw_alert("unexpected message"))


def test_t45_flipped_bit(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    good, bad, late = peer.seal(b"good"), bytearray(peer.seal(b"bad")), peer.seal(b"late")
    bad[-1] ^= 1
    peer.out += good + bad + late
    stand.world.run(lambda: peer.error is not None)
    assert peer.saw_alert("bad record mac")
    ended(stand.world, notes, CloseKind.TLS_ALERT, sent=b"good")
    assert notes.data == b"good"


@pytest.mark.parametrize("how", ["FIN", "RST", "silence"])
def test_t46_t47_last_byte_of_a_record_missing(stand: Stand, role: Role, how: str) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    whole = peer.seal(b"whole") + peer.seal(b"cut")
    peer.out += whole[:-1]
    peer.turn()
    cut(peer.raw, how)
    if how == "silence":
        stand.world.run(lambda: notes.data == b"whole")
        notes.connection.close(0.1)
        ended(stand.world, notes, CloseKind.TIMED_OUT, sent=b"whole")
        return
    ended(stand.world, notes, CloseKind.TRUNCATED if how == "FIN" else CloseKind.PEER_RESET, sent=b"whole")
    if how == "FIN":
        assert notes.data == b"whole"
        (end,) = notes.of("Ended")
        assert isinstance(end, Ended)
        assert end.how == "truncated"


def test_t48_t49_alert_that_is_cut_or_empty(forging: Forging) -> None:
    forging.send(forging.forge.record(ALERT, b"\x01"), forging.forge.record(ALERT, b"\x00"))
    ended(forging.stand.world, forging.notes, CloseKind.TLS_ALERT)


def test_t50_plaintext_close_notify_when_keys_are_on(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    peer.out += bytes.fromhex("15 03 03 00 02 01 00")
    reason = ended(stand.world, notes, CloseKind.TLS_ALERT)
    assert not reason.clean
    assert not notes.of("Ended")


def test_t51_t71_short_sends_then_close(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.raw.deaf = True
    text = os.urandom(1 << 20) * (LARGE >> 20)
    notes.connection.send(text)
    world.sleep(0.01)
    notes.connection.close()
    world.sleep(0.01)
    assert notes.connection.unsent > 0
    assert not notes.closed
    peer.raw.deaf = False
    world.run(lambda: peer.notified)
    assert peer.data == text
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    assert ended(world, notes, CloseKind.CLEAN).unsent == 0


def test_t52_window_zero_at_close(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.raw.deaf = True
    notes.connection.send(bytes(LARGE))
    world.sleep(0.01)
    began = world.now()
    notes.connection.close(0.2)
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert 0.199 <= world.now() - began < 1.0
    assert reason.unsent > 0
    assert reason.phase == "closing"
    peer.raw.deaf = False
    world.run(lambda: peer.raw.reset)
    assert not peer.notified


def test_t52_window_zero_while_sending(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=Limits(least_rate=1024, rate_window=0.2))
    peer.raw.deaf = True
    notes.connection.send(bytes(LARGE))
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert "least rate" in str(reason.error)
    assert reason.unsent > 0


@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_t54_t55_paused_and_full_of_unread_data_at_close(stand: Stand, role: Role, size: int) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.connection.pause()
    text = bytes(size)
    peer.send(text)
    world.run(lambda: notes.connection.unread + getattr(notes.connection.protocol, "_undelivered", 0) > 0)
    world.sleep(0.02)
    notes.connection.close()
    world.run(lambda: peer.notified)
    world.run(lambda: not peer.out)
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    reason = ended(world, notes, CloseKind.CLEAN)
    # Discarded knowingly: every byte is either delivered or counted.
    assert len(notes.data) + reason.discarded == size


def test_t55_unread_plaintext_at_an_abort_is_counted(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes(Received=lambda connection, _: connection.abort())
    peer = stand.open(role, notes)
    peer.out += b"".join(peer.seal(b"x" * 100) for _ in range(3))
    ended(world, notes, CloseKind.ABORTED, sent=b"x" * 300)
    assert len(notes.data) == 100


def test_t66_data_after_close_notify(forging: Forging) -> None:
    forge = forging.forge
    forging.send(
        forge.record(DATA, b"all"), forge.close_notify(), forge.record(DATA, b"late"), forge.close_notify()
    )
    forging.stand.world.run(lambda: forging.peer.notified)
    forging.peer.raw.end()
    ended(forging.stand.world, forging.notes, CloseKind.CLEAN)
    assert forging.notes.data == b"all"
    assert forging.notes.names == ["Opened", "Received", "Ended", "Closed"]


@pytest.mark.parametrize(
    "alert", [b"\x01\x63", b"\x02\x63", b"\x01\x28"], ids=["unknown", "fatal unknown", "warning"]
)
def test_t75_alerts_that_tls_1_3_does_not_know(forging: Forging, alert: bytes) -> None:
    forging.send(forging.forge.record(ALERT, alert))
    ended(forging.stand.world, forging.notes, CloseKind.TLS_ALERT)
    assert not forging.notes.of("Ended")


KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x01"


def test_t83_key_update_is_asked_for_while_our_write_is_blocked(forging: Forging) -> None:
    world, peer = forging.stand.world, forging.peer
    peer.raw.deaf = True
    text = os.urandom(1 << 20) * (LARGE >> 20)
    forging.notes.connection.send(text)
    world.sleep(0.01)
    forging.send(forging.forge.record(HANDSHAKE, KEY_UPDATE_REQUESTED))
    world.sleep(0.01)
    peer.raw.deaf = False
    world.run(lambda: len(peer.data) == len(text))
    assert peer.data == text
    assert peer.error is None
    forging.notes.connection.send(b"under new keys")
    world.run(lambda: peer.data.endswith(b"under new keys"))


def test_t84_key_update_crosses_close_notify(forging: Forging) -> None:
    world, peer, connection = forging.stand.world, forging.peer, forging.notes.connection
    connection.close()
    world.run(lambda: peer.notified)
    sent = connection.bytes_sent
    forging.send(forging.forge.record(HANDSHAKE, KEY_UPDATE_REQUESTED))
    world.run(lambda: not peer.out)
    peer.raw.end()
    ended(world, forging.notes, CloseKind.CLEAN)
    # No KeyUpdate may follow our own close_notify.
    assert connection.bytes_sent == sent
    assert peer.error is None
