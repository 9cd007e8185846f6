"""The wait for the end returns at once, and what was not yet sent dies with the process."""

from __future__ import annotations

import os
import select
import socket
import sys

SIZE = 4 << 20


class Transport:
    """Sends in the background of a loop."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.wire.setblocking(False)
        self.pending = bytearray()

    def write(self, content: bytes) -> None:
        """Send as much as goes now, the rest later."""
        self.pending += content
        del self.pending[: self.wire.send(self.pending)]

    def wait_closed(self, repaired: bool) -> None:
        """Wait until everything is sent, and close."""
        while repaired and self.pending:
            select.select([], [self.wire], [])
            del self.pending[: self.wire.send(self.pending)]
        self.wire.close()


def main(repaired: bool) -> int:
    """Count what comes from a process that sends SIZE bytes and exits."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        transport = Transport(theirs)
        transport.write(bytes(SIZE))
        transport.wait_closed(repaired)
        os._exit(0)
    theirs.close()
    taken = 0
    while block := ours.recv(65536):
        taken += len(block)
    os.waitpid(pid, 0)
    if taken != SIZE:
        print(f"check failed: {taken} of {SIZE} bytes came before the end")
        return 1
    print(taken)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
