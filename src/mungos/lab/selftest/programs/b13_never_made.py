"""A connection that its peer closes before it was announced is forgotten, and never released."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


class Server:
    """Announces connections one turn after it accepted them."""

    def __init__(self, listener: socket.socket, repaired: bool) -> None:
        self.listener = listener
        self.repaired = repaired
        self.poller = select.epoll()
        self.poller.register(listener, select.EPOLLIN)
        self.fresh: dict[int, socket.socket] = {}
        self.kept: list[socket.socket] = []

    def run(self) -> None:
        """Serve until a signal comes."""
        while True:
            for descriptor, _ in self.poller.poll():
                if descriptor == self.listener.fileno():
                    connection, _ = self.listener.accept()
                    self.fresh[connection.fileno()] = connection
                    self.poller.register(connection, select.EPOLLIN)
                elif not (connection := self.fresh.pop(descriptor)).recv(100):
                    # Never announced: there is nobody who would hear of its end.
                    self.poller.unregister(connection)
                    self.kept.append(connection)
                    if self.repaired:
                        connection.close()


def main(repaired: bool) -> int:
    """Connect, think better of it, and wait for the server to agree."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        Server(listener, repaired).run()
    client = socket.create_connection(listener.getsockname())
    listener.close()
    client.shutdown(socket.SHUT_WR)
    client.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
