"""A network in memory, with a clock of its own: what every lifecycle test also runs on.

Streams behave as TCP does where a program can tell: level-triggered readiness, bounded pipes, half-close,
a reset for who writes to a closed end or closes with data unread, data readable before the reset is seen.
Nothing blocks: waiting with nothing to do moves the clock.
"""

from __future__ import annotations

import errno
import os
import random
from collections import deque
from collections.abc import Callable, Sequence

from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.wires.clock import ManualClock
from mungos.wires.contract import BROKEN, READABLE, WRITABLE, Address, Mover, about

__all__ = ["MemoryNetwork", "MemoryStream", "MemoryWire"]


class MemoryNetwork:
    """What the wires of several managers share.

    Args:
        clock: moved by whoever waits with nothing to do.
        capacity: bytes that one direction of a stream holds before its writer must wait.
        seed: of the wires' random bytes, so that a run can be repeated.

    Attributes:
        descriptors_left: how many endpoints may still be made; None for no limit.
        descriptor_limit: how many the wires say that there may be; None for no limit.
        silent_hosts: hosts that never answer a connection attempt.
        unreachable_hosts: hosts to which there is no route.
    """

    def __init__(self, clock: ManualClock | None = None, *, capacity: int = 65536, seed: int = 0) -> None:
        self.clock = clock if clock is not None else ManualClock()
        self.capacity = capacity
        self.descriptors_left: int | None = None
        self.descriptor_limit: int | None = None
        self.silent_hosts: set[str] = set()
        self.unreachable_hosts: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, for tests only
        self._next_fd = 1000
        self._next_port = 49152
        self.listeners: dict[Address, MemoryListener] = {}
        self.sockets: dict[Address, MemoryDatagrams] = {}

    def random_bytes(self, count: int) -> bytes:
        """Repeatable bytes."""
        return self._random.randbytes(count)

    def new_fd(self) -> int:
        """A number for an endpoint; EMFILE once `descriptors_left` has come down to zero."""
        if self.descriptors_left is not None:
            if self.descriptors_left <= 0:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            self.descriptors_left -= 1
        self._next_fd += 1
        return self._next_fd

    def free_fd(self) -> None:
        """The counterpart of `new_fd`."""
        if self.descriptors_left is not None:
            self.descriptors_left += 1

    def new_port(self) -> int:
        """An unused port."""
        self._next_port += 1
        return self._next_port

    def find_listener(self, address: Address) -> MemoryListener | None:
        """Who listens at `address`: itself, or all interfaces of its family, or both families."""
        wildcard = Address("0.0.0.0" if address.family == 4 else "::", address.port, address.family)
        for candidate in (address, wildcard):
            if candidate in self.listeners:
                return self.listeners[candidate]
        both = self.listeners.get(Address("::", address.port, 6))
        return both if both is not None and both.dual_stack and address.family == 4 else None

    def wire(self) -> MemoryWire:
        """A wire for one manager."""
        return MemoryWire(self)


