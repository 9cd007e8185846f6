"""Section A: handshakes that break a rule, or find nothing in common (T07 to T09, T12, T21 to T30)."""

from __future__ import annotations

from collections.abc import Callable

from mungos import CloseKind
from mungos.testing.tls.a_handshake_cuts import HELLO_RETRY, without_share
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ALERT, DATA, HANDSHAKE, ForgingPeer, HandshakeType, plain_record
from mungos.testing.tls.papers import credential, roots
from mungos.testing.tls.peers import CLOSE_NOTIFY, records
from mungos.testing.tls.stand import BRIEF, PATIENCE, Stand
from mungos.testing.tls.verdicts import expect, require
from mungos.testing.tls.world import Notes, RawPeer
from mungos.tls.alerts import AlertDescription

USER_CANCELED = bytes.fromhex("15 03 03 00 02 01 5a")
CHANGE_CIPHER_SPEC = bytes.fromhex("14 03 03 00 01 01")


def _begin(stand: Stand, notes: Notes) -> RawPeer:
    """A bare peer; a client of ours has sent its hello."""
    raw = stand.raw(notes, limits=BRIEF, handshake_timeout=PATIENCE)
    stand.world.run(lambda: stand.role == "server" or len(raw.received) > 0)
    return raw


def _never_open(stand: Stand, notes: Notes, *kinds: CloseKind) -> None:
    reason = stand.ended(notes, *(kinds or (CloseKind.TLS_ALERT,)))
    expect(notes.names, ["Closed"], "what the application is told")
    require(reason.phase == "securing", "it ended while securing", reason.phase)


@scene("T07")
def zero_length_handshake_record(stand: Stand) -> None:
    notes = stand.notes()
    raw = _begin(stand, notes)
    raw.send(plain_record(HANDSHAKE, b""))
    began = stand.world.now()
    # RFC 8446 section 5.1: they MUST NOT be sent.
    _never_open(stand, notes, CloseKind.TLS_ALERT, CloseKind.TIMED_OUT)
    waited = notes.connection.reason is not None and notes.connection.reason.kind is CloseKind.TIMED_OUT
    took = stand.world.now() - began
    stand.policy(
        not waited,
        "a fatal alert at once",
        f"drops the record and waits for more: {took:g} s until the deadline",
    )


@scene("T08")
def plain_text_at_the_tls_port(stand: Stand) -> None:
    for said in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-x\r\n", bytes(64)):
        notes = stand.notes()
        raw = _begin(stand, notes)
        before = len(raw.received)
        raw.send(said)
        _never_open(stand, notes)
        stand.world.run(lambda raw=raw: raw.ended or raw.reset)  # type: ignore[misc]
        alerted = bytes(raw.received[before:][:1]) == b"\x15"
        stand.policy(alerted, "an alert tells the peer", f"closes without an alert after {said[:4]!r}")


@scene("T09", server="the row is about what a client meets; a client that reads and closes is T02")
def server_that_reads_four_bytes_and_closes(stand: Stand) -> None:
    notes = stand.notes()
    raw = stand.raw(notes)
    raw.deaf = True
    manager = stand.world.managers[0]
    stand.world.run(lambda: any(each.bytes_sent > 0 for each in manager.connections.values()))
    began = stand.world.now()
    expect(raw.stream.recv_into(bytearray(4)), 4, "bytes that the server reads")
    raw.close()
    stand.ended(notes, CloseKind.PEER_RESET)
    require(stand.world.now() - began < 1.0, "it ends at once")


@scene("T12")
def a_second_hello_retry_request(stand: Stand) -> None:
    """As a client: the server asks again. As a server: the client has no share the second time either."""
    notes = stand.notes()
    if stand.role == "server":
        peer = stand.forge(notes, {HandshakeType.client_hello: without_share}, budget=0)
        hello = bytes(peer.out)
        peer.held, peer.budget = True, None
        stand.world.run(lambda: HELLO_RETRY in peer.raw.received)
        peer.out += hello
        _alerted(stand, notes, peer, AlertDescription.illegal_parameter)
        return
    peer = stand.forge(notes, budget=0, theirs={"groups": ("secp384r1",)})
    stand.world.run(lambda: len(peer.out) > 0)
    request = records(peer.out)[0]
    require(HELLO_RETRY in request, "the client offers no share for secp384r1", "no HelloRetryRequest")
    asked = len(peer.raw.received)
    peer.held, peer.budget = True, None
    stand.world.run(lambda: len(peer.raw.received) > asked)
    peer.out += request
    _alerted(stand, notes, peer, AlertDescription.unexpected_message)


