"""UDP: echoes, refusals that end nothing, limits, and its end."""

from __future__ import annotations

import errno
import os

import pytest

from mungos import CloseKind, DatagramConnection, DatagramError, Limits
from mungos.cli.echo import _Answers, _Echo
from mungos.errors import Closed, Misuse
from mungos.wires import Address
from mungos.wires.kernel import KernelWire
from tests.cases.oracles import ended, no_residue, quiet
from tests.cases.world import Notes, World


def listening(world: World, notes: Notes, url: str = "udp://127.0.0.1:0") -> DatagramConnection:
    """Our server's socket."""
    made = world.manager().listen(url, notes)
    assert isinstance(made, DatagramConnection)
    return made


def connected(world: World, notes: Notes, url: str, limits: Limits | None = None) -> DatagramConnection:
    """Our client's."""
    made = world.manager(limits).connect(url, notes)
    assert isinstance(made, DatagramConnection)
    return made


def echo(face: DatagramConnection, event: object) -> None:
    """Back to where it came from."""
    face.send(event.data, event.peer)  # type: ignore[attr-defined]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_echo(world: World, host: str) -> None:
    server, client = Notes(Datagram=echo), Notes()
    there = listening(world, server, f"udp://{host}:0")
    here = connected(world, client, str(there.url))
    sent = [b"", b"x", os.urandom(1200), os.urandom(65_507 if host != "[::1]" else 65_000)]
    for data in sent:
        assert here.send(data)
        world.run(lambda data=data: data in [event.data for event in client.of("Datagram")])  # type: ignore[attr-defined, misc]
    assert [event.data for event in client.of("Datagram")] == sent  # type: ignore[attr-defined]
    assert client.names[0] == server.names[0] == "Opened"
    assert here.bytes_sent == here.bytes_received == sum(map(len, sent))
    here.close()
    there.close()
    for notes in (server, client):
        ended_datagrams(world, notes)


def ended_datagrams(world: World, notes: Notes, kind: CloseKind = CloseKind.CLEAN) -> None:
    """As `ended`, for these."""
    ended(world, notes, kind)
    for manager in world.managers:
        if not manager.connections:
            no_residue(manager)


def test_dual_stack_answers_both_families(world: World) -> None:
    if world.wire == "memory":
        pytest.skip("memory's datagram sockets are bound to one address")
    server = Notes(Datagram=echo)
    there = listening(world, server, "udp://[::]:0")
    for host in ("127.0.0.1", "[::1]"):
        client = Notes()
        connected(world, client, f"udp://{host}:{there.url.port}").send(b"hello")
        world.run(lambda client=client: bool(client.of("Datagram")))  # type: ignore[misc]
    assert [event.peer.family for event in server.of("Datagram")] == [4, 6]  # type: ignore[attr-defined]


def test_a_refusal_is_an_event_of_a_connected_socket(world: World) -> None:
    gone = listening(world, Notes())
    url = str(gone.url)
    gone.close()
    world.run(lambda: gone.phase.value == "closed")
    client = Notes()
    here = connected(world, client, url)
    for count in range(1, 4):
        here.send(b"anybody?")
        world.run(lambda count=count: len(client.of("DatagramError")) >= count)  # type: ignore[misc]
    error = client.of("DatagramError")[0]
    assert isinstance(error, DatagramError)
    assert isinstance(error.error, ConnectionRefusedError) or "refused" in str(error.error).lower()
    assert str(error.peer) == url.removeprefix("udp://")
    quiet(here.manager)
    # It lives on: whoever comes back is heard.
    server = Notes(Datagram=echo)
    listening(world, server, url)
    here.send(b"again")
    world.run(lambda: bool(client.of("Datagram")))
    assert not client.closed


def test_a_refusal_is_an_event_of_an_unconnected_socket(world: World) -> None:
    gone = listening(world, Notes())
    assert gone.local is not None
    address = gone.local
    gone.close()
    world.run(lambda: gone.phase.value == "closed")
    server = Notes()
    there = listening(world, server)
    there.send(b"anybody?", address)
    world.run(lambda: bool(server.of("DatagramError")))
    error = server.of("DatagramError")[0]
    assert isinstance(error, DatagramError)
    assert error.peer == address
    quiet(there.manager)
    assert not server.closed


