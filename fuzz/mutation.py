"""Changes inputs at random, in the ways that parsers get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["mutate"]

_BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_WIDTHS = (1, 2, 3, 4)


def mutate(
    data: bytes, others: Sequence[bytes], words: Sequence[bytes], longest: int, random: Random
) -> bytes:
    """One to four changes of `data`.

    Args:
        others: inputs to take pieces from.
        words: pieces that mean something.
        longest: bytes of the result.
    """
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        _change(changed, others, words, random)
    return bytes(changed[:longest])


def _change(data: bytearray, others: Sequence[bytes], words: Sequence[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    span = min(random.choice((1, 1, 2, 4, 16, 64, 256)), len(data) - at)
    match random.randrange(10):
        case 0 if span:
            data[at] ^= 1 << random.randrange(8)
        case 1 if span:
            data[at] = random.choice(_BYTES)
        case 2 if span:
            data[at] = random.randrange(256)
        case 3 if span:
            _count(data, at, random)
        case 4:
            del data[at : at + span]
        case 5:
            data[at:at] = random.randbytes(random.choice((1, 2, 4, 8, 32)))
        case 6:
            data[at:at] = data[at : at + span] * random.choice((1, 1, 2, 50))
        case 7 if words:
            data[at : at + random.choice((0, 0, span))] = random.choice(words)
        case 8 if others:
            other = random.choice(others)
            begin = random.randrange(len(other) + 1)
            data[at : at + random.choice((0, span, len(data)))] = other[begin : begin + 512]
        case 9 if span:
            del data[at:]
        case _:
            data[at:at] = bytes((random.randrange(256),))


def _count(data: bytearray, at: int, random: Random) -> None:
    """A number in network byte order, perhaps a length, becomes a little more, less, or extreme."""
    width = min(random.choice(_WIDTHS), len(data) - at)
    top = (1 << 8 * width) - 1
    value = int.from_bytes(data[at : at + width], "big")
    value = random.choice((value + 1, value - 1, 0, top, top >> 1, value * 2, value + random.randrange(32)))
    data[at : at + width] = (value & top).to_bytes(width, "big")
