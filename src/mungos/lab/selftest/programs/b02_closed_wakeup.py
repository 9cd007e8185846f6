"""The pipe that wakes the loop is closed before the last notify, which therefore wakes nobody."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading


class Loop:
    """A thread that sleeps in epoll until it is told to stop."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.stopping = False
        self.poller = select.epoll()
        self.poller.register(self.reader, select.EPOLLIN)
        self.thread = threading.Thread(target=self.run, name="loop")

    def run(self) -> None:
        """Sleep, and look whether it is time to stop."""
        while not self.stopping:
            for descriptor, _ in self.poller.poll():
                os.read(descriptor, 100)

    def notify(self) -> None:
        """Wake the thread."""
        with contextlib.suppress(OSError):
            os.write(self.writer, b"!")

    def close_pipe(self) -> None:
        """Give the pipe back."""
        os.close(self.reader)
        os.close(self.writer)


def main(repaired: bool) -> int:
    """Start the loop, then stop it."""
    loop = Loop()
    loop.thread.start()
    if not repaired:
        loop.close_pipe()
    loop.stopping = True
    loop.notify()
    loop.thread.join()
    if repaired:
        loop.close_pipe()
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