def test_oversize_is_misuse_and_an_empty_one_is_not(world: World) -> None:
    server = Notes()
    there = listening(world, server)
    here = connected(world, Notes(), str(there.url))
    with pytest.raises(Misuse, match=r"65508 bytes .* limit of 65507"):
        here.send(bytes(65_508))
    with pytest.raises(Misuse, match="say to whom"):
        there.send(b"x")
    here.send(b"")
    world.run(lambda: bool(server.of("Datagram")))


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_what_the_system_refuses_is_an_event(world: World) -> None:
    client = Notes()
    here = connected(world, client, "udp://[::1]:9")
    # Over IPv6 the system takes a few bytes less than the limit of IPv4.
    here.send(bytes(65_507))
    world.run(lambda: bool(client.of("DatagramError")))
    assert not client.closed


def test_pause_and_resume(world: World) -> None:
    server = Notes(Datagram=lambda face, _: face.pause())
    there = listening(world, server)
    here = connected(world, Notes(), str(there.url))
    for data in (b"1", b"2", b"3"):
        here.send(data)
    for count in range(1, 4):
        world.run(lambda count=count: len(server.of("Datagram")) == count)  # type: ignore[misc]
        world.sleep(0.01)
        assert len(server.of("Datagram")) == count
        quiet(there.manager)
        there.resume()


def test_close_while_datagrams_are_queued(world: World) -> None:
    from mungos.dns import Hosts, ResolverConfig, ServerAddress

    # While the name is looked up, everything waits.
    silent = listening(world, Notes())
    config = ResolverConfig((ServerAddress("127.0.0.1", silent.url.port or 0),))
    client = Notes()
    manager = world.manager(Limits(send_low=1, send_high=5, send_hard=10), (config, Hosts()))
    here = manager.connect("udp://slow.example:9", client)
    assert isinstance(here, DatagramConnection)
    assert here.send(b"12345")
    assert not here.send(b"6")
    with pytest.raises(Misuse, match="10 bytes"):
        here.send(b"78901")
    assert here.unsent == 6
    here.close()
    ended(world, client, CloseKind.ABORTED)
    reason = here.reason
    assert reason is not None
    assert reason.unsent == 6
    assert reason.phase == "resolving"
    no_residue(manager)


def test_calls_after_the_end(world: World) -> None:
    notes = Notes()
    here = listening(world, notes)
    here.close()
    here.close()
    here.abort()
    with pytest.raises(Closed):
        here.send(b"x", here.local)
    ended_datagrams(world, notes)
    assert notes.names in (["Closed"], ["Opened", "Closed"])


@pytest.mark.parametrize("event", ["Opened", "Datagram"])
@pytest.mark.parametrize("verb", ["close", "abort"])
def test_close_inside_a_handler(world: World, event: str, verb: str) -> None:
    notes = Notes(**{event: lambda face, _: getattr(face, verb)()})
    there = listening(world, notes)
    here = connected(world, Notes(), str(there.url))
    here.send(b"1")
    here.send(b"2")
    ended_datagrams(world, notes, CloseKind.CLEAN if verb == "close" else CloseKind.ABORTED)
    assert len(notes.of("Datagram")) <= 1


def test_a_flood_does_not_starve_others(world: World) -> None:
    order: list[str] = []
    manager = world.manager(Limits(events_per_turn=5))
    busy = manager.listen("udp://127.0.0.1:0", Notes(Datagram=lambda *_: order.append("busy")))
    calm = manager.listen("udp://127.0.0.1:0", Notes(Datagram=lambda *_: order.append("calm")))
    sender = world.manager()
    loud = sender.connect(str(busy.url), Notes())
    quiet_one = sender.connect(str(calm.url), Notes())
    assert isinstance(loud, DatagramConnection)
    assert isinstance(quiet_one, DatagramConnection)
    for _ in range(100):
        loud.send(b"x")
    quiet_one.send(b"x")
    world.run(lambda: "calm" in order)
    assert order.count("busy") <= 10
    world.run(lambda: order.count("busy") == 100)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::1]", "[::]"])
