"""A message that was given up leaves its first fragments to the next one."""

from __future__ import annotations

import sys


class Assembler:
    """Puts fragments together."""

    def __init__(self, repaired: bool) -> None:
        self.repaired = repaired
        self.parts: list[bytes] = []

    def take(self, part: bytes, last: bool) -> bytes | None:
        """A fragment came; the message, when it was the last."""
        self.parts.append(part)
        if not last:
            return None
        message = b"".join(self.parts)
        self.parts.clear()
        return message

    def reset(self) -> None:
        """The connection is gone; the next one begins."""
        if self.repaired:
            self.parts.clear()


def main(repaired: bool) -> int:
    """Half a message on one connection, a whole one on the next."""
    assembler = Assembler(repaired)
    assembler.take(b"somebody else's ", last=False)
    assembler.reset()
    message = assembler.take(b"message", last=True)
    if message != b"message":
        print(f"check failed: b'message' was sent, {message!r} came")
        return 1
    print(message)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
