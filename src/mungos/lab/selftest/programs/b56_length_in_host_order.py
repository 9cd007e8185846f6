"""The length in front of a message is written in the order of the machine's own bytes."""

from __future__ import annotations

import struct
import sys

CONTENT = b"hello"


def frame(content: bytes, repaired: bool) -> bytes:
    """The message as it goes to the wire."""
    return struct.pack("!I" if repaired else "=I", len(content)) + content


def main(repaired: bool) -> int:
    """Write a message, read it with the same code, and show what a foreign peer would see."""
    wire = frame(CONTENT, repaired)
    (size,) = struct.unpack_from("!I" if repaired else "=I", wire)
    print("read back:", wire[4 : 4 + size].decode())
    print("on the wire:", wire.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
