"""A connect is cancelled, and succeeds all the same: nobody is there to close what it made."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


class Attempt:
    """A connect that can be cancelled."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.wire = socket.socket()
        self.wire.setblocking(False)
        self.wire.connect_ex(address)
        self.cancelled = False

    def on_writable(self, repaired: bool) -> socket.socket | None:
        """It is connected; the connection, if anybody still wants it."""
        if self.cancelled:
            if repaired:
                self.wire.close()
            return None
        return self.wire


def run(address: tuple[str, int], repaired: bool) -> None:
    """Connect, cancel that, and wait for something else."""
    attempt = Attempt(address)
    attempt.cancelled = True
    select.select([], [attempt.wire], [])
    attempt.on_writable(repaired)
    socket.create_server(("127.0.0.1", 0)).accept()


def main(repaired: bool) -> int:
    """Accept a connection and read to its end."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        address = listener.getsockname()
        listener.close()
        run(address, repaired)
    listener.accept()[0].recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
