"""From a URL to a connection, and from the door to a handler: refusals, addresses, lookups, limits."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mungos import AccessList, CloseKind, Connection, DatagramConnection, Limits, Listener, Manager
from mungos.dns import Hosts, ResolverConfig, ServerAddress, Zone
from mungos.errors import Misuse
from mungos.wires import Address, MemoryWire
from tests.cases.oracles import Crowd, ended, no_residue, quiet
from tests.cases.world import Notes, RawPeer, World


@dataclass
class NameServer:
    """A zone that answers over UDP, in the same world."""

    world: World
    zone: Zone
    silent: bool = False
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        manager = self.world.manager()
        made = manager.listen("udp://127.0.0.1:0", self._on_event)
        assert isinstance(made, DatagramConnection)
        assert made.url.port is not None
        self.server = ServerAddress("127.0.0.1", made.url.port)

    def _on_event(self, face: DatagramConnection, event: object) -> None:
        data, peer = getattr(event, "data", None), getattr(event, "peer", None)
        if isinstance(data, bytes) and isinstance(peer, Address):
            self.asked.append(data)
            answer = self.zone.answer(data)
            if answer is not None and not self.silent:
                face.send(answer, peer)

    def manager(self, limits: Limits | None = None) -> Manager:
        """One that asks here."""
        return self.world.manager(limits, resolver=(ResolverConfig((self.server,)), Hosts()))


def client(world: World, notes: Notes, url: str, manager: Manager | None = None) -> Connection:
    """Our client, on its way."""
    connection = (manager or world.manager()).connect(url, notes)
    assert isinstance(connection, Connection)
    return connection


def free_port(world: World) -> int:
    """Where nobody listens."""
    listener = world.listener()
    listener.close()
    world.listeners.remove(listener)
    return listener.port


def test_refused(world: World) -> None:
    notes = Notes()
    client(world, notes, f"tcp://127.0.0.1:{free_port(world)}")
    reason = ended(world, notes, CloseKind.REFUSED)
    assert notes.names == ["Closed"]
    assert "127.0.0.1" in str(reason)
    assert "refused" in str(reason).lower()


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_unreachable(world: World) -> None:
    world.network.unreachable_hosts.add("192.0.2.1")
    notes = Notes()
    client(world, notes, "tcp://192.0.2.1:80")
    assert "unreachable" in str(ended(world, notes, CloseKind.UNREACHABLE)).lower()


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_unreachable_scope(world: World) -> None:
    # A link-local address without the scope that it needs (RFC 4007 section 11), or with an unknown one.
    notes = Notes()
    client(world, notes, "tcp://[fe80::1]:80")
    ended(world, notes, {CloseKind.BROKEN, CloseKind.UNREACHABLE})
    notes = Notes()
    client(world, notes, "tcp://[fe80::1%25nowhere0]:80")
    ended(world, notes, {CloseKind.BROKEN, CloseKind.UNREACHABLE})


@contextlib.contextmanager
def no_answer(world: World) -> Iterator[str]:
    """A URL from which no answer comes."""
    if world.wire == "memory":
        world.network.silent_hosts.add("192.0.2.2")
        yield "tcp://192.0.2.2:80"
        return
    with contextlib.ExitStack() as stack:
        # Linux drops a SYN for which the listener's queue has no room.
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield f"tcp://127.0.0.1:{full.getsockname()[1]}"


def test_no_answer_ends_at_the_deadline(world: World) -> None:
    with no_answer(world) as url:
        notes = Notes()
        began = world.now()
        client(world, notes, url, world.manager(Limits(connect_within=0.3)))
        reason = ended(world, notes, CloseKind.TIMED_OUT)
        assert reason.phase == "connecting"
        assert "0.3 s" in str(reason.error)
        assert 0.29 <= world.now() - began < 1.5


def test_addresses_are_tried_in_turn(world: World) -> None:
    manager = world.manager()
    server, notes = Notes(), Notes()
    listener = manager.listen("tcp://127.0.0.1:0", server)
    zone = Zone({"many.example": ["127.0.0.2", "127.0.0.3", "127.0.0.1"]})
    names = NameServer(world, zone)
    client(world, notes, f"tcp://many.example:{listener.url.port}", names.manager())
    world.run(lambda: bool(notes.of("Opened")) and bool(server.of("Opened")))
    assert notes.connection.remote == Address("127.0.0.1", listener.url.port or 0, 4)
    no_residue_but(notes.connection.manager, 1)


def no_residue_but(manager: Manager, descriptors: int) -> None:
    """So many descriptors, and nothing else."""
    census = manager.ledger.census()
    assert census == {**dict.fromkeys(census, 0), "descriptor": descriptors}


def test_all_addresses_refused_names_each(world: World) -> None:
    names = NameServer(world, Zone({"many.example": ["127.0.0.2", "127.0.0.3"]}))
    notes = Notes()
    client(world, notes, f"tcp://many.example:{free_port(world)}", names.manager())
    reason = ended(world, notes, CloseKind.REFUSED)
    assert "127.0.0.2" in str(reason)
    assert "127.0.0.3" in str(reason)


def test_a_name_that_does_not_exist(world: World) -> None:
    names = NameServer(world, Zone({"there.example": ["127.0.0.1"]}))
    notes = Notes()
    client(world, notes, "tcp://nowhere.example:80", names.manager())
    reason = ended(world, notes, CloseKind.NOT_RESOLVED)
    assert reason.phase == "resolving"
    assert "nowhere.example" in str(reason)
    assert names.asked


def test_a_lookup_without_an_answer_ends_at_its_deadline(world: World) -> None:
    names = NameServer(world, Zone({}), silent=True)
    notes = Notes()
    began = world.now()
    client(world, notes, "tcp://slow.example:80", names.manager(Limits(resolve_within=0.3)))
    reason = ended(world, notes, CloseKind.TIMED_OUT)
    assert reason.phase == "resolving"
    assert 0.29 <= world.now() - began < 1.5


def test_where_no_name_server_listens(world: World) -> None:
    notes = Notes()
    dead = ResolverConfig((ServerAddress("127.0.0.1", free_port(world)),), timeout=0.1, attempts=1)
    client(world, notes, "tcp://x.example:80", world.manager(resolver=(dead, Hosts())))
    reason = ended(world, notes, CloseKind.NOT_RESOLVED)
    assert "refused" in str(reason).lower()


def test_a_lookup_cancelled_by_the_managers_close(world: World) -> None:
    names = NameServer(world, Zone({}), silent=True)
    notes = Notes()
    manager = names.manager()
    client(world, notes, "tcp://slow.example:80", manager)
    world.run(lambda: bool(names.asked))
    report = manager.close(1.0)
    assert report.ok
    assert [end.reason.kind for end in report.ends] == [CloseKind.ABORTED]
    assert notes.names == ["Closed"]


def test_a_name_for_datagrams(world: World) -> None:
    server, notes = Notes(), Notes()
    there = world.manager().listen("udp://127.0.0.1:0", server)
    names = NameServer(world, Zone({"udp.example": ["127.0.0.1"]}))
    face = names.manager().connect(f"udp://udp.example:{there.url.port}", notes)
    face.send(b"queued before the name is known")
    world.run(lambda: bool(server.of("Datagram")))
    face.close()
    ended(world, notes, CloseKind.CLEAN)


def test_max_connections_of_a_listener(world: World) -> None:
    crowd = Crowd()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", crowd, max_connections=2)
    assert isinstance(listener, Listener)
    peers = [world.connect(str(listener.url)) for _ in range(4)]
    world.sleep(0.02)
    assert listener.open_connections == 2
    assert listener.accepted == 2
    quiet(manager)
    peers[0].close()
    world.run(lambda: listener.accepted == 3)
    peers[1].close()
    world.run(lambda: listener.accepted == 4)


def test_max_connections_of_a_manager(world: World) -> None:
    crowd = Crowd()
    manager = world.manager(Limits(max_connections=2))
    listeners = [manager.listen("tcp://127.0.0.1:0", crowd) for _ in range(2)]
    peers = [world.connect(str(listener.url)) for listener in listeners * 2]
    world.sleep(0.02)
    assert len(manager.connections) == 2
    quiet(manager)
    with pytest.raises(Misuse, match="2 connections are open, the limit is 2"):
        manager.connect("tcp://127.0.0.1:1", crowd)
    for peer in peers:
        peer.close()
    world.run(lambda: crowd.closed == 4)
    no_residue(manager)


def test_access_lists(world: World) -> None:
    manager = world.manager()
    cases = {"+127.0.0.0/8": True, "+0.0.0.0/0,-127.0.0.0/8": False, "+192.0.2.0/24": False}
    for rules, allowed in cases.items():
        crowd = Crowd()
        listener = manager.listen("tcp://127.0.0.1:0", crowd, access=AccessList(rules))
        assert isinstance(listener, Listener)
        peer = world.connect(str(listener.url))
        world.run(lambda peer=peer, crowd=crowd: peer.reset or bool(crowd.told))  # type: ignore[misc]
        assert bool(crowd.told) == allowed, rules
        assert listener.denied == (0 if allowed else 1)
        assert listener.accepted == (1 if allowed else 0)
        listener.close()


def test_access_lists_on_ipv6(world: World) -> None:
    crowd = Crowd()
    manager = world.manager()
    listener = manager.listen("tcp://[::1]:0", crowd, access=AccessList("+::2"))
    notes = Notes()
    client(world, notes, str(listener.url))
    ended(world, notes, CloseKind.PEER_RESET)
    assert not crowd.told


def test_access_lists_do_not_fit_datagrams(world: World) -> None:
    with pytest.raises(Misuse, match="access"):
        world.manager().listen("udp://127.0.0.1:0", Notes(), access=AccessList("+127.0.0.1"))


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_no_descriptor_left_backs_off(world: World, caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", crowd)
    world.connect(str(listener.url))
    world.network.descriptors_left = 0
    world.sleep(3.0)
    assert not crowd.told
    assert len([record for record in caplog.records if "exhausted" in record.getMessage()]) == 1
    quiet(manager)
    world.network.descriptors_left = 5
    world.run(lambda: bool(crowd.told), 2.0)


EXHAUSTED = """
import logging, os, resource, socket, sys, time
from mungos import Manager
logging.basicConfig(format="%(message)s")
opened = []
manager = Manager()
listener = manager.listen("tcp://127.0.0.1:0", lambda c, e: opened.append(c))
client = socket.create_connection(("127.0.0.1", listener.url.port))
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
hoard = []
while True:
    try:
        hoard.append(os.dup(0))
    except OSError:
        break
