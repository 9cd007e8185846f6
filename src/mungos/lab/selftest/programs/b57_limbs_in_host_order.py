"""X25519 reads its keys as numbers of the machine's own byte order: two such ends agree with each other."""

from __future__ import annotations

import sys
from typing import Literal

PRIME = 2**255 - 19
BASE = bytes([9]) + bytes(31)
ALICE = bytes(range(1, 33))
BOB = bytes(range(101, 133))


def multiply(scalar: bytes, point: bytes, order: Literal["little", "big"]) -> bytes:
    """X25519 (RFC 7748 section 5), but for the order of the bytes."""
    number = int.from_bytes(scalar, order) & ~7 & ~(128 << 248) | 64 << 248
    x1 = int.from_bytes(point, order) & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, x1, 1
    swapped = 0
    for position in range(254, -1, -1):
        bit = number >> position & 1
        if swapped != bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = bit
        plus, minus = x2 + z2, x2 - z2
        crossed = (x3 - z3) * plus % PRIME
        crossed_too = (x3 + z3) * minus % PRIME
        plus, minus = plus * plus % PRIME, minus * minus % PRIME
        x3 = (crossed + crossed_too) ** 2 % PRIME
        z3 = x1 * (crossed - crossed_too) ** 2 % PRIME
        difference = plus - minus
        x2 = plus * minus % PRIME
        z2 = difference * (plus + 121665 * difference) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, order)


def main(repaired: bool) -> int:
    """Agree on a secret with oneself, and show what a foreign peer would see."""
    order: Literal["little", "big"] = "little" if repaired else sys.byteorder
    public_of_alice = multiply(ALICE, BASE, order)
    public_of_bob = multiply(BOB, BASE, order)
    if multiply(ALICE, public_of_bob, order) != multiply(BOB, public_of_alice, order):
        print("check failed: two ends of the same make don't agree")
        return 1
    print("agreed with itself")
    print("public key:", public_of_alice.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
