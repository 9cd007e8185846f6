"""The pool hands out a connection whose peer has ended it long ago."""

from __future__ import annotations

import select
import socket
import sys


class Pool:
    """Idle connections."""

    def __init__(self, address: tuple[str, int], repaired: bool) -> None:
        self.address = address
        self.repaired = repaired
        self.idle: list[socket.socket] = []

    def take(self) -> socket.socket:
        """A connection."""
        while self.idle:
            connection = self.idle.pop()
            # Idle and readable: that is its end.
            if not (self.repaired and select.select([connection], [], [], 0)[0]):
                return connection
            connection.close()
        return socket.create_connection(self.address)


def main(repaired: bool) -> int:
    """Take a connection after the server has closed the idle ones."""
    listener = socket.create_server(("127.0.0.1", 0))
    pool = Pool(listener.getsockname(), repaired)
    idle = pool.take()
    listener.accept()[0].close()
    pool.idle.append(idle)
    with pool.take() as connection:
        if select.select([connection], [], [], 0)[0] and not connection.recv(1, socket.MSG_PEEK):
            print("check failed: the pool handed out a connection that its peer had ended")
            return 1
        server, _ = listener.accept()
        connection.send(b"request")
        print(server.recv(100))
        server.close()
    listener.close()
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
