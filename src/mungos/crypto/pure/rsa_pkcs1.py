"""RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2), of which TLS 1.3 keeps only the signatures in certificates."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

from mungos.crypto.contract import HashName, Random
from mungos.crypto.pure.rsa import RSAPrivate, RSAPublic

__all__ = ["sign", "verify"]

_PREFIXES: dict[HashName, bytes] = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""DigestInfo in DER up to the hash (section 9.2, note 1)."""

_LEAST_PADDING = 11  # 00 01, eight times ff, 00


def _encode(key: RSAPublic, hash_name: HashName, message: bytes) -> bytes | None:
    """EMSA-PKCS1-v1_5 (section 9.2); None when the key is too short."""
    info = _PREFIXES[hash_name] + hashlib.new(hash_name, message).digest()
    padding = key.size - len(info) - 3
    if key.size < len(info) + _LEAST_PADDING:
        return None
    return b"\0\1" + b"\xff" * padding + b"\0" + info


def verify(key: RSAPublic, signature: bytes, hash_name: HashName, message: bytes) -> bool:
    """Section 8.2.2: by comparing encodings, so that nothing of what was signed is parsed."""
    recovered = key.recover(signature)
    expected = _encode(key, hash_name, message)
    if recovered is None or expected is None:
        return False
    return compare_digest(recovered.to_bytes(key.size, "big"), expected)


def sign(key: RSAPrivate, hash_name: HashName, message: bytes, random: Random) -> bytes:
    """Section 8.2.1. Raises ValueError when the key is too short for the hash."""
    encoded = _encode(key.public, hash_name, message)
    if encoded is None:
        raise ValueError(f"a key of {key.public.bits} bits is too short for {hash_name}")
    return key.sign(int.from_bytes(encoded, "big"), random)
