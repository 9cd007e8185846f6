"""Several addresses for one name: tried beside each other until one wins, and nothing is left of the rest."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos import CloseKind, Connection, DatagramConnection, Limits, Manager
from mungos.core.plain import PlainProtocol
from mungos.dns import Hosts, ResolverConfig, ServerAddress, Zone, decode, parse_hosts
from mungos.dns.messages import RecordType
from mungos.wires import Address, MemoryStream
from mungos.wires.kernel import KernelWire
from mungos.wires.memory import MemoryDatagrams, MemoryWire
from tests.cases.oracles import ended
from tests.cases.world import Notes, World

MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
KERNEL = pytest.mark.parametrize("world", ["kernel"], indirect=True)


@dataclass
class Names:
    """A name server in the same world, which keeps the answers to some types until it is told."""

    world: World
    zone: Zone
    held: tuple[RecordType, ...] = ()
    answers: list[tuple[bytes, Address]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.world.manager().listen("udp://127.0.0.1:0", self._on_event)
        assert isinstance(made, DatagramConnection)
        assert made.url.port is not None
        self.face = made
        self.server = ServerAddress("127.0.0.1", made.url.port)

    def _on_event(self, face: DatagramConnection, event: object) -> None:
        data, peer = getattr(event, "data", None), getattr(event, "peer", None)
        if isinstance(data, bytes) and isinstance(peer, Address):
            answer = self.zone.answer(data)
            assert answer is not None
            if decode(data).questions[0].type in self.held:
                self.answers.append((answer, peer))
            else:
                face.send(answer, peer)

    def release(self) -> None:
        """Send what was kept."""
        for answer, peer in self.answers:
            self.face.send(answer, peer)

    def manager(self, limits: Limits | None = None) -> Manager:
        """One that asks here."""
        return self.world.manager(limits, resolver=(ResolverConfig((self.server,)), Hosts()))


@contextlib.contextmanager
def silent(world: World, port: int, *hosts: str) -> Iterator[None]:
    """From these hosts no answer comes to who connects to the port."""
    if world.wire == "memory":
        world.network.silent_hosts.update(hosts)
        yield
        return
    with contextlib.ExitStack() as stack:
        for host in hosts:
            # Linux drops a SYN for which the listener's queue has no room.
            full = stack.enter_context(socket.socket())
            full.bind((host, port))
            full.listen(0)
            for _ in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex((host, port))
        yield


def connect(world: World, addresses: list[str], port: int, limits: Limits | None = None) -> Notes:
    """On the way to a name with these addresses."""
    notes = Notes()
    manager = Names(world, Zone({"many.example": addresses})).manager(limits)
    assert isinstance(manager.connect(f"tcp://many.example:{port}", notes), Connection)
    return notes


def manager_of(world: World) -> Manager:
    """The client's: the one made last."""
    return world.managers[-1]


def holds(manager: Manager, descriptors: int, lookups: int = 0) -> None:
    """So much stands in the ledger, and so many sockets are open, and nothing else."""
    census = manager.ledger.census()
    expected = {**dict.fromkeys(census, 0), "descriptor": descriptors, "lookup": lookups}
    assert census == expected
    if isinstance(manager.wire, MemoryWire):
        assert len(manager.wire.nodes) == descriptors


def until(world: World, manager: Manager, descriptors: int) -> None:
    """Run until so many attempts are under way."""
    world.run(lambda: manager.ledger.census()["descriptor"] == descriptors and not lookups(manager))


def lookups(manager: Manager) -> int:
    return manager.ledger.census()["lookup"]


def watch_connects(manager: Manager, now: Callable[[], float]) -> list[tuple[str, float]]:
    """Which addresses are tried, and when."""
    tried: list[tuple[str, float]] = []
    real = manager.wire.connect

    def connecting(address: Address) -> MemoryStream:
        tried.append((address.host, round(now(), 3)))
        made = real(address)
        assert isinstance(made, MemoryStream)
        return made

    manager.wire.connect = connecting  # type: ignore[method-assign]
    return tried


