"""Section A: handshakes that are cut, by FIN, by RST, by silence (T01 to T04, T10, T11, T13 to T19)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable

from mungos import CloseKind
from mungos.testing.tls.case import scene
from mungos.testing.tls.forging import ForgingPeer, HandshakeType
from mungos.testing.tls.oracles import Crowd, no_residue
from mungos.testing.tls.papers import credential, roots, wide_credential
from mungos.testing.tls.peers import Peer, cut, records
from mungos.testing.tls.stand import BRIEF, PATIENCE, Stand
from mungos.testing.tls.verdicts import expect, require
from mungos.testing.tls.world import RawPeer
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType

# The verdict while securing. Our answer to a cut can meet a reset on its way.
VERDICTS = {
    "FIN": {CloseKind.BROKEN, CloseKind.PEER_RESET},
    "RST": {CloseKind.PEER_RESET},
    "silence": {CloseKind.TIMED_OUT},
}

HELLO_RETRY = bytes.fromhex("CF21AD74E59A6111")
"""How the random value of a HelloRetryRequest begins (RFC 8446 section 4.1.3)."""


def client_hello(stand: Stand) -> bytes:
    """A fresh one, from the standard library."""
    outgoing = ssl.MemoryBIO()
    session = stand.context(False).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a client's handshake waits for a server")


def first_flight(stand: Stand) -> list[bytes]:
    """The records of the engine's own first flight; a server's answers the standard library's client."""
    if stand.role == "server":
        engine = stand.factory.server(stand.server_config())
    else:
        engine = stand.factory.client(stand.client_config(), "localhost")
    try:
        engine.start(0.0)
        if stand.role == "server":
            engine.receive(client_hello(stand), 0.0)
            engine.next_event()
        return records(b"".join(bytes(part) for part in engine.take(1 << 20)))
    finally:
        engine.release()


