"""Ranges of bytes (RFC 9110 section 14)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["UNSATISFIABLE", "parse_range"]

_ONE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)

UNSATISFIABLE: Final = range(0)
"""The range that selects nothing: the answer is 416."""


def parse_range(value: str, size: int) -> range | None:
    """Read a Range field that asks for one range.

    Args:
        value: the field's value.
        size: bytes of the whole representation.

    Returns:
        The indexes of the bytes, clamped to the representation; `UNSATISFIABLE`, which is empty; or None
        when the field is to be ignored: it is malformed, in another unit, or asks for several ranges, which
        a server may ignore (section 14.2).
    """
    match = _ONE.fullmatch(value)
    if match is None:
        return None
    if match[3] is not None:  # the last bytes
        count = int(match[3])
        return range(max(0, size - count), size) if count and size else UNSATISFIABLE
    first = int(match[1])
    last = size - 1 if match[2] is None else int(match[2])
    if match[2] is not None and last < first:  # section 14.1.1: invalid
        return None
    if first >= size:
        return UNSATISFIABLE
    return range(first, min(last, size - 1) + 1)
