"""What fails half way leaves nothing behind: no descriptor, no TLS session, no connection, no count."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest

from mungos import AccessList, CloseKind, Connection, Limits, Listener, Manager, Phase
from mungos.core.names import Names
from mungos.dns import Hosts, ResolverConfig, ServerAddress
from mungos.errors import Misuse
from mungos.testing.tls import papers
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Engine, EngineFactory
from mungos.tls.engines import select
from tests.cases.oracles import no_residue
from tests.cases.test_cases_core_asking_for_tls import connected
from tests.cases.world import Notes, World

SERVERS = ResolverConfig((ServerAddress("127.0.0.1", 9),))


def crowd_out(manager: Manager, monkeypatch: pytest.MonkeyPatch, *, times: int = 1000) -> list[int]:
    """The system can't watch any more descriptor; returns those that it refused."""
    refused: list[int] = []
    register = manager.wire.register

    def refuse(fd: int, interest: int) -> None:
        if len(refused) >= times:
            register(fd, interest)
            return
        refused.append(fd)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(manager.wire, "register", refuse)
    return refused


def descriptors(manager: Manager) -> list[str]:
    return [str(entry) for entry in manager.ledger if entry.kind == "descriptor"]


@pytest.mark.parametrize("verb", ["listen", "listen for udp", "connect", "connect for udp", "adopt"])
def test_no_verb_keeps_a_descriptor_that_can_t_be_watched(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    manager, notes = world.manager(), Notes()
    target = world.listener().url
    handle, peer = connected(world) if verb == "adopt" else (None, None)
    refused = crowd_out(manager, monkeypatch)
    calls: dict[str, Callable[[], object]] = {
        "listen": lambda: manager.listen("tcp://127.0.0.1:0", notes),
        "listen for udp": lambda: manager.listen("udp://127.0.0.1:0", notes),
        "connect": lambda: manager.connect(target, notes),
        "connect for udp": lambda: manager.connect(target.replace("tcp", "udp"), notes),
        "adopt": lambda: manager.adopt(handle, notes),
    }
    if verb.startswith("connect"):
        calls[verb]()
        world.run(lambda: bool(notes.of("Closed")))
        assert [type(event).__name__ for event in notes.events] == ["Closed"]
        assert "No space left" in str(notes.of("Closed")[0])
    else:
        with pytest.raises(OSError, match="No space left"):
            calls[verb]()
        world.turn()
        assert notes.events == []
    assert len(refused) == 1
    assert descriptors(manager) == []
    assert (manager.connections, manager.listeners) == ({}, {})
    if peer is not None:
        world.run(lambda: peer.reset or peer.ended)


def test_an_accepted_connection_that_can_t_be_watched_is_reset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, notes = world.manager(), Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    before = descriptors(manager)
    crowd_out(manager, monkeypatch, times=1)
    first = world.connect(str(listener.url))
    world.run(lambda: first.reset)
    assert descriptors(manager) == before
    assert (notes.events, manager.connections) == ([], {})
    world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    assert isinstance(listener, Listener)
    assert listener.open_connections == 1


def test_a_query_that_can_t_be_watched_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes()
    with Manager(resolver=(SERVERS, Hosts())) as manager:
        refused = crowd_out(manager, monkeypatch)
        manager.connect("tcp://example.org:1", notes, limits=Limits(resolve_within=0.5))
        while not notes.of("Closed"):
            manager.poll(0.05)
        assert refused
        assert list(manager.ledger) == []


def test_a_listener_that_can_t_be_watched_again_tries_again_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, notes = world.manager(), Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes, max_connections=1)
    first = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    second = world.connect(str(listener.url))
    world.turn()
    assert not second.reset
    refused = crowd_out(manager, monkeypatch, times=2)
    first.close()
    world.run(lambda: len(notes.of("Opened")) == 2)
    assert len(refused) == 2
    listener.close()


class Counted:
    """A factory whose sessions are counted until they are released."""

    def __init__(self, factory: EngineFactory, alive: list[Engine]) -> None:
        self._factory = factory
        self._alive = alive
        self.name = factory.name

    def __getattr__(self, name: str) -> object:
        return getattr(self._factory, name)

    def client(self, config: ClientConfig, server_name: str | None) -> Engine:
        return self._count(self._factory.client(config, server_name))

    def server(self, config: ServerConfig) -> Engine:
        return self._count(self._factory.server(config))

    def _count(self, engine: Engine) -> Engine:
        self._alive.append(engine)
        alive = self._alive

        class Watched:
            def __getattr__(self, name: str) -> object:
                return getattr(engine, name)

            def release(self) -> None:
                alive.remove(engine)
                engine.release()

        return Watched()  # type: ignore[return-value]


