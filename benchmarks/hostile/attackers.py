"""A crowd of attackers of one kind: one epoll loop, as fast as the server takes what they send.

python -m benchmarks.hostile.attackers KIND --connections N --port P --seconds S

Prints `ready` when each is connected, begins at SIGUSR1, and prints at the end one line of JSON: bytes sent
by when, connections lost and made again, its own processor time. It gets little of that by intention (nice
10): an attack has to be cheap.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import ssl
import time
from collections.abc import Callable
from types import FrameType

__all__ = ["KINDS"]

NICE = 10
WRITE = 65536
PATIENCE = 5.0
PAUSE = 0.02  # seconds before a connection that was lost is made again
SAMPLE = 0.1  # seconds between two looks at how much was sent

GETS = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Attacker:
    """One connection. `first` is sent once, then `more()` over and over."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.out = memoryview(self.first())
        self.socket.setblocking(False)

    def first(self) -> bytes:
        raise NotImplementedError

    def more(self) -> bytes:
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """What the server says; most don't care."""


class Pipelining(Attacker):
    """1,800 small GETs at once, and again when all are answered."""

    COUNT = 1800
    BURST = b"".join(GETS % index for index in range(COUNT))

    def first(self) -> bytes:
        self.answers = 0
        return self.BURST

    def more(self) -> bytes:
        if self.answers < self.COUNT:
            return b""
        self.answers -= self.COUNT
        return self.BURST

    def received(self, data: bytes) -> None:
        self.answers += data.count(b"HTTP/1.1 200")


class Chunks(Attacker):
    """A body in chunks of one byte."""

    PIECE = b"1\r\nx\r\n" * (WRITE // 6)

    def first(self) -> bytes:
        return POST + b"Transfer-Encoding: chunked\r\n\r\n"

    def more(self) -> bytes:
        return self.PIECE


class Fragments(Attacker):
    """A message in fragments of one byte."""

    PIECE = b"\x00\x81\1\2\3\4\x55" * (WRITE // 7)

    def first(self) -> bytes:
        return OPENING + b"\x02\x81\1\2\3\4\x55"

    def more(self) -> bytes:
        return self.PIECE


class Records(Attacker):
    """A body in TLS records of one byte."""

    CONTEXT = ssl.create_default_context()
    CONTEXT.check_hostname = False
    CONTEXT.verify_mode = ssl.CERT_NONE

    def first(self) -> bytes:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = self.CONTEXT.wrap_bio(self.incoming, self.outgoing)
        while True:
            try:
                self.session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                data = self.socket.recv(WRITE)
                if not data:
                    raise ConnectionError("the server closed in the handshake") from None
                self.incoming.write(data)
        self.session.write(POST + b"Content-Length: 16000000\r\n\r\n")
        return self.outgoing.read()

    def more(self) -> bytes:
        for _ in range(WRITE // 23):
            self.session.write(b"x")
        return self.outgoing.read()


KINDS: dict[str, Callable[[int], Attacker]] = {
    "pipelining": Pipelining,
    "chunks": Chunks,
    "fragments": Fragments,
    "records": Records,
}


class Crowd:
    """All of them, until the time is over or the server is gone."""

    def __init__(self, make: Callable[[int], Attacker], port: int, count: int) -> None:
        self._make, self._port = make, port
        self._poller = select.epoll()
        self._members: dict[int, Attacker] = {}
        self._again: list[float] = []
        self.sent = self.lost = 0
        self.samples: list[tuple[float, int]] = []
        for _ in range(count):
            self._enter()

    def _enter(self) -> None:
        attacker = self._make(self._port)
        self._members[attacker.socket.fileno()] = attacker
        self._poller.register(attacker.socket, select.EPOLLIN | select.EPOLLOUT)

    def attack(self, until: float, stopped: Callable[[], bool]) -> None:
        while time.monotonic() < until and not stopped():
            for fd, mask in self._poller.poll(PAUSE):
                attacker = self._members[fd]
                try:
                    if mask & ~select.EPOLLOUT:
                        self._read(attacker)
                    if mask & select.EPOLLOUT:
                        self._write(attacker)
                except OSError:
                    self._leave(fd)
            now = time.monotonic()
            if not self.samples or now - self.samples[-1][0] >= SAMPLE:
                self.samples.append((now, self.sent))
            due = [when for when in self._again if when <= now]
            self._again = [when for when in self._again if when > now]
            for _ in due:
                with contextlib.suppress(OSError):
                    self._enter()
                    continue
                self._again.append(now + PAUSE)

    def _read(self, attacker: Attacker) -> None:
        data = attacker.socket.recv(WRITE)
        if not data:
            raise ConnectionError
        attacker.received(data)
        if not attacker.out:
            self._poller.modify(attacker.socket, select.EPOLLIN | select.EPOLLOUT)

    def _write(self, attacker: Attacker) -> None:
        if not attacker.out:
            attacker.out = memoryview(attacker.more())
            if not attacker.out:
                self._poller.modify(attacker.socket, select.EPOLLIN)
                return
        count = attacker.socket.send(attacker.out)
        self.sent += count
        attacker.out = attacker.out[count:]

    def _leave(self, fd: int) -> None:
        self._members.pop(fd).socket.close()
        self.lost += 1
        self._again.append(time.monotonic() + PAUSE)


def main() -> None:
    """Attack until told to stop, or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    told = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, stop)
    os.nice(NICE)
    crowd = Crowd(KINDS[options.kind], options.port, options.connections)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    print("ready", flush=True)
    signal.sigtimedwait({signal.SIGUSR1}, options.seconds)
    begun, cpu = time.monotonic(), time.process_time()
    crowd.attack(begun + options.seconds, lambda: told)
    wall = time.monotonic() - begun
    result = {
        "samples": crowd.samples,
        "lost": crowd.lost,
        "load": (time.process_time() - cpu) / wall,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
