"""A callback on the loop's own thread stops the loop, and waits until the loop has stopped."""

from __future__ import annotations

import queue
import sys
import threading


class Client:
    """Messages, handled by a thread of its own."""

    def __init__(self, repaired: bool) -> None:
        self.repaired = repaired
        self.messages: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, name="client")

    def run(self) -> None:
        """Handle messages until None comes."""
        while (message := self.messages.get()) is not None:
            self.on_message(message)
        self.stopped.set()

    def on_message(self, message: str) -> None:
        """The one that says that it is over."""
        if message == "over":
            self.stop()

    def stop(self) -> None:
        """End the thread."""
        self.messages.put(None)
        if not (self.repaired and threading.current_thread() is self.thread):
            self.stopped.wait()


def main(repaired: bool) -> int:
    """Have the client stop by a message."""
    client = Client(repaired)
    client.thread.start()
    client.messages.put("over")
    client.thread.join()
    print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
