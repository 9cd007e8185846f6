"""A WebSocket's Close is answered when it comes, and once more when the session ends."""

from __future__ import annotations

import sys

CLOSE = bytes([0x88, 2, 3, 232])


class Session:
    """One end of a WebSocket."""

    def __init__(self, repaired: bool) -> None:
        self.repaired = repaired
        self.sent_close = False
        self.outgoing = b""

    def send_close(self) -> None:
        """RFC 6455 section 5.5.1: no frame after a Close."""
        if not (self.repaired and self.sent_close):
            self.outgoing += CLOSE
        self.sent_close = True

    def receive(self, frame: bytes) -> None:
        """A frame came."""
        if frame[0] & 0x0F == 8:
            self.send_close()
            self.end()

    def end(self) -> None:
        """It is over, for whatever reason."""
        self.send_close()


def main(repaired: bool) -> int:
    """Close, and look at what the other end sends."""
    session = Session(repaired)
    session.receive(CLOSE)
    closes = session.outgoing.count(CLOSE)
    if closes != 1:
        print(f"check failed: a Close was answered by {closes}")
        return 1
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
