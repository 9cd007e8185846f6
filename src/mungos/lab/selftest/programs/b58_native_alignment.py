"""A head goes to the wire as the machine lays out a structure: its own padding, its own byte order."""

from __future__ import annotations

import struct
import sys


def main(repaired: bool) -> int:
    """Show what a foreign peer would see of a head with a kind and a length."""
    layout = struct.Struct("!Bq" if repaired else "@Bq")
    wire = layout.pack(1, 5)
    print("read back:", layout.unpack(wire))
    print("on the wire:", wire.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
