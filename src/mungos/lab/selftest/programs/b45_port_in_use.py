"""A server that was restarted can't listen: its port still remembers the connection before."""

from __future__ import annotations

import socket
import sys


def listen(port: int, repaired: bool) -> socket.socket:
    """Listen on a port of this machine."""
    listener = socket.socket()
    if repaired:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def main(repaired: bool) -> int:
    """Serve one client, restart."""
    listener = listen(0, repaired)
    address = listener.getsockname()
    client = socket.create_connection(address)
    connection, _ = listener.accept()
    connection.close()  # the server is first: TIME_WAIT is on its side
    client.recv(1)
    client.close()
    listener.close()
    listen(address[1], repaired).close()
    print("restarted")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
