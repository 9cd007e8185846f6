"""A handshake fails, and nobody closes the socket under it."""

from __future__ import annotations

import os
import signal
import socket
import sys

VISITORS = 24


class Handshake:
    """The first bytes of a connection."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire

    def run(self) -> None:
        """Read them.

        Raises:
            ValueError: they are not ours.
        """
        if self.wire.recv(100) != b"\x16\x03":
            raise ValueError("not a handshake")


def serve(listener: socket.socket, repaired: bool) -> None:
    """Accept for ever."""
    tried: list[Handshake] = []
    while True:
        wire, _ = listener.accept()
        tried.append(Handshake(wire))
        try:
            tried[-1].run()
        except ValueError:
            if repaired:
                wire.close()


def main(repaired: bool) -> int:
    """Many visitors speak something else; each waits to be turned away."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=VISITORS)
    pid = os.fork()
    if pid == 0:
        serve(listener, repaired)
    visitors = []
    for _ in range(VISITORS):
        visitors.append(socket.create_connection(listener.getsockname()))
        visitors[-1].send(b"GET / HTTP/1.1\r\n\r\n")
        visitors[-1].shutdown(socket.SHUT_WR)
    listener.close()
    for visitor in visitors:
        visitor.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
