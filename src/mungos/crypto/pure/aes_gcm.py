"""AES-GCM (SP 800-38D) with nonces of 12 bytes and tags of 16."""

from __future__ import annotations

from hmac import compare_digest

from mungos.crypto.contract import TAG_LENGTH
from mungos.crypto.pure.aes import BLOCK, AESKey
from mungos.crypto.pure.ghash import GHash

__all__ = ["AESGCM"]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


class AESGCM:
    """One key, 16 or 32 bytes."""

    __slots__ = ("_aes", "_ghash")

    def __init__(self, key: bytes) -> None:
        self._aes = AESKey(key)
        self._ghash: GHash | None = None

    def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Section 7.1: the ciphertext with its tag behind it."""
        mask, stream = self._streams(nonce, len(plaintext))
        ciphertext = _xor(plaintext, stream)
        return ciphertext + self._tag(mask, ciphertext, associated_data)

    def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes | None:
        """Section 7.2: the plaintext, or None when the tag does not fit."""
        size = len(sealed) - TAG_LENGTH
        if size < 0:
            return None
        ciphertext = sealed[:size]
        mask, stream = self._streams(nonce, size)
        if not compare_digest(self._tag(mask, ciphertext, associated_data), sealed[size:]):
            return None
        return _xor(ciphertext, stream)

    def _streams(self, nonce: bytes, size: int) -> tuple[bytes, bytes]:
        """The encryption of counter 1, which hides the tag, and of those behind it, which hide the text."""
        stream = self._aes.keystream(nonce, 1, 1 + -(-size // BLOCK))
        return stream[:BLOCK], stream[BLOCK : BLOCK + size]

    def _tag(self, mask: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
        if self._ghash is None:
            self._ghash = GHash(self._aes.encrypt_block(bytes(BLOCK)))
        lengths = (8 * len(associated_data)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
        digest = self._ghash.digest(_padded(associated_data) + _padded(ciphertext) + lengths)
        return (digest ^ int.from_bytes(mask, "big")).to_bytes(TAG_LENGTH, "big")


def _xor(text: bytes, stream: bytes) -> bytes:
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")
