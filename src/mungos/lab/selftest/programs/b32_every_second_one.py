"""The list of connections is changed while it is gone through: every second one is skipped."""

from __future__ import annotations

import os
import signal
import socket
import sys

CLIENTS = 4


class Server:
    """Knows its connections."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connections = [listener.accept()[0] for _ in range(CLIENTS)]

    def drop(self, connection: socket.socket) -> None:
        """Close one."""
        self.connections.remove(connection)
        connection.close()

    def close_all(self, repaired: bool) -> None:
        """Close all."""
        for connection in list(self.connections) if repaired else self.connections:
            self.drop(connection)


def main(repaired: bool) -> int:
    """Four clients wait for the server to close."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        server = Server(listener)
        server.close_all(repaired)
        listener.accept()
    clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
    listener.close()
    for client in clients:
        client.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
