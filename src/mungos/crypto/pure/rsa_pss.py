"""RSASSA-PSS (RFC 8017 section 8.1), the mask being MGF1 over the same hash."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

from mungos.crypto.contract import HASHES, HashName, Random
from mungos.crypto.pure.rsa import RSAPrivate, RSAPublic

__all__ = ["sign", "verify"]


def _mask(seed: bytes, length: int, hash_name: HashName) -> int:
    """MGF1 (appendix B.2.1), as a number."""
    count = -(-length // HASHES[hash_name])
    blocks = (hashlib.new(hash_name, seed + index.to_bytes(4, "big")).digest() for index in range(count))
    return int.from_bytes(b"".join(blocks)[:length], "big")


def _hash(hash_name: HashName, message: bytes, salt: bytes) -> bytes:
    """Section 9.1.1, steps 2, 5 and 6."""
    inner = hashlib.new(hash_name, message).digest()
    return hashlib.new(hash_name, bytes(8) + inner + salt).digest()


def verify(key: RSAPublic, signature: bytes, hash_name: HashName, salt_length: int, message: bytes) -> bool:
    """Sections 8.1.2 and 9.1.2, for a salt of exactly that length."""
    recovered = key.recover(signature)
    bits = key.bits - 1
    size = (bits + 7) // 8
    hash_length = HASHES[hash_name]
    if recovered is None or recovered.bit_length() > bits or size < hash_length + salt_length + 2:
        return False
    encoded = recovered.to_bytes(size, "big")
    length = size - hash_length - 1
    hashed = encoded[length:-1]
    if encoded[-1] != 0xBC:
        return False
    block = int.from_bytes(encoded[:length], "big") ^ _mask(hashed, length, hash_name)
    # The bits above the message's own are no part of it (section 9.1.2, step 9).
    block &= (1 << bits - 8 * (size - length)) - 1
    text = block.to_bytes(length, "big")
    start = length - salt_length
    if int.from_bytes(text[:start], "big") != 1:
        return False
    return compare_digest(_hash(hash_name, message, text[start:]), hashed)


def sign(key: RSAPrivate, hash_name: HashName, salt_length: int, message: bytes, random: Random) -> bytes:
    """Sections 8.1.1 and 9.1.1. Raises ValueError when the key is too short for hash and salt."""
    bits = key.public.bits - 1
    size = (bits + 7) // 8
    length = size - HASHES[hash_name] - 1
    if length < salt_length + 1:
        raise ValueError(f"a key of {key.public.bits} bits is too short for {hash_name} and its salt")
    salt = random(salt_length)
    hashed = _hash(hash_name, message, salt)
    block = int.from_bytes(b"\1" + salt, "big") ^ _mask(hashed, length, hash_name)
    block &= (1 << bits - 8 * (size - length)) - 1
    return key.sign(int.from_bytes(block.to_bytes(length, "big") + hashed + b"\xbc", "big"), random)
