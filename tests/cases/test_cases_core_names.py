"""What a manager's lookups have learned, each from the others: answers, and how the servers must be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from mungos import CloseKind, DatagramConnection, Manager
from mungos.dns import (
    Hosts,
    Message,
    Question,
    Rcode,
    RecordType,
    ResolverConfig,
    ServerAddress,
    SystemFiles,
    Zone,
    decode,
    name_from_text,
    respond,
)
from mungos.wires import Address
from tests.cases.oracles import ended, no_residue
from tests.cases.world import Notes, World

MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
ZONE = Zone({"there.example": ["127.0.0.1"]}, minimum=30)


def good(query: Message, data: bytes) -> bytes | None:
    """A good server."""
    del query
    return ZONE.answer(data)


def deaf_to_edns(query: Message, data: bytes) -> bytes | None:
    """One that fails at EDNS."""
    return respond(query, rcode=Rcode.SERVFAIL) if query.edns is not None else ZONE.answer(data)


@dataclass
class Names:
    """A name server in the same world, which notes what it was asked, and by whom."""

    world: World
    answer: Callable[[Message, bytes], bytes | None] = good
    asked: list[tuple[Message, Address]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.world.manager().listen("udp://127.0.0.1:0", self._on_event)
        assert isinstance(made, DatagramConnection)
        assert made.url.port is not None
        self.server = ServerAddress("127.0.0.1", made.url.port)

    def _on_event(self, face: DatagramConnection, event: object) -> None:
        data, peer = getattr(event, "data", None), getattr(event, "peer", None)
        if isinstance(data, bytes) and isinstance(peer, Address):
            query = decode(data)
            self.asked.append((query, peer))
            answer = self.answer(query, data)
            assert answer is not None
            face.send(answer, peer)

    def manager(self, *, cache_entries: int = 1024) -> Manager:
        """One that asks here."""
        config = ResolverConfig((self.server,), cache_entries=cache_entries)
        return self.world.manager(resolver=(config, Hosts()))


def visit(world: World, manager: Manager, host: str = "there.example") -> Notes:
    """Connect, and go."""
    if "listener" not in vars(world):
        vars(world)["listener"] = world.manager().listen("tcp://127.0.0.1:0", Notes())
    notes = Notes()
    connection = manager.connect(f"tcp://{host}:{vars(world)['listener'].url.port}", notes)
    world.run(lambda: bool(notes.of("Opened")) or notes.closed)
    connection.close()
    world.run(lambda: notes.closed)
    return notes


def test_a_name_is_asked_for_once_by_all_connections_of_a_manager(world: World) -> None:
    names = Names(world)
    manager = names.manager()
    for _ in range(3):
        assert visit(world, manager).of("Opened")
    assert len(names.asked) == 2
    assert [(each.name, each.addresses) for each in manager.cache.answers(manager.now)] == [
        ("there.example", ("127.0.0.1",)),
        ("there.example", ()),
    ]
    no_residue(manager)
    manager.cache.clear()
    visit(world, manager)
    assert len(names.asked) == 4


def test_managers_remember_each_for_itself(world: World) -> None:
    names = Names(world)
    for _ in range(2):
        visit(world, names.manager())
    assert len(names.asked) == 4


@MEMORY
def test_a_manager_asks_again_when_the_time_is_over(world: World) -> None:
    names = Names(world)
    manager = names.manager()
    visit(world, manager)
    world.sleep(29.0)
    visit(world, manager)
    assert len(names.asked) == 2
    world.sleep(1.0)
    # That there is no IPv6 address held for 30 seconds, the IPv4 one for 60.
    visit(world, manager)
    assert len(names.asked) == 3
    world.sleep(30.0)
    visit(world, manager)
    assert len(names.asked) == 5


def test_that_there_is_no_name_is_remembered(world: World) -> None:
    names = Names(world)
    manager = names.manager()
    told = set()
    for _ in range(2):
        notes = Notes()
        manager.connect("tcp://nowhere.example:80", notes)
        told.add(str(ended(world, notes, CloseKind.NOT_RESOLVED)))
    assert len(names.asked) == 2
    assert len(told) == 1


def test_a_server_that_fails_at_edns_is_asked_without_from_the_second_lookup_on(world: World) -> None:
    names = Names(world, deaf_to_edns)
    manager = names.manager(cache_entries=0)
    assert visit(world, manager).of("Opened")
    spoken = [query.edns is not None for query, _ in names.asked]
    assert spoken == [True, True, False, False]
    assert visit(world, manager).of("Opened")
    assert [query.edns is not None for query, _ in names.asked[4:]] == [False, False]


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_rfc5452_9_2_each_query_has_a_number_and_a_port_of_its_own(world: World) -> None:
    names = Names(world)
    manager = names.manager(cache_entries=0)
    for _ in range(20):
        visit(world, manager)
    assert len(names.asked) == 40
    # Both are drawn by lot: two of forty may be the same, not many.
    assert len({query.header.id for query, _ in names.asked}) >= 38
    ports = [peer.port for _, peer in names.asked]
    assert len(set(ports)) >= 30
    assert sum(abs(one - other) <= 2 for one, other in pairwise(ports)) < 20


@MEMORY
def test_a_manager_notices_that_the_systems_files_have_changed(world: World, tmp_path: Path) -> None:
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    hosts.write_text("127.0.0.1 there.example\n")
    manager = world.manager()
    manager.names.files = SystemFiles(resolv, hosts)
    assert visit(world, manager).of("Opened")
    hosts.write_text("127.0.0.9 there.example\n127.0.0.1 here.example\n")
    world.sleep(1.0)
    assert visit(world, manager, "here.example").of("Opened")
    assert not visit(world, manager).of("Opened")
    # Other servers: what the ones before have said counts no longer.
    question = Question(name_from_text("old.example"), RecordType.A)
    manager.cache.keep(question, ("192.0.2.1",), exists=True, ttl=600, now=manager.now)
    visit(world, manager)
    assert len(manager.cache) == 1
    resolv.write_text("nameserver 127.0.0.99\n")
    world.sleep(1.0)
    visit(world, manager)
    assert len(manager.cache) == 0
