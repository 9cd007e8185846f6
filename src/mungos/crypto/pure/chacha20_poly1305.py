"""AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8)."""

from __future__ import annotations

from hmac import compare_digest

from mungos.crypto.contract import TAG_LENGTH
from mungos.crypto.pure.chacha20 import BLOCK, WINDOW, keystream
from mungos.crypto.pure.poly1305 import poly1305

__all__ = ["ChaCha20Poly1305"]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


class ChaCha20Poly1305:
    """One key, 32 bytes."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Section 2.8: the ciphertext with its tag behind it."""
        one_time_key, stream = self._streams(nonce, len(plaintext))
        ciphertext = _xor(plaintext, stream)
        return ciphertext + _tag(one_time_key, ciphertext, associated_data)

    def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes | None:
        """The plaintext, or None when the tag does not fit."""
        size = len(sealed) - TAG_LENGTH
        if size < 0:
            return None
        ciphertext = sealed[:size]
        one_time_key, stream = self._streams(nonce, size)
        if not compare_digest(_tag(one_time_key, ciphertext, associated_data), sealed[size:]):
            return None
        return _xor(ciphertext, stream)

    def _streams(self, nonce: bytes, size: int) -> tuple[bytes, bytes]:
        """Section 2.6: block 0 begins with Poly1305's key; the text is hidden by those from 1 on."""
        blocks = 1 + -(-size // BLOCK)
        parts = [
            keystream(self._key, counter, nonce, min(WINDOW, blocks - counter))
            for counter in range(0, blocks, WINDOW)
        ]
        stream = b"".join(parts)
        return stream[:32], stream[BLOCK : BLOCK + size]


def _tag(one_time_key: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    lengths = len(associated_data).to_bytes(8, "little") + len(ciphertext).to_bytes(8, "little")
    return poly1305(one_time_key, _padded(associated_data) + _padded(ciphertext) + lengths)


def _xor(text: bytes, stream: bytes) -> bytes:
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(text), "little")