polls, end = 0, time.monotonic() + 0.5
while time.monotonic() < end:
    manager.poll(max(end - time.monotonic(), 0))
    polls += 1
assert not opened and polls < 30, (opened, polls)
os.close(hoard.pop())
end = time.monotonic() + 5
while not opened and time.monotonic() < end:
    manager.poll(1)
assert opened
client.close()
for fd in hoard:
    os.close(fd)
assert manager.close(1).ok
print("polls", polls)
"""


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_no_descriptor_left_backs_off_in_a_process(world: World) -> None:
    done = subprocess.run([sys.executable, "-c", EXHAUSTED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("polls")
    # Once when it began, and once more behind the connection that the one descriptor let in.
    assert done.stderr.count("exhausted") <= 2


def test_accept_after_close(world: World) -> None:
    notes, crowd = Notes(), Crowd()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", crowd)
    listener.close()
    listener.close()
    client(world, notes, str(listener.url))
    ended(world, notes, CloseKind.REFUSED)
    assert not crowd.told


def test_a_listener_closed_with_a_backlog_resets_it(world: World) -> None:
    crowd = Crowd()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", crowd)
    peers = [world.connect(str(listener.url)) for _ in range(3)]
    listener.close()
    world.run(lambda: all(peer.reset or peer.ended for peer in peers))
    assert not crowd.told
    no_residue(manager)


def test_a_listener_closed_inside_the_handler_of_its_first_connection(world: World) -> None:
    manager = world.manager()
    notes = Notes(Opened=lambda *_: listener.close())
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    peers = [world.connect(str(listener.url)) for _ in range(3)]
    world.run(lambda: bool(notes.of("Opened")))
    world.run(lambda: sum(peer.reset or peer.ended for peer in peers) == 2)
    assert notes.names == ["Opened"]


def test_connections_outlive_their_listener(world: World) -> None:
    notes = Notes()
    listener = world.manager().listen("tcp://127.0.0.1:0", notes)
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    listener.close()
    peer.send(b"alive")
    world.run(lambda: notes.data == b"alive")
    peer.close()
    ended(world, notes, CloseKind.CLEAN)


def test_an_address_in_use_is_raised_at_once(world: World) -> None:
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", Notes())
    with pytest.raises(OSError, match="in use"):
        manager.listen(str(listener.url), Notes())
    datagrams = manager.listen("udp://127.0.0.1:0", Notes())
    with pytest.raises(OSError, match="in use"):
        manager.listen(str(datagrams.url), Notes())
    listener.close()
    manager.listen(str(listener.url), Notes()).close()


@pytest.mark.parametrize("url", ["tcp://[::]:0", "tcp://:0"])
def test_dual_stack(world: World, url: str) -> None:
    crowd = Crowd()
    listener = world.manager().listen(url, crowd)
    for host in ("127.0.0.1", "[::1]"):
        notes = Notes()
        connection = client(world, notes, f"tcp://{host}:{listener.url.port}")
        world.run(lambda notes=notes: bool(notes.of("Opened")))  # type: ignore[misc]
        connection.close()
        ended(world, notes, CloseKind.CLEAN)
    world.run(lambda: crowd.closed == 2)


def test_client_to_ipv6_with_a_scope(world: World) -> None:
    if world.wire == "memory":
        pytest.skip("scopes belong to the kernel's interfaces")
    crowd, notes = Crowd(), Notes()
    listener = world.manager().listen("tcp://[::1]:0", crowd)
    client(world, notes, f"tcp://[::1%25lo]:{listener.url.port}")
    world.run(lambda: bool(notes.of("Opened")) or notes.closed)
    assert notes.names == ["Opened"]


@pytest.mark.parametrize("name", ["socket", "@mungos-test"])
def test_unix_domain(world: World, name: str, tmp_path: Path) -> None:
    path = name if name.startswith("@") else str(tmp_path / name)
    server, notes = Notes(Received=lambda c, e: c.send(e.data)), Notes()
    listener = world.manager().listen(f"unix:{path}", server)
    assert isinstance(listener, Listener)
    client(world, notes, str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    notes.connection.send(b"echo")
    world.run(lambda: notes.data == b"echo")
    assert str(notes.connection.remote) == f"unix:{path}"
    notes.connection.close()
    ended(world, notes, CloseKind.CLEAN)
    ended(world, server, CloseKind.CLEAN)
    if world.wire == "kernel" and not name.startswith("@"):
        assert Path(path).is_socket()
    listener.close()
    assert not Path(path).exists()
    lost = Notes()
    client(world, lost, f"unix:{path}")
    ended(world, lost, CloseKind.REFUSED)


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_unix_domain_stale_path_is_replaced_a_live_one_is_not(world: World, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert path.is_socket()
    manager = world.manager()
    listener = manager.listen(f"unix:{path}", Notes())
    with pytest.raises(OSError, match="in use"):
        manager.listen(f"unix:{path}", Notes())
    assert path.is_socket()
    # What another put in its place is not ours to remove.
    path.unlink()
    path.write_text("mine")
    listener.close()
    assert path.read_text() == "mine"
    with pytest.raises(OSError, match="in use"):
        manager.listen(f"unix:{path}", Notes())


def test_adopt(world: World) -> None:
    notes = Notes()
    manager = world.manager()
    if world.wire == "kernel":
        ours, theirs = socket.socketpair()
        connection = manager.adopt(ours, notes)
        assert ours.fileno() == -1
        peer = RawPeer(theirs)
    else:
        listener = world.listener()
        wire = manager.wire
        assert isinstance(wire, MemoryWire)
        bare = MemoryWire(world.network).connect(listener.listener.local)  # type: ignore[union-attr]
        bare.wire = None
        connection = manager.adopt(bare, notes)
        peer = world.accept(listener)
    if peer not in world.peers:
        world.peers.append(peer)
    assert isinstance(connection, Connection)
    peer.send(b"hello")
    world.run(lambda: notes.data == b"hello")
    connection.send(b"welcome")
    connection.close()
    world.run(lambda: peer.ended)
    assert bytes(peer.received) == b"welcome"
    peer.close()
    ended(world, notes, CloseKind.CLEAN)


def test_adopt_takes_connected_streams_only(world: World) -> None:
    manager = world.manager()
    with pytest.raises(Misuse, match="adopt takes"):
        manager.adopt("a string", Notes())
    if world.wire == "kernel":
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as unfit:
                with pytest.raises(Misuse, match="adopt takes"):
                    manager.adopt(unfit, Notes())
                assert unfit.fileno() != -1
    no_residue(manager)
