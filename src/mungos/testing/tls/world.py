"""Both wires as one world for lifecycle tests: managers on one side, a scripted bare peer on the other.

On the memory wire time moves only when nothing else can, so that waiting costs nothing.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Literal

from mungos import Connection, Limits, Manager
from mungos.dns import Hosts, ResolverConfig
from mungos.errors import MungosError
from mungos.url import parse
from mungos.wires import Address, MemoryNetwork, MemoryStream
from mungos.wires.memory import MemoryListener, MemoryWire

__all__ = ["Notes", "RawListener", "RawPeer", "Stuck", "WireName", "World"]

WireName = Literal["kernel", "memory"]

MOST_TOLD = 6
"""Ends that a text names."""

MOST_TURNS = 60_000
"""Turns on the memory wire in which something moves but time does not: what takes more spins."""


class Stuck(AssertionError):
    """What was waited for did not happen in time."""


def _found(condition: bool, words: str) -> None:
    if not condition:
        raise AssertionError(words)


class RawPeer:
    """A peer without any of our code above the wire: it sends what it is told and notes what it sees.

    Attributes:
        received: everything read so far.
        ended: the other side's end was seen.
        reset: a reset was seen.
        deaf: it reads nothing while this is True (its window fills).
        outbox: bytes that wait for room, of a peer that queues them.
    """

    def __init__(self, stream: socket.socket | MemoryStream) -> None:
        self.stream = stream
        self.received = bytearray()
        self.ended = False
        self.reset = False
        self.deaf = False
        self.closed = False
        self.outbox = bytearray()
        if isinstance(stream, socket.socket):
            stream.setblocking(False)

    def send(self, data: bytes) -> int:
        """Send what fits; returns how much did. A reset is noted, not raised."""
        try:
            return self.stream.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.reset = True
            return 0

    def pump(self) -> bool:
        """Read what is there. True if anything new was seen."""
        if self.deaf or self.closed or self.ended or self.reset:
            return False
        seen = False
        buffer = bytearray(65536)
        while True:
            try:
                count = self.stream.recv_into(buffer)
            except BlockingIOError:
                return seen
            except OSError:
                self.reset = True
                return True
            if not count:
                self.ended = True
                return True
            self.received += buffer[:count]
            seen = True

    def end(self) -> None:
        """Half-close: FIN."""
        if isinstance(self.stream, socket.socket):
            self.stream.shutdown(socket.SHUT_WR)
        else:
            self.stream.shutdown_write()

    def close(self) -> None:
        """Close: FIN, or a reset if something lies unread, as the kernel does."""
        if not self.closed:
            self.closed = True
            self.stream.close()

    def cut(self) -> None:
        """Reset."""
        if self.closed:
            return
        self.closed = True
        if isinstance(self.stream, socket.socket):
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
            self.stream.close()
        else:
            self.stream.reset()


class RawListener:
    """A bare listener, for connections that our side makes.

    Attributes:
        url: where it listens, with the scheme tcp.
    """

    def __init__(self, listener: socket.socket | MemoryListener) -> None:
        self.listener = listener
        if isinstance(listener, socket.socket):
            host, port = listener.getsockname()[:2]
        else:
            host, port = listener.local.host, listener.local.port
        self.port: int = port
        self.url = f"tcp://{host}:{port}"

    def accept(self) -> RawPeer | None:
        """The next connection, or None."""
        if isinstance(self.listener, socket.socket):
            try:
                return RawPeer(self.listener.accept()[0])
            except BlockingIOError:
                return None
        stream = self.listener.accept()
        return None if stream is None else RawPeer(stream)

    def close(self) -> None:
        """Stop listening."""
        self.listener.close()


class World:
    """One wire, its managers and its bare peers. `close` proves that nothing is left.

    On the memory wire time moves only when nothing else can: `run` and `sleep` are instant.

    Attributes:
        actors: called in every turn; each returns True if it moved anything.
    """

    def __init__(self, wire: WireName, time_factor: float = 1.0) -> None:
        self.wire = wire
        self.network = MemoryNetwork()
        self.managers: list[Manager] = []
        self.peers: list[RawPeer] = []
        self.listeners: list[RawListener] = []
        self.actors: list[Callable[[], bool]] = []
        self._factor = time_factor
        self._raw_wire = MemoryWire(self.network)
        self._turns = 0
        self._stood_at = 0.0

    # Who lives in it.

    def manager(
        self, limits: Limits | None = None, resolver: tuple[ResolverConfig, Hosts] | None = None
    ) -> Manager:
        """A manager of this world."""
        wire = self.network.wire() if self.wire == "memory" else None
        manager = Manager(wire, limits=limits, resolver=resolver)
        self.managers.append(manager)
        return manager

    def listener(self) -> RawListener:
        """A bare listener on a free port."""
        if self.wire == "memory":
            made = RawListener(self._raw_wire.listen(Address("127.0.0.1", 0, 4), 64, False))
        else:
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            sock.listen(64)
            sock.setblocking(False)
            made = RawListener(sock)
        self.listeners.append(made)
        return made

    def connect(self, url: str) -> RawPeer:
        """A bare connection to one of our listeners."""
        target = parse(url)
        if self.wire == "memory":
            peer = RawPeer(self._raw_wire.connect(Address(target.host, target.port, 4)))
        else:
            peer = RawPeer(socket.create_connection((target.host, target.port)))
        self.peers.append(peer)
        return peer

    def accept(self, listener: RawListener, within: float = 5.0) -> RawPeer:
        """The next connection at a bare listener, while our side runs."""
        found: list[RawPeer] = []

        def there() -> bool:
            peer = listener.accept()
            if peer is not None:
                found.append(peer)
            return bool(found)

        self.run(there, within)
        self.peers.append(found[0])
        return found[0]

    # Time.

    def now(self) -> float:
        """Seconds on the wire's clock."""
        return self.network.clock.now() if self.wire == "memory" else time.monotonic()

    def run(self, until: Callable[[], bool], within: float = 5.0) -> None:
        """Turn everything until the condition holds.

        Raises:
            Stuck: it did not hold within so many seconds (of the wire's clock; scaled on slow processors).
        """
        end = self.now() + within * (self._factor if self.wire == "kernel" else 1.0)
        while not until():
            if self.turn():
                self._count_turn()
                continue
            if until():
                return
            if self.now() >= end:
                raise Stuck(f"not within {within:g} s; {self.tell()}")
            self._wait(end)

    def sleep(self, seconds: float) -> None:
        """Let so much of the wire's time pass, turning everything."""
        end = self.now() + seconds
        while True:
            if self.turn():
                self._count_turn()
                continue
            if self.now() >= end:
                return
            self._wait(end)

    def turn(self) -> bool:
        """One turn of everything. True if something may still happen without time passing."""
        busy = False
        for manager in self.managers:
            if not manager.closed:
                manager.poll(0)
                busy = busy or manager.busy
        for peer in self.peers:
            busy = peer.pump() or busy
        for actor in self.actors:
            busy = actor() or busy
        return busy

    def _count_turn(self) -> None:
        if self.wire == "memory" and self.now() > self._stood_at:
            self._stood_at, self._turns = self.now(), 0
        self._turns += 1
        if self.wire == "memory" and self._turns > MOST_TURNS:
            raise Stuck(f"it spins: {MOST_TURNS} turns, and no time passed; {self.tell()}")

    def _wait(self, end: float) -> None:
        times = [manager.wait_time(None) for manager in self.managers if not manager.closed]
        pause = min([wait for wait in times if wait is not None], default=end - self.now())
        pause = max(0.0, min(pause, end - self.now()))
        if self.wire == "memory":
            if not self._memory_ready():
                self.network.clock.advance(pause)
            return
        readers: list[socket.socket | int] = [
            manager.fileno() for manager in self.managers if not manager.closed
        ]
        for peer in self.peers:
            if not (peer.closed or peer.ended or peer.reset or peer.deaf):
                if isinstance(peer.stream, socket.socket):
                    readers.append(peer.stream)
        readers += [each.listener for each in self.listeners if isinstance(each.listener, socket.socket)]
        writers = [
            peer.stream
            for peer in self.peers
            if peer.outbox and isinstance(peer.stream, socket.socket) and not (peer.closed or peer.reset)
        ]
        select.select(readers, writers, [], min(pause, 0.05))

    def _memory_ready(self) -> bool:
        for manager in self.managers:
            wire = manager.wire
            if isinstance(wire, MemoryWire) and not manager.closed and wire.ready():
                return True
        return False

    # The end.

    def tell(self) -> str:
        """Everything alive, in words."""
        told = []
        for manager in self.managers:
            told += [
                f"{connection!r} reason={connection.reason}" for connection in manager.connections.values()
            ]
        told += [
            f"peer received {len(peer.received)} ended={peer.ended} reset={peer.reset}" for peer in self.peers
        ]
        more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        return "; ".join(told[:MOST_TOLD]) + more or "nothing is open"

    def close(self) -> None:
        """Close everything; fails if a manager leaves anything behind."""
        reports: list[object] = []
        for peer in self.peers:
            peer.close()
        for listener in self.listeners:
            listener.close()
        for manager in self.managers:
            if not manager.closed:
                try:
                    reports.append(manager.close(1.0))
                except MungosError as error:
                    reports.append(error)
        for report in reports:
            _found(bool(getattr(report, "ok", False)), f"left behind at the end: {report}")


