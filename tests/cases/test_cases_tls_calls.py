"""What the application calls on a TLS connection, and when (T69 to T82)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from mungos import CloseKind, Connection, Limits
from mungos.errors import Closed, Misuse
from tests.cases.oracles import Crowd, ended, no_residue
from tests.cases.tls_stand import Role, Stand, client_config, server_config
from tests.cases.world import Notes, World
from tests.thinning import STRIDE

LIMITS = Limits(linger=0.1)


def test_t69_close_twice(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    connection = notes.connection
    connection.close()
    connection.close()
    world.run(lambda: peer.notified)
    connection.close()
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)
    connection.close()
    connection.abort()
    # One alert: 5 bytes of header, 2 of alert, 1 of type, 16 of tag.
    assert peer.error is None
    assert world.managers[0].ledger.made["descriptor"] - world.managers[0].ledger.freed["descriptor"] <= 1


def test_t69_close_from_two_threads_at_once(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    connection = notes.connection
    threads = [threading.Thread(target=connection.close, name=f"closer {number}") for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.run(lambda: peer.notified)
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)


def test_t70_send_after_the_end_says_how_it_ended(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes)
    peer.raw.cut()
    ended(stand.world, notes, CloseKind.PEER_RESET)
    with pytest.raises(Closed, match="peer reset"):
        notes.connection.send(b"x")


def say_goodbye(connection: Connection) -> None:
    """Both in one handler."""
    connection.send(b"bye")
    connection.close()


CALLS: dict[str, Callable[[Connection], None]] = {
    "close": lambda connection: connection.close(),
    "abort": lambda connection: connection.abort(),
    "end": lambda connection: connection.end(),
    "send and close": say_goodbye,
}


@pytest.mark.parametrize("event", ["Opened", "Received", "Ended"])
@pytest.mark.parametrize("call", CALLS)
def test_t72_inside_a_handler(stand: Stand, role: Role, event: str, call: str) -> None:
    world = stand.world
    done: list[str] = []

    def answer(connection: Connection, _: object) -> None:
        if not done:
            done.append(event)
            CALLS[call](connection)

    notes = Notes(**{event: answer})
    peer = stand.meet(role, notes)
    world.run(lambda: peer.established or peer.raw.reset)
    if peer.raw.reset:
        # A client that aborts as soon as it is open takes its Finished with it.
        assert (role, event, call) == ("client", "Opened", "abort")
        ended(world, notes, CloseKind.ABORTED)
        return
    peer.send(b"one")
    peer.send(b"two")
    peer.close_notify()
    world.run(lambda: bool(done))
    world.run(lambda: peer.notified or peer.raw.ended or peer.raw.reset)
    world.run(lambda: not peer.out or peer.raw.reset)
    if not peer.raw.reset:
        peer.raw.end()
    ended(world, notes, CloseKind.ABORTED if call == "abort" else CloseKind.CLEAN, sent=b"onetwo")
    assert done == [event]
    if call == "send and close":
        assert peer.data == b"bye"


def test_t73_read_after_our_close_notify(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    peer.send(b"in flight")
    notes.connection.end()
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN, sent=b"in flight")
    assert notes.data == b"in flight"


@pytest.mark.parametrize("verb", ["end", "close"])
def test_t74_write_after_our_close_notify(stand: Stand, role: Role, verb: str) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    connection = notes.connection
    getattr(connection, verb)()
    with pytest.raises(Closed):
        connection.send(b"too late")
    world.run(lambda: peer.notified)
    sent = connection.bytes_sent
    with pytest.raises(Closed):
        connection.send(b"too late")
    world.sleep(0.02)
    assert connection.bytes_sent == sent
    assert not peer.data
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)


def test_t76_fatal_alert_of_the_peer(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    sent = notes.connection.bytes_sent
    peer.fatal_alert()
    reason = ended(world, notes, CloseKind.TLS_ALERT)
    assert "bad_record_mac" in str(reason.error)
    # RFC 8446 section 6.2: nothing more is sent, no close_notify either.
    assert notes.connection.bytes_sent == sent


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_t77_our_alert_arrives_though_unread_bytes_are_in_the_kernel(
    stand: Stand, role: Role, size: int
) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes, limits=LIMITS)
    peer.out += b"\x17\x03\x03\x00\x20" + bytes(32 + size)
    world.run(lambda: peer.error is not None)
    assert peer.saw_alert("bad record mac")
    world.run(lambda: peer.raw.ended or peer.raw.reset)
    peer.raw.close()
    ended(world, notes, CloseKind.TLS_ALERT)


def test_t78_half_close_is_close_notify_first(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.connection.end()
    world.run(lambda: peer.raw.ended)
    world.run(lambda: peer.notified)
    assert not peer.truncated
    peer.close_notify()
    peer.turn()
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)


def upgraded(world: World, engine: str, limits: Limits | None = None) -> tuple[Notes, Notes]:
    """Two ends of ours that both start TLS after one line of plain text each."""

    def ours(connection: Connection, event: object) -> None:
        if getattr(event, "data", b"") == b"STARTTLS\r\n":
            connection.send(b"GO\r\n")
            connection.start_tls(server_config(), engine=engine)

    def theirs(connection: Connection, event: object) -> None:
        if getattr(event, "data", b"") == b"GO\r\n":
            connection.start_tls(client_config(), server_name="localhost", engine=engine)

    def hello(connection: Connection, _: object) -> None:
        if connection.negotiated is None:
            connection.send(b"STARTTLS\r\n")

    server = Notes(Received=ours)
    client = Notes(Received=theirs, Opened=hello)
    listener = world.manager(limits).listen("tcp://127.0.0.1:0", server)
    world.manager(limits).connect(f"tcp://127.0.0.1:{listener.url.port}", client)
    world.run(lambda: server.names.count("Opened") == client.names.count("Opened") == 2)
    return server, client


def test_t80_start_tls_on_both_sides(stand: Stand) -> None:
    world = stand.world
    server, client = upgraded(world, stand.engine)
    server.on.clear()
    client.on.clear()
    client.connection.send(b"secret")
    world.run(lambda: server.data.endswith(b"secret"))
    client.connection.close()
    ended(world, server, CloseKind.CLEAN)
    ended(world, client, CloseKind.CLEAN)
    for notes in (server, client):
        assert notes.connection.negotiated is not None
        assert notes.connection.negotiated.version == "TLSv1.3"


@pytest.mark.parametrize("limits", [LIMITS, Limits(linger=0.1, receive_high=10)], ids=["room", "full"])
def test_t80_plain_text_behind_starttls_is_not_injected(stand: Stand, limits: Limits) -> None:
    world = stand.world

    def answer(connection: Connection, event: object) -> None:
        connection.start_tls(server_config(), engine=stand.engine)

    notes = Notes(Opened=lambda connection, _: connection.pause(), Received=answer)
    listener = world.manager(limits).listen("tcp://127.0.0.1:0", notes)
    raw = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    for line in (b"STARTTLS\r\n", b"MAIL FROM:<attacker@example.com>\r\n"):
        before = notes.connection.bytes_received
        raw.send(line)
        world.run(lambda before=before: notes.connection.bytes_received > before)  # type: ignore[misc]
    notes.connection.resume()
    ended(world, notes, CloseKind.TLS_ALERT)
    assert notes.data == b"STARTTLS\r\n"
    assert notes.names == ["Opened", "Received", "Closed"]


def test_t80_hello_behind_starttls_in_one_segment(stand: Stand) -> None:
    from tests.cases.tls_peer import TlsPeer
    from tests.cases.tls_stand import foreign_context

    world = stand.world

    def answer(connection: Connection, event: object) -> None:
        if connection.negotiated is None:
            connection.start_tls(server_config(), engine=stand.engine)

    # The cap splits the line from what follows it.
    notes = Notes(Received=answer)
    listener = world.manager(Limits(receive_high=10)).listen("tcp://127.0.0.1:0", notes)
    peer = TlsPeer(world, world.connect(str(listener.url)), foreign_context(False), server=False)
    peer.out[:0] = b"STARTTLS\r\n"
    world.run(lambda: peer.established)
    notes.on.clear()
    peer.send(b"within")
    world.run(lambda: notes.data == b"STARTTLS\r\nwithin")
    peer.close_notify()
    world.run(lambda: peer.notified)
    peer.raw.end()
    ended(world, notes, CloseKind.CLEAN)


def test_t80_end_of_stream_behind_starttls(stand: Stand) -> None:
    world = stand.world
    notes = Notes(Received=lambda connection, _: connection.start_tls(server_config(), engine=stand.engine))
    listener = world.manager(LIMITS).listen("tcp://127.0.0.1:0", notes)
    raw = world.connect(str(listener.url))
    raw.send(b"STARTTLS\r\n")
    raw.end()
    began = world.now()
    ended(world, notes, {CloseKind.BROKEN, CloseKind.PEER_RESET})
    assert world.now() - began < 1.0


def test_t80_start_tls_in_the_wrong_state_is_misuse(stand: Stand, role: Role) -> None:
    notes = Notes()
    peer = stand.open(role, notes)
    with pytest.raises(Misuse, match="can't start TLS"):
        notes.connection.start_tls(client_config(), engine=stand.engine)
    notes.connection.abort()
    ended(stand.world, notes, CloseKind.ABORTED)
    with pytest.raises(Misuse):
        notes.connection.start_tls(client_config(), engine=stand.engine)
    del peer


@pytest.mark.parametrize("answering", [True, False], ids=["answered", "silent"])
def test_t82_many_connections_closed_at_once(
    stand: Stand, answering: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "mungos")  # a warning for each is not what is timed here
    world = stand.world
    count = (1000 if world.wire == "memory" and answering else 250) // STRIDE
    server, client = Crowd(), Crowd()
    limits = Limits(linger=5.0)
    ours, theirs = world.manager(limits), world.manager(limits)
    listener = stand.serve(server, manager=ours)
    for _ in range(count):
        stand.dial(listener.address.port, client, manager=theirs)
        ours.poll(0)
        theirs.poll(0)
    world.run(lambda: sum(len(events) for events in server.told.values()) == count)
    world.run(lambda: sum(len(events) for events in client.told.values()) == count)
    began = world.now()
    if answering:
        closing = ours.begin_close(4.0)
        world.run(lambda: closing.done)
        report = closing.report
        assert world.now() - began < 4.0
        server.all_ended(count, {CloseKind.CLEAN})
    else:
        report = ours.close(0.3)
        assert 0.299 <= world.now() - began < 2.0
        server.all_ended(count, {CloseKind.TIMED_OUT})
        assert len(report.forced) == count
    assert report.ok
    assert len(report.ends) == count
    world.run(lambda: client.closed == count)
    no_residue(theirs)
