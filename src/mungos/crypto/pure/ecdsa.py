"""ECDSA (FIPS 186-5 section 6.4) with nonces by RFC 6979, signatures in DER (RFC 3279 section 2.2.3).

A signature (r, s) and its twin (r, n - s) both fit: neither TLS nor X.509 asks for the smaller s.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from mungos.crypto.contract import HashName
from mungos.crypto.pure.weierstrass import Curve, Point

__all__ = ["pack", "sign", "unpack", "verify"]


def _integer(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes((0x02, len(content))) + content


def pack(r: int, s: int) -> bytes:
    """ECDSA-Sig-Value. On both curves it is shorter than 128 bytes."""
    content = _integer(r) + _integer(s)
    return bytes((0x30, len(content))) + content


def unpack(signature: bytes, size: int) -> tuple[int, int] | None:
    """The two numbers, or None when it is not their one encoding in DER. `size`: bytes of a scalar."""
    at = 2
    numbers = []
    for _ in range(2):
        if len(signature) < at + 2:
            return None
        stop = at + 2 + signature[at + 1]
        if len(signature) < stop or stop - at > size + 3:
            return None
        numbers.append(int.from_bytes(signature[at + 2 : stop], "big"))
        at = stop
    r, s = numbers
    return (r, s) if pack(r, s) == signature else None


def _leftmost(curve: Curve, digest: bytes) -> int:
    """RFC 6979 section 2.3.2: as many bits of the hash as the order has."""
    return int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - curve.n.bit_length())


def verify(curve: Curve, public: Point, signature: bytes, hash_name: HashName, message: bytes) -> bool:
    """FIPS 186-5 section 6.4.2."""
    unpacked = unpack(signature, curve.size)
    n = curve.n
    if unpacked is None:
        return False
    r, s = unpacked
    if not (0 < r < n and 0 < s < n):
        return False
    inverse = pow(s, -1, n)
    e = _leftmost(curve, hashlib.new(hash_name, message).digest())
    point = curve.combine(e * inverse % n, r * inverse % n, public)
    return point is not None and point[0] % n == r


def sign(curve: Curve, private: int, hash_name: HashName, message: bytes) -> bytes:
    """FIPS 186-5 section 6.4.1."""
    n = curve.n
    digest = hashlib.new(hash_name, message).digest()
    e = _leftmost(curve, digest)
    nonces = _nonces(curve, private, hash_name, digest)
    while True:
        k = next(nonces)
        point = curve.multiply_generator(k)
        r = point[0] % n if point is not None else 0
        s = pow(k, -1, n) * (e + r * private) % n
        if r and s:
            return pack(r, s)


def _nonces(curve: Curve, private: int, hash_name: HashName, digest: bytes) -> Iterator[int]:
    """RFC 6979 section 3.2."""
    n, size = curve.n, curve.size
    key = bytes(len(digest))
    value = b"\1" * len(digest)
    seed = private.to_bytes(size, "big") + (_leftmost(curve, digest) % n).to_bytes(size, "big")
    for step in (b"\0", b"\1"):
        key = hmac.digest(key, value + step + seed, hash_name)
        value = hmac.digest(key, value, hash_name)
    while True:
        text = b""
        while len(text) < size:
            value = hmac.digest(key, value, hash_name)
            text += value
        k = _leftmost(curve, text[:size])
        if 0 < k < n:
            yield k
        key = hmac.digest(key, value + b"\0", hash_name)
        value = hmac.digest(key, value, hash_name)