class Notes:
    """A handler that notes every event, and answers as told.

    Attributes:
        events: everything in order.
        faces: what it was called with, in order of first appearance.
        owners: for each event what it was called with.
        sent: what was sent by `send`.
        on: an answer for an event type: called as `answer(face, event)`.
    """

    def __init__(self, **answers: Callable[..., object]) -> None:
        self.events: list[object] = []
        self.faces: list[object] = []
        self.owners: list[object] = []
        self.sent = bytearray()
        self.on = answers

    def __call__(self, face: object, event: object) -> None:
        self.events.append(event)
        self.owners.append(face)
        if face not in self.faces:
            self.faces.append(face)
        answer = self.on.get(type(event).__name__)
        if answer is not None:
            answer(face, event)

    def of(self, name: str) -> list[object]:
        """The events whose type has this name."""
        return [event for event in self.events if type(event).__name__ == name]

    @property
    def names(self) -> list[str]:
        """The types' names in order."""
        return [type(event).__name__ for event in self.events]

    @property
    def closed(self) -> bool:
        """Whether the last event has come."""
        return bool(self.of("Closed"))

    @property
    def data(self) -> bytes:
        """All bytes received."""
        return b"".join(getattr(event, "data", b"") for event in self.of("Received"))

    def send(self, data: bytes) -> bool:
        """Send on the first connection, and remember it."""
        room = self.connection.send(data)
        self.sent += data
        return room

    @property
    def connection(self) -> Connection:
        """The first connection."""
        _found(bool(self.faces), "no connection has said anything")
        face = self.faces[0]
        found = getattr(face, "connection", face)
        if not isinstance(found, Connection):
            raise AssertionError(f"{found!r} is no connection")  # noqa: TRY004 - a case that failed
        return found
