"""Handshakes to their end: fragmented, refused, cancelled, late (T05 to T09, T20 to T32, T35)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos import CloseKind, Limits
from mungos.core import Phase
from mungos.tls import Credential
from tests.cases.oracles import Crowd, ended, no_residue, one_verdict
from tests.cases.test_cases_tls_cuts import client_hello, records
from tests.cases.tls_peer import TlsPeer
from tests.cases.tls_stand import Role, Stand, authority, credential, foreign_context
from tests.cases.world import Notes

LIMITS = Limits(linger=0.1)
CLOSE_NOTIFY = bytes.fromhex("15 03 03 00 02 01 00")
USER_CANCELED = bytes.fromhex("15 03 03 00 02 01 5a")
CHANGE_CIPHER_SPEC = bytes.fromhex("14 03 03 00 01 01")


def say_farewell(stand: Stand, peer: TlsPeer, notes: Notes, data: bytes) -> None:
    """Data both ways, then a clean end: what a completed handshake is good for."""
    peer.send(data)
    stand.world.run(lambda: notes.data == data)
    notes.connection.send(data)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    assert bytes(peer.data) == data
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(stand.world, notes, CloseKind.CLEAN, sent=data)


def test_t05_handshake_in_segments_of_one_byte(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.meet(role, notes, chunk=1)
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    say_farewell(stand, peer, notes, b"slowly")


def test_t06_first_message_in_records_of_one_byte(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.meet(role, notes, budget=0, limits=LIMITS)
    stand.world.run(lambda: len(peer.out) > 0)
    first, *rest = records(peer.out)
    header = first[:3] + b"\x00\x01"
    peer.out[:] = b"".join(header + first[at : at + 1] for at in range(5, len(first))) + b"".join(rest)
    peer.budget = None
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    peer.close_notify()
    ended(stand.world, notes, CloseKind.CLEAN)


def test_t07_zero_length_handshake_record(stand: Stand, role: Role) -> None:
    notes = Notes()
    raw = stand.raw(role, notes, limits=LIMITS, handshake_timeout=0.5)
    stand.world.run(lambda: role == "server" or len(raw.received) > 0)
    raw.send(b"\x16\x03\x03\x00\x00")
    # RFC 8446 section 5.1: they MUST NOT be sent; to wait for the rest until the deadline is no harm.
    ended(stand.world, notes, {CloseKind.TLS_ALERT, CloseKind.TIMED_OUT})
    assert notes.names == ["Closed"]


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-x\r\n", bytes(64)])
def test_t08_plain_text_at_the_tls_port(stand: Stand, role: Role, text: bytes) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw(role, notes, limits=LIMITS)
    world.run(lambda: role == "server" or len(raw.received) > 0)
    sent_before = len(raw.received)
    raw.send(text)
    ended(world, notes, CloseKind.TLS_ALERT)
    world.run(lambda: raw.ended or raw.reset)
    assert raw.received[sent_before:][:1] == b"\x15"
    assert notes.names == ["Closed"]


def test_t09_server_that_reads_four_bytes_and_closes(stand: Stand) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw("client", notes)
    raw.deaf = True
    world.run(lambda: notes.faces != [] or next(iter(world.managers[0].connections.values())).bytes_sent > 0)
    began = world.now()
    assert raw.stream.recv_into(bytearray(4)) == 4
    raw.close()
    ended(world, notes, CloseKind.PEER_RESET)
    assert world.now() - began < 1.0


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_t20_tickets_and_the_first_write_over_an_unbuffered_transport(stand: Stand) -> None:
    world, notes = stand.world, Notes(Opened=lambda c, _: c.send(bytes(5000)))
    world.network.capacity = 1
    peer = stand.meet("client", notes, context=foreign_context(True, tickets=4))
    world.run(lambda: len(peer.data) == 5000)
    peer.send(b"after the tickets")
    world.run(lambda: notes.data == b"after the tickets")


def test_t22_certificate_that_the_client_rejects(stand: Stand) -> None:
    notes = Notes()
    peer = stand.meet("client", notes, context=foreign_context(True, trusted=False), limits=LIMITS)
    reason = ended(stand.world, notes, CloseKind.TLS_ALERT)
    stand.world.run(lambda: peer.error is not None)
    assert peer.saw_alert("unknown ca")
    assert "certificate is refused" in str(reason.error)
    assert notes.names == ["Closed"]


def test_t22_certificate_that_the_peer_rejects(stand: Stand) -> None:
    notes = Notes()
    peer = stand.meet("server", notes, limits=LIMITS, credentials=(credential(False),))
    stand.world.run(lambda: peer.error is not None)
    peer.raw.close()
    reason = ended(stand.world, notes, CloseKind.TLS_ALERT)
    assert "unknown_ca" in str(reason.error)
    assert not notes.of("Received")


def test_t23_no_client_certificate_where_one_is_required_of_us(stand: Stand) -> None:
    notes = Notes()
    stand.meet("client", notes, context=foreign_context(True, wants_certificate=True), limits=LIMITS)
    # Our handshake is complete when the server finds fault with it: the first read tells.
    reason = ended(stand.world, notes, CloseKind.TLS_ALERT)
    assert "certificate_required" in str(reason.error)
    assert notes.names == ["Opened", "Closed"]


@pytest.mark.parametrize("shown", [None, False])
def test_t23_client_certificate_missing_or_of_a_stranger(
    stand: Stand, shown: bool | None, tmp_path: Path
) -> None:
    notes, roots = Notes(), authority().cert_pem.bytes()
    context = foreign_context(False) if shown is None else _showing(credential(shown), tmp_path)
    peer = stand.meet(
        "server", notes, context=context, limits=LIMITS, client_auth="required", client_roots=roots
    )
    stand.world.run(lambda: peer.error is not None)
    assert peer.saw_alert("certificate required" if shown is None else "unknown ca")
    ended(stand.world, notes, CloseKind.TLS_ALERT)
    assert notes.names == ["Closed"]


def _showing(shown: Credential, folder: Path) -> ssl.SSLContext:
    (folder / "chain").write_bytes(shown.chain)
    (folder / "key").write_bytes(shown.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    authority().configure_trust(context)
    context.load_cert_chain(folder / "chain", folder / "key")
    return context


def test_t24_no_application_protocol_in_common(stand: Stand) -> None:
    notes = Notes()
    peer = stand.meet(
        "server", notes, context=foreign_context(False, alpn=("h2",)), limits=LIMITS, alpn=("x",)
    )
    stand.world.run(lambda: peer.error is not None)
    assert "NO_APPLICATION_PROTOCOL" in str(peer.error).upper().replace(" ", "_")
    ended(stand.world, notes, CloseKind.TLS_ALERT)
    assert notes.names == ["Closed"]


def test_t25_no_version_in_common(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.meet(role, notes, version="TLSv1.2", limits=LIMITS, minimum_version="TLSv1.3")
    ended(stand.world, notes, CloseKind.TLS_ALERT)
    stand.world.run(lambda: peer.error is not None)
    assert role == "client" or peer.saw_alert("protocol version")
    assert notes.names == ["Closed"]


def test_t28_change_cipher_spec_after_finished(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    peer.out += CHANGE_CIPHER_SPEC
    if stand.engine == "openssl" and role == "client" and ssl.OPENSSL_VERSION_INFO >= (3, 5):
        # Behaviour of the library: from 3.5 on its client drops the record at any time.
        stand.world.sleep(0.1)
        assert not notes.closed
        return
    ended(stand.world, notes, CloseKind.TLS_ALERT)
    stand.world.run(lambda: peer.saw_alert("unexpected message"))


@pytest.mark.parametrize("place", ["first", "after the first message"])
def test_t29_close_notify_before_finished(stand: Stand, role: Role, place: str) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw(role, notes, limits=LIMITS)
    world.run(lambda: role == "server" or len(raw.received) > 0)
    if place != "first":
        peer = TlsPeer(world, raw, foreign_context(role == "client"), server=role == "client", budget=0)
        world.run(lambda: len(peer.out) > 0)
        raw.send(records(peer.out)[0])
        world.sleep(0.01)
    raw.send(CLOSE_NOTIFY)
    raw.end()
    reason = ended(world, notes, {CloseKind.TLS_ALERT, CloseKind.BROKEN})
    assert reason.phase == "securing"
    assert notes.names == ["Closed"]


def test_t30_user_canceled_then_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw(role, notes, limits=LIMITS)
    world.run(lambda: role == "server" or len(raw.received) > 0)
    raw.send(USER_CANCELED + CLOSE_NOTIFY)
    raw.end()
    ended(world, notes, CloseKind.TLS_ALERT)
    assert notes.names == ["Closed"]


VERBS: dict[str, Callable[[object], None]] = {
    "abort": lambda connection: connection.abort(),  # type: ignore[attr-defined]
    "close": lambda connection: connection.close(0.2),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("who", ["client", "server"])
def test_t31_cancelled_at_every_step(stand: Stand, verb: str, who: str) -> None:
    world = stand.world
    seen = set()
    for turns in range(9):
        client, server = Crowd(), Crowd()
        ours, theirs = world.manager(LIMITS), world.manager(LIMITS)
        listener = stand.serve(server, manager=theirs)
        stand.dial(listener.address.port, client, manager=ours)
        for _ in range(turns):
            ours.poll(0)
            theirs.poll(0)
        for connection in list((ours if who == "client" else theirs).connections.values()):
            seen.add(connection.phase)
            VERBS[verb](connection)
        listener.close()
        # Whoever was in the backlog is reset; whoever was not told of yet may still open and be closed.
        for connection in list(ours.connections.values()):
            connection.close(0.2)
        world.run(lambda: all(not each.connections and not each.busy for each in world.managers))
        for events in [*client.told.values(), *server.told.values()]:
            one_verdict(events, list(CloseKind))
        assert len(client.told) == 1
        no_residue(ours)
        no_residue(theirs)
        assert ours.close(1.0).ok
        assert theirs.close(1.0).ok
        world.managers.clear()
    assert Phase.SECURING in seen
    assert Phase.OPEN in seen


def test_t31_close_while_securing_sends_no_application_data(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw(role, notes, limits=LIMITS)
    world.run(lambda: bool(world.managers[0].connections) and (role == "server" or len(raw.received) > 0))
    (connection,) = world.managers[0].connections.values()
    connection.send(b"never")
    connection.close()
    reason = ended(world, notes, CloseKind.ABORTED)
    assert reason.phase == "securing"
    world.run(lambda: raw.ended or raw.reset)
    assert b"never" not in raw.received


def test_t32_listener_closes_with_handshakes_in_flight(stand: Stand) -> None:
    world, crowd = stand.world, Crowd()
    manager = world.manager(LIMITS)
    listener = stand.serve(crowd, manager=manager)
    peers = [
        TlsPeer(world, world.connect(str(listener.url)), foreign_context(False), server=False, budget=300)
        for _ in range(5)
    ]
    world.run(lambda: len(manager.connections) == 5)
    listener.close()
    for peer in peers:
        peer.budget = None
    world.run(lambda: all(peer.established for peer in peers))
    # A peer may be through before we are.
    world.run(lambda: len(crowd.told) == len(peers) and crowd.names() == {"Opened"})
    report = manager.close(0.3)
    assert report.ok
    crowd.all_ended(5, {CloseKind.TIMED_OUT, CloseKind.CLEAN})


def test_t32_manager_closes_with_handshakes_in_flight(stand: Stand) -> None:
    world, crowd = stand.world, Crowd()
    manager = world.manager(LIMITS)
    listener = stand.serve(crowd, manager=manager)
    for _ in range(5):
        world.connect(str(listener.url)).send(client_hello())
    world.run(lambda: len(manager.connections) == 5)
    began = world.now()
    assert manager.close(0.3).ok
    assert world.now() - began < 1.0
    for reason in crowd.all_ended(5, {CloseKind.ABORTED}):
        assert reason.phase == "securing"


@pytest.mark.parametrize("world", ["memory"], indirect=True)
@pytest.mark.parametrize("early", [-0.001, 0.0, 0.001])
def test_t35_handshake_ends_at_the_deadlines_tick(stand: Stand, early: float) -> None:
    world, notes = stand.world, Notes()
    began = world.now()
    peer = stand.meet("server", notes, limits=LIMITS, handshake_timeout=1.0, budget=0)
    peer.budget = len(peer.out)
    world.run(lambda: peer.established)
    manager = world.managers[0]
    world.network.clock.advance(began + 1.0 + early - world.now())
    peer.budget = None
    peer.turn()
    manager.poll(0)
    world.run(lambda: notes.closed or bool(notes.of("Opened")))
    if notes.of("Opened"):
        peer.close_notify()
        ended(world, notes, CloseKind.CLEAN)
    else:
        ended(world, notes, CloseKind.TIMED_OUT)
        assert notes.names == ["Closed"]
