"""A wakeup without an event is taken as an event."""

from __future__ import annotations

import sys
import threading
from collections import deque


class Mailbox:
    """Letters from one thread to another."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.letters: deque[str] = deque()
        self.waiting = threading.Semaphore(0)

    def take(self, repaired: bool) -> str:
        """Wait for a letter."""
        with self.changed:
            while not self.letters:
                self.waiting.release()
                self.changed.wait()
                if not repaired:
                    break
            self.waiting.release()
            return self.letters.popleft() if self.letters else "nothing"

    def wake(self, letter: str | None) -> None:
        """Wake who waits, with a letter or without."""
        with self.changed:
            if letter is not None:
                self.letters.append(letter)
            self.changed.notify_all()


def main(repaired: bool) -> int:
    """Wake the reader twice, the second time with a letter."""
    mailbox = Mailbox()
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(mailbox.take(repaired)))
    reader.start()
    mailbox.waiting.acquire()
    mailbox.wake(None)
    mailbox.waiting.acquire()  # it has looked, and waits again if it knows how to
    mailbox.wake("letter")
    reader.join()
    if read != ["letter"]:
        print(f"check failed: the reader got {read[0]!r}, and was never sent that")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
