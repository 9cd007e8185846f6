"""An interrupt in the middle of a turn ends at most what it struck; nothing of the others is lost.

In memory, where the moment of the interrupt can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Never, ParamSpec, TypeVar

import pytest

from mungos import CloseKind, Connection, Limits, Manager
from mungos.core.plain import PlainProtocol
from mungos.core.scheduler import Scheduler
from mungos.core.stream import Stream
from tests.cases.world import Notes, RawPeer, World

P = ParamSpec("P")
R = TypeVar("R")


@pytest.fixture
def world() -> Iterator[World]:
    """In memory only."""
    made = World("memory")
    yield made
    made.close()


def asking(world: World, manager: Manager, count: int = 3) -> tuple[Notes, list[RawPeer]]:
    """Peers of a server that answers whatever it is asked."""
    notes = Notes(Received=lambda connection, _: connection.send(b"answer"))
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    peers = [world.connect(str(listener.url)) for _ in range(count)]
    world.run(lambda: len(notes.of("Opened")) == count)
    return notes, peers


def until_raised(manager: Manager) -> None:
    """Turns without end."""
    for _ in range(100):
        manager.poll(0)


def interrupted(real: Callable[P, R], at: int) -> Callable[P, R]:
    """The same, but that one of its calls never comes to an end."""
    calls = 0

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("kind", "name"),
    [(PlainProtocol, "receive"), (Stream, "after_events"), (Stream, "on_io"), (Stream, "on_ready")],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_ends_its_own_connection_and_the_others_have_their_answers(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, at: int
) -> None:
    manager = world.manager()
    notes, peers = asking(world, manager)
    for peer in peers:
        peer.send(b"ask")
    if name == "on_ready":
        for connection in manager.connections.values():
            assert isinstance(connection, Connection)
            connection.wake()
    monkeypatch.setattr(kind, name, interrupted(getattr(kind, name), at))
    with pytest.raises(KeyboardInterrupt):
        until_raised(manager)
    assert not manager.scheduler.gathering
    assert not manager.scheduler.gathered
    world.run(lambda: sum(peer.received == b"answer" for peer in peers) >= 2 and bool(notes.of("Closed")))
    (end,) = notes.of("Closed")
    assert end.reason.kind in {CloseKind.BROKEN, CloseKind.HANDLER_ERROR}  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", range(1, 16))
def test_an_interrupt_between_two_steps_of_the_loop_loses_nothing(world: World, at: int) -> None:
    manager = world.manager()
    _, peers = asking(world, manager)
    for peer in peers:
        peer.send(b"ask")
    for connection in manager.connections.values():
        assert isinstance(connection, Connection)
        manager.call_soon(connection.wake)
    scheduler = manager.scheduler
    scheduler.clock = interrupted(scheduler.clock, at)
    with pytest.raises(KeyboardInterrupt):
        until_raised(manager)
    for question in (1, 2):
        world.run(lambda question=question: all(peer.reset or served(peer) == question for peer in peers))  # type: ignore[misc]
        for peer in peers:
            peer.send(b"ask")
    assert sum(peer.reset for peer in peers) <= 1


def served(peer: RawPeer) -> int:
    """Answers so far."""
    return peer.received.count(b"answer")


def test_a_lookup_whose_deadline_was_interrupted_still_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mungos.core.resolving import Asking
    from mungos.dns import Hosts, ResolverConfig, ServerAddress

    silent = world.manager().listen("udp://127.0.0.1:0", Notes())
    config = ResolverConfig((ServerAddress("127.0.0.1", silent.url.port or 0),))
    notes = Notes()
    manager = world.manager(Limits(resolve_within=0.5), (config, Hosts()))
    manager.connect("tcp://slow.example:9", notes)
    monkeypatch.setattr(Asking, "on_timer", interrupted(Asking.on_timer, 1))
    with pytest.raises(KeyboardInterrupt):
        world.sleep(2.0)
    world.run(lambda: notes.closed)
    kind = notes.of("Closed")[0].reason.kind  # type: ignore[attr-defined]
    assert kind in {CloseKind.TIMED_OUT, CloseKind.NOT_RESOLVED}


def test_a_defect_in_telling_an_end_does_not_keep_the_others_from_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = world.manager()
    notes, peers = asking(world, manager)
    for peer in peers:
        peer.close()
    real, told = Stream.deliver_closed, []

    def failing(self: Stream) -> None:
        told.append(self)
        real(self)
        if len(told) == 1:
            defect()

    monkeypatch.setattr(Stream, "deliver_closed", failing)
    world.run(lambda: len(notes.of("Closed")) == 3)
    assert isinstance(manager.scheduler, Scheduler)


def defect() -> Never:
    raise RuntimeError("a defect")
