"""A message that was queued before the DISCONNECT goes out after it."""

from __future__ import annotations

import sys

PUBLISH, DISCONNECT = b"\x30\x04\x00\x01aX", b"\xe0\x00"


class Session:
    """Sends what is urgent first."""

    def __init__(self, repaired: bool) -> None:
        self.repaired = repaired
        self.urgent: list[bytes] = []
        self.queued: list[bytes] = []

    def publish(self, message: bytes) -> None:
        """Send a message, in its turn."""
        self.queued.append(message)

    def disconnect(self) -> None:
        """Say goodbye: MQTT 5 section 3.14.4 allows nothing behind it."""
        if self.repaired:
            self.urgent, self.queued = self.urgent + self.queued, []
        self.urgent.append(DISCONNECT)

    def take(self) -> bytes:
        """What goes to the wire."""
        packets = b"".join(self.urgent + self.queued)
        self.urgent, self.queued = [], []
        return packets


def main(repaired: bool) -> int:
    """Publish, disconnect, and look at the order on the wire."""
    session = Session(repaired)
    session.publish(PUBLISH)
    session.disconnect()
    sent = session.take()
    if not sent.endswith(DISCONNECT):
        print(f"check failed: {len(sent) - sent.index(DISCONNECT) - 2} bytes were sent after DISCONNECT")
        return 1
    print(sent.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