def test_a_datagram_that_claims_to_come_from_the_socket_itself_is_dropped(world: World, host: str) -> None:
    """Forged: to answer it would be to talk to oneself for ever."""
    if world.wire == "memory" and host in {"0.0.0.0", "[::]"}:
        pytest.skip("memory's datagram sockets are bound to one address")
    notes = Notes(Datagram=echo)
    there = listening(world, notes, f"udp://{host}:0")
    port = there.url.port
    assert port is not None
    own = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))
    there.send(b"forged", Address(own, port, 6 if ":" in own else 4))
    client = Notes()
    here = connected(world, client, f"udp://{f'[{own}]' if ':' in own else own}:{port}")
    here.send(b"real")
    world.run(lambda: bool(client.of("Datagram")))
    world.sleep(0.02)
    assert [event.data for event in notes.of("Datagram")] == [b"real"]  # type: ignore[attr-defined]
    assert there.dropped == 1


def test_the_same_port_of_another_machine_is_not_the_sockets_own(world: World) -> None:
    wire = world.manager().wire
    assert wire.is_own("127.0.0.1")
    assert wire.is_own("::1")
    assert not wire.is_own("192.0.2.1")
    assert not wire.is_own("2001:db8::1")


def test_two_echoes_do_not_talk_to_each_other_for_ever(world: World) -> None:
    echoing = [_Echo(1 << 20, None), _Echo(1 << 20, None)]
    one, other = (world.manager().listen("udp://127.0.0.1:0", each.on_datagram) for each in echoing)
    assert isinstance(one, DatagramConnection)
    assert isinstance(other, DatagramConnection)
    assert other.local is not None
    for _ in range(5):
        one.send(b"forged", other.local)
    world.sleep(0.5)
    world.sleep(0.5)
    quiet(one.manager)
    talked = one.bytes_received
    assert 0 < talked // len(b"forged") <= 2000
    world.sleep(0.2)
    assert one.bytes_received == talked


def test_an_echo_answers_one_peer_a_thousand_times_a_second_and_forgets_the_silent() -> None:
    answers = _Answers()
    peer, now = Address("192.0.2.1", 5000, 4), 100.0
    assert sum(answers.allow(peer, now) for _ in range(1500)) == 1000
    assert sum(answers.allow(peer, now + 0.125) for _ in range(1500)) == 125
    assert answers.refused == 500 + 1375
    for port in range(5000):
        assert answers.allow(Address("192.0.2.2", port, 4), now)
    assert len(answers._peers) == 1024


def test_datagrams_give_way_after_their_share_of_a_turn() -> None:
    world = World("memory")
    clock, fired = world.network.clock, []
    notes = Notes(Datagram=lambda *_: clock.advance(0.001))
    manager = world.manager()
    there = manager.listen("udp://127.0.0.1:0", notes)
    here = connected(world, Notes(), str(there.url))
    for _ in range(250):
        here.send(b"x")
    began = clock.now()
    manager.call_later(0.0, lambda: fired.append(clock.now()))
    world.run(lambda: bool(fired))
    assert fired[0] - began <= 2 * Limits().turn_within
    world.close()


def queueing(world: World, notes: Notes, limits: Limits, peer: DatagramConnection) -> DatagramConnection:
    """A socket whose datagrams wait, while the name of their peer is looked up."""
    from mungos.dns import Hosts, ResolverConfig, ServerAddress, Zone

    zone = Zone({"there.example": ["127.0.0.1"]})
    names = listening(
        world, Notes(Datagram=lambda face, event: face.send(zone.answer(event.data), event.peer))
    )
    config = ResolverConfig((ServerAddress("127.0.0.1", names.url.port or 0),))
    made = world.manager(limits, (config, Hosts())).connect(f"udp://there.example:{peer.url.port}", notes)
    assert isinstance(made, DatagramConnection)
    return made


