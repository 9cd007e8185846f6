"""The flag that says that the data are there is set before the data are."""

from __future__ import annotations

import sys
import threading


class Slot:
    """A place for one message, from one thread to another."""

    def __init__(self) -> None:
        self.full = threading.Event()
        self.read = threading.Event()
        self.content = b"the former content"

    def put(self, content: bytes, repaired: bool) -> None:
        """Fill it."""
        if repaired:
            self.content = content
            self.full.set()
        else:
            self.full.set()
            self.read.wait()  # the unlucky moment, at every run
            self.content = content

    def take(self) -> bytes:
        """Wait for the content."""
        self.full.wait()
        content = self.content
        self.read.set()
        return content


def main(repaired: bool) -> int:
    """Hand something over."""
    slot = Slot()
    writer = threading.Thread(target=slot.put, args=(b"the new content", repaired))
    writer.start()
    content = slot.take()
    writer.join()
    if content != b"the new content":
        print(f"check failed: {content!r} was read")
        return 1
    print(content)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
