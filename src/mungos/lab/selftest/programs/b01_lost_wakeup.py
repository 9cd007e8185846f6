"""The flag is tested, then it is waited for; the signal comes between the two."""

from __future__ import annotations

import sys
import threading


class Gate:
    """Opened once by one thread, awaited by another."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.is_open = False

    def open(self) -> None:
        """Let the waiting thread go on."""
        with self.changed:
            self.is_open = True
            self.changed.notify_all()

    def wait(self, opener: threading.Thread, repaired: bool) -> None:
        """Wait until it is open."""
        if repaired:
            opener.start()
            with self.changed:
                self.changed.wait_for(lambda: self.is_open)
            return
        if not self.is_open:  # tested without the lock
            opener.start()
            opener.join()  # the unlucky moment, at every run
            with self.changed:
                self.changed.wait()


def main(repaired: bool) -> int:
    """Open the gate from another thread and pass it."""
    gate = Gate()
    opener = threading.Thread(target=gate.open, name="opener")
    gate.wait(opener, repaired)
    opener.join()
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
