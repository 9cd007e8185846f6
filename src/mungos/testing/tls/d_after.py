"""Section D: what comes after the handshake: key updates, tickets, late requests (T83 to T89)."""

from __future__ import annotations

from mungos import CloseKind
from mungos.testing.tls.c_closing import text
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import DATA, HANDSHAKE, ForgingPeer
from mungos.testing.tls.old_records import OldForge, logged_context
from mungos.testing.tls.oracles import quiet
from mungos.testing.tls.peers import LibraryPeer, records
from mungos.testing.tls.stand import BRIEF, Stand
from mungos.testing.tls.verdicts import expect, require

KEY_UPDATE, KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
TICKET = b"\x00\x00\x1c\x20" + bytes(4) + b"\x01\x00" + b"\x00\x08ticket!!" + b"\x00\x00"
NEW_SESSION_TICKET = b"\x04" + len(TICKET).to_bytes(3, "big") + TICKET
CERTIFICATE_REQUEST = bytes.fromhex("0d00000c 01 78 0008 000d 0004 0002 0403")
MOST_ANSWERS = 4096
"""Bytes that may wait for a peer that does not read, however often it asks for new keys."""


@scene("T83")
def key_update_while_our_write_is_blocked(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.raw.deaf = True
    said = text(400_000)
    notes.send(said)
    stand.world.sleep(0.01)
    peer.update_keys(requested=True)
    peer.out += peer.text(b"under my new key")
    stand.world.sleep(0.01)
    peer.raw.deaf = False
    stand.world.run(lambda: len(peer.data) == len(said) or bool(peer.failure))
    expect(peer.failure, "", "what the peer died of")
    stand.world.run(lambda: notes.data == b"under my new key")
    notes.send(b"and under ours")
    stand.world.run(lambda: peer.data.endswith(b"and under ours"))
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T83")
def answer_before_the_next_data(stand: Stand) -> None:
    """Nothing blocks: the next data after a request are under a new key."""
    notes = stand.notes()
    peer = stand.forge_open(notes)
    old = peer.session._read_secret
    peer.update_keys(requested=True)
    stand.world.run(lambda: not peer.out)
    stand.world.sleep(0.01)
    notes.send(b"next")
    stand.world.run(lambda: peer.data == b"next")
    require(
        peer.session._read_secret != old,
        "KeyUpdate is answered before the next data",
        "data under the old key",
    )
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T84")
def key_update_crosses_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    sent = notes.connection.bytes_sent
    peer.update_keys(requested=True)
    stand.world.run(lambda: not peer.out)
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.connection.bytes_sent - sent, 0, "bytes sent behind our close_notify")
    expect(peer.failure, "", "what the peer died of")


@scene("T84")
def data_under_the_new_key_after_our_end(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    notes.connection.end()
    stand.world.run(lambda: peer.notified)
    peer.update_keys(requested=True)
    peer.out += peer.text(b"still readable")
    stand.world.run(lambda: notes.data == b"still readable")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T85")
def flood_of_requests_to_a_blocked_writer(stand: Stand) -> None:
    """The peer reads nothing and asks again and again: what waits for it stays small."""
    notes = stand.notes()
    stand.world.network.capacity = 1 << 14
    peer = stand.forge_open(notes)
    peer.raw.deaf = True
    notes.send(bytes(100_000))
    stand.world.sleep(0.01)
    before = _queued(stand)
    for _ in range(1000):
        peer.update_keys(requested=True)
    stand.world.run(lambda: not peer.out or notes.closed)
    stand.world.sleep(0.01)
    if not notes.closed:
        grown = _queued(stand) - before
        notes.connection.abort()
        stand.ended(notes, CloseKind.ABORTED, CloseKind.TLS_ALERT)
        wanted = f"less than {MOST_ANSWERS} bytes wait for the peer"
        stand.policy(
            grown < MOST_ANSWERS, wanted, f"queues an answer to each of 1,000 requests: {grown} bytes"
        )
        return
    stand.ended(notes, CloseKind.TLS_ALERT)


def _queued(stand: Stand) -> int:
    """Ciphertext that waits in our engine and its connection."""
    found = 0
    for manager in stand.world.managers:
        for connection in manager.connections.values():
            secure = getattr(connection, "_secure", None)
            if secure is not None:
                found += secure.engine.unsent + getattr(connection, "_out_size", 0)
    return found


@scene("T85")
def flood_that_others_survive(stand: Stand) -> None:
    world, notes, calm = stand.world, stand.notes(), stand.notes()
    peer = stand.forge_open(notes)
    manager = world.managers[0]
    other = world.connect(str(manager.listen("tcp://127.0.0.1:0", calm).url))
    world.run(lambda: bool(calm.of("Opened")))
    for _ in range(1000):
        peer.update_keys()
    other.send(b"x")
    for _ in range(3):
        peer.turn()
        manager.poll(0)
    expect(calm.data, b"x", "what the other connection got meanwhile")
    world.run(lambda: not peer.out or peer.raw.reset or notes.closed)
    world.sleep(0.2)
    if not notes.closed:
        quiet(manager)
        stand.policy(
            False, "a limit ends it", "takes 1,000 key updates without data between them, without harm"
        )


@scene("T86")
def record_under_the_old_key(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    old = peer.key
    peer.update_keys()
    peer.out += peer.text(b"new")
    stand.world.run(lambda: notes.data == b"new")
    peer.out += peer.record(DATA, b"old", key=old)
    stand.told(peer, "bad_record_mac")
    stand.ended(notes, CloseKind.TLS_ALERT)
    expect(notes.data, b"new", "what is delivered")


@scene("T87", server="tickets go to clients only: for a server it is a message that may not come")
def ticket_behind_our_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    notes.connection.end()
    stand.world.run(lambda: peer.notified)
    peer.out += peer.record(HANDSHAKE, NEW_SESSION_TICKET) + peer.text(b"data")
    stand.world.run(lambda: notes.data == b"data")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.names, ["Opened", "Received", "Ended", "Closed"], "the events")


@scene("T87", server="tickets go to clients only: for a server it is a message that may not come")
def tickets_of_a_library_during_the_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.meet(notes, context=stand.context(True, tickets=2))
    stand.world.run(lambda: len(peer.out) > 0 or peer.sent > 0)
    stand.world.run(lambda: not peer.out)
    peer.budget = 0
    stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
    require(len(peer.out) > 100, "two tickets are on their way", len(peer.out))
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    peer.close_notify()
    peer.budget = None
    stand.world.run(lambda: not peer.out)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)
    expect(notes.names, ["Opened", "Closed"], "the events")


