"""One epoll loop over N connections, one request in flight on each: an answer is whole, the next goes out."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.cputime import cpu_seconds
from benchmarks.load.requests import Exchange

__all__ = ["Measured", "connect", "run"]

STALL_SECONDS = 5.0  # no answer at all for so long: the server is stuck
SETTLE_SECONDS = 0.002
SETTLE_LOOKS = 25
UNLIMITED = 1 << 62


@dataclass(frozen=True, slots=True)
class Measured:
    """What one round of load saw. Times in seconds; the server's are of its process alone."""

    requests: int
    wall: float
    server_cpu: float
    load_cpu: float

    def as_json(self) -> dict[str, int | float]:
        return asdict(self)


class Link:
    """One connection and the exchange in flight on it."""

    __slots__ = ("expected", "held", "receive", "send")

    def __init__(self, sock: socket.socket) -> None:
        self.receive = sock.recv
        self.send = sock.sendall
        self.held = b""
        self.expected = b""


def connect(port: int) -> socket.socket:
    """A connection to 127.0.0.1 whose reads and writes give up after STALL_SECONDS (the kernel counts)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=STALL_SECONDS)
    sock.settimeout(None)
    patience = struct.pack("@ll", int(STALL_SECONDS), 0)  # struct timeval, the machine's own layout
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def run(
    sockets: Sequence[socket.socket],
    pool: Sequence[Exchange],
    check: Callable[[bytes, bytes], bool],
    *,
    server_pid: int,
    warm_up: float,
    seconds: float,
    requests: int | None,
) -> Measured:
    """Load the server for `warm_up` seconds uncounted, then `seconds` (or `requests` answers), then stop.

    Args:
        check: called with what came back and what is expected: True when whole, False when more must come.
        requests: the number to make; `seconds` is then the longest that new ones are begun.

    Raises:
        ConnectionError: the server closed a connection.
        TimeoutError: nothing came for STALL_SECONDS.
        WrongAnswer: from `check`.
    """
    links = {sock.fileno(): Link(sock) for sock in sockets}
    turn = 0
    size = len(pool)
    clock = time.monotonic
    with select.epoll() as poller:
        for fd in links:
            poller.register(fd, select.EPOLLIN)

        def load(end: float, goal: int) -> int:
            """Up to `goal` exchanges begun before `end`; returns when each has its answer."""
            nonlocal turn
            begun = done = 0
            for link in list(links.values())[:goal]:
                exchange = pool[turn % size]
                link.expected = exchange.expected
                link.send(exchange.request)
                turn += 1
                begun += 1
            while done < begun:
                ready = poller.poll(STALL_SECONDS)
                if not ready:
                    raise TimeoutError(f"no answer for {STALL_SECONDS:g} s")
                last = goal if clock() < end else 0
                for fd, _ in ready:
                    link = links[fd]
                    data = link.receive(65536)
                    if not data:
                        raise ConnectionError("the server closed a connection")
                    if link.held:
                        data = link.held + data
                        link.held = b""
                    if not check(data, link.expected):
                        link.held = data
                        continue
                    done += 1
                    if begun < last:
                        exchange = pool[turn % size]
                        link.expected = exchange.expected
                        link.send(exchange.request)
                        turn += 1
                        begun += 1
            return done

        if warm_up:
            load(clock() + warm_up, UNLIMITED)
        server_before = settled_cpu_seconds(server_pid)
        load_before, started = time.process_time(), clock()
        counted = load(started + seconds, UNLIMITED if requests is None else requests)
        ended, load_after = clock(), time.process_time()
        server_after = settled_cpu_seconds(server_pid)
    return Measured(counted, ended - started, server_after - server_before, load_after - load_before)


def settled_cpu_seconds(pid: int) -> float:
    """The processor time of `pid` once it has gone to sleep.

    The kernel adds to a process's time when it is switched away from, or at a tick: while it runs, its clock
    may lag by a tick. All answers have come, so it sleeps soon; what it does until then belongs to them.
    """
    before = cpu_seconds(pid)
    for _ in range(SETTLE_LOOKS):
        time.sleep(SETTLE_SECONDS)
        now = cpu_seconds(pid)
        if now == before:
            break
        before = now
    return before
