"""A turn is bounded in time: who asks for much waits, who asks for little does not, and no deadline does.

In memory, where handlers move the clock: what a turn does is counted, not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mungos import Closed, CloseKind, Connection, Limits, Manager, Received, http
from mungos.core.lifecycle import Handler
from tests.cases.world import Notes, RawPeer, World

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
BUDGET = Limits().turn_within
COST = 0.0002  # seconds that answering takes
CROWD = 200


@pytest.fixture
def world() -> Iterator[World]:
    """In memory only: the clock is the handlers'."""
    made = World("memory")
    yield made
    made.close()


class Answering:
    """Answers GETs, each of which costs time, and notes whose they were.

    Attributes:
        served: the number of the connection of each request.
    """

    def __init__(self, world: World, cost: float = COST) -> None:
        self.served: list[int] = []
        self._clock = world.network.clock
        self._cost = cost

    def __call__(self, session: http.ServerConnection, event: object) -> None:
        if isinstance(event, http.Request):
            self.served.append(session.connection.id)
            self._clock.advance(self._cost)
            session.respond(200, b"ok")


def crowd(world: World, url: str, count: int = CROWD) -> list[RawPeer]:
    """Peers that ask for as much as their pipes hold, all at once."""
    made = [world.connect(url) for _ in range(count)]
    world.turn()
    for peer in made:
        peer.send(GET * 1800)
    return made


def answers(peer: RawPeer) -> int:
    """Responses so far."""
    return peer.received.count(b"HTTP/1.1 200")


def test_one_who_asks_for_little_waits_for_a_turn_or_two_of_the_crowd(world: World) -> None:
    manager, answering = world.manager(), Answering(world)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    innocent = world.connect(str(listener.url))
    world.turn()
    crowd(world, str(listener.url))
    own = min(manager.connections)
    world.run(lambda: len(set(answering.served)) == CROWD)  # until then nobody can tell who asks for much
    waits = []
    for number in range(1, 21):
        before = len(answering.served)
        innocent.send(GET)
        world.run(lambda number=number: answers(innocent) == number)  # type: ignore[misc]
        waits.append(answering.served.index(own, before) - before)
    assert max(waits) <= 3 * BUDGET / COST, waits
    assert len(set(answering.served)) == CROWD + 1  # and all of the crowd have had their turns


def test_the_crowd_is_served_in_turns(world: World) -> None:
    manager, answering = world.manager(), Answering(world)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    crowd(world, str(listener.url), 20)
    world.run(lambda: len(answering.served) >= 3000)
    counts = [answering.served.count(number) for number in set(answering.served)]
    assert len(counts) == 20
    # A share is 32 events, two for each request.
    assert max(counts) - min(counts) <= 3 * 16, counts


def test_a_connection_alone_has_the_whole_turn(world: World) -> None:
    manager, answering = world.manager(), Answering(world, 0.0)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    crowd(world, str(listener.url), 1)
    manager.poll(0)
    assert len(answering.served) >= Limits().events_per_turn / 2


@pytest.mark.parametrize("what", ["call_later", "call_soon", "close", "connect_within"])
def test_nothing_waits_longer_than_a_turn_of_slow_handlers(world: World, what: str) -> None:
    clock = world.network.clock
    world.network.silent_hosts.add("10.0.0.1")
    manager, answering = world.manager(), Answering(world, 0.001)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    crowd(world, str(listener.url))
    due, done = [0.0], [0.0]

    def arrange() -> None:
        due[0] = clock.now() + (0.0 if what in {"call_soon", "close"} else 0.2)
        if what == "call_later":
            manager.call_later(0.2, note)
        elif what == "call_soon":
            manager.call_soon(note)
        elif what == "connect_within":
            notes = Notes(Closed=lambda *_: note())
            manager.connect("tcp://10.0.0.1:9", notes, limits=Limits(connect_within=0.2))
        else:
            manager.call_soon(manager.begin_close, 2.0)
            manager.call_soon(note)

    def note() -> None:
        done[0] = clock.now()

    manager.poll(0)
    arrange()
    world.run(lambda: done[0] > 0)
    assert done[0] - due[0] <= 3 * BUDGET
    if what == "close":
        world.run(lambda: manager.closed, 3.0)
        assert clock.now() - due[0] <= 2.0 + 2 * BUDGET


