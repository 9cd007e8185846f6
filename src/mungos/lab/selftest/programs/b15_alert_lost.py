"""A fatal alert is sent and the socket closed over unread data: the reset overtakes the alert."""

from __future__ import annotations

import os
import socket
import sys

ALERT = bytes([21, 3, 3, 0, 2, 2, 40])


def refuse(connection: socket.socket, repaired: bool) -> None:
    """Read the first bytes of a request, and send the alert."""
    connection.recv(100)
    connection.sendall(ALERT)
    if repaired:
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
    connection.close()


def ask(client: socket.socket) -> bytes:
    """Send a long request, then read the answer."""
    client.sendall(bytes(1 << 24))
    client.shutdown(socket.SHUT_WR)
    return client.recv(100)


def main(repaired: bool) -> int:
    """Be refused, and learn why."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        refuse(listener.accept()[0], repaired)
        os._exit(0)
    client = socket.create_connection(listener.getsockname())
    try:
        answer = ask(client)
    except OSError as error:
        print(f"check failed: instead of the alert the client saw: {error}")
        return 1
    finally:
        client.close()
        os.waitpid(pid, 0)
    print(answer.hex())
    return int(answer != ALERT)


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
