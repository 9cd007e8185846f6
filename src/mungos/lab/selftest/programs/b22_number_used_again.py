"""A number is used again while its former file is registered: its event goes to the wrong connection."""

from __future__ import annotations

import os
import select
import socket
import sys


def main(repaired: bool) -> int:
    """Close a connection of which somebody holds a copy, open another, and see which one gets the event."""
    poller = select.epoll()
    first, first_peer = socket.socketpair()
    number = first.fileno()
    copy = os.dup(number)
    poller.register(number, select.EPOLLIN)
    if repaired:
        poller.unregister(number)
    first.close()
    second, second_peer = socket.socketpair()
    if second.fileno() != number:
        os.dup2(second.fileno(), number)
    connections = {number: "second"}
    poller.register(number, select.EPOLLIN)
    first_peer.send(b"to the first")
    for descriptor, _ in poller.poll(0):
        print(f"check failed: an event for connection {connections[descriptor]!r}; nobody sent it anything")
        return 1
    second_peer.send(b"to the second")
    print([connections[descriptor] for descriptor, _ in poller.poll()])
    os.close(copy)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
