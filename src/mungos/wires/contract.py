"""The wire: what a manager runs on. It moves bytes and datagrams, and knows nothing of what they mean.

Two wires stand behind it: `kernel` (sockets) and `memory` (pipes in this process, with a clock of their
own). Endpoints are named by a number (`fd`): a descriptor in the kernel's case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol as Contract

from mungos.protocol import Buffer

__all__ = [
    "BROKEN",
    "READABLE",
    "WRITABLE",
    "Address",
    "DatagramEndpoint",
    "ListeningEndpoint",
    "Mover",
    "StreamEndpoint",
    "Wire",
    "about",
]

# The values of epoll(7), so that the kernel's masks need no translation.
READABLE = 0x001
WRITABLE = 0x004
BROKEN = 0x008 | 0x010


class Address:
    """Where an endpoint is: a host and a port, or a path of the Unix domain.

    Attributes:
        host: an IP literal without brackets, with its scope if it has one ("fe80::1%eth0"), or the path.
        port: 0 for the Unix domain.
        family: 4, 6, or 0 for the Unix domain.
    """

    __slots__ = ("family", "host", "port")

    def __init__(self, host: str, port: int, family: int) -> None:
        self.host = host
        self.port = port
        self.family = family

    def __str__(self) -> str:
        if self.family == 0:
            return "unix:" + (self.host.replace("\0", "@", 1) if self.host else "(unnamed)")
        return f"[{self.host}]:{self.port}" if self.family == 6 else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return (self.host, self.port, self.family) == (other.host, other.port, other.family)

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.family))


@contextmanager
def about(address: Address) -> Iterator[None]:
    """An OSError from inside names the address, as one about a file names the file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(address)
        raise


class Mover(Contract):
    """Fills a buffer, or empties it, and says by how much. Not `Callable`: type checkers differ about whether
    an attribute of that type, of a class with slots, is a method."""

    def __call__(self, buffer: Buffer, /) -> int: ...


class StreamEndpoint(Contract):
    """One end of a byte stream, connected or still connecting."""

    fd: int
    local: Address
    remote: Address

    def connected(self) -> OSError | None:
        """After the first WRITABLE of a connecting endpoint: None if it is connected, else why not."""

    recv_into: Mover
    """Bytes read; 0 at the peer's end. Raises BlockingIOError when there is nothing, OSError when broken.
    An attribute, so that the kernel's own method stands here without a frame in between."""

    send: Mover
    """Bytes taken of one buffer. Raises BlockingIOError when there is no room, OSError when broken."""

    def send_parts(self, parts: Sequence[Buffer]) -> int:
        """Bytes taken of several buffers, in order. Raises as `send`."""

    def shutdown_write(self) -> None:
        """End our direction (FIN). Raises OSError when it is broken."""

    def close(self) -> None:
        """Release it. Idempotent; must be unregistered before."""

    def reset(self) -> None:
        """Release it so that the peer sees a reset, not an end. Idempotent."""


class ListeningEndpoint(Contract):
    """Accepts streams."""

    fd: int
    local: Address

    def accept(self) -> StreamEndpoint | None:
        """The next connection, or None. Raises OSError (EMFILE and the like)."""

    def close(self) -> None:
        """Release it; a Unix socket's path is removed. Idempotent."""


class DatagramEndpoint(Contract):
    """Sends and receives datagrams; bound, or connected to one peer, or both."""

    fd: int
    local: Address
    remote: Address | None

    def receive(self) -> tuple[bytes, Address] | None:
        """The next datagram, or None. Raises OSError for an ICMP error of a connected endpoint."""

    def send_to(self, data: Buffer, peer: Address | None) -> bool:
        """True if the system took it, False when there is no room now. Raises OSError."""

    def next_error(self) -> tuple[OSError, Address | None] | None:
        """The next queued ICMP error with the peer that it concerns, or None."""

    def close(self) -> None:
        """Release it. Idempotent."""


class Wire(Contract):
    """The world of one manager. All of it belongs to one thread, but for `wake`."""

    name: str

    now: Callable[[], float]
    """Seconds on the wire's monotonic clock."""

    def wall(self) -> float:
        """Civil time, seconds since 1970."""

    def random(self, count: int, /) -> bytes:
        """Unpredictable bytes."""

    def connect(self, address: Address) -> StreamEndpoint:
        """Begin a stream; WRITABLE (or BROKEN) tells when to ask `connected()`. Raises OSError."""

    def listen(self, address: Address, backlog: int, dual_stack: bool) -> ListeningEndpoint:
        """Raises OSError, with the address as its filename."""

    def datagrams(self, local: Address | None, remote: Address | None, dual_stack: bool) -> DatagramEndpoint:
        """A datagram endpoint bound to `local` and/or connected to `remote`. Raises OSError, with the
        address as its filename."""

    def adopt(self, handle: object) -> StreamEndpoint:
        """Take over a connected stream (a `socket.socket` in the kernel's case). Raises Misuse."""

    def register(self, fd: int, interest: int) -> None: ...

    def modify(self, fd: int, interest: int) -> None: ...

    def unregister(self, fd: int) -> None: ...

    wait: Callable[[float | None], list[tuple[int, int]]]
    """Wait at most so many seconds (None: without limit); returns (fd, mask) pairs. A mask is a hint: whoever
    acts on it must bear finding nothing."""

    wake_fd: int
    """READABLE after `wake`, until `drain`; negative where `wait` needs no descriptor to be woken."""

    def drain(self) -> None:
        """Forget the wakes so far."""

    def wake(self) -> None:
        """End the current or next `wait` early. The one call that is legal from any thread."""

    def fileno(self) -> int:
        """A descriptor that is readable when `wait(0)` would return something; for a host's poller."""

    def descriptor_limit(self) -> int | None:
        """How many descriptors the process may have open now; None where nothing bounds them."""

    def is_own(self, host: str) -> bool:
        """Whether the IP literal `host` is an address of this machine."""

    def strays(self) -> list[str]:
        """Descriptors of this wire that are still open in the process: the cross-check of the census."""

    def close(self) -> None:
        """Release the poller itself. Idempotent."""

    def forked(self) -> None:
        """Called in the child after a fork: release the copies of descriptors, and touch nothing shared."""
