"""Handlers that fail: their connection ends alone, with its traceback in the log; and who may call what."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from mungos import CloseKind, Connection, Limits, Listener, Received
from mungos.errors import Misuse
from tests.cases.oracles import ended, no_residue
from tests.cases.test_cases_core_closing import opened
from tests.cases.world import Notes, World

EVENTS = ["Opened", "Received", "Ended", "Writable"]


class Planted(Exception):
    """What a handler raises."""


def failing(event: str, error: BaseException, **more: Callable[..., None]) -> Notes:
    """A handler that raises at one kind of event."""

    def answer(connection: Connection, _: object) -> None:
        raise error

    return Notes(**{**more, event: answer})


def fill(connection: Connection, _: object) -> None:
    """Enough for Writable to come."""
    connection.send(bytes(300_000))


def provoke(world: World, notes: Notes) -> None:
    """A connection that lives through every event."""
    manager = world.managers[0] if world.managers else world.manager()
    peer = world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    peer.send(b"x")
    if "Writable" not in notes.on:
        peer.end()


@pytest.mark.parametrize("event", EVENTS)
def test_a_handler_that_raises_ends_its_own_connection_alone(
    world: World, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    calm = Notes()
    other = opened(world, calm)
    error = Planted("here")
    notes = failing(event, error, **({"Opened": fill} if event == "Writable" else {}))
    provoke(world, notes)
    reason = ended(world, notes, CloseKind.HANDLER_ERROR)
    assert reason.error is error
    assert notes.names[-2:] == [event, "Closed"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert record.exc_info[2] is not None
    other.send(b"alive")
    world.run(lambda: calm.data == b"alive")
    peer = world.peers[-1]
    world.run(lambda: peer.reset)


def test_a_handler_that_raises_at_closed_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    notes = failing("Closed", Planted("too late"))
    provoke(world, notes)
    ended(world, notes, CloseKind.CLEAN)
    assert "failed after the end" in caplog.text
    no_residue(world.managers[0])


def test_a_handler_that_raises_at_datagrams(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for event in ("Datagram", "DatagramError"):
        caplog.clear()
        error = Planted(event)
        notes = failing(event, error)
        manager = world.manager()
        server = manager.listen("udp://127.0.0.1:0", notes if event == "Datagram" else Notes())
        client = world.manager().connect(str(server.url), notes if event == "DatagramError" else Notes())
        if event == "DatagramError":
            server.close()
            world.run(lambda server=server: server.phase.value == "closed")  # type: ignore[misc]
        assert not isinstance(client, Connection)
        client.send(b"x")
        world.run(lambda notes=notes: notes.closed)  # type: ignore[misc]
        assert notes.of("Closed")[0].reason.kind is CloseKind.HANDLER_ERROR  # type: ignore[attr-defined]
        assert caplog.text.count("Planted") >= 1
        client.close()


@pytest.mark.parametrize("event", [*EVENTS, "Closed"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_leaves_poll_when_the_turn_is_complete(
    world: World, event: str, kind: type[BaseException]
) -> None:
    error = kind("planted")
    notes = failing(event, error, **({"Opened": fill} if event == "Writable" else {}))
    calm = Notes()
    other = opened(world, calm)
    provoke(world, notes)
    other.send(b"alive")
    with pytest.raises(kind) as caught:
        world.run(lambda: notes.closed)
    assert caught.value is error
    allowed = CloseKind.CLEAN if event == "Closed" else CloseKind.HANDLER_ERROR
    ended(world, notes, allowed)
    world.run(lambda: calm.data == b"alive")


def test_close_goes_on_after_a_base_exception(world: World) -> None:
    notes = failing("Closed", KeyboardInterrupt())
    opened(world, notes)
    manager = world.managers[0]
    with pytest.raises(KeyboardInterrupt):
        manager.close(0.1)
    assert manager.close(0.1).ok
    assert manager.closed


def test_a_timer_or_call_that_raises_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise Planted("in a timer")

    ran: list[str] = []
    manager = world.manager()
    manager.call_later(0.01, fail)
    manager.call_soon(fail)
    manager.call_later(0.02, ran.append, "after")
    world.run(lambda: bool(ran))
    assert caplog.text.count("Planted: in a timer") == 2
    no_residue(manager)


def in_thread(call: Callable[[], object]) -> str:
    """What it raises on another thread."""
    said: list[str] = []

    def work() -> None:
        try:
            call()
        except Misuse as error:
            said.append(str(error))

    thread = threading.Thread(target=work, name="stranger")
    thread.start()
    thread.join()
    return said[0] if said else "nothing"


def test_calls_from_a_wrong_thread_name_both_threads(world: World) -> None:
    notes = Notes()
    opened(world, notes)
    manager, connection = world.managers[0], notes.connection
    calls: list[Callable[[], object]] = [
        lambda: manager.poll(0),
        manager.turn,
        manager.close,
        manager.begin_close,
        lambda: manager.listen("tcp://127.0.0.1:0", notes),
        lambda: manager.connect("tcp://127.0.0.1:1", notes),
        lambda: manager.call_later(1, print),
        lambda: connection.send(b"x"),
        connection.end,
        connection.pause,
        connection.resume,
        lambda: connection.upgrade(connection.protocol),
    ]
    for call in calls:
        text = in_thread(call)
        assert str(threading.get_ident()) in text
        assert "stranger" in text
    assert in_thread(lambda: manager.call_soon(list)) == "nothing"
    assert in_thread(manager.stop) == "nothing"
    assert in_thread(connection.close) == "nothing"


def test_a_listener_closes_from_another_thread(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    assert isinstance(listener, Listener)
    assert in_thread(listener.close) == "nothing"
    world.run(lambda: not world.managers[0].listeners)


def test_events_of_one_connection_do_not_starve_another(world: World) -> None:
    order: list[str] = []
    busy = Notes(Received=lambda *_: order.append("busy"))
    calm = Notes(Received=lambda *_: order.append("calm"))
    limits = Limits(events_per_turn=10)
    manager = world.manager(limits)
    loud = world.connect(str(manager.listen("tcp://127.0.0.1:0", busy, protocol=Letters).url))
    quiet = world.connect(str(manager.listen("tcp://127.0.0.1:0", calm).url))
    world.run(lambda: len(manager.connections) == 2 and bool(calm.of("Opened")))
    loud.send(b"x" * 5000)
    manager.poll(0.5)
    quiet.send(b"x")
    world.run(lambda: "calm" in order)
    assert order.count("busy") < 100
    world.run(lambda: order.count("busy") == 5000)


class Letters:
    """A protocol in which every byte is an event."""

    def __init__(self, _connection: object) -> None:
        self.deadline: float | None = None
        self.wake: Callable[[], None] | None = None
        self.ended = False
        self.unsent = 0
        self._letters = bytearray()

    def start(self, now: float) -> None: ...

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> int:
        self._letters += data
        return len(data)

    def receive_eof(self, now: float, truncated: bool) -> None:
        self.ended = True

    def next_event(self) -> object | None:
        return Received(bytes((self._letters.pop(0),))) if self._letters else None

    def take(self, limit: int) -> list[bytes | bytearray | memoryview]:
        return []

    def expire(self, now: float) -> None: ...

    def close(self, now: float) -> None:
        self.ended = True

    def leftover(self) -> bytes:
        return bytes(self._letters)
