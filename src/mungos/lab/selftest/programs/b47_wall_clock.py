"""The deadline is one of the wall clock, and the clock is set back by an hour."""

from __future__ import annotations

import select
import socket
import sys
import time

PATIENCE = 0.05  # seconds


class Clock:
    """A wall clock that somebody sets back as soon as it was read once."""

    def __init__(self) -> None:
        self.offset = 0.0

    def read(self) -> float:
        """Seconds since 1970."""
        now = time.time() + self.offset
        self.offset = -3600.0
        return now


def main(repaired: bool) -> int:
    """Wait for a peer that says nothing, but not for long."""
    ours, theirs = socket.socketpair()
    read = time.monotonic if repaired else Clock().read
    deadline = read() + PATIENCE
    while (remaining := deadline - read()) > 0:
        if select.select([ours], [], [], remaining)[0]:
            return 1
    print("no answer in time")
    theirs.close()
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
