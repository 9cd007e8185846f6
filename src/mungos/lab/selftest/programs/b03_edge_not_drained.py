"""An edge-triggered descriptor is read once, not until it is empty: the rest brings no further edge."""

from __future__ import annotations

import os
import select
import socket
import sys

SIZE = 8192


def answer(connection: socket.socket, repaired: bool) -> None:
    """Read a request of SIZE bytes, say how much it was."""
    connection.setblocking(False)
    poller = select.epoll()
    poller.register(connection, select.EPOLLIN | select.EPOLLET)
    taken = 0
    while taken < SIZE:
        poller.poll()
        while True:
            try:
                taken += len(connection.recv(1024))
            except BlockingIOError:
                break
            if not repaired:
                break
    connection.send(str(taken).encode())


def main(repaired: bool) -> int:
    """Send a request to a process of its own and wait for the answer."""
    ours, theirs = socket.socketpair()
    ours.sendall(bytes(SIZE))
    pid = os.fork()
    if pid == 0:
        ours.close()
        answer(theirs, repaired)
        os._exit(0)
    theirs.close()
    print(ours.recv(100).decode())
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
