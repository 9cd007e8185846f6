"""Ed25519 (RFC 8032 section 5.1).

What is accepted: S below the order (section 5.1.7, which ends malleability); R compared as bytes, so that
only its one canonical encoding fits; the key decoded by section 5.1.3 to the letter; the equation without
the cofactor, S B = R + k A. A key of small order is a point like any other.
"""

from __future__ import annotations

from hashlib import sha512

from mungos.crypto.pure.edwards25519 import ORDER, Point, combine, decode, encode, multiply_base

__all__ = ["KEY_LENGTH", "SigningKey", "VerifyingKey"]

KEY_LENGTH = 32
"""Bytes of a key, public or private."""

_SIGNATURE_LENGTH = 64


def _hash(*parts: bytes) -> int:
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little") % ORDER


class VerifyingKey:
    """A public key.

    Attributes:
        encoded: its 32 bytes.
    """

    __slots__ = ("_point", "encoded")

    def __init__(self, encoded: bytes) -> None:
        """Raises ValueError when it is not the encoding of a point."""
        point: Point | None = decode(encoded)
        if point is None:
            raise ValueError("the 32 bytes are not the encoding of a point of edwards25519")
        self._point = point
        self.encoded = encoded

    def fits(self, signature: bytes, message: bytes) -> bool:
        """Section 5.1.7."""
        if len(signature) != _SIGNATURE_LENGTH:
            return False
        r, s = signature[:32], int.from_bytes(signature[32:], "little")
        if s >= ORDER:
            return False
        return encode(combine(s, _hash(r, self.encoded, message), self._point)) == r


class SigningKey:
    """A private key.

    Attributes:
        public: the 32 bytes of its public key.
    """

    __slots__ = ("_prefix", "_scalar", "public")

    def __init__(self, private: bytes) -> None:
        # Section 5.1.5.
        hashed = sha512(private).digest()
        self._scalar = int.from_bytes(hashed[:32], "little") & ((1 << 254) - 8) | 1 << 254
        self._prefix = hashed[32:]
        self.public = encode(multiply_base(self._scalar))

    def sign(self, message: bytes) -> bytes:
        """Section 5.1.6: 64 bytes."""
        nonce = _hash(self._prefix, message)
        r = encode(multiply_base(nonce))
        s = (nonce + _hash(r, self.public, message) * self._scalar) % ORDER
        return r + s.to_bytes(32, "little")