def test_requests_behind_a_close_are_not_answered(world: World) -> None:
    manager, answering = world.manager(), Answering(world)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    peers = crowd(world, str(listener.url))
    world.turn()
    began, before = world.now(), len(answering.served)
    closing = manager.begin_close(5.0)
    world.run(lambda: closing.done, 6.0)
    assert len(answering.served) - before <= CROWD
    assert world.now() - began <= 0.1 + Limits().linger
    assert closing.report.ok
    assert all(peer.ended or peer.reset for peer in peers)


def test_accepting_gives_way_as_well(world: World) -> None:
    clock = world.network.clock
    opened = Notes(Opened=lambda *_: clock.advance(0.001))
    fired: list[float] = []
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", opened)
    for _ in range(64):
        world.connect(str(listener.url))
    manager.call_later(0.0, lambda: fired.append(clock.now()))
    began = clock.now()
    world.run(lambda: bool(fired))
    assert fired[0] - began <= 2 * BUDGET


def test_a_burst_of_deadlines_does_not_hold_up_the_rest(world: World) -> None:
    clock, manager = world.network.clock, world.manager()
    fired: list[float] = []
    for _ in range(1000):
        manager.call_later(1.0, clock.advance, 0.001)
    began = clock.now()
    manager.call_soon(lambda: fired.append(clock.now()))
    clock.advance(1.0)
    manager.poll(0)
    manager.call_soon(lambda: fired.append(clock.now()))
    manager.poll(0)
    assert len(fired) == 2
    assert fired[1] - began <= 1.0 + 3 * BUDGET
    manager.close(0)


def test_a_timer_that_rearms_itself_at_once_ends_no_turn(world: World) -> None:
    manager = world.manager()
    fired: list[int] = []

    def again() -> None:
        fired.append(1)
        manager.call_later(0.0, again)

    again()
    manager.poll(0)
    assert len(fired) == 2


def test_what_arrived_before_its_deadline_counts_where_the_budget_did_not_reach_it(world: World) -> None:
    clock, manager = world.network.clock, world.manager()
    answering = Answering(world, 2 * BUDGET)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    first, late = world.connect(str(listener.url)), world.connect(str(listener.url))
    world.turn()
    clock.advance(http.HTTPLimits().head_timeout)
    first.send(GET)
    late.send(GET)
    world.run(lambda: answers(first) == 1 and bool(late.received))
    assert answers(late) == 1


# Deadlines start from the clock.

LONG = 12.0  # seconds that one handler takes


def long_handler(world: World, then: Callable[[Connection], object]) -> Handler:
    """Takes long over what it receives, and then calls `then`."""

    def handler(connection: Connection, event: object) -> None:
        if isinstance(event, Received) and event.data == b"work":
            world.network.clock.advance(LONG)
            then(connection)

    return handler


@pytest.mark.parametrize("verb", ["connection", "manager"])
def test_a_close_in_a_long_turn_has_its_whole_time(world: World, verb: str) -> None:
    def then(connection: Connection) -> None:
        connection.send(bytes(1 << 20))
        (connection if verb == "connection" else connection.manager).close(2.0)

    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", long_handler(world, then))
    peer = world.connect(str(listener.url))
    peer.send(b"work")
    world.run(lambda: peer.ended or peer.reset, 20.0)
    assert len(peer.received) == 1 << 20
    assert not peer.reset


def test_a_timer_made_in_a_long_turn_waits_its_whole_time(world: World) -> None:
    fired: list[float] = []
    asked: list[float] = []

    def then(connection: Connection) -> None:
        asked.append(world.now())
        connection.manager.call_later(2.0, lambda: fired.append(world.now()))

    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", long_handler(world, then))
    world.connect(str(listener.url)).send(b"work")
    world.run(lambda: bool(fired), 20.0)
    assert fired[0] - asked[0] >= 2.0