def _late_request(stand: Stand, peer: ForgingPeer) -> None:
    peer.out += peer.record(HANDSHAKE, CERTIFICATE_REQUEST)
    stand.world.run(lambda: not peer.out)
    stand.world.sleep(0.01)


@scene("T88", server="a client's certificate is asked for by servers only")
def certificate_request_during_our_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    sent = notes.connection.bytes_sent
    _late_request(stand, peer)
    peer.leave()
    reason = stand.ended(notes, CloseKind.CLEAN, CloseKind.TLS_ALERT)
    expect(notes.connection.bytes_sent - sent, 0, "bytes sent behind our close_notify")
    require(not notes.data, "nothing is delivered", reason)


@scene("T88", server="a client's certificate is asked for by servers only")
def certificate_request_behind_the_peers_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    peer.close_notify()
    _late_request(stand, peer)
    peer.raw.end()
    stand.ended(notes, CloseKind.CLEAN)


@scene("T88", server="a client's certificate is asked for by servers only")
def certificate_request_that_was_not_offered(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge_open(notes)
    _late_request(stand, peer)
    stand.told(peer, "unexpected_message")
    stand.ended(notes, CloseKind.TLS_ALERT)


@scene("T89")
def renegotiation_during_our_close(stand: Stand) -> None:
    """Under TLS 1.2 the peer asks for a handshake behind our close_notify: HelloRequest, or a ClientHello."""
    stand.needs("TLSv1.2", "the engine speaks TLS 1.3 only")
    notes = stand.notes()
    with logged_context(server=stand.role == "client") as (context, log):
        peer = stand.meet(notes, context=context, limits=BRIEF, budget=0)
        stand.world.run(lambda: len(peer.out) > 0)
        spoken = bytes(peer.out)
        peer.budget = None
        stand.world.run(lambda: peer.established and bool(notes.of("Opened")))
        heard = bytes(peer.raw.received)
        hellos = (heard, spoken) if stand.role == "client" else (spoken, heard)
        forge = OldForge(log, *hellos, by_client=stand.role == "server")
        notes.connection.close()
        stand.world.run(lambda: peer.notified)
        sent = notes.connection.bytes_sent
        hello = b"\0\0\0\0" if stand.role == "client" else records(spoken)[0][5:]
        peer.out += forge.record(HANDSHAKE, hello)
        stand.world.run(lambda: not peer.out)
        stand.world.sleep(0.01)
        peer.raw.end()
        reason = stand.ended(notes, CloseKind.CLEAN, CloseKind.TLS_ALERT)
        more = notes.connection.bytes_sent - sent
        require(
            more < 100,
            "no handshake begins: no_renegotiation, or nothing",
            f"{more} bytes are sent; {reason}",
        )
        if isinstance(peer, LibraryPeer):
            peer.drop()