@pytest.mark.parametrize(("cost", "most"), [(0.0, 10_000 // 256 + 1), (0.001, 20)])
def test_what_is_queued_goes_out_in_turns(monkeypatch: pytest.MonkeyPatch, cost: float, most: int) -> None:
    world = World("memory")
    sent, server = [0], Notes()
    here = queueing(world, Notes(), Limits(bytes_per_turn=10_000), listening(world, server))
    for _ in range(500):
        here.send(b"")
    world.run(lambda: here.phase.value == "open")
    assert here._endpoint is not None
    real = here._endpoint.send_to

    class Counting:
        """The endpoint, where each datagram costs time."""

        def __getattr__(self, name: str) -> object:
            return getattr(endpoint, name)

        def send_to(self, data: bytes, peer: Address | None) -> bool:
            """As it does."""
            sent[0] += 1
            world.network.clock.advance(cost)
            return real(data, peer)

    endpoint, here._endpoint = here._endpoint, Counting()  # type: ignore[assignment]
    already = len(server.of("Datagram"))
    while here._queue:
        before = sent[0]
        here.manager.poll(0)
        assert sent[0] - before <= most
    world.run(lambda: len(server.of("Datagram")) == 500)
    assert already <= 2 * most
    world.close()


def test_datagrams_without_bytes_are_not_queued_without_end(world: World) -> None:
    server, client = Notes(), Notes()
    here = queueing(world, client, Limits(datagrams_queued=8), listening(world, server))
    assert [here.send(b"") for _ in range(8)] == [True] * 4 + [False] * 4
    with pytest.raises(Misuse, match="8 datagrams wait, the limit is 8"):
        here.send(b"")
    world.run(lambda: len(server.of("Datagram")) == 8 and bool(client.of("Writable")))
    assert client.names.count("Writable") == 1
    assert here.send(b"")


def test_what_datagrams_hold_is_in_the_sum(world: World) -> None:
    client = Notes()
    here = queueing(world, client, Limits(held_per_manager=100 * 1024), listening(world, Notes()))
    here.send(bytes(60_000))
    assert here.manager.holdings.total >= 60_000
    here.send(bytes(60_000))
    assert here.reason is not None
    assert here.reason.kind is CloseKind.ABORTED
    assert "held_per_manager is 102400 bytes" in str(here.reason)
    assert here.manager.holdings.total == 0


def test_refusals_give_way_after_their_share_of_a_turn() -> None:
    world = World("memory")
    clock = world.network.clock
    gone = listening(world, Notes())
    url = str(gone.url)
    gone.close()
    notes = Notes(DatagramError=lambda *_: clock.advance(0.001))
    here = connected(world, notes, url)
    world.turn()
    for _ in range(200):
        here.send(b"x")
    began = clock.now()
    here.manager.poll(0)
    assert 0 < clock.now() - began <= 2 * Limits().turn_within
    world.run(lambda: len(notes.of("DatagramError")) == 200)
    world.close()


@pytest.mark.parametrize("number", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM"])
def test_whose_address_it_is_is_not_known_where_the_system_is_exhausted(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """What may be forged is dropped meanwhile, and nothing of it is remembered."""

    def exhausted(*_: object) -> object:
        raise OSError(getattr(errno, number), number)

    wire = KernelWire()
    with monkeypatch.context() as patched:
        patched.setattr("mungos.wires.kernel.socket.socket", exhausted)
        assert wire.is_own("127.0.0.1")
        assert wire.is_own("192.0.2.1")
    assert wire.is_own("127.0.0.1")
    assert not wire.is_own("192.0.2.1")
    wire.close()


def test_many_forged_sources_do_not_drive_all_others_out_of_memory() -> None:
    wire = KernelWire()
    for last in range(256):
        wire.is_own(f"198.51.{last}.1")
    wire.is_own("127.0.0.1")
    assert len(wire._own) == 256
    assert "198.51.255.1" in wire._own
    wire.close()