def test_an_attempt_begun_in_a_long_turn_has_its_whole_time(world: World) -> None:
    world.network.silent_hosts.add("10.0.0.1")
    asked: list[float] = []
    notes = Notes()

    def then(connection: Connection) -> None:
        asked.append(world.now())
        connection.manager.connect("tcp://10.0.0.1:9", notes, limits=Limits(connect_within=2.0))

    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", long_handler(world, then))
    world.connect(str(listener.url)).send(b"work")
    world.run(lambda: bool(notes.closed), 20.0)
    assert 2.0 <= world.now() - asked[0] < 2.5


def http_beside_work(world: World, manager: Manager) -> tuple[RawPeer, RawPeer]:
    """A peer whose request takes long, and one that is accepted in the same turn, after it."""
    slow = manager.listen("tcp://127.0.0.1:0", long_handler(world, lambda _: None))
    fast = http.listen(manager, "http://127.0.0.1:0", Answering(world))
    busy = world.connect(str(slow.url))
    world.turn()
    busy.send(b"work")
    return busy, world.connect(str(fast.url))


def test_a_head_has_its_whole_time_behind_a_long_handler(world: World) -> None:
    manager = world.manager()
    _, client = http_beside_work(world, manager)
    manager.poll(0)
    world.sleep(1.0)
    client.send(GET)
    world.run(lambda: bool(client.received))
    assert answers(client) == 1


def test_a_head_begun_behind_a_long_request_has_its_whole_time(world: World) -> None:
    manager = world.manager()
    answering = Answering(world, LONG)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    client = world.connect(str(listener.url))
    client.send(GET + GET[:10])
    world.run(lambda: answers(client) == 1, 20.0)
    world.sleep(1.0)
    client.send(GET[10:])
    world.run(lambda: client.received.count(b"HTTP/1.1") == 2, 20.0)
    assert answers(client) == 2


def test_a_handshake_has_its_whole_time_behind_a_long_handler(world: World) -> None:
    """STARTTLS in a handler that has taken longer than the handshake may."""
    from tests.cases.tls_stand import server_config

    def then(connection: Connection) -> None:
        connection.start_tls(server_config())
        asked.append(world.now())

    asked: list[float] = []
    ends: list[Closed] = []
    work = long_handler(world, then)

    def handler(connection: Connection, event: object) -> None:
        work(connection, event)
        if isinstance(event, Closed):
            ends.append(event)

    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", handler)
    world.connect(str(listener.url)).send(b"work")
    world.run(lambda: bool(ends), 40.0)
    assert ends[0].reason.kind is CloseKind.TIMED_OUT
    assert world.now() - asked[0] >= server_config().handshake_timeout


# What came before its deadline, in the turns of slow handlers.


class Slow:
    """Six peers of a manager, each of which asks for something that takes longer than a turn."""

    def __init__(self, world: World, manager: Manager) -> None:
        notes = Notes(Received=lambda *_: world.network.clock.advance(0.06))
        url = str(manager.listen("tcp://127.0.0.1:0", notes).url)
        self.peers = [world.connect(url) for _ in range(6)]
        world.run(lambda: len(notes.of("Opened")) == 6)

    def ask(self) -> None:
        """All at once."""
        for peer in self.peers:
            peer.send(b"x")


def test_an_attempt_that_was_answered_in_time_counts_where_the_budget_did_not_reach_it(world: World) -> None:
    manager, notes = world.manager(Limits(turn_within=0.001)), Notes()
    slow, listener = Slow(world, manager), world.listener()
    slow.ask()
    manager.connect(str(listener.url), notes, limits=Limits(connect_within=0.1))
    world.run(lambda: notes.closed or bool(notes.of("Opened")))
    assert not notes.closed, notes.of("Closed")
    world.accept(listener)


