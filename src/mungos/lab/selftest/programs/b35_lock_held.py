"""The reader holds the lock while it waits for data; closing needs the lock."""

from __future__ import annotations

import socket
import sys
import threading


class Connection:
    """A socket and a lock."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.lock = threading.RLock()
        self.reading = threading.Event()

    def read(self, repaired: bool) -> bytes:
        """Wait for data."""
        if repaired:
            self.reading.set()
            return self.wire.recv(100)
        with self.lock:
            self.reading.set()
            return self.wire.recv(100)

    def close(self) -> None:
        """Wake the reader, and close."""
        with self.lock:
            self.wire.shutdown(socket.SHUT_RDWR)


def main(repaired: bool) -> int:
    """Close a connection that is being read."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    reader = threading.Thread(target=connection.read, args=(repaired,), name="reader")
    reader.start()
    connection.reading.wait()
    connection.close()
    reader.join()
    ours.close()
    theirs.close()
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
