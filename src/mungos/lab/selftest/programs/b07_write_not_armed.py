"""Reading needs something to be written first, but the loop waits only for reading."""

from __future__ import annotations

import os
import select
import socket
import sys


def serve(connection: socket.socket, repaired: bool) -> None:
    """Answer a request, before which the client has to be greeted."""
    outgoing = b"hello"
    poller = select.epoll()
    poller.register(connection, select.EPOLLIN | (select.EPOLLOUT if repaired else 0))
    while True:
        for _, events in poller.poll():
            if events & select.EPOLLOUT and outgoing:
                outgoing = outgoing[connection.send(outgoing) :]
                poller.modify(connection, select.EPOLLIN)
            if events & select.EPOLLIN:
                connection.sendall(connection.recv(100).upper())
                return


def main(repaired: bool) -> int:
    """Wait for the greeting, send a request, read its answer."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs, repaired)
        os._exit(0)
    theirs.close()
    greeting = ours.recv(100)
    ours.send(b"request")
    print(greeting, ours.recv(100))
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
