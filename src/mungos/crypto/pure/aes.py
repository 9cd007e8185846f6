"""AES (FIPS 197) in counter mode (SP 800-38A section 6.5), many blocks at once.

The state is cut into eight planes: plane k is one long integer that holds bit k of every byte of every block,
byte i of block j at bit 16 j + i. A gate of the circuit is then one operation on integers for all blocks
together, and no table is indexed by a byte of the key or the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["BLOCK", "WINDOW", "AESKey"]

BLOCK = 16
"""Bytes of a block."""

WINDOW = 1024
"""Blocks that are encrypted together at most: their counters share all bits above the lowest ten."""

_WINDOW_BITS = WINDOW.bit_length() - 1

Planes = tuple[int, int, int, int, int, int, int, int]
_Nibble = tuple[int, int, int, int]


def _multiply(a: _Nibble, b: _Nibble) -> _Nibble:
    """A product in GF(2^4), modulo w^4 + w + 1."""
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    high4 = a1 & b3 ^ a2 & b2 ^ a3 & b1
    high5 = a2 & b3 ^ a3 & b2
    high6 = a3 & b3
    return (
        a0 & b0 ^ high4,
        a0 & b1 ^ a1 & b0 ^ high4 ^ high5,
        a0 & b2 ^ a1 & b1 ^ a2 & b0 ^ high5 ^ high6,
        a0 & b3 ^ a1 & b2 ^ a2 & b1 ^ a3 & b0 ^ high6,
    )


def _substitute(x: Planes) -> Planes:
    """SubBytes (FIPS 197 section 5.1.1) without its constant 0x63, which stands in the round keys.

    The byte is written as l + h y over GF(2^4), where y^2 = y + v with v = w^3, so that its inverse takes one
    inversion in the small field: 1 / (l + h y) = (l + h + h y) / (l^2 + l h + v h^2).
    """
    x0, x1, x2, x3, x4, x5, x6, x7 = x
    # Into the tower: l = (l0 .. l3), h = (h0 .. h3).
    t = x4 ^ x6
    h3 = x5 ^ x7
    h2 = x2 ^ x3 ^ h3
    h1 = x1 ^ x7 ^ t
    h0 = x5 ^ t
    l3 = x3 ^ x4
    l2 = t ^ h2
    l1 = x2
    l0 = x0 ^ h3
    h = h0, h1, h2, h3
    # The norm.
    p0, p1, p2, p3 = _multiply((l0, l1, l2, l3), h)
    n0 = p0 ^ l0 ^ l2 ^ h2
    n1 = p1 ^ l2 ^ h1 ^ h2 ^ h3
    n2 = p2 ^ l1 ^ l3 ^ h1
    n3 = p3 ^ l3 ^ h0 ^ h2 ^ h3
    # Its inverse, from the truth table of GF(2^4).
    n01 = n0 & n1
    n02 = n0 & n2
    n12 = n1 & n2
    n03 = n0 & n3
    n13 = n1 & n3
    n123 = n12 & n3
    inverse = (
        n0 ^ n1 ^ n2 ^ n3 ^ n02 ^ n12 ^ n01 & n2 ^ n123,
        n01 ^ n02 ^ n12 ^ n3 ^ n13 ^ n01 & n3,
        n01 ^ n2 ^ n02 ^ n3 ^ n03 ^ n02 & n3,
        n1 ^ n2 ^ n3 ^ n03 ^ n13 ^ n2 & n3 ^ n123,
    )
    y4, y5, y6, y7 = _multiply(h, inverse)
    y0, y1, y2, y3 = _multiply((l0 ^ h0, l1 ^ h1, l2 ^ h2, l3 ^ h3), inverse)
    # Back, and through the linear part of the affine map.
    a = y0 ^ y5
    b = y1 ^ y2
    c = y3 ^ a
    d = y4 ^ c
    e = y6 ^ y7
    f = y0 ^ y2
    return (y6 ^ f, b ^ d, y6 ^ c, y2 ^ a, y1 ^ d, y3 ^ y5 ^ b ^ e, y4 ^ e, b)


class _Masks(NamedTuple):
    """For some number of blocks: the lanes of one block, said again for each.

    In ShiftRows (section 5.1.2) lane 4 c + r takes from lane 4 (c + r) + r, columns counted modulo 4: row r
    moves by 4 r lanes where it does not go round, and by 16 - 4 r the other way where it does.
    """

    every: int
    row_0: int
    right_4: int
    left_12: int
    right_8: int
    left_8: int
    right_12: int
    left_4: int
    upper_3: int
    lowest: int
    upper_2: int
    lower_2: int


def _all_masks() -> _Masks:
    every = sum(1 << 16 * block for block in range(WINDOW))
    rows = [
        sum(1 << 4 * column + row for column in columns)
        for row in (1, 2, 3)
        for columns in (range(4 - row), range(4 - row, 4))
    ]
    return _Masks(*(every * mask for mask in (1, 0x1111, *rows, 0x7777, 0x8888, 0x3333, 0xCCCC)))


_MASKS = _all_masks()


def _masks(blocks: int) -> _Masks:
    whole = (1 << 16 * blocks) - 1
    return _Masks(*(mask & whole for mask in _MASKS))


def _shift_rows(x: int, masks: _Masks) -> int:
    return (
        x & masks.row_0
        | x >> 4 & masks.right_4
        | x << 12 & masks.left_12
        | x >> 8 & masks.right_8
        | x << 8 & masks.left_8
        | x >> 12 & masks.right_12
        | x << 4 & masks.left_4
    )


def _mix_columns(x: list[int], masks: _Masks) -> list[int]:
    """Section 5.1.3: each byte becomes 2 a + 3 b + c + d, with b, c, d the ones below it in its column."""
    upper_3, lowest, upper_2, lower_2 = masks[8:]
    doubled = []
    rest = []
    for plane in x:
        below = plane >> 1 & upper_3 | plane << 3 & lowest
        pair = plane ^ below
        doubled.append(pair)
        rest.append(below ^ (pair >> 2 & upper_2 | pair << 2 & lower_2))
    d0, d1, d2, d3, d4, d5, d6, d7 = doubled
    r0, r1, r2, r3, r4, r5, r6, r7 = rest
    # Doubling shifts the planes by one; what leaves the top returns as 0x1b.
    return [r0 ^ d7, r1 ^ d0 ^ d7, r2 ^ d1, r3 ^ d2 ^ d7, r4 ^ d3 ^ d7, r5 ^ d4, r6 ^ d5, r7 ^ d6]


def _planes(data: bytes) -> Planes:
    """The planes of a few bytes: bit i of plane k is bit k of byte i."""
    digits = format(int.from_bytes(data, "little"), f"0{8 * len(data)}b")
    a, b, c, d, e, f, g, h = (int(digits[7 - bit :: 8], 2) for bit in range(8))
    return a, b, c, d, e, f, g, h


def _expand(key: bytes) -> list[Planes]:
    """KeyExpansion (section 5.2), as planes. The S-box's constant 0x63 is added to every round key but the
    first: neither ShiftRows nor MixColumns moves a constant that is the same in all bytes."""
    count = len(key) // 4
    words = [int.from_bytes(key[at : at + 4], "big") for at in range(0, len(key), 4)]
    constant = 1
    for index in range(count, 4 * (count + 7)):
        word = words[-1]
        if index % count == 0:
            word = _substitute_word((word << 8 | word >> 24) & 0xFFFFFFFF) ^ constant << 24
            constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)
        elif count > 6 and index % count == 4:
            word = _substitute_word(word)
        words.append(words[-count] ^ word)
    rounds = []
    for at in range(0, len(words), 4):
        extra = 0x63636363 if at else 0
        rounds.append(_planes(b"".join((word ^ extra).to_bytes(4, "big") for word in words[at : at + 4])))
    return rounds


def _substitute_word(word: int) -> int:
    """SubWord (section 5.2)."""
    return int.from_bytes(_gather(_substitute(_planes(word.to_bytes(4, "big"))), 4), "big") ^ 0x63636363


# For each of a counter's low bits: where it is set among the blocks of a window, in lane 0.
_COUNTING = tuple(
    sum(1 << 16 * block for block in range(WINDOW) if block >> bit & 1) for bit in range(_WINDOW_BITS)
)


class AESKey:
    """One key, 16 or 32 bytes, expanded."""

    __slots__ = ("_rounds",)

    def __init__(self, key: bytes) -> None:
        self._rounds = _expand(key)

    def keystream(self, nonce: bytes, counter: int, blocks: int) -> bytes:
        """The encryptions of `nonce` (12 bytes) with each of `blocks` counters from `counter` on, which count
        in the last four bytes (SP 800-38D section 6.2, inc32)."""
        parts = []
        while blocks > 0:
            offset = counter % WINDOW
            count = min(blocks, WINDOW - offset)
            parts.append(self._window(nonce, counter - offset, offset, count))
            counter = counter + count & 0xFFFFFFFF
            blocks -= count
        return b"".join(parts)

    def encrypt_block(self, block: bytes) -> bytes:
        """One block, on its own."""
        return self._finish(list(_planes(block)), 1)

    def _window(self, nonce: bytes, base: int, offset: int, blocks: int) -> bytes:
        whole = (1 << 16 * blocks) - 1
        every = _MASKS.every & whole
        state = [plane * every for plane in _planes(nonce + base.to_bytes(4, "big"))]
        for bit, pattern in enumerate(_COUNTING):
            # Bit `bit` of a big-endian counter stands in byte 15 or 14 of its block.
            lane = 15 - (bit >> 3)
            state[bit & 7] |= (pattern >> 16 * offset & whole) << lane
        return self._finish(state, blocks)

    def _finish(self, state: list[int], blocks: int) -> bytes:
        """Encrypt the state (section 5.1), and turn its planes back into bytes."""
        masks = _masks(blocks)
        every = masks.every
        first, *middle, last = self._rounds
        state = [plane ^ key * every for plane, key in zip(state, first, strict=True)]
        for round_key in middle:
            a, b, c, d, e, f, g, h = state
            shifted = [_shift_rows(plane, masks) for plane in _substitute((a, b, c, d, e, f, g, h))]
            mixed = _mix_columns(shifted, masks)
            state = [plane ^ key * every for plane, key in zip(mixed, round_key, strict=True)]
        a, b, c, d, e, f, g, h = state
        shifted = [_shift_rows(plane, masks) for plane in _substitute((a, b, c, d, e, f, g, h))]
        state = [plane ^ key * every for plane, key in zip(shifted, last, strict=True)]
        return _gather(state, BLOCK * blocks)


def _gather(planes: Sequence[int], size: int) -> bytes:
    """Bytes from planes. Each plane is written as digits, one byte a bit, and the eight are added up."""
    total = 0
    for bit, plane in enumerate(planes):
        digits = format(plane, f"0{size}b").encode("ascii")
        total += int.from_bytes(digits, "big") << bit
    # A digit is 0x30 or 0x31: eight of them, doubled ever more, bring 255 times 0x30 too much.
    surplus = 0x30 * 255 * int.from_bytes(b"\1" * size, "little")
    return (total - surplus).to_bytes(size, "little")