@pytest.mark.parametrize(
    "config", [papers.client_config(True), papers.server_config(True)], ids=["client", "server"]
)
def test_what_is_no_socket_takes_no_tls_session_with_it(
    monkeypatch: pytest.MonkeyPatch, config: ClientConfig | ServerConfig
) -> None:
    alive: list[Engine] = []
    monkeypatch.setattr(
        "mungos.core.securing.select", lambda name, provider: Counted(select(name, provider), alive)
    )
    name = "localhost" if isinstance(config, ClientConfig) else None
    with Manager() as manager, socket.socket() as not_connected:
        for handle in (object(), not_connected):
            with pytest.raises(Misuse):
                manager.adopt(handle, Notes(), tls=config, server_name=name)
        assert alive == []
        one, other = socket.socketpair()
        with other:
            manager.adopt(one, Notes(), tls=config, server_name=name)
            assert len(alive) == 1
            manager.close(0)
    assert alive == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_resolver_that_fails_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch, scheme: str, error: type[BaseException]
) -> None:
    def fail(_names: Names, _now: float) -> None:
        raise error

    notes = Notes()
    with Manager() as manager:
        monkeypatch.setattr(Names, "configuration", fail)
        with pytest.raises(error):
            manager.connect(f"{scheme}://example.org:53", notes)
        assert manager.connections == {}
        manager.poll(0)
        assert notes.events == []
        report = manager.close(1.0)
    assert report.ok
    no_residue(manager)


@pytest.mark.parametrize("verb", ["adopt", "listen", "connect"])
def test_no_verb_passes_the_limit_of_connections(verb: str) -> None:
    notes = Notes()
    with Manager(limits=Limits(max_connections=2)) as manager:
        for _ in range(2):
            manager.listen("udp://127.0.0.1:0", notes)
        one, other = socket.socketpair()
        calls: dict[str, Callable[[], object]] = {
            "adopt": lambda: manager.adopt(one, notes),
            "listen": lambda: manager.listen("udp://127.0.0.1:0", notes),
            "connect": lambda: manager.connect("udp://127.0.0.1:9", notes),
        }
        with one, other:
            with pytest.raises(Misuse, match="2 connections are open, the limit is 2"):
                calls[verb]()
            one.send(b"the caller's still")
        assert len(manager.connections) == 2
        manager.listen("tcp://127.0.0.1:0", notes)  # which pauses
        manager.close(0)


class Interrupting(AccessList):
    """An access list that is interrupted once."""

    interrupted = False

    def allows(self, host: str | IPv4Address | IPv6Address) -> bool:
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return super().allows(host)


def test_an_interrupt_in_an_access_list_denies_that_peer_and_leaves_poll(world: World) -> None:
    manager, notes = world.manager(), Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes, access=Interrupting("+127.0.0.0/8"))
    first = world.connect(str(listener.url))
    with pytest.raises(KeyboardInterrupt):
        world.run(lambda: first.reset)
    world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")) and first.reset)
    assert isinstance(listener, Listener)
    assert (listener.denied, listener.accepted) == (1, 1)
    assert len(descriptors(manager)) == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_protocol_that_fails_at_its_end_costs_no_other_connection(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """The one that holds most is aborted while another enters what it holds."""
    manager = world.manager(Limits(held_per_manager=100 * 1024))
    notes = Notes(Opened=lambda connection, _: connection.pause())
    url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
    large, small = world.connect(url), world.connect(url)
    world.run(lambda: len(notes.of("Opened")) == 2)
    victim = notes.faces[0]
    assert isinstance(victim, Connection)
    own = type(victim.protocol)

    def release(protocol: object) -> None:
        if protocol is victim.protocol:
            raise error

    monkeypatch.setattr(own, "release", release, raising=False)
    left: list[BaseException] = []
    for peer, size in ((large, 80), (small, 40)):
        for _ in range(size):
            while not peer.send(bytes(1024)):
                world.turn()
            try:
                world.turn()
            except BaseException as raised:  # noqa: BLE001 - the interrupt, once
                left.append(raised)
    world.run(lambda: large.reset)
    assert [type(each) for each in left] == ([] if error is RuntimeError else [error])
    (end,) = notes.of("Closed")
    assert end.reason.kind is CloseKind.ABORTED  # type: ignore[attr-defined]
    assert victim.phase is Phase.CLOSED
    assert manager.holdings.total == 40 * 1024
    assert not small.reset


def test_a_listener_that_a_handler_closes_accepts_nobody_in_the_same_turn(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    manager = world.manager()
    listeners: list[Listener] = []
    opened: list[object] = []

    def close_all(connection: object, _event: object) -> None:
        opened.append(connection)
        for listener in listeners:
            listener.close()

    for _ in range(2):
        made = manager.listen("tcp://127.0.0.1:0", close_all)
        assert isinstance(made, Listener)
        listeners.append(made)
    for listener in listeners:
        world.connect(str(listener.url))
        world.connect(str(listener.url))
    world.sleep(0.05)
    assert sum(listener.accepted for listener in listeners) == 1
    assert "could not accept" not in caplog.text
    assert not [watcher for watcher in manager.scheduler.table.values() if isinstance(watcher, Listener)]
