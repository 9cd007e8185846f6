"""The own end is sent, then the peer's is waited for, without a deadline; it never comes."""

from __future__ import annotations

import os
import signal
import socket
import sys

PATIENCE = 0.05  # seconds


def main(repaired: bool) -> int:
    """Talk to a server that forgets to close, then close."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        connection, _ = listener.accept()
        connection.send(connection.recv(100))
        listener.accept()  # waits for the next one; the first is never closed
        os._exit(0)
    client = socket.create_connection(listener.getsockname())
    listener.close()
    client.send(b"hello")
    print(client.recv(100).decode())
    client.shutdown(socket.SHUT_WR)
    if repaired:
        client.settimeout(PATIENCE)
    try:
        client.recv(100)
    except TimeoutError:
        print("closed without the peer's end")
    client.close()
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