def _alerted(stand: Stand, notes: Notes, peer: ForgingPeer, wanted: AlertDescription) -> None:
    """The last record that the peer got is this alert, in the clear."""
    stand.world.run(lambda: notes.closed)
    last = records(peer.raw.received)[-1]
    if last[0] == ALERT and len(last) == 7:
        sent = AlertDescription(last[6]).name
        stand.policy(sent == wanted.name, wanted.name, f"fatal, but not {wanted.name}: the peer saw {sent}")
    else:
        stand.policy(False, wanted.name, "ends it without an alert")
    _never_open(stand, notes)


def _flip(_: ForgingPeer, message: bytes) -> bytes:
    return message[:-1] + bytes((message[-1] ^ 1,))


@scene("T21")
def bad_finished(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge(notes, {HandshakeType.finished: _flip})
    stand.told(peer, "decrypt_error")
    _never_open(stand, notes)


@scene("T22")
def certificate_that_is_rejected(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "client":
        context = stand.context(True, shown=credential(False))
        peer = stand.meet(notes, context=context, limits=BRIEF)
        stand.told(peer, "unknown_ca")
        _never_open(stand, notes)
        return
    peer = stand.meet(notes, limits=BRIEF, credentials=(credential(False),))
    stand.world.run(lambda: bool(peer.failure))
    peer.raw.close()
    reason = stand.ended(notes, CloseKind.TLS_ALERT)
    words = str(reason.error).lower().replace("_", " ")
    require("unknown ca" in words, "the alert is reported, not an end of stream", reason.error)
    require(not notes.of("Received"), "nothing is delivered", notes.names)


@scene("T23")
def client_certificate_that_is_missing(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "client":
        stand.meet(notes, context=stand.context(True, wants_certificate=True), limits=BRIEF)
        # Our handshake is complete when the server finds fault with it: the first read tells.
        reason = stand.ended(notes, CloseKind.TLS_ALERT)
        words = str(reason.error).lower().replace("_", " ")
        require("certificate required" in words, "the alert is reported", reason.error)
        expect(notes.names, ["Opened", "Closed"], "the events")
        return
    for shown, alert in ((None, "certificate_required"), (credential(False), "unknown_ca")):
        notes = stand.notes()
        peer = stand.meet(
            notes,
            context=stand.context(False, shown=shown),
            limits=BRIEF,
            client_auth="required",
            client_roots=roots(),
        )
        stand.told(peer, alert)
        _never_open(stand, notes)


@scene("T24")
def no_application_protocol_in_common(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "server":
        peer = stand.meet(notes, context=stand.context(False, alpn=("h2",)), limits=BRIEF, alpn=("x",))
        stand.told(peer, "no_application_protocol")
        _never_open(stand, notes)
        return
    raw = stand.raw(notes, limits=BRIEF, alpn=("x",))
    stand.world.run(lambda: len(raw.received) > 0)
    raw.send(plain_record(ALERT, bytes((2, AlertDescription.no_application_protocol))))
    reason = stand.ended(notes, CloseKind.TLS_ALERT)
    words = str(reason.error).lower().replace("_", " ")
    require("no application protocol" in words, "the server's alert is reported", reason.error)
    expect(notes.names, ["Closed"], "what the application is told")


@scene("T25")
def no_version_in_common(stand: Stand) -> None:
    notes = stand.notes()
    if stand.version == "TLSv1.3":
        peer = stand.meet(notes, version="TLSv1.2", limits=BRIEF, minimum_version="TLSv1.3")
    else:
        peer = stand.meet(notes, version="TLSv1.3", limits=BRIEF)
    _never_open(stand, notes)
    stand.world.run(lambda: bool(peer.failure))
    if stand.role == "server":
        stand.told(peer, "protocol_version")


def _cut_message(
    kind: int, following: int, rest: bytes = b""
) -> dict[int, Callable[[ForgingPeer, bytes], bytes]]:
    """The first bytes of a message go out with the one before it, under the old key."""
    hooks = {
        kind: lambda _, message: message + bytes((following, 0)),
        following: lambda _, message: message[2:] + rest,
    }
    return hooks


@scene("T26")
def message_that_spans_a_key_change(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "client":
        hooks = _cut_message(HandshakeType.server_hello, HandshakeType.encrypted_extensions)
    else:
        # Behind Finished the client's key changes: the beginning of a KeyUpdate is under the old one.
        hooks = {HandshakeType.finished: lambda _, message: message + bytes((24, 0, 0))}
    peer = stand.forge(notes, hooks)
    stand.world.run(lambda: bool(peer.failure) or notes.closed)
    _never_open(stand, notes)
    stand.told(peer, "unexpected_message")


def _data_first(peer: ForgingPeer, message: bytes) -> bytes:
    peer.inject(DATA, b"too early")
    return message


@scene("T27")
def application_data_before_finished(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.forge(notes, {HandshakeType.finished: _data_first})
    stand.told(peer, "unexpected_message")
    _never_open(stand, notes)
    require(not notes.data, "nothing is delivered", notes.data)


@scene("T27")
def application_data_in_the_clear(stand: Stand) -> None:
    notes = stand.notes()
    raw = _begin(stand, notes)
    raw.send(plain_record(DATA, b"in the clear"))
    _never_open(stand, notes)
    require(not notes.data, "nothing is delivered", notes.data)


def _change_first(peer: ForgingPeer, message: bytes) -> bytes:
    peer.inject_plain(20, b"\x01")
    return message


@scene("T28")
def change_cipher_spec_where_it_may_be(stand: Stand) -> None:
    """Before each message of the peer's flight, from the first hello to its Finished (appendix D.4)."""
    kinds = (
        (HandshakeType.encrypted_extensions, HandshakeType.certificate, HandshakeType.finished)
        if stand.role == "client"
        else (HandshakeType.finished,)
    )
    for kind in kinds:
        notes = stand.notes()
        peer = stand.forge_open(notes, hooks={kind: _change_first})
        peer.out += peer.text(b"all is well")
        stand.world.run(lambda notes=notes: notes.data == b"all is well")  # type: ignore[misc]
        peer.leave()
        stand.ended(notes, CloseKind.CLEAN)


@scene("T28")
def change_cipher_spec_after_finished(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=BRIEF)
    peer.out += CHANGE_CIPHER_SPEC
    stand.world.sleep(0.5)
    stand.policy(notes.closed, "unexpected_message", "drops the record at any time")
    stand.ended(notes, CloseKind.TLS_ALERT)
    stand.told(peer, "unexpected_message")


@scene("T29")
def close_notify_first(stand: Stand) -> None:
    notes = stand.notes()
    raw = _begin(stand, notes)
    raw.send(CLOSE_NOTIFY)
    raw.end()
    _never_open(stand, notes, CloseKind.TLS_ALERT, CloseKind.BROKEN)


@scene("T29")
def close_notify_after_the_first_message(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.library(_begin(stand, notes), budget=0)
    stand.world.run(lambda: len(peer.out) > 0)
    peer.raw.send(records(peer.out)[0])
    stand.world.sleep(0.01)
    peer.raw.send(CLOSE_NOTIFY)
    peer.raw.end()
    _never_open(stand, notes, CloseKind.TLS_ALERT, CloseKind.BROKEN)


def _leave_first(peer: ForgingPeer, message: bytes) -> bytes:
    peer.inject(ALERT, b"\x01\x00")
    return message


@scene("T29")
def close_notify_under_the_keys_of_the_handshake(stand: Stand) -> None:
    notes = stand.notes()
    stand.forge(notes, {HandshakeType.finished: _leave_first})
    _never_open(stand, notes, CloseKind.TLS_ALERT, CloseKind.BROKEN)


@scene("T30")
def user_canceled_then_close_notify(stand: Stand) -> None:
    notes = stand.notes()
    raw = _begin(stand, notes)
    raw.send(USER_CANCELED + CLOSE_NOTIFY)
    raw.end()
    _never_open(stand, notes, CloseKind.TLS_ALERT, CloseKind.BROKEN)


@scene("T30")
def cancelled_by_us(stand: Stand) -> None:
    """The other half: who closes in the handshake says so, and the peer does not take it for a success."""
    notes = stand.notes()
    raw = _begin(stand, notes)
    stand.world.run(lambda: bool(stand.world.managers[0].connections))
    before = len(raw.received)
    (connection,) = stand.world.managers[0].connections.values()
    connection.close()
    stand.ended(notes, CloseKind.ABORTED)
    stand.world.run(lambda: raw.ended or raw.reset)
    said = [bytes(each[5:7]) for each in records(raw.received[before:]) if each[0] == ALERT]
    if not said:
        stand.policy(False, "close_notify tells the peer", "cancels without an alert")
    require(said[-1][1] in (0, 90), "close_notify or user_canceled", said[-1].hex())
