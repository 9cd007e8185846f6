"""The thread that keeps a connection alive outlives it."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

INTERVAL = 0.2  # seconds


class Connection:
    """A socket that sends a ping now and then."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.closed = threading.Event()
        self.pinger = threading.Thread(target=self.ping, name="pinger")
        self.pinger.start()

    def ping(self) -> None:
        """Send pings for as long as the connection lives."""
        while not self.closed.wait(INTERVAL):
            with contextlib.suppress(OSError):
                self.wire.send(b"ping")

    def close(self, repaired: bool) -> None:
        """Close the socket."""
        self.wire.close()
        if repaired:
            self.closed.set()
            self.pinger.join()


def main(repaired: bool) -> int:
    """Open a connection and close it."""
    ours, theirs = socket.socketpair()
    Connection(ours).close(repaired)
    theirs.close()
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