def flight(stand: Stand, context: ssl.SSLContext) -> list[bytes]:
    """The records of a server's first flight, as the engine under test sees it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(b"".join(first_flight(stand)))
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return records(outgoing.read())
    raise AssertionError("a server's handshake waits for a client")


def without_share(_: ForgingPeer, message: bytes) -> bytes:
    """A ClientHello that leaves the choice of a group to the server (RFC 8446 section 4.2.8)."""
    hello = ClientHello.parse(message[4:])
    hello.extensions[ExtensionType.key_share] = b"\0\0"
    return hello.pack()


@scene("T01")
def nobody_speaks(stand: Stand) -> None:
    _unspoken(stand, "silence")


@scene("T02")
def nobody_speaks_and_fin_comes(stand: Stand) -> None:
    _unspoken(stand, "FIN")


@scene("T02")
def nobody_speaks_and_a_reset_comes(stand: Stand) -> None:
    _unspoken(stand, "RST")


def _unspoken(stand: Stand, how: str) -> None:
    notes = stand.notes()
    cut(stand.raw(notes, limits=BRIEF, handshake_timeout=PATIENCE), how)
    began = stand.world.now()
    reason = stand.ended(notes, *VERDICTS[how])
    expect(notes.names, ["Closed"], "what the application is told")
    expect(stand.log, [], "warnings and errors logged")
    require(reason.phase in {"securing", "connecting"}, "it ended while securing", reason.phase)
    if how == "silence":
        took = stand.world.now() - began
        least, most = PATIENCE - 0.001, PATIENCE + BRIEF.linger + 0.01
        require(least < took < most, f"{PATIENCE} s, and the time to linger, end it", f"{took:g} s")


@scene("T01")
def traffic_does_not_extend_the_deadline(stand: Stand) -> None:
    notes = stand.notes()
    raw = stand.raw(notes, limits=BRIEF, handshake_timeout=PATIENCE)
    began = stand.world.now()
    said = client_hello(stand) if stand.role == "server" else b"".join(flight(stand, stand.context(True)))
    while not notes.closed and stand.world.now() - began < 10 * PATIENCE:
        raw.send(said[:1])
        said = said[1:]
        stand.world.sleep(PATIENCE / 10)
    stand.ended(notes, CloseKind.TIMED_OUT)
    require(
        stand.world.now() - began < 2 * PATIENCE, "the deadline is total", f"{stand.world.now() - began:g} s"
    )


def _all_ended(stand: Stand, crowd: Crowd, count: int, refuses: str = "") -> None:
    """So many connections, none of them ever opened.

    Args:
        refuses: what a foreign library does that ends some of them before they are cut.
    """
    stand.world.run(lambda: crowd.closed == count)
    expect(crowd.names(), {"Closed"}, "what the application is told")
    early = {CloseKind.TLS_ALERT} if refuses else set()
    reasons = crowd.all_ended(count, VERDICTS[stand.how] | early)
    stand.policy(all(reason.kind not in early for reason in reasons), "the cut ends it", refuses)
    for manager in stand.world.managers:
        no_residue(manager)


def _meet_many(stand: Stand, count: int, meet: Callable[[RawPeer, int], object]) -> Crowd:
    """Connections of ours in one manager, a bare peer each, handed to `meet` with a number."""
    world, crowd = stand.world, stand.crowd()
    manager = world.manager()
    if stand.role == "server":
        listener = stand.serve(crowd, manager=manager, limits=BRIEF, handshake_timeout=PATIENCE)
        for number in range(count):
            meet(world.connect(str(listener.url)), number)
            manager.poll(0)
    else:
        bare = world.listener()
        for number in range(count):
            stand.dial(bare.port, crowd, manager=manager, limits=BRIEF, handshake_timeout=PATIENCE)
            meet(world.accept(bare), number)
    return crowd


@scene("T03")
def cut_in_the_first_header(stand: Stand) -> None:
    """What the peer sends first is cut inside the header of its first record."""
    if stand.role == "server":
        said = client_hello(stand)
        crowd = _meet_many(stand, 4, lambda raw, number: _say_and_cut(stand, raw, said[: number + 1]))
    else:
        crowd = _meet_many(stand, 4, lambda raw, number: _speak_and_cut(stand, raw, number + 1))
    _all_ended(stand, crowd, 4)


def _say_and_cut(stand: Stand, raw: RawPeer, said: bytes) -> None:
    raw.send(said)
    stand.cut(raw)


def _speak_and_cut(stand: Stand, raw: RawPeer, budget: int, context: ssl.SSLContext | None = None) -> Peer:
    """A session of the standard library that is cut after so many bytes."""
    peer = stand.library(raw, context or "")
    peer.spend(budget, stand.how)
    return peer


@scene("T04")
def client_hello_cut_at_every_byte(stand: Stand) -> None:
    if stand.role == "server":
        said = client_hello(stand)
        crowd = _meet_many(stand, len(said), lambda raw, number: _say_and_cut(stand, raw, said[:number]))
        _all_ended(stand, crowd, len(said))
        return
    # Ours gets stuck at every byte of its own hello, and the stream is cut there.
    _stuck(stand, range(1, len(first_flight(stand)[0])))


def _stuck(stand: Stand, sizes: Iterable[int]) -> None:
    """Our end can send so many bytes and no more, each in a world of its own capacity."""
    world, crowd = stand.world, stand.crowd()
    manager = world.manager()
    bare = world.listener()
    ours = stand.serve(crowd, manager=manager, limits=BRIEF, handshake_timeout=PATIENCE)
    count = 0
    for size in sizes:
        if stand.role == "client":
            world.network.capacity = size
            stand.dial(bare.port, crowd, manager=manager, limits=BRIEF, handshake_timeout=PATIENCE)
            raw = world.accept(bare)
            raw.deaf = True
        else:
            world.network.capacity = 1 << 16
            raw = world.connect(str(ours.url))
            raw.deaf = True
            raw.send(client_hello(stand))
            world.network.capacity = size
        for _ in range(3):
            manager.poll(0)
        stand.cut(raw)
        manager.poll(0)
        count += 1
    # A peer that half-closes reads on; what it must read for the end to be seen is not held back for ever.
    world.network.capacity = 1 << 16
    for raw in world.peers:
        raw.deaf = stand.how == "silence"
    _all_ended(stand, crowd, count)


@scene("T10")
def server_hello_cut_at_every_byte(stand: Stand) -> None:
    if stand.role == "server":
        _stuck(stand, range(1, len(first_flight(stand)[0])))
        return
    context = stand.context(True)
    size = len(flight(stand, context)[0])
    crowd = _meet_many(stand, size, lambda raw, number: _speak_and_cut(stand, raw, number, context))
    _all_ended(stand, crowd, size)


@scene("T11")
def cut_after_a_hello_retry_request(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "client":
        context = stand.context(True, curve="secp384r1")
        peer = stand.meet(notes, context=context, limits=BRIEF, budget=0, handshake_timeout=PATIENCE)
        stand.world.run(lambda: len(peer.out) > 0)
        require(HELLO_RETRY in peer.out, "the client offers no share for secp384r1", "no HelloRetryRequest")
        peer.spend(len(peer.out), stand.how)
    else:
        hooks = {HandshakeType.client_hello: without_share}
        asking = stand.forge(notes, hooks, handshake_timeout=PATIENCE)
        asking.held = True
        stand.world.run(lambda: HELLO_RETRY in asking.raw.received)
        stand.cut(asking.raw)
    stand.ended(notes, *VERDICTS[stand.how])
    expect(notes.names, ["Closed"], "what the application is told")


TOO_LARGE = "refuses a Certificate message of 20 KiB for its length"


def _cut_in_records(stand: Stand, context: ssl.SSLContext, offsets: list[int], refuses: str = "") -> None:
    crowd = _meet_many(
        stand,
        len(offsets),
        lambda raw, number: _speak_and_cut(stand, raw, offsets[number], context),
    )
    _all_ended(stand, crowd, len(offsets), refuses)


def _starts(parts: Iterable[bytes]) -> list[int]:
    found, at = [], 0
    for part in parts:
        found.append(at)
        at += len(part)
    return [*found, at]


_SERVERS_FLIGHT = "the flight is a server's: what is cut is what a client hears"


@scene("T13", server=_SERVERS_FLIGHT)
def cut_behind_the_server_hello(stand: Stand) -> None:
    """Behind the ServerHello, around the record of compatibility, in the first header under keys."""
    context = stand.context(True)
    start = _starts(flight(stand, context))[1]
    _cut_in_records(stand, context, list(range(start, start + 6 + 5)))


@scene("T15")
def cut_before_and_inside_certificate_verify(stand: Stand) -> None:
    """At every byte from EncryptedExtensions to the end of CertificateVerify's record."""
    if stand.role == "server":
        _cut_clients_flight(stand, stand.context(False, shown=credential()), whole=True)
        return
    context = stand.context(True)
    starts = _starts(flight(stand, context))
    _cut_in_records(stand, context, list(range(starts[2], starts[-2])))


