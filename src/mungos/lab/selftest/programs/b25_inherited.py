"""A child has inherited the connection: whoever closes it does not end it."""

from __future__ import annotations

import os
import signal
import socket
import sys


def main(repaired: bool) -> int:
    """Serve a client of its own, beside a child that has nothing to do with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    connection, _ = listener.accept()
    pid = os.fork()
    if pid == 0:
        if repaired:
            connection.close()
        client.close()
        listener.close()
        while True:
            signal.pause()
    connection.send(b"answer")
    connection.close()
    while block := client.recv(100):
        print(block.decode(), flush=True)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
