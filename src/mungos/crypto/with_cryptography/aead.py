"""AEADs (RFC 5116) of the `cryptography` package."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from mungos.crypto.contract import AEAD, AEADS, BadTag
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["HAS_INTO", "TAKES_BUFFERS", "aead"]

HAS_INTO = hasattr(AESGCM, "encrypt_into") and hasattr(AESGCM, "decrypt_into")
"""Whether the library writes into a caller's buffer, as its newer versions do."""


def _takes_buffers() -> bool:
    try:
        AESGCM(bytes(16)).encrypt(bytes(12), bytearray(), bytearray())
    except TypeError:
        return False
    return True


TAKES_BUFFERS = _takes_buffers()
"""Whether the library takes any buffer; its older versions take `bytes` alone."""

_Cipher = Callable[[Buffer, Buffer, Buffer], bytes]
_CipherInto = Callable[[Buffer, Buffer, Buffer, bytearray | memoryview], int]

_CLASSES: dict[str, type[AESGCM] | type[ChaCha20Poly1305]] = {
    "AES-128-GCM": AESGCM,
    "AES-256-GCM": AESGCM,
    "CHACHA20-POLY1305": ChaCha20Poly1305,
}

_OF_SUITE = {
    "TLS_AES_128_GCM_SHA256": "AES-128-GCM",
    "TLS_AES_256_GCM_SHA384": "AES-256-GCM",
    "TLS_CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
"""RFC 8446 appendix B.4."""

_BY_NAME = {name: (cipher, AEADS[name].key_length) for name, cipher in _CLASSES.items()}
_BY_NAME |= {suite: _BY_NAME[name] for suite, name in _OF_SUITE.items()}
"""The library's class and the bytes of a key, by either name."""


def _bad_tag() -> BadTag:
    return BadTag("the AEAD's tag does not fit the message")


class _OnlyBytes:
    """The library's cipher where it takes `bytes` alone."""

    __slots__ = ("_cipher",)

    def __init__(self, cipher: AESGCM | ChaCha20Poly1305) -> None:
        self._cipher = cipher

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer) -> bytes:
        return self._cipher.encrypt(bytes(nonce), bytes(data), bytes(associated_data))

    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer) -> bytes:
        return self._cipher.decrypt(bytes(nonce), bytes(data), bytes(associated_data))


class _Copying:
    """A key where the library can only return new bytes: the `_into` calls copy."""

    __slots__ = ("bare_decrypt", "bare_fault", "encrypt")

    encrypt: _Cipher
    bare_decrypt: _Cipher

    def __init__(self, cipher: AESGCM | ChaCha20Poly1305 | _OnlyBytes) -> None:
        self.encrypt = cipher.encrypt
        self.bare_decrypt = cipher.decrypt
        self.bare_fault: type[Exception] = InvalidTag

    def decrypt(self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, /) -> bytes:
        try:
            return self.bare_decrypt(nonce, ciphertext, associated_data)
        except InvalidTag:
            raise _bad_tag() from None

    def encrypt_into(
        self, nonce: Buffer, plaintext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        sealed = self.encrypt(nonce, plaintext, associated_data)
        # A slice of a view keeps its length: a buffer of another size raises instead of being resized.
        memoryview(buffer)[:] = sealed
        return len(sealed)

    def decrypt_into(
        self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        opened = self.decrypt(nonce, ciphertext, associated_data)
        memoryview(buffer)[:] = opened
        return len(opened)


class _Writing:
    """A key where the library writes into the caller's buffer."""

    __slots__ = ("_cipher", "bare_decrypt", "encrypt")

    encrypt: _Cipher
    bare_decrypt: _Cipher
    bare_fault: type[Exception] = InvalidTag

    def __init__(self, cipher: AESGCM | ChaCha20Poly1305) -> None:
        self.encrypt = cipher.encrypt
        self.bare_decrypt = cipher.decrypt
        self._cipher = cipher

    @property
    def encrypt_into(self) -> _CipherInto:
        """The library's own."""
        return self._cipher.encrypt_into

    def decrypt(self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, /) -> bytes:
        try:
            return self.bare_decrypt(nonce, ciphertext, associated_data)
        except InvalidTag:
            raise _bad_tag() from None

    def decrypt_into(
        self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        try:
            return self._cipher.decrypt_into(nonce, ciphertext, associated_data, buffer)
        except InvalidTag:
            raise _bad_tag() from None


def aead(name: str, key: Buffer, into: bool = HAS_INTO, buffers: bool = TAKES_BUFFERS) -> AEAD:
    """A keyed AEAD, by its own name or its suite's. `into`: use the library's writing calls. `buffers`: hand
    it any buffer, not `bytes` alone. Raises Misuse."""
    if name not in _BY_NAME:
        raise Misuse(f"AEAD {name!r} is not one of {', '.join(AEADS)}")
    kind, length = _BY_NAME[name]
    if len(key) != length:
        raise Misuse(f"a key of {_OF_SUITE.get(name, name)} has {length} bytes, not {len(key)}")
    cipher = kind(bytes(key))
    if into:
        return _Writing(cipher)
    return _Copying(cipher if buffers else _OnlyBytes(cipher))
