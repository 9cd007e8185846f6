"""Many lookups at once: one question for all who ask the same, and descriptors left for the others."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mungos import CloseKind, Connection, DatagramConnection, Limits, Manager
from mungos.dns import Hosts, Rcode, ResolverConfig, ServerAddress, Zone, decode, name_to_text, respond
from mungos.errors import TimedOut
from mungos.wires import Address
from tests.cases.oracles import ended, no_residue
from tests.cases.world import Notes, World

MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
ZONE = Zone({f"h{number}.example": ["127.0.0.1"] for number in range(200)}, minimum=30)
TIMELESS = Limits(max_lookups=2)


@dataclass
class Server:
    """A name server in the same world, which notes what it was asked, and answers when it is told."""

    world: World
    silent: bool = False
    rcode: int | None = None
    asked: list[str] = field(default_factory=list)
    kept: list[tuple[bytes, Address]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.world.manager().listen("udp://127.0.0.1:0", self._on_event)
        assert isinstance(made, DatagramConnection)
        self.face = made
        self.address = ServerAddress("127.0.0.1", made.url.port or 0)

    def _on_event(self, face: DatagramConnection, event: object) -> None:
        data, peer = getattr(event, "data", None), getattr(event, "peer", None)
        if isinstance(data, bytes) and isinstance(peer, Address):
            query = decode(data)
            self.asked.append(name_to_text(query.questions[0].name))
            answer = ZONE.answer(data) if self.rcode is None else respond(query, rcode=self.rcode)
            assert answer is not None
            if self.silent:
                self.kept.append((answer, peer))
            else:
                face.send(answer, peer)

    def answer(self) -> None:
        """What was kept; and from now on at once."""
        self.silent = False
        for answer, peer in self.kept:
            self.face.send(answer, peer)

    def manager(self, limits: Limits | None = None) -> Manager:
        """One that asks here, and nothing is remembered."""
        config = ResolverConfig((self.address,), attempts=1, cache_entries=0)
        return self.world.manager(limits, resolver=(config, Hosts()))


def connect(manager: Manager, host: str, port: int = 9, limits: Limits | None = None) -> Notes:
    notes = Notes()
    manager.connect(f"tcp://{host}:{port}", notes, limits=limits)
    return notes


def port_of(world: World) -> int:
    return world.manager().listen("tcp://127.0.0.1:0", Notes()).url.port or 0


def lookups(manager: Manager) -> int:
    return manager.descriptors.lookups


def test_one_question_serves_all_who_ask_at_the_same_time(world: World) -> None:
    server, port = Server(world), port_of(world)
    manager = server.manager()
    everybody = [connect(manager, name, port) for name in ["h1.example", "H1.Example"] * 20]
    datagrams = Notes()
    manager.connect(f"udp://h1.example:{port}", datagrams)
    world.run(lambda: all(notes.of("Opened") for notes in [*everybody, datagrams]))
    assert len(server.asked) == 2
    assert lookups(manager) == 0
    assert not manager.names.asking


@MEMORY
@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.NXDOMAIN])
def test_one_failure_is_told_to_all_who_asked(world: World, rcode: Rcode) -> None:
    server = Server(world, rcode=rcode)
    manager = server.manager()
    everybody = [connect(manager, "h1.example") for _ in range(20)]
    for notes in everybody:
        ended(world, notes, CloseKind.NOT_RESOLVED)
    assert len(server.asked) <= 4  # once more without EDNS
    no_residue(manager)


@MEMORY
@pytest.mark.parametrize("verb", ["abort", "wins"])
def test_who_goes_takes_the_answer_from_nobody(world: World, verb: str) -> None:
    server, port = Server(world, silent=True), port_of(world)
    manager = server.manager()
    first = Notes()
    going = manager.connect(f"tcp://h1.example:{port}", first)
    assert isinstance(going, Connection)
    others = [connect(manager, "h1.example", port) for _ in range(3)]
    world.run(lambda: len(server.kept) == 2)
    if verb == "abort":
        going.abort()
    else:
        # Its family's answer came first, and it wants no more.
        server.face.send(*server.kept[0])
        world.run(lambda: bool(first.of("Opened")))
    server.answer()
    world.run(lambda: all(notes.of("Opened") for notes in others))
    assert len(server.asked) == 2
    assert lookups(manager) == 0


@MEMORY
def test_when_all_have_gone_nothing_is_left(world: World) -> None:
    server = Server(world, silent=True)
    manager = server.manager(TIMELESS)
    made = [manager.connect(f"tcp://h{number % 5}.example:9", Notes()) for number in range(10)]
    world.run(lambda: len(server.kept) == 4)
    for connection in made:
        connection.abort()
    manager.poll(0)
    assert (lookups(manager), len(manager.names.asking)) == (0, 0)
    no_residue(manager)


@MEMORY
def test_each_who_asks_has_its_own_deadline(world: World) -> None:
    server, port = Server(world, silent=True), port_of(world)
    manager = server.manager()
    began = world.now()
    notes = [
        connect(manager, "h1.example", port, Limits(resolve_within=within)) for within in (2.0, 1.0, 3.0)
    ]
    closed: dict[int, float] = {}
    while world.now() - began < 2.5:
        world.sleep(0.01)
        closed |= {
            place: world.now() - began
            for place, one in enumerate(notes)
            if one.closed and place not in closed
        }
    assert closed == {1: pytest.approx(1.0, abs=0.02), 0: pytest.approx(2.0, abs=0.02)}
    for place, within in ((0, 2.0), (1, 1.0)):
        error = ended(world, notes[place], CloseKind.TIMED_OUT).error
        assert isinstance(error, TimedOut)
        assert (error.phase, error.limit) == ("resolving", within)
    # The one that has time yet has asked anew.
    server.answer()
    world.run(lambda: bool(notes[2].of("Opened")))


@MEMORY
def test_so_many_lookups_are_under_way_and_the_others_follow_in_order(world: World) -> None:
    server, port = Server(world), port_of(world)
    manager = server.manager(TIMELESS)
    everybody = [connect(manager, f"h{number}.example", port) for number in range(50)]
    assert lookups(manager) == 2
    assert manager.ledger.census()["descriptor"] == 4
    world.run(lambda: all(notes.of("Opened") for notes in everybody))
    assert list(dict.fromkeys(server.asked)) == [f"h{number}.example" for number in range(50)]
    assert len(server.asked) == 100
    assert lookups(manager) == 0


@MEMORY
def test_who_waits_for_its_turn_waits_within_its_own_deadline(world: World) -> None:
    server = Server(world, silent=True)
    manager = server.manager(TIMELESS)
    began = world.now()
    everybody = [
        connect(manager, f"h{number}.example", limits=Limits(resolve_within=2.0)) for number in range(10)
    ]
    for notes in everybody:
        error = ended(world, notes, CloseKind.TIMED_OUT).error
        assert isinstance(error, TimedOut)
        assert (error.phase, error.limit) == ("resolving", 2.0)
    assert world.now() - began == pytest.approx(2.0, abs=0.02)
    no_residue(manager)


@MEMORY
def test_what_needs_no_server_waits_for_no_turn(world: World) -> None:
    server, port = Server(world, silent=True), port_of(world)
    manager = server.manager(TIMELESS)
    for number in range(5):
        connect(manager, f"h{number}.example")
    notes = connect(manager, "localhost", port)
    world.run(lambda: bool(notes.of("Opened")))
    assert lookups(manager) == 2


@MEMORY
@pytest.mark.parametrize("same", [True, False])
def test_lookups_leave_the_reserve_and_room_for_those_who_come(world: World, same: bool) -> None:
    server = Server(world, silent=True)
    world.network.descriptor_limit = 256
    manager = server.manager()
    listener = manager.listen("tcp://127.0.0.1:0", Notes())
    everybody = [connect(manager, "h0.example" if same else f"h{number}.example") for number in range(150)]
    world.run(lambda: len(server.kept) >= (2 if same else 48))
    assert manager.ledger.census()["descriptor"] <= 1 + 2 * (1 if same else (256 - 64) // 8)
    assert len(manager.connections) + lookups(manager) < 256 - 64
    began = world.now()
    client = connect(world.manager(), "127.0.0.1", listener.url.port or 0)
    world.run(lambda: bool(client.of("Opened")) and len(manager.connections) == 151)
    assert world.now() == began
    assert not any(notes.closed for notes in everybody)


@MEMORY
def test_attempts_and_lookups_take_the_place_of_connections_and_give_it_back(world: World) -> None:
    server, port = Server(world, silent=True), port_of(world)
    world.network.descriptor_limit = 40
    manager = server.manager(Limits(reserved_descriptors=10))
    listener = manager.listen("tcp://127.0.0.1:0", Notes())
    everybody = [connect(manager, f"h{number}.example", port) for number in range(27)]
    # Three lookups stand beside 27 connections, and 30 descriptors are there for them.
    assert (lookups(manager), manager.is_full) == (3, True)
    client = connect(world.manager(), "127.0.0.1", listener.url.port or 0)
    world.sleep(0.1)
    assert len(manager.connections) == 27
    server.answer()
    world.run(lambda: all(notes.of("Opened") for notes in everybody))
    world.run(lambda: len(manager.connections) == 28)
    assert client.of("Opened")
