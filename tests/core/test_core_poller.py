"""The standard library's selectors in epoll's place: the same life on them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from mungos import CloseKind, DatagramConnection, Limits
from mungos.wires import kernel
from mungos.wires.contract import READABLE, WRITABLE
from mungos.wires.poller import Poller, SelectorPoller, make_poller
from tests.cases.oracles import ended, quiet
from tests.cases.world import Notes, World


@pytest.fixture(params=[make_poller, SelectorPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    """Each of the two."""
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, time_factor: float) -> Iterator[World]:
    """A world whose managers have no epoll."""
    monkeypatch.setattr(kernel, "make_poller", SelectorPoller)
    made = World("kernel", time_factor)
    yield made
    made.close()


def test_masks(poller: Poller) -> None:
    one, other = socket.socketpair()
    with one, other:
        poller.register(one.fileno(), READABLE)
        assert poller.poll(0) == []
        poller.modify(one.fileno(), READABLE | WRITABLE)
        assert poller.poll(0) == [(one.fileno(), WRITABLE)]
        other.send(b"x")
        assert poller.poll(0) == [(one.fileno(), READABLE | WRITABLE)]
        poller.modify(one.fileno(), READABLE)
        assert poller.poll(0) == [(one.fileno(), READABLE)]
        poller.unregister(one.fileno())
        assert poller.poll(0) == []
        assert poller.fileno() >= 0


def test_a_descriptor_without_interest() -> None:
    poller = SelectorPoller()
    one, other = socket.socketpair()
    with one, other:
        other.send(b"x")
        poller.register(one.fileno(), 0)
        assert poller.poll(0) == []
        poller.modify(one.fileno(), READABLE)
        assert poller.poll(0) == [(one.fileno(), READABLE)]
        poller.modify(one.fileno(), 0)
        poller.modify(one.fileno(), 0)
        assert poller.poll(0) == []
        poller.unregister(one.fileno())
    poller.close()


def test_a_life_on_selectors(world: World) -> None:
    server = Notes(Received=lambda c, e: c.send(e.data))
    client = Notes()
    listener = world.manager().listen("tcp://127.0.0.1:0", server)
    world.manager().connect(str(listener.url), client)
    world.run(lambda: bool(client.of("Opened")))
    text = os.urandom(3 << 20)
    client.connection.send(text)
    client.connection.end()
    ended(world, client, CloseKind.CLEAN, sent=text)
    ended(world, server, CloseKind.CLEAN, sent=text)
    assert client.data == text


@pytest.mark.parametrize("how", ["RST", "refused", "silence", "paused"])
def test_bad_ends_on_selectors(world: World, how: str) -> None:
    notes = Notes()
    manager = world.manager(Limits(linger=0.05, half_open=True))
    if how == "refused":
        listener = world.listener()
        listener.close()
        world.listeners.clear()
        manager.connect(listener.url, notes)
        ended(world, notes, CloseKind.REFUSED)
        return
    peer = world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    if how == "RST":
        peer.cut()
        ended(world, notes, CloseKind.PEER_RESET)
    elif how == "silence":
        notes.connection.close()
        ended(world, notes, CloseKind.TIMED_OUT)
    else:
        notes.connection.pause()
        peer.close()
        world.sleep(0.02)
        quiet(manager)
        notes.connection.resume()
        world.run(lambda: bool(notes.of("Ended")))
        notes.connection.close()
        ended(world, notes, CloseKind.CLEAN)


def test_datagram_errors_on_selectors_do_not_spin(world: World) -> None:
    client = Notes()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{gone.getsockname()[1]}"
    here = world.manager().connect(url, client)
    assert isinstance(here, DatagramConnection)
    here.send(b"anybody?")
    world.run(lambda: bool(client.of("DatagramError")))
    world.sleep(0.01)
    quiet(here.manager)
    assert not client.closed