def test_the_second_address_is_tried_a_quarter_of_a_second_after_a_silent_first(world: World) -> None:
    server = Notes()
    listener = world.manager().listen("tcp://127.0.0.1:0", server)
    port = listener.url.port or 0
    with silent(world, port, "127.0.0.2"):
        began = world.now()
        notes = connect(world, ["127.0.0.2", "127.0.0.1"], port)
        world.run(lambda: bool(notes.of("Opened")))
        took = world.now() - began
        assert 0.25 <= took < (0.26 if world.wire == "memory" else 2.0)
        assert notes.connection.remote == Address("127.0.0.1", port, 4)
        holds(manager_of(world), 1)
        world.run(lambda: bool(server.of("Opened")))


@MEMORY
def test_attempts_join_each_other_and_the_losers_are_struck_out_at_once(world: World) -> None:
    server = Notes()
    listener = world.manager().listen("tcp://127.0.0.1:0", server)
    port = listener.url.port or 0
    with silent(world, port, "127.0.0.2", "127.0.0.3", "127.0.0.4"):
        notes = connect(world, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"], port)
        manager = manager_of(world)
        for under_way in (1, 2, 3):
            world.sleep(0.2 if under_way == 1 else 0.25)
            holds(manager, under_way)
        assert not notes.of("Opened")
        world.run(lambda: bool(notes.of("Opened")))
        holds(manager, 1)


@MEMORY
def test_rfc8305_4_families_take_turns(world: World) -> None:
    hosts = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3"]
    notes = Notes()
    manager = Names(world, Zone({"many.example": hosts})).manager()
    with silent(world, 80, *hosts):
        began = world.now()
        manager.connect("tcp://many.example:80", notes)
        tried = watch_connects(manager, lambda: world.now() - began)
        world.sleep(1.1)
        assert tried == [
            ("2001:db8::1", 0.0),
            ("192.0.2.1", 0.25),
            ("2001:db8::2", 0.5),
            ("192.0.2.2", 0.75),
            ("2001:db8::3", 1.0),
        ]


@MEMORY
def test_what_needs_no_name_server_is_tried_in_its_own_order(world: World) -> None:
    table = parse_hosts("192.0.2.1 many.example\n192.0.2.2 many.example\n2001:db8::1 many.example")
    for host, expected in (
        ("many.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("localhost", ["127.0.0.1", "::1"]),
    ):
        manager = world.manager(resolver=(ResolverConfig(), table))
        tried = watch_connects(manager, world.now)
        notes = Notes()
        manager.connect(f"tcp://{host}:9", notes)
        ended(world, notes, CloseKind.REFUSED)
        assert [address for address, _ in tried] == expected


@MEMORY
def test_the_delay_between_attempts_is_a_limit(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    with silent(world, port, "127.0.0.2"):
        began = world.now()
        notes = connect(world, ["127.0.0.2", "127.0.0.1"], port, Limits(attempt_delay=2.0))
        world.run(lambda: bool(notes.of("Opened")))
        assert world.now() - began == pytest.approx(2.0)


@MEMORY
def test_attempts_at_once_are_bounded_and_every_address_gets_its_share(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    dead = [f"127.0.0.{last}" for last in range(2, 12)]
    with silent(world, port, *dead):
        began = world.now()
        limits = Limits(connect_within=3.0, max_attempts=2)
        notes = connect(world, [*dead, "127.0.0.1"], port, limits)
        manager = manager_of(world)
        most = 0
        while not notes.of("Opened"):
            world.sleep(0.01)
            if not lookups(manager):
                most = max(most, manager.ledger.census()["descriptor"])
        assert most == 2
        assert world.now() - began < 3.0
        holds(manager, 1)


@MEMORY
@pytest.mark.parametrize("count", [1, 7, 8, 9, 20, 38, 40, 63])
def test_however_many_addresses_are_silent_the_pace_stays(world: World, count: int) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    dead = [f"127.0.0.{last}" for last in range(2, 2 + count)]
    with silent(world, port, *dead):
        notes = connect(world, [*dead, "127.0.0.1"], port)
        began, limits = world.now(), Limits()
        tried = watch_connects(manager_of(world), world.now)
        most = 0
        while not notes.of("Opened"):
            world.sleep(0.01)
            assert not notes.of("Closed"), tried
            if not lookups(manager_of(world)):
                most = max(most, manager_of(world).ledger.census()["descriptor"])
        assert world.now() - began <= min(count * limits.attempt_delay, limits.connect_within) + 0.02
        assert [host for host, _ in tried] == [*dead, "127.0.0.1"]
        assert most == min(count, limits.max_attempts)


@MEMORY
@pytest.mark.parametrize(("most", "expected"), [(1, [0.0, 2.0, 4.0]), (2, [0.0, 0.25, 2.0, 2.25])])
def test_an_attempt_that_makes_room_had_time_for_two_segments(
    world: World, most: int, expected: list[float]
) -> None:
    hosts = [f"127.0.0.{last}" for last in range(2, 2 + len(expected))]
    with silent(world, 80, *hosts):
        notes = connect(world, hosts, 80, Limits(max_attempts=most))
        began = world.now()
        tried = watch_connects(manager_of(world), world.now)
        while not notes.of("Closed"):
            world.sleep(0.01)
    assert [round(at - began, 2) for _, at in tried] == expected


@MEMORY
def test_rfc8305_8_attempts_are_ten_milliseconds_apart_at_the_least(world: World) -> None:
    hosts = [f"127.0.0.{last}" for last in range(2, 62)]
    with silent(world, 80, *hosts):
        notes = connect(world, hosts, 80, Limits(connect_within=0.3, attempt_delay=0.001))
        began = world.now()
        tried = watch_connects(manager_of(world), world.now)
        ended(world, notes, CloseKind.TIMED_OUT)
    gaps = [later[1] - earlier[1] for earlier, later in itertools.pairwise(tried)]
    assert min(gaps) >= 0.0099
    assert tried[-1][1] - began < 0.3


def test_an_attempt_that_fails_starts_the_next_at_once(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    began = world.now()
    limits = Limits(attempt_delay=60.0)
    notes = connect(world, ["127.0.0.2", "127.0.0.3", "127.0.0.1"], port, limits)
    world.run(lambda: bool(notes.of("Opened")))
    if world.wire == "memory":
        assert world.now() == began
    holds(manager_of(world), 1)


@pytest.mark.parametrize("number", ["ENETUNREACH", "EADDRNOTAVAIL", "EMFILE"])
def test_an_attempt_that_fails_before_it_begins_starts_the_next_at_once(world: World, number: str) -> None:
    import errno

    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    notes = Notes()
    manager = Names(world, Zone({"many.example": ["127.0.0.2", "127.0.0.1"]})).manager(
        Limits(attempt_delay=60.0)
    )
    real = manager.wire.connect

    def failing(address: Address) -> object:
        if address.host == "127.0.0.2":
            raise OSError(getattr(errno, number), number)
        return real(address)

    manager.wire.connect = failing  # type: ignore[method-assign, assignment]
    manager.connect(f"tcp://many.example:{port}", notes)
    world.run(lambda: bool(notes.of("Opened")))
    holds(manager, 1)


def test_when_all_addresses_fail_each_is_named_with_its_error(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    listener.close()
    with silent(world, port, "127.0.0.3"):
        limits = Limits(attempt_delay=0.05, connect_within=0.4)
        notes = connect(world, ["127.0.0.2", "127.0.0.3", "127.0.0.1"], port, limits)
        reason = ended(world, notes, CloseKind.TIMED_OUT)
        told = str(reason.error)
        assert "limit 0.4 s" in told
        assert f"127.0.0.2:{port}: Connection refused" in told
        assert f"127.0.0.1:{port}: Connection refused" in told
        assert f"127.0.0.3:{port}: no answer in time" in told
        holds(manager_of(world), 0)


@MEMORY
def test_an_address_to_which_there_is_no_way_does_not_hide_that_the_other_refuses(world: World) -> None:
    world.network.unreachable_hosts.add("127.0.0.3")
    notes = connect(world, ["127.0.0.2", "127.0.0.3"], 9)
    reason = ended(world, notes, CloseKind.REFUSED)
    assert "127.0.0.2" in str(reason)
    assert "127.0.0.3:9: Network is unreachable" in str(reason)


@MEMORY
def test_addresses_that_were_not_tried_in_time_are_named(world: World) -> None:
    hosts = [f"127.0.0.{last}" for last in range(2, 62)]
    with silent(world, 80, *hosts):
        notes = connect(world, hosts, 80, Limits(attempt_delay=5.0, connect_within=0.3))
        reason = ended(world, notes, CloseKind.TIMED_OUT)
        assert "127.0.0.2:80: no answer in time" in str(reason)
        assert "127.0.0.61:80: not tried" in str(reason)


@pytest.mark.parametrize("verb", ["abort", "close", "manager"])
def test_an_end_while_attempts_are_under_way_releases_them_all(world: World, verb: str) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    with silent(world, port, "127.0.0.2", "127.0.0.3"):
        limits = Limits(attempt_delay=0.02)
        notes = connect(world, ["127.0.0.2", "127.0.0.3"], port, limits)
        manager = manager_of(world)
        until(world, manager, 2)
        connection = next(iter(manager.connections.values()))
        if verb == "manager":
            assert manager.close(1.0).ok
        else:
            getattr(connection, verb)()
            holds(manager, 0)
            assert manager.wire.strays() == []
            world.run(lambda: notes.closed)
        assert notes.names == ["Closed"]
        assert connection.reason is not None
        assert connection.reason.kind is CloseKind.ABORTED
        assert connection.reason.phase == "connecting"


@MEMORY
def test_of_two_that_connect_in_one_turn_one_wins(world: World) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    with silent(world, 80, *hosts):
        notes = connect(world, hosts, 80)
        manager = manager_of(world)
        until(world, manager, 2)
        wire = manager.wire
        assert isinstance(wire, MemoryWire)
        ours = [node for node in wire.nodes.values() if isinstance(node, MemoryStream)]
        peers = [MemoryStream(world.network, None, each.remote, each.local) for each in ours]
        for one, other in zip(ours, peers, strict=True):
            MemoryStream.join(one, other)
        world.run(lambda: bool(notes.of("Opened")))
        assert notes.names == ["Opened"]
        holds(manager, 1)
        assert sorted(peer.read() or b"" if peer.read() == b"" else b"open" for peer in peers) == [
            b"",
            b"open",
        ]
        notes.connection.abort()
        for peer in peers:
            peer.close()


@MEMORY
def test_rfc8305_5_an_address_that_is_known_late_joins_those_being_tried(world: World) -> None:
    listener = world.manager().listen("tcp://[::1]:0", Notes())
    port = listener.url.port or 0
    names = Names(world, Zone({"both.example": ["127.0.0.2", "::1"]}), held=(RecordType.AAAA,))
    manager, notes = names.manager(), Notes()
    with silent(world, port, "127.0.0.2"):
        began = world.now()
        manager.connect(f"tcp://both.example:{port}", notes)
        tried = watch_connects(manager, lambda: world.now() - began)
        world.sleep(0.04)
        assert tried == []
        holds(manager, 1, lookups=1)
        world.sleep(0.06)
        # RFC 8305 section 3: 50 milliseconds, in which an IPv6 address would have gone first.
        assert tried == [("127.0.0.2", 0.05)]
        holds(manager, 2, lookups=1)
        names.release()
        world.run(lambda: bool(notes.of("Opened")))
        assert tried == [("127.0.0.2", 0.05), ("::1", 0.3)]
        holds(manager, 1)


@MEMORY
def test_a_late_address_is_tried_at_once_when_all_others_have_failed(world: World) -> None:
    listener = world.manager().listen("tcp://[::1]:0", Notes())
    port = listener.url.port or 0
    names = Names(world, Zone({"both.example": ["127.0.0.2", "::1"]}), held=(RecordType.AAAA,))
    manager, notes = names.manager(), Notes()
    began = world.now()
    manager.connect(f"tcp://both.example:{port}", notes)
    world.sleep(0.2)
    assert not notes.closed
    names.release()
    world.run(lambda: bool(notes.of("Opened")))
    assert world.now() - began == pytest.approx(0.2)
    holds(manager, 1)


@MEMORY
def test_who_is_connected_asks_for_no_more_addresses(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    names = Names(world, Zone({"both.example": ["127.0.0.1", "::1"]}), held=(RecordType.AAAA,))
    manager, notes = names.manager(), Notes()
    began = world.now()
    manager.connect(f"tcp://both.example:{listener.url.port}", notes)
    world.run(lambda: bool(notes.of("Opened")))
    assert world.now() - began == pytest.approx(0.05)
    holds(manager, 1)
    names.release()
    world.sleep(1.0)
    assert notes.names == ["Opened"]


@MEMORY
@pytest.mark.parametrize("usable", [True, False])
def test_datagrams_wait_for_no_more_addresses_than_they_need(world: World, usable: bool) -> None:
    server = Notes()
    there = world.manager().listen("udp://[::1]:0", server)
    names = Names(world, Zone({"both.example": ["127.0.0.1", "::1"]}), held=(RecordType.AAAA,))
    manager, notes = names.manager(), Notes()
    real = manager.wire.datagrams

    def without_ipv4(local: Address | None, remote: Address | None, dual_stack: bool) -> MemoryDatagrams:
        if not usable and remote is not None and remote.port == there.url.port and remote.family == 4:
            raise OSError("no such family")
        made = real(local, remote, dual_stack)
        assert isinstance(made, MemoryDatagrams)
        return made

    manager.wire.datagrams = without_ipv4  # type: ignore[method-assign]
    began = world.now()
    manager.connect(f"udp://both.example:{there.url.port}", notes)
    world.sleep(0.1)
    names.release()
    world.run(lambda: bool(notes.of("Opened")))
    assert world.now() - began == pytest.approx(0.1)
    opened = next(iter(manager.connections.values()))
    assert opened.remote is not None
    assert opened.remote.family == (4 if usable else 6)
    assert opened.since - began == pytest.approx(0.05 if usable else 0.1)
    holds(manager, 1)
    opened.abort()
    world.run(lambda: notes.closed)


@MEMORY
def test_the_deadline_counts_from_the_first_address(world: World) -> None:
    names = Names(world, Zone({"both.example": ["127.0.0.2", "::1"]}), held=(RecordType.AAAA,))
    manager, notes = names.manager(Limits(connect_within=1.0)), Notes()
    with silent(world, 80, "127.0.0.2", "::1"):
        began = world.now()
        manager.connect("tcp://both.example:80", notes)
        world.sleep(0.3)
        names.release()
        ended(world, notes, CloseKind.TIMED_OUT)
        assert world.now() - began == pytest.approx(1.05)


class Crossing(socket.socket):
    """A socket that draws, of all local ports, the one that it connects to."""

    def connect_ex(self, address: object) -> int:
        assert isinstance(address, tuple)
        self.bind(address)
        return super().connect_ex(address)


@KERNEL
def test_a_connection_with_itself_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    manager, notes = world.manager(), Notes()
    assert isinstance(manager.wire, KernelWire)
    with monkeypatch.context() as patch:
        patch.setattr("mungos.wires.kernel.socket.socket", Crossing)
        manager.connect(f"tcp://127.0.0.1:{port}", notes)
    reason = ended(world, notes, CloseKind.REFUSED)
    assert notes.names == ["Closed"]
    assert "to itself" in str(reason)
    holds(manager, 0)


@MEMORY
def test_what_fails_by_itself_when_connected_ends_its_connection(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    manager, notes = world.manager(), Notes()
    connection = manager.connect(str(listener.url), notes)
    assert isinstance(connection, Connection)

    class Broken(PlainProtocol):
        __slots__ = ()

        def start(self, now: float) -> None:
            raise RuntimeError("a defect")

    connection.set_protocol(Broken(Limits()), connection)
    ended(world, notes, CloseKind.BROKEN)
    holds(manager, 0)


FATES = ["silent", "refused", "unreachable", "listening"]


@given(
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=8),
    delay=st.sampled_from([0.01, 0.25, 3.0]),
    most=st.integers(1, 4),
    left=st.sampled_from([None, 3, 6]),
    ends_at=st.sampled_from([0.0, 0.1, 0.6, 5.0]),
)
@settings(max_examples=150, deadline=None)
def test_the_ledger_knows_every_attempt_at_every_moment(
    fates: list[str], delay: float, most: int, left: int | None, ends_at: float
) -> None:
    world = World("memory")
    hosts = [f"192.0.2.{number}" for number in range(1, 1 + len(fates))]
    server = world.manager()
    for host, fate in zip(hosts, fates, strict=True):
        if fate == "listening":
            server.listen(f"tcp://{host}:80", Notes())
        elif fate == "silent":
            world.network.silent_hosts.add(host)
        elif fate == "unreachable":
            world.network.unreachable_hosts.add(host)
    limits = Limits(attempt_delay=delay, max_attempts=most, connect_within=2.0)
    table = parse_hosts("".join(f"{host} many.example\n" for host in hosts))
    manager = world.manager(limits, (ResolverConfig(), table))
    world.network.descriptors_left = left
    notes = Notes()
    connection = manager.connect("tcp://many.example:80", notes)
    wire = manager.wire
    assert isinstance(wire, MemoryWire)
    began = world.now()
    while world.now() < began + ends_at and not notes.of("Opened") and not notes.closed:
        under_way = manager.ledger.census()["descriptor"]
        assert under_way == len(wire.nodes) <= most
        world.sleep(0.005)
    assert notes.closed or len(notes.of("Opened")) <= 1
    holds(manager, 0 if notes.closed else manager.ledger.census()["descriptor"])
    if notes.of("Opened"):
        holds(manager, 1)
    elif ends_at > 2.0:
        assert notes.closed
    connection.abort()
    holds(manager, 0)
    world.run(lambda: notes.closed)
    assert notes.names.count("Closed") == 1
    world.network.descriptors_left = None
    world.close()


@MEMORY
def test_attempts_beside_others_take_no_more_descriptors_than_are_left(world: World) -> None:
    listener = world.manager().listen("tcp://127.0.0.1:0", Notes())
    port = listener.url.port or 0
    hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"]
    world.network.descriptor_limit = 100
    with silent(world, port, *hosts[:3]):
        notes = Notes()
        manager = Names(world, Zone({"many.example": hosts})).manager(Limits(reserved_descriptors=10))
        for _ in range(20):
            manager.connect(f"tcp://many.example:{port}", notes)
        world.sleep(0.7)
        census = manager.ledger.census()
        assert (census["lookup"], census["descriptor"]) == (0, 20 + 5)
        world.run(lambda: len(notes.of("Opened")) == 20, 20.0)
        assert manager.descriptors.beside == 0
        holds(manager, 20)
