"""ChaCha20 (RFC 8439 sections 2.1 to 2.4), all blocks of a message at once.

Each of the sixteen words of the state is one long integer with a lane of 64 bits for each block: the word in
its lower half, room for what an addition or a rotation carries out of it in its upper half.
"""

from __future__ import annotations

__all__ = ["BLOCK", "WINDOW", "keystream"]

BLOCK = 64
"""Bytes of a block."""

WINDOW = 1024
"""Blocks that are made together at most."""

_CONSTANTS = tuple(int.from_bytes(b"expand 32-byte k"[at : at + 4], "little") for at in range(0, 16, 4))
_ROUNDS = 20
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


_LANE = 8  # bytes
_ONES = int.from_bytes((1).to_bytes(_LANE, "little") * WINDOW, "little")
"""A one in each lane."""

_NUMBERS = int.from_bytes(b"".join(block.to_bytes(_LANE, "little") for block in range(WINDOW)), "little")
"""Its number in each lane."""


def keystream(key: bytes, counter: int, nonce: bytes, blocks: int) -> bytes:
    """Section 2.4: the stream from `counter` on. `key`: 32 bytes; `nonce`: 12 bytes; `blocks`: at most
    `WINDOW`."""
    whole = (1 << 8 * _LANE * blocks) - 1
    ones, numbers = _ONES & whole, _NUMBERS & whole
    mask = ones * 0xFFFFFFFF
    words = [int.from_bytes((key + nonce)[at : at + 4], "little") for at in range(0, 44, 4)]
    start = [word * ones for word in (*_CONSTANTS, *words[:8])]
    start.append(counter * ones + numbers & mask)
    start += [word * ones for word in words[8:]]
    x = list(start)
    for _ in range(_ROUNDS // 2):
        for order in (_COLUMNS, _DIAGONALS):
            for ia, ib, ic, id_ in order:
                # Section 2.1: the quarter round.
                a, b, c, d = x[ia], x[ib], x[ic], x[id_]
                a = a + b & mask
                d ^= a
                d = (d << 16 | d >> 16) & mask
                c = c + d & mask
                b ^= c
                b = (b << 12 | b >> 20) & mask
                a = a + b & mask
                d ^= a
                d = (d << 8 | d >> 24) & mask
                c = c + d & mask
                b ^= c
                x[ia], x[ib], x[ic], x[id_] = a, (b << 7 | b >> 25) & mask, c, d
    output = bytearray(BLOCK * blocks)
    for index in range(16):
        lanes = (x[index] + start[index] & mask).to_bytes(_LANE * blocks, "little")
        for byte in range(4):
            output[4 * index + byte :: BLOCK] = lanes[byte::_LANE]
    return bytes(output)
