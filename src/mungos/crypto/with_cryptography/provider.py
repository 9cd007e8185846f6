"""The provider over the `cryptography` package, version 38 or newer; newer features are found at run time."""

from __future__ import annotations

import cryptography
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mungos.crypto.contract import (
    AEAD,
    AEADS,
    HASHES,
    SCHEMES,
    KeyExchange,
    PrivateKey,
    PublicKey,
    Unsupported,
)
from mungos.crypto.hashing import StandardHashing
from mungos.crypto.with_cryptography import aead, exchange, keys
from mungos.protocol import Buffer

__all__ = ["CryptographyProvider"]

_OLDEST = 38

if int(cryptography.__version__.partition(".")[0]) < _OLDEST:
    raise ImportError(f"cryptography {cryptography.__version__} is too old: {_OLDEST} or newer is needed")


def _has_chacha() -> bool:
    try:
        ChaCha20Poly1305(bytes(32))
    except UnsupportedAlgorithm:
        return False
    return True


def _has_ed25519() -> bool:
    try:
        Ed25519PrivateKey.from_private_bytes(bytes(32))
    except UnsupportedAlgorithm:
        return False
    return True


class CryptographyProvider(StandardHashing):
    """A `Provider`. Holds nothing but what it found the library to have; one may be shared by everything."""

    __slots__ = ("_exchanges", "_features", "name", "version")

    def __init__(self) -> None:
        self.name = "cryptography"
        self.version = cryptography.__version__
        self._exchanges = exchange.exchanges()
        features = {*AEADS, *HASHES, *SCHEMES, *self._exchanges}
        if not _has_chacha():
            features.discard("CHACHA20-POLY1305")
        if not _has_ed25519():
            features.discard("ed25519")
        if aead.HAS_INTO:
            features.add("encrypt-into")
        self._features = frozenset(features)

    def __repr__(self) -> str:
        return f"CryptographyProvider(version={self.version!r})"

    def supports(self, feature: str) -> bool:
        """Whether an AEAD, hash, group, signature scheme or "encrypt-into" is there."""
        return feature in self._features

    def aead(self, name: str, key: Buffer) -> AEAD:
        """A keyed AEAD, by its own name or its suite's. Raises Misuse."""
        return aead.aead(name, key)

    def key_exchange(self, group: str) -> KeyExchange:
        """One group. Raises Unsupported."""
        if group not in self._exchanges:
            raise Unsupported(f"group {group!r} is not among {', '.join(self._exchanges)}")
        return self._exchanges[group]

    def public_key(self, spki: Buffer) -> PublicKey:
        """From SubjectPublicKeyInfo, DER. Raises BadKey, or Unsupported."""
        return keys.public_key(spki)

    def private_key(self, pem: bytes) -> PrivateKey:
        """The first private key of a PEM text. Raises Misuse."""
        return keys.private_key(pem)
