"""Holds many connections open and silent until SIGTERM, then says how many the server has kept.

Each has one GET answered first, so that it is an idle keep-alive connection and not one that never spoke.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys

from benchmarks.load.answers import WrongAnswer, check_http
from benchmarks.load.closed_loop import connect
from benchmarks.load.requests import http_pool


def exchange(sock: socket.socket, request: bytes, body: bytes) -> None:
    sock.sendall(request)
    data = b""
    while not data or not check_http(data, body):
        part = sock.recv(65536)
        if not part:
            raise ConnectionError("the server closed a connection before it answered")
        data += part


def still_open(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pool = http_pool(64, seed=options.seed)
    held: list[socket.socket] = []
    try:
        for number in range(options.connections):
            sock = connect(options.port)
            held.append(sock)
            chosen = pool[number % len(pool)]
            exchange(sock, chosen.request, chosen.expected)
            if number % 256 == 0 and signal.sigtimedwait({signal.SIGTERM}, 0) is not None:
                return 1
        print("ready", flush=True)
        signal.sigwait({signal.SIGTERM})
        print(json.dumps({"opened": len(held), "kept": sum(map(still_open, held))}), flush=True)
    except (OSError, WrongAnswer) as fault:
        print(f"{type(fault).__name__} after {len(held)} connections: {fault}", file=sys.stderr)
        return 1
    finally:
        for sock in held:
            sock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
