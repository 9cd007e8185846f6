"""Both ends write before they read, more than the buffers between them hold."""

from __future__ import annotations

import os
import socket
import sys
import threading

SIZE = 1 << 20


def receive(connection: socket.socket) -> int:
    """Read SIZE bytes; how many came."""
    taken = 0
    while taken < SIZE and (block := connection.recv(65536)):
        taken += len(block)
    return taken


def exchange(connection: socket.socket, repaired: bool) -> int:
    """Send SIZE bytes and read as many."""
    if not repaired:
        connection.sendall(bytes(SIZE))
        return receive(connection)
    writer = threading.Thread(target=connection.sendall, args=(bytes(SIZE),))
    writer.start()
    taken = receive(connection)
    writer.join()
    return taken


def main(repaired: bool) -> int:
    """Exchange tickets with a process of its own."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os._exit(exchange(theirs, repaired) != SIZE)
    theirs.close()
    taken = exchange(ours, repaired)
    _, status = os.waitpid(pid, 0)
    print(taken)
    return int(status != 0 or taken != SIZE)


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
