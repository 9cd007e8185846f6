"""The peer has only ended its own half; it is taken for the whole, and the pending answer is dropped."""

from __future__ import annotations

import os
import select
import socket
import sys

SIZE = 4 << 20


def serve(connection: socket.socket, repaired: bool) -> None:
    """Answer with SIZE bytes, until the client has enough."""
    connection.setblocking(False)
    pending = memoryview(bytes(SIZE))
    reading: list[socket.socket] = [connection]
    while pending:
        readable, writable, _ = select.select(reading, [connection], [])
        if writable:
            pending = pending[connection.send(pending[:65536]) :]
        if readable and not connection.recv(100):
            if not repaired:
                break
            reading = []
    connection.close()


def main(repaired: bool) -> int:
    """Send a request, end the own half, and read the answer."""
    ours, theirs = socket.socketpair()
    ours.send(b"request")
    ours.shutdown(socket.SHUT_WR)
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs, repaired)
        os._exit(0)
    theirs.close()
    taken = 0
    while block := ours.recv(65536):
        taken += len(block)
    os.waitpid(pid, 0)
    print(taken)
    if taken != SIZE:
        print(f"check failed: {taken} of {SIZE} bytes came")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
