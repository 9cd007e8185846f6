"""A connection is counted in twice and out once: the wait for the last one never ends."""

from __future__ import annotations

import socket
import sys
import threading


class Server:
    """Counts its connections."""

    def __init__(self, repaired: bool) -> None:
        self.repaired = repaired
        self.changed = threading.Condition()
        self.active = 0

    def opened(self, retried: bool) -> None:
        """A connection was made, maybe at the second try."""
        with self.changed:
            self.active += 2 if retried and not self.repaired else 1

    def handle(self, connection: socket.socket) -> None:
        """Serve it to its end."""
        while connection.recv(100):
            pass
        connection.close()
        with self.changed:
            self.active -= 1
            self.changed.notify_all()

    def wait_closed(self) -> None:
        """Wait until there is none left."""
        with self.changed:
            self.changed.wait_for(lambda: self.active == 0)


def main(repaired: bool) -> int:
    """Two connections come and go."""
    server = Server(repaired)
    threads = []
    for retried in (False, True):
        ours, theirs = socket.socketpair()
        server.opened(retried)
        threads.append(threading.Thread(target=server.handle, args=(theirs,)))
        threads[-1].start()
        ours.close()
    for thread in threads:
        thread.join()
    server.wait_closed()
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
