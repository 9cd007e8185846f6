"""To stop means to wait for a thread, and that one stands in a connect() that nobody answers."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

PATIENCE = 0.05  # seconds


def connect(address: tuple[str, int], repaired: bool) -> None:
    """Connect, and close."""
    with contextlib.suppress(TimeoutError), socket.socket() as wire:
        if repaired:
            wire.settimeout(PATIENCE)
        wire.connect(address)


def main(repaired: bool) -> int:
    """Connect to a listener that has no room left, then stop."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = listener.getsockname()
    filling = []
    for _ in range(3):
        filling.append(socket.socket())
        filling[-1].setblocking(False)
        filling[-1].connect_ex(address)
    thread = threading.Thread(target=connect, args=(address, repaired), name="connecting")
    thread.start()
    thread.join()
    print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
