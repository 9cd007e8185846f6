"""The manager locks itself, then the connection; the connection locks itself, then the manager."""

from __future__ import annotations

import sys
import threading


class Connection:
    """Closes itself under its lock, and tells its manager."""

    def __init__(self, manager: Manager) -> None:
        self.lock = threading.Lock()
        self.manager = manager

    def close(self, repaired: bool) -> None:
        """Close, and be struck off the list."""
        with self.lock:
            if not repaired:
                self.manager.both.wait()  # the unlucky moment, at every run
                self.manager.remove(self)
        if repaired:
            self.manager.remove(self)


class Manager:
    """Knows its connections."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.both = threading.Barrier(2)
        self.connections = [Connection(self)]

    def remove(self, connection: Connection) -> None:
        """Strike one off the list."""
        with self.lock:
            self.connections.remove(connection)

    def count_open(self, repaired: bool) -> int:
        """How many are open."""
        with self.lock:
            if not repaired:
                self.both.wait()
            count = 0
            for connection in self.connections:
                with connection.lock:
                    count += 1
            return count


def main(repaired: bool) -> int:
    """Close a connection while the manager counts."""
    manager = Manager()
    closer = threading.Thread(target=manager.connections[0].close, args=(repaired,), name="closer")
    closer.start()
    manager.count_open(repaired)
    closer.join()
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
