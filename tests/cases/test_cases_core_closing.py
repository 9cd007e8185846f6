"""Closing and aborting in every phase, from anywhere, any number of times."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable

import pytest

from mungos import CloseKind, CloseReport, Connection, Limits, Manager, Phase
from mungos.dns import Hosts, ResolverConfig, ServerAddress
from mungos.errors import Closed, Misuse
from tests.cases.oracles import ended, no_residue
from tests.cases.world import Notes, RawPeer, World

VERBS: dict[str, Callable[[Connection], None]] = {
    "close": lambda connection: connection.close(),
    "close now": lambda connection: connection.close(0),
    "abort": lambda connection: connection.abort(),
}


def opened(world: World, notes: Notes, limits: Limits | None = None) -> RawPeer:
    """Our server's connection, open, and its bare peer."""
    peer = world.connect(str(world.manager(limits).listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    return peer


def connecting(world: World, notes: Notes, url: str, manager: Manager | None = None) -> Connection:
    """Our client, on its way."""
    connection = (manager or world.manager()).connect(url, notes)
    assert isinstance(connection, Connection)
    return connection


def deaf_name_server(world: World) -> tuple[ResolverConfig, Hosts]:
    """It never answers."""
    server = world.manager().listen("udp://127.0.0.1:0", Notes())
    assert server.url.port is not None
    return ResolverConfig((ServerAddress("127.0.0.1", server.url.port),)), Hosts()


@pytest.mark.parametrize("verb", VERBS)
def test_while_resolving(world: World, verb: str) -> None:
    notes = Notes()
    manager = world.manager(resolver=deaf_name_server(world))
    connection = connecting(world, notes, "tcp://example.com:80", manager)
    world.sleep(0.01)
    assert connection.phase is Phase.RESOLVING
    assert manager.ledger.census()["lookup"] == 1
    VERBS[verb](connection)
    assert manager.ledger.census()["lookup"] == manager.ledger.census()["descriptor"] == 0
    reason = ended(world, notes, CloseKind.ABORTED)
    assert reason.phase == "resolving"
    assert notes.names == ["Closed"]
    no_residue(manager)


@pytest.mark.parametrize("verb", VERBS)
def test_while_connecting(world: World, verb: str) -> None:
    notes = Notes()
    connection = connecting(world, notes, world.listener().url)
    assert connection.phase is Phase.CONNECTING
    VERBS[verb](connection)
    assert ended(world, notes, CloseKind.ABORTED).phase == "connecting"
    assert notes.names == ["Closed"]


def test_while_open_close_is_clean_and_abort_is_a_reset(world: World) -> None:
    for verb, call in VERBS.items():
        notes = Notes()
        peer = opened(world, notes)
        call(notes.connection)
        world.run(lambda peer=peer: peer.ended or peer.reset)  # type: ignore[misc]
        peer.close()
        allowed = {"close": CloseKind.CLEAN, "close now": CloseKind.TIMED_OUT, "abort": CloseKind.ABORTED}
        ended(world, notes, allowed[verb])
        assert peer.reset == (verb != "close"), verb


@pytest.mark.parametrize("verb", VERBS)
def test_while_closing(world: World, verb: str) -> None:
    notes = Notes()
    peer = opened(world, notes)
    notes.connection.close(3.0)
    world.run(lambda: peer.ended)
    began = world.now()
    VERBS[verb](notes.connection)
    if verb == "close":
        peer.close()
    allowed = {"close": CloseKind.CLEAN, "close now": CloseKind.TIMED_OUT, "abort": CloseKind.ABORTED}
    assert ended(world, notes, allowed[verb]).phase == "closing"
    assert world.now() - began < 0.5


def test_after_the_end_every_call_is_harmless_or_says_so(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    connection = notes.connection
    connection.abort("enough")
    ended(world, notes, CloseKind.ABORTED)
    for verb in VERBS.values():
        verb(connection)
    connection.end()
    connection.pause()
    connection.resume()
    with pytest.raises(Closed, match="enough"):
        connection.send(b"x")
    with pytest.raises(Closed):
        connection.upgrade(connection.protocol)
    assert connection.unsent == connection.unread == 0
    assert notes.names == ["Opened", "Closed"]
    world.run(lambda: peer.reset)


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_from_another_thread_is_sticky(world: World, verb: str) -> None:
    notes = Notes()
    peer = opened(world, notes)
    thread = threading.Thread(target=VERBS[verb], args=(notes.connection,))
    thread.start()
    thread.join()
    assert notes.connection.phase is Phase.OPEN
    world.run(lambda: peer.ended or peer.reset)
    peer.close()
    ended(world, notes, CloseKind.CLEAN if verb == "close" else CloseKind.ABORTED)


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_close_from_another_thread_wakes_a_waiting_poll(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    manager = world.managers[0]
    thread = threading.Thread(target=notes.connection.close)
    began = world.now()
    thread.start()
    while notes.connection.phase is Phase.OPEN:
        manager.poll(5)
    thread.join()
    assert world.now() - began < 4
    peer.close()
    ended(world, notes, {CloseKind.CLEAN, CloseKind.PEER_RESET})


@pytest.mark.parametrize("event", ["Opened", "Received", "Ended", "Writable", "Closed"])
@pytest.mark.parametrize("verb", VERBS)
def test_inside_the_handler_of_each_event(world: World, event: str, verb: str) -> None:
    def answer(connection: Connection, _: object) -> None:
        VERBS[verb](connection)
        VERBS[verb](connection)

    def fill(connection: Connection, _: object) -> None:
        connection.send(bytes(300_000))

    answers: dict[str, Callable[..., None]] = {"Opened": fill} if event == "Writable" else {}
    answers[event] = answer
    notes = Notes(**answers)
    peer = opened(world, notes)
    peer.send(b"x")
    if event in {"Ended", "Closed"}:
        peer.end()
    world.run(lambda: peer.ended or peer.reset)
    peer.close()
    allowed = {"close": {CloseKind.CLEAN}, "close now": {CloseKind.TIMED_OUT, CloseKind.CLEAN}}
    if event == "Closed":
        ended(world, notes, CloseKind.CLEAN)
    else:
        ended(world, notes, allowed.get(verb, {CloseKind.ABORTED}))
    assert event in notes.names


def test_a_second_close_can_only_shorten(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes, Limits(linger=60))
    began = world.now()
    notes.connection.close(0.2)
    notes.connection.close(60)
    ended(world, notes, CloseKind.TIMED_OUT)
    assert world.now() - began < 2
    assert peer.ended


def test_report_names_who_was_forced_in_which_phase_with_what_unsent(world: World) -> None:
    stuck, lingering, fine = Notes(), Notes(), Notes()
    manager = world.manager(Limits(linger=60))
    peers = []
    for notes in (stuck, lingering, fine):
        peers.append(world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url)))
        world.run(lambda notes=notes: bool(notes.of("Opened")))  # type: ignore[misc]
    peers[0].deaf = True
    stuck.connection.send(bytes(8 << 20))
    closing = manager.begin_close(0.3)
    assert not closing.done
    assert not closing.report.complete
    assert str(closing.report) == "closing, within 0.3 s"
    world.run(lambda: peers[2].ended)
    peers[2].close()
    world.run(lambda: closing.done)
    report = closing.report
    assert report.ok
    assert {end.id for end in report.forced} == {stuck.connection.id, lingering.connection.id}
    assert {end.reason.phase for end in report.forced} == {"closing"}
    unsent = {end.id: end.reason.unsent for end in report.ends}
    assert unsent[stuck.connection.id] > 0
    assert unsent[lingering.connection.id] == unsent[fine.connection.id] == 0
    assert report.unsent == unsent[stuck.connection.id]
    text = str(report)
    assert f"did not end by itself: c{stuck.connection.id} 127.0.0.1:" in text
    assert "1 clean" in text
    assert "2 timed out" in text


def test_a_peer_that_took_its_leave_but_keeps_the_stream_is_not_forced(world: World) -> None:
    # Both rules have one deadline here: the connection's, for which this is a clean end, and the manager's.
    from tests.cases.tls_stand import Stand

    notes = Notes()
    peer = Stand(world, "openssl").open("server", notes, limits=Limits(linger=60))
    manager = world.managers[0]
    peer.close_notify()
    world.run(lambda: peer.notified)
    report = manager.close(0.2)
    assert report.ok
    assert not report.forced
    ended(world, notes, CloseKind.CLEAN)


def test_arrows_and_census_are_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mungos")
    notes = Notes()
    peer = opened(world, notes)
    peer.send(b"x")
    world.run(lambda: notes.data == b"x")
    notes.connection.close()
    world.run(lambda: peer.ended)
    peer.close()
    ended(world, notes, CloseKind.CLEAN)
    number = notes.connection.id
    arrows = [record.getMessage() for record in caplog.records if record.name == "mungos.connection"]
    pattern = rf"c{number} (\w+) → (\w+) unsent=\d+ unread=\d+ after \d+\.\d{{3}} s"
    found = [match for line in arrows if (match := re.match(pattern, line))]
    assert [match.groups() for match in found] == [
        ("connecting", "open"),
        ("open", "closing"),
        ("closing", "closed"),
    ]
    assert arrows[-1].endswith("(clean)")
    assert "All connections closed" not in caplog.text
    assert world.managers[0].close(1.0).ok
    last = [record.getMessage() for record in caplog.records if record.name == "mungos.manager"]
    assert last[-2].startswith("census: descriptors 0, engines 0, lookups 0, threads 0, timers 0")
    assert last[-1] == "All connections closed"


def test_census_finds_an_entry_that_was_not_struck_out(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mungos")
    manager = world.manager()
    entry = manager.ledger.enter("engine", "a planted leak", manager.origin, manager.now)
    report = manager.close(1.0)
    assert not report.ok
    assert report.census["engine"] == 1
    assert "a planted leak" in str(report)
    assert __file__ not in report.left[0] or "made at" in report.left[0]
    assert "All connections closed" not in caplog.text
    assert "left after the close" in caplog.text
    manager.ledger.strike(entry)


def test_cross_check_finds_a_descriptor_that_the_ledger_does_not_know(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mungos")
    notes = Notes()
    peer = opened(world, notes)
    manager, connection = world.managers[0], notes.connection
    assert connection.endpoint is not None
    copy = -1
    if world.wire == "kernel":
        copy = os.dup(connection.endpoint.fd)
    else:
        manager.wire.connect(world.listener().listener.local)  # type: ignore[union-attr]
    peer.close()
    report = manager.close(1.0)
    assert not report.ok
    assert not any(report.census.values())
    assert len(report.left) == 1
    assert "All connections closed" not in caplog.text
    if world.wire == "kernel":
        assert report.left[0].startswith(f"descriptor {copy}: KernelStream 127.0.0.1:")
        os.close(copy)


def test_manager_close_inside_a_handler_only_begins_it(world: World) -> None:
    reports: list[CloseReport] = []

    def answer(connection: Connection, _: object) -> None:
        reports.append(connection.manager.close(0.5))

    notes = Notes(Received=answer)
    peer = opened(world, notes)
    manager = world.managers[0]
    peer.send(b"stop")
    world.run(lambda: peer.ended)
    assert not reports[0].complete
    assert not manager.closed
    with pytest.raises(Closed, match="closing"):
        manager.listen("tcp://127.0.0.1:0", notes)
    peer.close()
    world.run(lambda: manager.closed)
    ended(world, notes, CloseKind.CLEAN)
    with pytest.raises(Closed):
        manager.poll(0)
    again = manager.close()
    assert again.ok
    assert len(again.ends) == 1


def test_polling_inside_a_handler_is_misuse(world: World) -> None:
    caught: list[str] = []

    def answer(connection: Connection, _: object) -> None:
        for call in (connection.manager.poll, connection.manager.turn, connection.manager.run):
            with pytest.raises(Misuse) as error:
                call()
            caught.append(str(error.value))

    notes = Notes(Opened=answer)
    opened(world, notes)
    assert len(caught) == 3
    assert all("inside a handler" in text for text in caught)


def test_opening_new_connections_in_the_last_event(world: World) -> None:
    notes = Notes()
    target = world.listener()

    def again(connection: Connection, _: object) -> None:
        connection.manager.connect(target.url, notes)

    first = Notes(Closed=again)
    peer = opened(world, first)
    peer.close()
    ended(world, first, CloseKind.CLEAN)
    world.run(lambda: bool(notes.of("Opened")))