class _Node:
    """What all endpoints in memory share: a number, and a wire that asks for its readiness."""

    __slots__ = ("closed", "fd", "local", "network", "wire")

    def __init__(self, network: MemoryNetwork, wire: MemoryWire | None, local: Address) -> None:
        self.network = network
        self.wire = wire
        self.fd = network.new_fd()
        self.local = local
        self.closed = False
        if wire is not None:
            wire.nodes[self.fd] = self

    def readiness(self) -> int:
        """READABLE, WRITABLE and BROKEN as things stand."""
        raise NotImplementedError

    def touch(self) -> None:
        """Something changed: the wire looks at this endpoint at its next wait."""
        if self.wire is not None:
            self.wire.touched[self.fd] = None

    def _release(self) -> bool:
        if self.closed:
            return False
        self.closed = True
        self.network.free_fd()
        if self.wire is not None:
            self.wire.nodes.pop(self.fd, None)
        return True

    def _check(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the endpoint is closed")


class MemoryStream(_Node):
    """One end of a stream in memory. Without a wire it is a bare end, for a test to play the peer."""

    __slots__ = (
        "_ended",
        "_inbox",
        "_peer",
        "_refused",
        "_reset",
        "_write_ended",
        "recv_into",
        "remote",
        "send",
    )

    def __init__(
        self, network: MemoryNetwork, wire: MemoryWire | None, local: Address, remote: Address
    ) -> None:
        super().__init__(network, wire, local)
        self.remote = remote
        self._inbox = bytearray()
        self._peer: MemoryStream | None = None
        self._ended = False
        self._reset = False
        self._refused = False
        self._write_ended = False
        self.recv_into: Mover = self._recv_into
        self.send: Mover = self._send

    @staticmethod
    def join(one: MemoryStream, other: MemoryStream) -> None:
        """Make two ends one stream."""
        one._peer = other
        other._peer = one
        one.touch()
        other.touch()

    def refuse(self) -> None:
        """Nobody listens there."""
        self._refused = True
        self.touch()

    def connected(self) -> OSError | None:
        if self._refused:
            return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return None

    def readiness(self) -> int:
        if self._refused:
            return BROKEN | WRITABLE | READABLE
        if self._reset:
            return READABLE | WRITABLE | BROKEN
        mask = 0
        if self._inbox or self._ended:
            mask |= READABLE
        if self._peer is not None and (self._write_ended or self._peer._room() > 0):
            mask |= WRITABLE
        return mask

    def _room(self) -> int:
        return self.network.capacity - len(self._inbox)

    def _recv_into(self, buffer: Buffer) -> int:
        self._check()
        view = memoryview(buffer)
        count = min(len(view), len(self._inbox))
        if count:
            view[:count] = self._inbox[:count]
            del self._inbox[:count]
            if self._peer is not None:
                self._peer.touch()
            return count
        if self._ended:
            # Also when a reset came behind the end: Linux shows it to who sends, not to who receives.
            return 0
        if self._reset:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _send(self, data: Buffer) -> int:
        self._check()
        if self._reset or self._write_ended:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        peer = self._peer
        if peer is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if peer.closed:
            self.be_reset()
            return len(data)
        room = peer._room()
        if room <= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        chunk = memoryview(data)[:room]
        peer._inbox += chunk
        peer.touch()
        return len(chunk)

    def send_parts(self, parts: Sequence[Buffer]) -> int:
        return self._send(b"".join(parts))

    def shutdown_write(self) -> None:
        self._check()
        if self._reset:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if not self._write_ended:
            self._write_ended = True
            if self._peer is not None:
                self._peer._ended = True
                self._peer.touch()

    def be_reset(self) -> None:
        """The peer's reset arrives here."""
        self._reset = True
        self.touch()

    def close(self) -> None:
        if self._release():
            peer = self._peer
            if peer is not None and not peer.closed:
                if self._inbox:
                    peer.be_reset()
                elif not self._write_ended:
                    peer._ended = True
                peer.touch()
            self._inbox.clear()
            self._break_cycle()

    def reset(self) -> None:
        if self._release():
            if self._peer is not None and not self._peer.closed:
                self._peer.be_reset()
            self._inbox.clear()
            self._break_cycle()

    def _break_cycle(self) -> None:
        self.recv_into = _gone
        self.send = _gone

    # For a test that plays the peer.

    @property
    def inbox(self) -> bytes:
        """What arrived and was not read."""
        return bytes(self._inbox)

    def read(self, limit: int = 1 << 20) -> bytes | None:
        """Bytes; b"" at the end; None when there is nothing yet. Raises OSError after a reset."""
        buffer = bytearray(limit)
        try:
            return bytes(buffer[: self._recv_into(buffer)])
        except BlockingIOError:
            return None


def _gone(_buffer: Buffer) -> int:
    raise OSError(errno.EBADF, "the endpoint is closed")


class MemoryListener(_Node):
    """A listener in memory."""

    __slots__ = ("_backlog", "_queue", "dual_stack")

    def __init__(self, wire: MemoryWire, local: Address, backlog: int, dual_stack: bool) -> None:
        super().__init__(wire.network, wire, local)
        self._backlog = backlog
        self._queue: deque[MemoryStream] = deque()
        self.dual_stack = dual_stack

    def readiness(self) -> int:
        return READABLE if self._queue else 0

    def offer(self, client: MemoryStream) -> bool:
        """A connection arrives; False when the backlog is full or the listener gone."""
        if self.closed or len(self._queue) >= self._backlog:
            return False
        self._queue.append(client)
        self.touch()
        return True

    def accept(self) -> MemoryStream | None:
        self._check()
        if self._queue:
            # A client that has gone meanwhile is accepted all the same: what it sent counts, and its end.
            client = self._queue[0]
            local = Address(client.remote.host, client.remote.port, client.remote.family)
            stream = MemoryStream(self.network, self.wire, local, client.local)
            self._queue.popleft()
            # What the client wrote before it was accepted waits in a bare end until now.
            waiting = client._peer
            if waiting is not None:
                stream._inbox += waiting._inbox
                stream._ended = waiting._ended
                stream._reset = waiting._reset
                waiting.closed = True
                self.network.free_fd()
            MemoryStream.join(stream, client)
            return stream
        return None

    def close(self) -> None:
        if self._release():
            del self.network.listeners[self.local]
            for client in self._queue:
                if not client.closed:
                    client.be_reset()
                if client._peer is not None and not client._peer.closed:
                    client._peer.closed = True
                    self.network.free_fd()
            self._queue.clear()


class MemoryDatagrams(_Node):
    """A datagram endpoint in memory."""

    __slots__ = ("_errors", "_inbox", "remote")

    def __init__(self, wire: MemoryWire, local: Address, remote: Address | None) -> None:
        super().__init__(wire.network, wire, local)
        self.remote = remote
        self._inbox: deque[tuple[bytes, Address]] = deque()
        self._errors: deque[tuple[OSError, Address | None]] = deque()

    def readiness(self) -> int:
        return WRITABLE | (READABLE if self._inbox else 0) | (BROKEN | READABLE if self._errors else 0)

    def receive(self) -> tuple[bytes, Address] | None:
        self._check()
        return self._inbox.popleft() if self._inbox else None

    def send_to(self, data: Buffer, peer: Address | None) -> bool:
        self._check()
        target = peer if peer is not None else self.remote
        if target is None:
            raise OSError(errno.EDESTADDRREQ, os.strerror(errno.EDESTADDRREQ))
        if len(data) > 65507:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        other = self.network.sockets.get(target)
        if other is None:
            error = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            self._errors.append((error, target))
            self.touch()
        elif other.remote is None or other.remote == self.local:
            other._inbox.append((bytes(data), self.local))
            other.touch()
        return True

    def next_error(self) -> tuple[OSError, Address | None] | None:
        self._check()
        return self._errors.popleft() if self._errors else None

    def close(self) -> None:
        if self._release():
            del self.network.sockets[self.local]


class MemoryWire:
    """One manager's view of a `MemoryNetwork`."""

    name = "memory"

    def __init__(self, network: MemoryNetwork | None = None) -> None:
        self.network = network if network is not None else MemoryNetwork()
        self.now = self.network.clock.now
        self.wall = self.network.clock.wall
        self.random = self.network.random_bytes
        self.nodes: dict[int, _Node] = {}
        self.touched: dict[int, None] = {}
        self._interest: dict[int, int] = {}
        self._woken = False
        self.wake_fd = -1
        self.wait: Callable[[float | None], list[tuple[int, int]]] = self._wait

    def _local(self, family: int) -> Address:
        host = {4: "127.0.0.1", 6: "::1", 0: ""}[family]
        return Address(host, self.network.new_port() if family else 0, family)

    def connect(self, address: Address) -> MemoryStream:
        if address.host in self.network.unreachable_hosts:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        stream = MemoryStream(self.network, self, self._local(address.family), address)
        if address.host in self.network.silent_hosts:
            return stream
        listener = self.network.find_listener(address)
        if listener is None:
            stream.refuse()
            return stream
        try:
            waiting = MemoryStream(self.network, None, address, stream.local)
        except OSError:
            stream.close()
            raise
        MemoryStream.join(stream, waiting)
        if not listener.offer(stream):
            waiting.closed = True
            self.network.free_fd()
            stream.refuse()
        return stream

    def listen(self, address: Address, backlog: int, dual_stack: bool) -> MemoryListener:
        port = address.port if address.port or address.family == 0 else self.network.new_port()
        local = Address(address.host, port, address.family)
        if local in self.network.listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(local))
        with about(local):
            listener = MemoryListener(self, local, backlog, dual_stack)
        self.network.listeners[local] = listener
        return listener

    def datagrams(self, local: Address | None, remote: Address | None, dual_stack: bool) -> MemoryDatagrams:
        del dual_stack
        target = local if local is not None else remote
        if target is None:
            raise Misuse("a datagram endpoint needs an address to bind or a peer to connect to")
        where = self._local(target.family) if local is None else local
        if not where.port:
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)
            where = Address(host, self.network.new_port(), where.family)
        if where in self.network.sockets:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(where))
        with about(target):
            endpoint = MemoryDatagrams(self, where, remote)
        self.network.sockets[where] = endpoint
        return endpoint

    def adopt(self, handle: object) -> MemoryStream:
        if not isinstance(handle, MemoryStream) or handle.closed or handle.wire is not None:
            raise Misuse(f"adopt takes a bare connected MemoryStream, not {handle!r}")
        handle.wire = self
        self.nodes[handle.fd] = handle
        handle.touch()
        return handle

    def register(self, fd: int, interest: int) -> None:
        self._interest[fd] = interest
        self.touched[fd] = None

    def modify(self, fd: int, interest: int) -> None:
        self._interest[fd] = interest
        self.touched[fd] = None

    def unregister(self, fd: int) -> None:
        del self._interest[fd]
        self.touched.pop(fd, None)

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        ready = self.ready()
        if not ready and not self._woken:
            if timeout is None:
                raise Misuse("waiting for ever: no timer is armed and nothing is on its way")
            self.network.clock.advance(timeout)
        self._woken = False
        return ready

    def ready(self) -> list[tuple[int, int]]:
        """What a wait would find now."""
        ready = []
        for fd in list(self.touched):
            node = self.nodes.get(fd)
            wanted = self._interest.get(fd, 0) | BROKEN
            mask = node.readiness() & wanted if node is not None and fd in self._interest else 0
            if mask:
                ready.append((fd, mask))
            else:
                del self.touched[fd]
        return ready

    def wake(self) -> None:
        self._woken = True

    def drain(self) -> None:
        self._woken = False

    def fileno(self) -> int:
        return -1

    def descriptor_limit(self) -> int | None:
        return self.network.descriptor_limit

    def is_own(self, host: str) -> bool:
        return host in {"127.0.0.1", "::1"}

    def strays(self) -> list[str]:
        return [
            f"memory endpoint {fd}: {type(node).__name__} {node.local}" for fd, node in self.nodes.items()
        ]

    def close(self) -> None:
        self.touched.clear()

    def forked(self) -> None:
        self.nodes.clear()
