"""Of two attempts to connect, one wins; the other is forgotten instead of closed."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


def fastest(addresses: list[tuple[str, int]], repaired: bool) -> tuple[socket.socket, list[socket.socket]]:
    """Connect to all, take the first; and what is left of the others."""
    attempts = []
    for address in addresses:
        attempt = socket.socket()
        attempt.setblocking(False)
        attempt.connect_ex(address)
        attempts.append(attempt)
    winner = select.select([], attempts, [])[1][0]
    losers = [attempt for attempt in attempts if attempt is not winner]
    if repaired:
        for attempt in losers:
            attempt.close()
    return winner, losers


def main(repaired: bool) -> int:
    """A server with two addresses; a client, in a process of its own, that wants one connection."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [listener.getsockname() for listener in listeners]
    pid = os.fork()
    if pid == 0:
        for listener in listeners:
            listener.close()
        winner, forgotten = fastest(addresses, repaired)
        winner.close()
        other = socket.create_server(("127.0.0.1", 0))
        other.accept()
        forgotten.clear()
    for listener in listeners:
        listener.accept()[0].recv(100)  # the client's end of each connection
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
