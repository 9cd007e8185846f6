"""Each byte restarts the deadline: a peer that sends one now and then is never too late."""

from __future__ import annotations

import os
import socket
import sys
import time

PATIENCE = 0.4  # seconds
PACE = 0.02  # seconds between two bytes


def drip(connection: socket.socket) -> None:
    """Send a head without an end."""
    while True:
        time.sleep(PACE)
        try:
            connection.send(b"x")
        except BrokenPipeError:
            return


def main(repaired: bool) -> int:
    """Read a line, within PATIENCE."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        drip(theirs)
        os._exit(0)
    theirs.close()
    deadline = time.monotonic() + PATIENCE
    line = b""
    while not line.endswith(b"\n"):
        ours.settimeout(max(0.001, deadline - time.monotonic()) if repaired else PATIENCE)
        try:
            line += ours.recv(1)
        except TimeoutError:
            break
        print(f"{len(line)} bytes of a line", flush=True)
    ours.close()
    os.waitpid(pid, 0)
    print("no line in time")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
