"""No descriptor is left for the connection that waits; the loop tries again, and again, at once."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import sys

LIMIT = 24


def serve(listener: socket.socket, repaired: bool) -> None:
    """Accept, and keep what comes."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    reserve = os.open(os.devnull, os.O_RDONLY)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    connections: list[socket.socket] = []
    while True:
        poller.poll()
        try:
            connections.append(listener.accept()[0])
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            if repaired:
                # The last descriptor is kept for turning somebody away.
                os.close(reserve)
                listener.accept()[0].close()
                reserve = os.open(os.devnull, os.O_RDONLY)


def main(repaired: bool) -> int:
    """More clients than the server has descriptors; the last one waits for a word."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2 * LIMIT)
    pid = os.fork()
    if pid == 0:
        serve(listener, repaired)
    address = listener.getsockname()
    listener.close()
    clients = [socket.create_connection(address) for _ in range(LIMIT)]
    clients[-1].recv(1)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
