"""Handshakes that are cut: by FIN, by RST, by silence, on either side (T01 to T04, T10 to T19)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable

import pytest

from mungos import CloseKind, Limits
from mungos.core import Handler
from tests.cases.oracles import Crowd, ended, no_residue
from tests.cases.tls_peer import TlsPeer
from tests.cases.tls_stand import LAX, Role, Stand, authority, cut, foreign_context
from tests.cases.world import Notes
from tests.thinning import STRIDE

CUTS = ["FIN", "RST", "silence"]
EMULATED = float(os.environ.get("MUNGOS_TEST_TIME_FACTOR", "1")) > 2
PATIENCE = 2.0 if EMULATED else 0.2  # seconds for a handshake, where the peer falls silent
LONG = 30.0  # seconds, where it does not: a busy machine may not make a verdict of its own
LIMITS = Limits(linger=0.1)

# The verdict while securing. Our answer to a cut can meet a reset on its way.
VERDICTS = {
    "FIN": {CloseKind.BROKEN, CloseKind.PEER_RESET},
    "RST": {CloseKind.PEER_RESET},
    "silence": {CloseKind.TIMED_OUT},
}


def patience(how: str) -> float:
    """Seconds for a handshake that is cut in this way."""
    return PATIENCE if how == "silence" else LONG


def client_hello() -> bytes:
    """A fresh one, from the standard library."""
    outgoing = ssl.MemoryBIO()
    session = foreign_context(False).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def records(data: bytes | bytearray) -> list[bytes]:
    """The records in a stream of TLS."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(bytes(data[:size]))
        data = data[size:]
    return found


