"""The AEADs by their names, in the shape of the contract."""

from __future__ import annotations

from typing import Protocol as Contract

from mungos.crypto.contract import AEAD, AEADS, TAG_LENGTH, BadTag
from mungos.crypto.pure.aes_gcm import AESGCM
from mungos.crypto.pure.chacha20_poly1305 import ChaCha20Poly1305
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["aead"]

_OF_SUITE = {
    "TLS_AES_128_GCM_SHA256": "AES-128-GCM",
    "TLS_AES_256_GCM_SHA384": "AES-256-GCM",
    "TLS_CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
"""RFC 8446 appendix B.4."""


class _Cipher(Contract):
    def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes: ...

    def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes | None: ...


class _Keyed:
    """One key of one AEAD."""

    __slots__ = ("_cipher", "_nonce_length", "bare_fault")

    def __init__(self, cipher: _Cipher, nonce_length: int) -> None:
        self._cipher = cipher
        self._nonce_length = nonce_length
        self.bare_fault: type[Exception] = BadTag

    def _nonce(self, nonce: Buffer) -> bytes:
        if len(nonce) != self._nonce_length:
            raise Misuse(f"a nonce has {self._nonce_length} bytes, not {len(nonce)}")
        return bytes(nonce)

    def encrypt(self, nonce: Buffer, plaintext: Buffer, associated_data: Buffer, /) -> bytes:
        return self._cipher.seal(self._nonce(nonce), bytes(plaintext), bytes(associated_data))

    def decrypt(self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, /) -> bytes:
        opened = self._cipher.open(self._nonce(nonce), bytes(ciphertext), bytes(associated_data))
        if opened is None:
            raise BadTag("the AEAD's tag does not fit the message")
        return opened

    bare_decrypt = decrypt

    def encrypt_into(
        self, nonce: Buffer, plaintext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        _room(buffer, len(plaintext) + TAG_LENGTH)
        buffer[:] = self.encrypt(nonce, plaintext, associated_data)
        return len(buffer)

    def decrypt_into(
        self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        opened = self.decrypt(nonce, ciphertext, associated_data)
        _room(buffer, len(opened))
        buffer[:] = opened
        return len(buffer)


def _room(buffer: bytearray | memoryview, wanted: int) -> None:
    if len(buffer) != wanted:
        raise ValueError(f"the buffer has {len(buffer)} bytes where {wanted} are written")


def aead(name: str, key: Buffer) -> AEAD:
    """A keyed AEAD, by its own name or its suite's. Raises Misuse."""
    name = _OF_SUITE.get(name, name)
    if name not in AEADS:
        raise Misuse(f"AEAD {name!r} is not one of {', '.join(AEADS)}")
    parameters = AEADS[name]
    if len(key) != parameters.key_length:
        raise Misuse(f"a key of {name} has {parameters.key_length} bytes, not {len(key)}")
    cipher = ChaCha20Poly1305(bytes(key)) if name == "CHACHA20-POLY1305" else AESGCM(bytes(key))
    return _Keyed(cipher, parameters.nonce_length)
