"""One connection's close callback fails, and the connections behind it are never closed."""

from __future__ import annotations

import os
import signal
import socket
import sys

CLIENTS = 3


def close_all(connections: list[socket.socket], repaired: bool) -> None:
    """Close each, after its callback."""
    for number, connection in enumerate(connections):
        try:
            if number == 1:
                raise LookupError("no such session")
        except LookupError:
            if not repaired:
                raise
        finally:
            connection.close()


def serve(listener: socket.socket, repaired: bool) -> None:
    """Take three clients, close them all, and go on with the next ones."""
    connections = [listener.accept()[0] for _ in range(CLIENTS)]
    try:
        close_all(connections, repaired)
    except LookupError as error:
        print(f"close failed: {error}", flush=True)
    listener.accept()


def main(repaired: bool) -> int:
    """Three clients wait for the server to close."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        serve(listener, repaired)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
    listener.close()
    for client in clients:
        client.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