@scene("T16", server="the server's own Finished is no part of what it hears; the client's is T17")
def cut_inside_the_servers_finished(stand: Stand) -> None:
    # The sizes of signatures vary by a few bytes: stay away from the very end.
    context = stand.context(True)
    starts = _starts(flight(stand, context))
    _cut_in_records(stand, context, list(range(starts[-2], starts[-1] - 8)))


@scene("T16", server="the server's own Finished is no part of what it hears; the client's is T17")
def cut_right_after_the_servers_finished(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.meet(notes, limits=BRIEF, budget=0)
    stand.world.run(lambda: len(peer.out) > 500)
    peer.spend(len(peer.out), stand.how)
    if stand.how == "silence":
        stand.world.run(lambda: bool(notes.of("Opened")))
        notes.connection.close(PATIENCE)
        stand.ended(notes, CloseKind.TIMED_OUT)
        return
    stand.ended(notes, CloseKind.TRUNCATED, CloseKind.PEER_RESET)
    # A reset may overtake what came before it.
    allowed = [["Opened", "Ended", "Closed"], ["Opened", "Closed"], ["Closed"]]
    require(notes.names in allowed, "it opens, or it does not, and ends", notes.names)


@scene("T14")
def certificate_of_several_records(stand: Stand) -> None:
    """Cut at the edges and in the middle of each of its records."""
    if stand.role == "server":
        _cut_clients_flight(stand, stand.context(False, shown=wide_credential()), whole=False)
        return
    context = stand.context(True, shown=wide_credential())
    starts = _starts(flight(stand, context))
    require(starts[-1] > 16384 + 2000, "the chain fills several records", starts)
    # The last two records are CertificateVerify and Finished.
    offsets = [spot for start in range(len(starts) - 3) for spot in _spots(starts[start], starts[start + 1])]
    _cut_in_records(stand, context, offsets[1:], TOO_LARGE)


def _spots(start: int, end: int) -> list[int]:
    """Where a record is cut."""
    return [start, start + 1, start + 5, (start + end) // 2, end - 1]


def _cut_clients_flight(stand: Stand, context: ssl.SSLContext, *, whole: bool) -> None:
    """Our server demands a certificate; the client's answer is cut, in each record or at every byte."""
    world, crowd = stand.world, stand.crowd()
    manager = world.manager()
    listener = stand.serve(
        crowd,
        manager=manager,
        limits=BRIEF,
        handshake_timeout=PATIENCE,
        client_auth="required",
        client_roots=roots(),
    )
    done, spots = 0, [0]
    while done < len(spots):
        peer = stand.library(world.connect(str(listener.url)), context)
        peer.budget = len(peer.out)
        world.run(lambda peer=peer: peer.established)  # type: ignore[misc]
        if done == 0:
            # Compatibility's record, Certificate, CertificateVerify, Finished; signatures vary in size.
            starts = _starts(records(peer.out))
            if whole:
                spots = list(range(starts[-2] - 8))
            else:
                spots = [spot for at in range(len(starts) - 3) for spot in _spots(starts[at], starts[at + 1])]
        peer.spend(spots[done], stand.how)
        done += 1
    _all_ended(stand, crowd, len(spots), "" if whole else TOO_LARGE)


@scene("T17", client="the client's own Finished is no part of what it hears")
def cut_before_and_inside_the_clients_finished(stand: Stand) -> None:
    world, crowd = stand.world, stand.crowd()
    manager = world.manager()
    listener = stand.serve(crowd, manager=manager, limits=BRIEF, handshake_timeout=PATIENCE)
    # A record of compatibility of 6 bytes, and Finished of 32 or 48 bytes with 22 bytes around it.
    for spot in range(6 + 22 + 32):
        peer = stand.library(world.connect(str(listener.url)))
        peer.spend(len(peer.out) + spot, stand.how)
    _all_ended(stand, crowd, 60)
    expect(listener.open_connections, 0, "connections of the listener")


@scene("T18")
def finished_and_data_in_one_segment(stand: Stand) -> None:
    notes = stand.notes()
    if stand.role == "server":
        peer: Peer = stand.meet(notes)
        peer.budget = len(peer.out)
        stand.world.run(lambda: peer.established)
        peer.send(b"first")
        peer.budget = None
    else:
        # A server may speak as soon as its own Finished is out, before the client's has come.
        forging = peer = stand.forge(notes, limits=None, budget=0)
        stand.world.run(lambda: len(forging.out) > 500)
        forging.out += forging.text(b"first")
        forging.budget = None
    stand.world.run(lambda: notes.data == b"first")
    expect(notes.names, ["Opened", "Received"], "the events")


@scene("T19", client="a client that is through has nothing more to send in the handshake")
def cut_right_behind_finished_and_data(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.meet(notes, limits=BRIEF)
    peer.budget = len(peer.out)
    stand.world.run(lambda: peer.established)
    peer.send(b"first")
    peer.spend(len(peer.out), stand.how)
    if stand.how == "silence":
        stand.world.run(lambda: notes.data == b"first")
        notes.connection.close(PATIENCE)
        stand.ended(notes, CloseKind.TIMED_OUT)
    else:
        stand.ended(notes, CloseKind.TRUNCATED if stand.how == "FIN" else CloseKind.PEER_RESET)
    expect(notes.data, b"first", "what came before the cut")
