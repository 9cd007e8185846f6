"""X25519 (RFC 7748 section 5)."""

from __future__ import annotations

from mungos.crypto.pure.edwards25519 import PRIME, multiply_base

__all__ = ["KEY_LENGTH", "public_key", "x25519"]

KEY_LENGTH = 32
"""Bytes of a private key, of a public one and of a secret."""

_A24 = 121665


def _scalar(private: bytes) -> int:
    """decodeScalar25519."""
    return int.from_bytes(private, "little") & ((1 << 254) - 8) | 1 << 254


def x25519(private: bytes, u: bytes) -> bytes:
    """The function X25519. The top bit of `u` is ignored, and a `u` that is not reduced is accepted, as
    section 5 asks. All zeros for a point of small order, which the caller refuses."""
    k = _scalar(private)
    p = PRIME
    x1 = int.from_bytes(u, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, x1, 1
    swap = 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a = x2 + z2
        b = x2 - z2
        aa = a * a % p
        bb = b * b % p
        e = aa - bb
        da = (x3 - z3) * a % p
        cb = (x3 + z3) * b % p
        total = da + cb
        difference = da - cb
        x3 = total * total % p
        z3 = x1 * (difference * difference % p) % p
        x2 = aa * bb % p
        z2 = e * (aa + _A24 * e) % p
    # The lowest bit of a clamped scalar is 0: nothing is left to be swapped.
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(KEY_LENGTH, "little")


def public_key(private: bytes) -> bytes:
    """X25519 of the base point 9, by the table of the curve that section 4.1 maps: u = (1 + y) / (1 - y)."""
    _, y, z, _ = multiply_base(_scalar(private))
    return ((z + y) * pow(z - y, -1, PRIME) % PRIME).to_bytes(KEY_LENGTH, "little")
