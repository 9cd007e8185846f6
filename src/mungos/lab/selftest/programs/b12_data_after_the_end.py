"""What follows a close_notify is still delivered."""

from __future__ import annotations

import sys

DATA, ALERT = 23, 21
CLOSE_NOTIFY = bytes([1, 0])


def record(kind: int, content: bytes) -> bytes:
    """A TLS record, not encrypted."""
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def delivered(stream: bytes, repaired: bool) -> bytes:
    """The data of all records of a stream, up to its end."""
    content = b""
    ended = False
    while len(stream) >= 5:
        size = 5 + int.from_bytes(stream[3:5], "big")
        kind, body, stream = stream[0], stream[5:size], stream[size:]
        if kind == ALERT and body == CLOSE_NOTIFY:
            ended = True
        elif kind == DATA and not (repaired and ended):
            content += body
    return content


def main(repaired: bool) -> int:
    """Read a stream on which an attacker has appended something."""
    stream = record(DATA, b"pay 10") + record(ALERT, CLOSE_NOTIFY) + record(DATA, b"0000")
    content = delivered(stream, repaired)
    print(content.decode())
    if content != b"pay 10":
        print(f"check failed: the peer ended after 6 bytes, {len(content)} were delivered")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