@pytest.mark.parametrize("how", CUTS)
def test_t01_t02_nobody_speaks(stand: Stand, role: Role, how: str, caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    raw = stand.raw(role, notes, limits=LIMITS, handshake_timeout=patience(how))
    cut(raw, how)
    reason = ended(stand.world, notes, VERDICTS[how])
    assert notes.names == ["Closed"]
    assert reason.phase == "securing" or (how == "RST" and reason.phase == "connecting")
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


def test_t01_the_deadline_is_total_and_not_extended_by_traffic(stand: Stand) -> None:
    world, notes = stand.world, Notes()
    raw = stand.raw("server", notes, limits=LIMITS, handshake_timeout=PATIENCE)
    hello, began = client_hello(), world.now()
    while not notes.closed:
        raw.send(hello[:1])
        hello = hello[1:]
        world.sleep(PATIENCE / 10)
    assert world.now() - began < 10 * PATIENCE
    ended(world, notes, CloseKind.TIMED_OUT)


def _cut_hellos(stand: Stand, offsets: Iterable[int], hello: bytes, how: str) -> None:
    """Connections to our server, all at once, each cut at another byte of its ClientHello."""
    world, crowd = stand.world, Crowd()
    manager = world.manager()
    listener = stand.serve(crowd, manager=manager, limits=LIMITS, handshake_timeout=patience(how))
    count = 0
    for offset in offsets:
        raw = world.connect(str(listener.url))
        raw.send(hello[:offset])
        cut(raw, how)
        count += 1
        manager.poll(0)
    world.run(lambda: crowd.closed == count)
    assert crowd.names() == {"Closed"}
    crowd.all_ended(count, VERDICTS[how])
    assert listener.open_connections == 0
    no_residue(manager)


@pytest.mark.parametrize("how", CUTS)
def test_t03_cut_inside_the_record_header(stand: Stand, how: str) -> None:
    _cut_hellos(stand, range(1, 5), client_hello(), how)


@pytest.mark.parametrize("how", CUTS)
def test_t04_client_hello_cut_at_every_byte(stand: Stand, how: str) -> None:
    hello = client_hello()
    _cut_hellos(stand, range(5, len(hello), STRIDE * (1 if stand.world.wire == "memory" else 5)), hello, how)


def _cut_server(
    stand: Stand,
    offsets: Iterable[int],
    how: str,
    context: ssl.SSLContext,
    handler: Handler,
) -> int:
    """Connections of our client, all at once, each to a server cut at another byte of what it sends."""
    world = stand.world
    manager = world.manager()
    listener = world.listener()
    count = 0
    for offset in offsets:
        stand.dial(listener.port, handler, manager=manager, limits=LIMITS, handshake_timeout=patience(how))
        raw = world.accept(listener)
        peer = TlsPeer(world, raw, context, server=True, budget=offset)
        if offset:
            peer.on_spent = _cutting(peer, how)
        else:
            cut(raw, how)
        count += 1
    return count


def _cutting(peer: TlsPeer, how: str) -> Callable[[], None]:
    return lambda: cut(peer.raw, how)


def _flight(stand: Stand, context: ssl.SSLContext) -> list[bytes]:
    """The records of the server's first flight."""
    outgoing = ssl.MemoryBIO()
    incoming = ssl.MemoryBIO()
    incoming.write(client_hello())
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return records(outgoing.read())


@pytest.mark.parametrize("how", CUTS)
def test_t10_server_hello_cut_at_every_byte(stand: Stand, how: str) -> None:
    context = foreign_context(True)
    size = len(_flight(stand, context)[0])
    crowd = Crowd()
    count = _cut_server(
        stand, range(0, size, STRIDE * (2 if stand.world.wire == "memory" else 9)), how, context, crowd
    )
    stand.world.run(lambda: crowd.closed == count)
    assert crowd.names() == {"Closed"}
    crowd.all_ended(count, VERDICTS[how])


@pytest.mark.parametrize("how", CUTS)
def test_t11_cut_after_a_hello_retry_request(stand: Stand, how: str) -> None:
    context = foreign_context(True, curve="secp384r1")
    notes = Notes()
    peer = stand.meet(
        "client", notes, context=context, limits=LIMITS, budget=0, handshake_timeout=patience(how)
    )
    stand.world.run(lambda: len(peer.out) > 0)
    # RFC 8446 section 4.1.3: the random value that marks it.
    assert bytes.fromhex("CF21AD74E59A6111") in peer.out
    peer.budget, peer.on_spent = len(peer.out), _cutting(peer, how)
    ended(stand.world, notes, VERDICTS[how])
    assert notes.names == ["Closed"]


@pytest.mark.parametrize("how", CUTS)
def test_t13_t15_t16_no_client_is_open_before_the_server_finished(stand: Stand, how: str) -> None:
    context = foreign_context(True)
    flight = _flight(stand, context)
    offsets, at = [], 0
    for record in flight:
        offsets += [at, at + 1, at + len(record) // 2, at + len(record) - 1]
        at += len(record)
    crowd = Crowd()
    # The sizes of signatures vary by a byte or two: stay away from the very end.
    whole = [offset for offset in offsets[1:] if offset < at - 4]
    count = _cut_server(stand, whole, how, context, crowd)
    stand.world.run(lambda: crowd.closed == count)
    assert crowd.names() == {"Closed"}
    crowd.all_ended(count, VERDICTS[how])


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_t16_cut_right_after_the_server_finished(stand: Stand, how: str) -> None:
    world, notes = stand.world, Notes()
    peer = stand.meet("client", notes, limits=LIMITS, budget=0)
    world.run(lambda: len(peer.out) > 500)
    peer.budget, peer.on_spent = len(peer.out), _cutting(peer, how)
    ended(world, notes, {CloseKind.TRUNCATED, CloseKind.PEER_RESET})
    # A reset may overtake what came before it; an opening without the server's Finished may not be.
    assert notes.names in (["Opened", "Ended", "Closed"], ["Opened", "Closed"], ["Closed"])


@pytest.mark.parametrize("how", CUTS)
def test_t14_a_certificate_of_several_records_cut_in_each(stand: Stand, how: str) -> None:
    if stand.engine in LAX:
        pytest.skip(f"the library of {stand.engine} takes no message of so many bytes")
    leaf = authority().issue_cert(
        "localhost", *(f"name-{number:04}.{'x' * 50}.example" for number in range(300))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    sizes = [len(record) for record in _flight(stand, context)]
    assert sum(size > 16 * 1024 for size in sizes) >= 1
    offsets = [sum(sizes[:count]) + sizes[count] // 2 for count in range(len(sizes) - 1)]
    crowd = Crowd()
    count = _cut_server(stand, offsets, how, context, crowd)
    stand.world.run(lambda: crowd.closed == count)
    assert crowd.names() == {"Closed"}
    crowd.all_ended(count, VERDICTS[how])


@pytest.mark.parametrize("how", CUTS)
def test_t17_cut_before_the_clients_finished(stand: Stand, how: str) -> None:
    world, crowd = stand.world, Crowd()
    manager = world.manager()
    listener = stand.serve(crowd, manager=manager, limits=LIMITS, handshake_timeout=patience(how))
    spots = (0, 1, 5, 6, 7, 11, 30, 60, 63)
    for spot in spots:
        raw = world.connect(str(listener.url))
        peer = TlsPeer(world, raw, foreign_context(False), server=False)
        peer.budget, peer.on_spent = len(peer.out) + spot, _cutting(peer, how)
    world.run(lambda: crowd.closed == len(spots))
    assert crowd.names() == {"Closed"}
    crowd.all_ended(len(spots), VERDICTS[how])
    assert listener.open_connections == 0


def test_t18_finished_and_the_first_data_in_one_segment(stand: Stand) -> None:
    world, notes = stand.world, Notes()
    peer = stand.meet("server", notes)
    peer.budget = len(peer.out)
    world.run(lambda: peer.established)
    peer.send(b"first")
    peer.budget = None
    world.run(lambda: notes.data == b"first")
    assert notes.names == ["Opened", "Received"]


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_t19_cut_right_after_the_clients_finished_and_data(stand: Stand, how: str) -> None:
    world, notes = stand.world, Notes()
    peer = stand.meet("server", notes, limits=LIMITS)
    peer.budget = len(peer.out)
    world.run(lambda: peer.established)
    peer.send(b"first")
    peer.budget, peer.on_spent = len(peer.out), _cutting(peer, how)
    ended(world, notes, CloseKind.TRUNCATED if how == "FIN" else CloseKind.PEER_RESET, sent=b"first")
    assert notes.data == b"first"
