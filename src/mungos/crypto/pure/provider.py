"""The provider over Python's integers and its standard library alone.

It is the oracle of the tests and the provider of last resort, never chosen but by name. It is slow, and what
it does with a secret takes a time that depends on the secret: who can measure that well learns from it.
"""

from __future__ import annotations

import platform
import warnings

from mungos.crypto.contract import (
    AEAD,
    AEADS,
    HASHES,
    SCHEMES,
    KeyExchange,
    PrivateKey,
    PublicKey,
    Random,
    Unsupported,
)
from mungos.crypto.hashing import StandardHashing
from mungos.crypto.pure import aead, exchange, private_keys, public_keys
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["PureProvider", "PureSigningProvider", "SlowCryptography"]


class SlowCryptography(UserWarning):
    """The pure provider was chosen: it is slow, and not constant in time."""


class PureProvider(StandardHashing):
    """A `Provider`. One may be shared by everything.

    Args:
        random: the source of everything random where a call does not bring its own.
        private_keys: whether it loads private keys that last, such as a server's, of which a patient observer
            may learn something by each signature. The keys of a key exchange, used once, are always made.

    Warns SlowCryptography.
    """

    __slots__ = ("_exchanges", "_features", "_private_keys", "_random", "name", "version")

    def __init__(self, random: Random, *, private_keys: bool = False) -> None:
        warnings.warn(
            "the pure provider of cryptography is slow and not constant in time",
            SlowCryptography,
            stacklevel=2,
        )
        self.name = "pure"
        self.version = platform.python_version()
        self._random = random
        self._private_keys = private_keys
        self._exchanges = exchange.exchanges(random)
        self._features = frozenset({*AEADS, *HASHES, *SCHEMES, *self._exchanges})

    def __repr__(self) -> str:
        return f"PureProvider(private_keys={self._private_keys})"

    def supports(self, feature: str) -> bool:
        """Whether an AEAD, hash, group or signature scheme is there. "encrypt-into" is not: it copies."""
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
        return public_keys.public_key(spki)

    def private_key(self, pem: bytes) -> PrivateKey:
        """The first private key of a PEM text. Raises Misuse, also where private keys were not allowed."""
        if not self._private_keys:
            raise Misuse(
                "the pure provider is not constant in time and loads no private key unless it is told to: "
                'the provider "pure-with-private-keys" of a TLS configuration, or private_keys=True'
            )
        return private_keys.private_key(pem, self._random)


class PureSigningProvider(PureProvider):
    """The pure provider for whom it is said outright that it may load private keys."""

    __slots__ = ()

    def __init__(self, random: Random) -> None:
        super().__init__(random, private_keys=True)
