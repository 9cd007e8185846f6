"""Private keys: from PEM (RFC 7468), as PKCS#8 (RFC 5958), SEC1 (RFC 5915) or PKCS#1 (RFC 8017), and what
they sign."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import cast

from mungos.crypto.contract import (
    BadKey,
    HashName,
    KeyKind,
    PrivateKey,
    PublicKey,
    Random,
    SignatureAlgorithm,
    Unsupported,
)
from mungos.crypto.pure import ecdsa, rsa_pkcs1, rsa_pss
from mungos.crypto.pure.der import OCTET_STRING, OID, SEQUENCE, NotDER, Reader
from mungos.crypto.pure.ed25519 import KEY_LENGTH, SigningKey
from mungos.crypto.pure.public_keys import (
    CURVES,
    EC_PUBLIC_KEY,
    ED25519,
    RSA,
    RSASSA_PSS,
    public_key,
    rsa_public,
    schemes_of,
    signature_scheme,
    spki_of_curve,
    spki_of_ed25519,
    spki_of_rsa,
)
from mungos.crypto.pure.rsa import RSAPrivate
from mungos.crypto.pure.weierstrass import Curve
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["private_key"]

_LONGEST = 64 * 1024
"""Bytes of one block of PEM; an RSA key of 8,192 bits has about 6,400."""

_BLOCK = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)

_Signer = Callable[[SignatureAlgorithm, bytes], bytes]


class _Private:
    """One private key, and what it can sign."""

    __slots__ = ("_signer", "kind", "public", "schemes")

    def __init__(self, public: PublicKey, signer: _Signer) -> None:
        self._signer = signer
        self.kind: KeyKind = public.kind
        self.public = public
        self.schemes = schemes_of(public)

    def __repr__(self) -> str:
        return f"<{self.kind} private key of {self.public.bits} bits>"

    def sign(self, scheme: str, message: Buffer, /) -> bytes:
        row = signature_scheme(scheme)
        if row.key != self.kind or (row.handshake and scheme not in self.schemes):
            raise Misuse(f"a key of kind {self.kind} ({self.public.bits} bits) does not sign with {scheme}")
        return self._signer(row.algorithm, bytes(message))


def private_key(pem: bytes, random: Random) -> PrivateKey:
    """The first private key of a PEM text, unencrypted. Raises Misuse.

    Args:
        random: for salts and blinding, where the kind of key wants them.
    """
    block = _BLOCK.search(pem)
    if block is None:
        raise Misuse("there is no PEM block of a private key")
    if block[1] == b"ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in block[2]:
        raise Misuse("the private key is encrypted: give it unencrypted")
    if len(block[2]) > _LONGEST:
        raise Misuse(f"a private key of {len(block[2])} bytes is over the limit of {_LONGEST} bytes")
    try:
        der = binascii.a2b_base64(b"".join(block[2].split()), strict_mode=True)
        outer = Reader(der)
        reader = outer.enter(SEQUENCE)
        outer.close()
        if block[1] == b"PRIVATE KEY":
            return _from_pkcs8(reader, random)
        if block[1] == b"EC PRIVATE KEY":
            return _from_sec1(reader, None)
        if block[1] == b"RSA PRIVATE KEY":
            return _from_pkcs1(reader, b"", random)
    except (ValueError, BadKey) as error:
        raise Misuse(f"the private key can't be read: {error}") from None
    except Unsupported as error:
        raise Misuse(f"the private key is of no use in TLS 1.3: {error}") from None
    raise Misuse(f"the private key is of no use in TLS 1.3: a block of {block[1].decode()}")


def _from_pkcs8(reader: Reader, random: Random) -> PrivateKey:
    """OneAsymmetricKey (RFC 5958 section 2). Attributes and the public key behind are passed over."""
    if reader.natural() > 1:
        raise NotDER("a version of PKCS#8 that is not 0 or 1")
    identifier = reader.element()
    content = reader.content(OCTET_STRING)
    algorithm = Reader(identifier).enter(SEQUENCE)
    oid = algorithm.content(OID)
    if oid == ED25519:
        algorithm.close()
        inner = Reader(content)
        private = inner.content(OCTET_STRING)
        inner.close()
        return _ed25519(private)
    inner = Reader(content)
    if oid == EC_PUBLIC_KEY:
        curve = CURVES.get(algorithm.content(OID)) if algorithm.next_is(OID) else None
        if curve is None:
            raise Unsupported("a private key on a curve that is not spoken here")
        algorithm.close()
        key = inner.enter(SEQUENCE)
        inner.close()
        return _from_sec1(key, curve)
    if oid not in (RSA, RSASSA_PSS):
        raise Unsupported(f"a private key of the algorithm with the OID {oid.hex()}")
    # The parameters are looked at when the public key is made: the identifier goes into it.
    key = inner.enter(SEQUENCE)
    inner.close()
    return _from_pkcs1(key, identifier, random)


def _ed25519(private: bytes) -> PrivateKey:
    if len(private) != KEY_LENGTH:
        raise NotDER(f"an Ed25519 key of {len(private)} bytes")
    key = SigningKey(private)

    def sign(_algorithm: SignatureAlgorithm, message: bytes) -> bytes:
        return key.sign(message)

    return _Private(public_key(spki_of_ed25519(key.public)), sign)


def _from_sec1(reader: Reader, named: Curve | None) -> PrivateKey:
    """ECPrivateKey (RFC 5915 section 3). `named`: the curve, where PKCS#8 has named it."""
    if reader.natural() != 1:
        raise NotDER("a version of ECPrivateKey that is not 1")
    octets = reader.content(OCTET_STRING)
    curve = named
    if reader.next_is(0xA0):
        parameters = reader.enter(0xA0)
        inner = CURVES.get(parameters.content(OID)) if parameters.next_is(OID) else None
        if inner is None or (named is not None and inner is not named):
            raise Unsupported("a private key on a curve that is not spoken here, or on two")
        parameters.close()
        curve = inner
    if curve is None:
        raise Unsupported("a private key that does not name its curve")
    scalar = int.from_bytes(octets, "big")
    in_range = len(octets) == curve.size and 0 < scalar < curve.n
    point = curve.multiply_generator(scalar) if in_range else None
    if point is None:
        raise NotDER(f"the scalar is not in the range of {curve.name}")
    if reader.next_is(0xA1):
        if curve.decode(reader.enter(0xA1).bits()) != point:
            raise NotDER("the public key beside the private key is not its own")
    reader.close()

    def sign(algorithm: SignatureAlgorithm, message: bytes) -> bytes:
        return ecdsa.sign(curve, scalar, _hash(algorithm), message)

    return _Private(public_key(spki_of_curve(curve, point)), sign)


def _from_pkcs1(reader: Reader, identifier: bytes, random: Random) -> PrivateKey:
    """RSAPrivateKey (RFC 8017 appendix A.1.2). `identifier`: PKCS#8's AlgorithmIdentifier, where there is
    one."""
    if reader.natural():
        raise NotDER("an RSA key of more than two primes")
    n, e, d, p, q = (reader.natural() for _ in range(5))
    for _ in ("exponent1", "exponent2", "coefficient"):
        reader.natural()
    reader.close()
    key = RSAPrivate(rsa_public(n, e), p, q, d)

    def sign(algorithm: SignatureAlgorithm, message: bytes) -> bytes:
        if algorithm.family == "rsa-pkcs1":
            return rsa_pkcs1.sign(key, _hash(algorithm), message, random)
        return rsa_pss.sign(key, _hash(algorithm), algorithm.salt_length, message, random)

    return _Private(public_key(spki_of_rsa(n, e, identifier)), sign)


def _hash(algorithm: SignatureAlgorithm) -> HashName:
    """Every family but Ed25519 has one."""
    return cast("HashName", algorithm.hash)
