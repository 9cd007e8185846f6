"""The last name of a connection is gone, but it is part of a cycle: its socket waits for the collector."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable


class Connection:
    """A socket and what is to be done with it."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.on_data: Callable[[], bytes] = self.read  # a bound method: it knows the connection again

    def read(self) -> bytes:
        """What came."""
        return self.wire.recv(100)

    def close(self) -> None:
        """Give the socket back, rather than trust that somebody will."""
        self.wire.close()


def serve(listener: socket.socket, repaired: bool) -> None:
    """Read from one connection, drop it, wait for the next one."""
    connection = Connection(listener.accept()[0])
    connection.on_data()
    if repaired:
        connection.close()
    del connection
    listener.accept()


def main(repaired: bool) -> int:
    """Send something, and wait for the server to close."""
    gc.disable()  # as good as a process that makes few objects
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        serve(listener, repaired)
    client = socket.create_connection(listener.getsockname())
    listener.close()
    client.send(b"hello")
    client.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
