"""The server has closed all its connections; one that was accepted meanwhile is added after that."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


class Server:
    """Closes when a client says so."""

    def __init__(self, listener: socket.socket, repaired: bool) -> None:
        self.listener = listener
        self.repaired = repaired
        self.closing = False
        self.connections: list[socket.socket] = []

    def close(self) -> None:
        """Close all connections."""
        self.closing = True
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def run(self) -> None:
        """Two turns of the loop, then wait for what an operator says."""
        self.connections.append(self.listener.accept()[0])
        select.select(self.connections, [], [])
        late, _ = self.listener.accept()  # accepted in the turn that closes
        self.close()
        if self.repaired and self.closing:
            late.close()
        else:
            self.connections.append(late)
        self.listener.close()
        socket.create_server(("127.0.0.1", 0)).accept()


def main(repaired: bool) -> int:
    """Two clients: one tells the server to close, both wait for that."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        Server(listener, repaired).run()
    first = socket.create_connection(listener.getsockname())
    second = socket.create_connection(listener.getsockname())
    listener.close()
    first.send(b"close")
    for client in (first, second):
        try:
            client.recv(100)
        except ConnectionResetError as error:
            print(error)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
