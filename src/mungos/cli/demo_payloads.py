"""Messages of the demo: varied, the same in every run, and of an exact size on the wire."""

from __future__ import annotations

import hashlib

__all__ = ["SIZES", "binary", "first_difference", "sized", "text"]

SIZES = (1, 125, 126, 8192, 65_536, 1_048_576)
"""Bytes: on both sides of the first change of a frame's length field, beyond the second (RFC 6455 section
5.2), and enough to fill every buffer on the way."""


def binary(label: str, size: int) -> bytes:
    """`size` bytes that depend on `label` and on nothing else."""
    return hashlib.shake_256(label.encode()).digest(size)


def text(label: str, size: int) -> str:
    """Text of `size` bytes in UTF-8, with characters of one to four bytes."""
    line = f"{label} at mark %d: Grüße, ਸੱਤ, 世界, 🦦\n"
    shortest = len((line % 0).encode())
    lines = "".join(line % number for number in range(size // shortest + 1))
    cut = lines.encode()[:size].decode(errors="ignore")
    return cut + "." * (size - len(cut.encode()))


def first_difference(sent: str | bytes, came: str | bytes) -> str | None:
    """Where two messages part, in words; None when they are equal."""
    if type(sent) is not type(came):
        kinds = ["text" if isinstance(data, str) else "binary" for data in (sent, came)]
        return f"a {kinds[0]} message came back as a {kinds[1]} one"
    if sent == came:
        return None
    ours, theirs = (data.encode() if isinstance(data, str) else data for data in (sent, came))
    for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"byte {at:,} of {len(ours):,} is {other:#04x}, sent was {one:#04x}"
    return f"{len(theirs):,} bytes came back, sent were {len(ours):,}"


def sized(data: str | bytes) -> str:
    """What a message is, in words."""
    kind, size = ("text", len(data.encode())) if isinstance(data, str) else ("binary", len(data))
    return f"{kind} message of {size:,} byte{'' if size == 1 else 's'}"
