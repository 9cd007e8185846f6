"""Whatever fails between accept and the first event ends that connection, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos import AccessList, Connection, Listener, Phase
from mungos.core import Manager
from mungos.core.plain import PlainProtocol
from mungos.protocol import Protocol
from tests.cases.oracles import no_residue
from tests.cases.world import Notes, World


class Planted(Exception):
    """What a factory raises."""


class Odd(PlainProtocol):
    """A protocol one of whose calls raises."""

    __slots__ = ("calls",)

    def __init__(self, connection: Connection, *calls: str) -> None:
        super().__init__(connection.manager.limits)
        self.calls = calls

    def start(self, now: float) -> None:
        if "start" in self.calls:
            raise Planted("start")

    def release(self) -> None:
        if "release" in self.calls:
            raise Planted("release")

    @property
    def detail(self) -> object:
        if "detail" in self.calls:
            raise Planted("detail")
        return None


def raising(error: BaseException) -> Callable[[Connection], Protocol]:
    """A factory that fails."""

    def factory(_connection: Connection) -> Protocol:
        raise error

    return factory


FACTORIES: dict[str, Callable[[Connection], Protocol]] = {
    "it raises": raising(Planted("here")),
    "no memory": raising(MemoryError()),
    "the arguments don't fit": lambda connection: connection.nosuch,  # type: ignore[attr-defined]
    "it makes nothing": lambda _connection: None,  # type: ignore[dict-item,return-value]
    "it makes something else": lambda _connection: "a protocol",  # type: ignore[dict-item,return-value]
    "its start raises": lambda connection: Odd(connection, "start"),
    "its start and its release raise": lambda connection: Odd(connection, "start", "release", "detail"),
}


def listening(manager: Manager, notes: Notes, factory: Callable[[Connection], Protocol]) -> Listener:
    """A plain listener with that factory."""
    made = manager.listen("tcp://127.0.0.1:0", notes, protocol=factory)
    assert isinstance(made, Listener)
    return made


@pytest.mark.parametrize("why", FACTORIES)
def test_a_protocol_that_can_t_be_made_hangs_nobody(world: World, why: str) -> None:
    manager = world.manager()
    working = False

    def factory(connection: Connection) -> Protocol:
        return PlainProtocol(connection.manager.limits) if working else FACTORIES[why](connection)

    notes = Notes()
    listener = listening(manager, notes, factory)
    for _ in range(3):
        peer = world.connect(str(listener.url))
        peer.send(b"hello")
        world.run(lambda peer=peer: peer.reset or peer.ended)  # type: ignore[misc]
        assert not peer.received
    world.run(lambda: not manager.connections and not listener.open_connections)
    assert set(notes.names) <= {"Closed"}
    # It goes on.
    assert listener.phase is Phase.LISTENING
    assert listener.accepted == 3
    working = True
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    peer.cut()
    world.run(lambda: not manager.connections)
    report = manager.close(1.0)
    assert report.ok
    no_residue(manager)


def test_an_access_list_that_fails_denies_and_hangs_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, notes = world.manager(), Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes, access=AccessList("+127.0.0.0/8"))
    assert isinstance(listener, Listener)

    def fails(_list: AccessList, _address: str) -> bool:
        raise Planted("here")

    with monkeypatch.context() as patch:
        patch.setattr(AccessList, "allows", fails)
        peer = world.connect(str(listener.url))
        world.run(lambda: peer.reset or peer.ended)
    assert (listener.denied, listener.accepted, listener.open_connections) == (1, 0, 0)
    world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_accepting_leaves_poll_and_hangs_nobody(
    world: World, error: type[BaseException]
) -> None:
    manager = world.manager()
    listener = listening(manager, Notes(), raising(error()))
    peer = world.connect(str(listener.url))

    def interrupted() -> bool:
        try:
            manager.poll(0.05)
        except error:
            return True
        return False

    while not interrupted():
        pass
    world.run(lambda: peer.reset or peer.ended)
    assert not manager.connections
    assert manager.close(1.0).ok


@pytest.mark.parametrize("why", ["it raises", "no memory", "it makes nothing"])
def test_connect_whose_protocol_can_t_be_made_raises_and_leaves_nothing(world: World, why: str) -> None:
    manager = world.manager()
    notes = Notes()
    with pytest.raises(Exception, match=r".*"):
        manager.connect(world.listener().url, notes, protocol=FACTORIES[why])
    world.run(lambda: not manager.connections)
    assert not notes.events, "the caller was told"
    assert manager.close(1.0).ok


def test_a_protocol_that_fails_after_connecting_ends_its_connection(world: World) -> None:
    manager = world.manager()
    notes = Notes()
    manager.connect(world.listener().url, notes, protocol=FACTORIES["its start raises"])
    world.run(lambda: notes.closed)
    assert notes.names == ["Closed"]
    assert manager.close(1.0).ok


def test_no_memory_for_accepting_is_a_pause_not_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = world.manager()
    notes = Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    assert isinstance(listener, Listener)
    failures = [MemoryError(), MemoryError()]

    class Scarce:
        """The listener's endpoint, twice without memory."""

        def __init__(self, inner: object) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def accept(self) -> object:
            if failures:
                raise failures.pop()
            return self.inner.accept()  # type: ignore[attr-defined]

    monkeypatch.setattr(listener, "_endpoint", Scarce(listener._endpoint))
    world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    assert not failures