def test_an_answer_of_a_name_server_that_came_in_time_counts_as_well(world: World) -> None:
    from mungos.dns import Hosts, ResolverConfig, ServerAddress, Zone

    zone, listener = Zone({"there.example": ["127.0.0.1"]}), world.listener()
    server = world.manager().listen(
        "udp://127.0.0.1:0",
        Notes(Datagram=lambda face, event: face.send(zone.answer(event.data), event.peer)),
    )
    config = ResolverConfig((ServerAddress("127.0.0.1", server.url.port or 0),))
    limits = Limits(turn_within=0.001, resolve_within=0.1)
    manager, notes = world.manager(limits, (config, Hosts())), Notes()
    slow = Slow(world, manager)
    manager.connect(f"tcp://there.example:{listener.url.rpartition(':')[2]}", notes)
    for _ in range(2):
        manager.poll(0)
    slow.ask()
    server.manager.poll(0)
    world.run(lambda: notes.closed or bool(notes.of("Opened")))
    assert not notes.closed, notes.of("Closed")
    world.accept(listener)


def test_a_burst_of_calls_does_not_hold_up_the_rest(world: World) -> None:
    clock, manager = world.network.clock, world.manager()
    done: list[float] = []
    for _ in range(1000):
        manager.call_soon(clock.advance, 0.001)
    manager.call_soon(lambda: done.append(clock.now()))
    began = clock.now()
    manager.poll(0)
    assert clock.now() - began <= 2 * BUDGET
    world.run(lambda: bool(done))


def test_in_the_first_burst_of_a_crowd_nobody_waits_for_more_than_one_share_of_each(world: World) -> None:
    """Nobody has shown yet who asks for much. So it is one round, and no more of it is served than that."""
    manager, answering = world.manager(), Answering(world)
    listener = http.listen(manager, "http://127.0.0.1:0", answering)
    peers = [world.connect(str(listener.url)) for _ in range(CROWD + 1)]
    world.run(lambda: len(manager.connections) == CROWD + 1)
    innocent, own = peers.pop(), max(manager.connections)
    for peer in peers:
        peer.send(GET * 1800)
    innocent.send(GET)
    world.run(lambda: answers(innocent) == 1)
    # Two events for each request.
    assert answering.served.index(own) <= CROWD * Limits().events_per_share / 2


class Noting:
    """An engine's session, with the sizes of what it is given while others wait."""

    def __init__(self, engine: object, manager: Manager, sizes: list[int]) -> None:
        self._engine = engine
        self._manager = manager
        self._sizes = sizes

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def receive(self, data: bytes, now: float) -> int:
        """As the engine."""
        if self._manager.scheduler.crowded:
            self._sizes.append(len(data))
        taken: int = self._engine.receive(data, now)  # type: ignore[attr-defined]
        return taken


def test_ciphertext_is_decrypted_in_pieces_while_others_wait(world: World) -> None:
    from tests.cases.tls_stand import client_config, server_config

    manager, clients, served, asked = world.manager(), world.manager(), Notes(), Notes()
    listener = manager.listen("tls://127.0.0.1:0", served, tls=server_config(), engine="builtin")
    for _ in range(2):
        clients.connect(f"tls://localhost:{listener.url.port}", asked, tls=client_config(), engine="builtin")
    world.run(lambda: len(asked.of("Opened")) == len(served.of("Opened")) == 2)
    sizes: list[int] = []
    for connection in manager.connections.values():
        secure = connection._secure  # type: ignore[union-attr]
        assert secure is not None
        secure.engine = Noting(secure.engine, manager, sizes)
    for connection in clients.connections.values():
        connection.send(bytes(500_000))
    world.run(lambda: len(served.data) == 1_000_000)
    assert sizes
    assert max(sizes) <= 16 * 1024


def test_a_close_that_is_over_cuts_a_crowd_in_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drives the loop waits for no more than a turn."""
    clock, real = world.network.clock, Connection.overdue

    def costly(self: Connection) -> None:
        clock.advance(0.001)
        real(self)

    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", Notes())
    for _ in range(100):
        world.connect(str(listener.url)).deaf = True
    world.run(lambda: len(manager.connections) == 100)
    for connection in manager.connections.values():
        connection.send(bytes(1 << 20))
    closing = manager.begin_close(1.0)
    monkeypatch.setattr(Connection, "overdue", costly)
    clock.advance(1.0)
    while not closing.done:
        before = clock.now()
        manager.poll(0)
        assert clock.now() - before <= 2 * BUDGET
    assert len(closing.report.forced) == 100
