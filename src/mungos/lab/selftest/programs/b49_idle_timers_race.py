"""Both ends close what is idle, after the same time: a request meets the other's end half-way."""

from __future__ import annotations

import os
import select
import socket
import sys

IDLE = 0.03  # seconds


def serve(listener: socket.socket) -> None:
    """Echo on one connection until it is idle, then on another one for as long as it lasts."""
    for limit in (IDLE, None):
        connection, _ = listener.accept()
        try:
            while request := connection.recv(100):
                connection.send(request)
                connection.settimeout(limit)
        except TimeoutError:
            pass
        connection.close()


def main(repaired: bool) -> int:
    """Send a second request on a connection that was idle for as long as the client allows."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        serve(listener)
        os._exit(0)
    address = listener.getsockname()
    listener.close()
    client = socket.create_connection(address)
    client.send(b"first")
    client.recv(100)
    if repaired:  # the client's limit is shorter, or it looks before it writes
        client.close()
        client = socket.create_connection(address)
    else:
        select.select([client], [], [])  # the unlucky moment, at every run
    client.send(b"last")
    try:
        answer = client.recv(100)
    except ConnectionError as error:
        answer = str(error).encode()
    client.close()
    if answer != b"last":
        print(f"check failed: instead of an answer came {answer!r}")
        socket.create_connection(address).close()
    else:
        print("answered")
    os.waitpid(pid, 0)
    return int(answer != b"last")


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
