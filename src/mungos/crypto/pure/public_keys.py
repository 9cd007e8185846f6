"""Public keys: from SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), and what they verify."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mungos.crypto.contract import (
    HASHES,
    MAX_RSA_EXPONENT,
    MAX_RSA_MODULUS,
    SCHEMES,
    BadKey,
    BadSignature,
    HashName,
    KeyKind,
    PublicKey,
    SignatureAlgorithm,
    SignatureScheme,
    Unsupported,
)
from mungos.crypto.pure import ecdsa, rsa_pkcs1, rsa_pss
from mungos.crypto.pure.der import BIT_STRING, NULL, OID, SEQUENCE, NotDER, Reader, pack
from mungos.crypto.pure.ed25519 import KEY_LENGTH, VerifyingKey
from mungos.crypto.pure.rsa import RSAPublic
from mungos.crypto.pure.weierstrass import P256, P384, Curve, Point
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = [
    "CURVES",
    "EC_PUBLIC_KEY",
    "ED25519",
    "RSA",
    "RSASSA_PSS",
    "public_key",
    "schemes_of",
    "signature_scheme",
    "spki_of_curve",
    "spki_of_ed25519",
    "spki_of_rsa",
]

# RFC 5480 section 2.1, RFC 8410 section 3, RFC 8017 appendix A: the content of the identifiers.
EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
ED25519 = bytes.fromhex("2b6570")
RSA = bytes.fromhex("2a864886f70d010101")
RSASSA_PSS = bytes.fromhex("2a864886f70d01010a")
_MGF1 = bytes.fromhex("2a864886f70d010108")
_SHA2 = bytes.fromhex("608648016503040200")[:-1]

_P256 = bytes.fromhex("2a8648ce3d030107")
_P384 = bytes.fromhex("2b81040022")
CURVES: dict[bytes, Curve] = {_P256: P256, _P384: P384}

_SMALLEST_RSA = 1024
"""Bits of an RSA modulus. What is believed in a certificate is for its reader to say; below this, a key is
not worth the reading."""


def _restricted(hash_name: HashName) -> bytes:
    """RSASSA-PSS-params of a key that is bound to one hash for message and mask, with a salt as long (RFC
    4055 section 3.1)."""
    number = {"sha256": b"\1", "sha384": b"\2", "sha512": b"\3"}[hash_name]
    hashed = pack(SEQUENCE, pack(OID, _SHA2 + number), pack(NULL))
    mask = pack(SEQUENCE, pack(OID, _MGF1), hashed)
    salt = pack(0x02, bytes((HASHES[hash_name],)))
    return pack(SEQUENCE, pack(0xA0, hashed), pack(0xA1, mask), pack(0xA2, salt))


_RESTRICTED: dict[bytes, HashName | None] = {
    b"": None,
    _restricted("sha256"): "sha256",
    _restricted("sha384"): "sha384",
    _restricted("sha512"): "sha512",
}


def signature_scheme(name: str) -> SignatureScheme:
    """A row of the contract's table. Raises Misuse on an unknown name."""
    if name not in SCHEMES:
        raise Misuse(f"signature scheme {name!r} is not known")
    return SCHEMES[name]


class _Public(ABC):
    """What the kinds have in common."""

    __slots__ = ("bits", "kind", "spki")

    def __init__(self, kind: KeyKind, bits: int, spki: bytes) -> None:
        self.kind: KeyKind = kind
        self.bits = bits
        self.spki = spki

    def verify(self, scheme: str, signature: Buffer, message: Buffer, /) -> None:
        row = signature_scheme(scheme)
        if row.key != self.kind:
            raise BadSignature(f"a key of kind {self.kind} does not sign with {scheme}")
        self.verify_algorithm(row.algorithm, signature, message)

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        if not self._fits(algorithm, bytes(signature), bytes(message)):
            raise BadSignature(f"the signature does not fit the message and the {self.kind} key")

    @abstractmethod
    def _fits(self, algorithm: SignatureAlgorithm, signature: bytes, message: bytes) -> bool:
        """Whether the signature fits. Raises BadSignature when this key bears no such algorithm."""

    def _forbidden(self, algorithm: SignatureAlgorithm) -> BadSignature:
        return BadSignature(
            f"a key of kind {self.kind} does not sign with {algorithm.family} over {algorithm.hash}"
        )


class _CurvePublic(_Public):
    __slots__ = ("_curve", "_point")

    def __init__(self, kind: KeyKind, spki: bytes, curve: Curve, point: Point) -> None:
        super().__init__(kind, curve.bits, spki)
        self._curve = curve
        self._point = point

    def _fits(self, algorithm: SignatureAlgorithm, signature: bytes, message: bytes) -> bool:
        if algorithm.family != "ecdsa" or algorithm.hash is None:
            raise self._forbidden(algorithm)
        return ecdsa.verify(self._curve, self._point, signature, algorithm.hash, message)


class _Ed25519Public(_Public):
    __slots__ = ("_key",)

    def __init__(self, spki: bytes, key: VerifyingKey) -> None:
        super().__init__("ed25519", 255, spki)
        self._key = key

    def _fits(self, algorithm: SignatureAlgorithm, signature: bytes, message: bytes) -> bool:
        if algorithm.family != "ed25519":
            raise self._forbidden(algorithm)
        return self._key.fits(signature, message)


class _RSAPublic(_Public):
    __slots__ = ("_key", "only")

    def __init__(self, kind: KeyKind, spki: bytes, key: RSAPublic, only: HashName | None) -> None:
        super().__init__(kind, key.bits, spki)
        self._key = key
        self.only = only

    def _fits(self, algorithm: SignatureAlgorithm, signature: bytes, message: bytes) -> bool:
        name = algorithm.hash
        if name is None:
            raise self._forbidden(algorithm)
        if algorithm.family == "rsa-pss":
            if self.only is not None and (name != self.only or algorithm.salt_length < HASHES[name]):
                raise self._forbidden(algorithm)
            return rsa_pss.verify(self._key, signature, name, algorithm.salt_length, message)
        if algorithm.family == "rsa-pkcs1" and self.kind == "rsa":
            return rsa_pkcs1.verify(self._key, signature, name, message)
        raise self._forbidden(algorithm)


def public_key(spki: Buffer) -> PublicKey:
    """From SubjectPublicKeyInfo, DER. Raises BadKey, or Unsupported."""
    spki = bytes(spki)
    try:
        outer = Reader(spki)
        whole = outer.enter(SEQUENCE)
        outer.close()
        identifier = whole.enter(SEQUENCE)
        key = whole.bits(BIT_STRING)
        whole.close()
        oid = identifier.content(OID)
        if oid == EC_PUBLIC_KEY:
            return _curve_key(spki, identifier, key)
        if oid == ED25519:
            # RFC 8410 section 3: the parameters are absent.
            identifier.close()
            return _ed25519_key(spki, key)
        if oid == RSA:
            # RFC 8017 appendix A.1: the parameters are NULL.
            if identifier.content(NULL):
                raise NotDER("a NULL that is not empty")
            identifier.close()
            return _rsa_key("rsa", spki, key, None)
        if oid == RSASSA_PSS:
            parameters = identifier.element() if identifier.next_is(SEQUENCE) else b""
            identifier.close()
            if parameters not in _RESTRICTED:
                raise Unsupported("a key bound to RSASSA-PSS with parameters that TLS 1.3 has no scheme for")
            return _rsa_key("rsa-pss", spki, key, _RESTRICTED[parameters])
    except NotDER as error:
        raise BadKey(f"SubjectPublicKeyInfo can't be parsed: {error}") from None
    raise Unsupported(f"a public key of the algorithm with the OID {oid.hex()} is not spoken here")


def _curve_key(spki: bytes, identifier: Reader, key: bytes) -> PublicKey:
    # RFC 5480 section 2.1.1: named curves only; section 2.2: only the uncompressed form is spoken here.
    curve = CURVES.get(identifier.content(OID)) if identifier.next_is(OID) else None
    if curve is None:
        raise Unsupported("a public key on a curve that is not spoken here")
    identifier.close()
    if key[:1] in (b"\2", b"\3") and len(key) == 1 + curve.size:
        raise Unsupported("a compressed point is not spoken here")
    point = curve.decode(key)
    if point is None:
        raise BadKey(f"the public key is not a point of {curve.name}")
    return _CurvePublic("secp256r1" if curve is P256 else "secp384r1", spki, curve, point)


def _ed25519_key(spki: bytes, key: bytes) -> PublicKey:
    if len(key) != KEY_LENGTH:
        raise BadKey(f"an Ed25519 key has {KEY_LENGTH} bytes, not {len(key)}")
    try:
        return _Ed25519Public(spki, VerifyingKey(key))
    except ValueError as error:
        raise BadKey(f"not an Ed25519 key: {error}") from None


def _rsa_key(kind: KeyKind, spki: bytes, key: bytes, only: HashName | None) -> PublicKey:
    outer = Reader(key)
    inner = outer.enter(SEQUENCE)
    outer.close()
    n, e = inner.natural(), inner.natural()
    inner.close()
    return _RSAPublic(kind, spki, rsa_public(n, e), only)


def rsa_public(n: int, e: int) -> RSAPublic:
    """Raises BadKey for numbers that make no key, Unsupported for lengths that are not spoken here."""
    bits = n.bit_length()
    if not n & 1 or not e & 1 or not 3 <= e < n:
        raise BadKey("an RSA modulus and its exponent are odd, and 3 or more")
    if not _SMALLEST_RSA <= bits <= MAX_RSA_MODULUS:
        raise Unsupported(
            f"an RSA key of {bits} bits; the limits are {_SMALLEST_RSA} and {MAX_RSA_MODULUS} bits"
        )
    if e.bit_length() > MAX_RSA_EXPONENT:
        raise Unsupported(
            f"an RSA exponent of {e.bit_length()} bits is over the limit of {MAX_RSA_EXPONENT} bits"
        )
    return RSAPublic(n, e)


def spki_of_curve(curve: Curve, point: Point) -> bytes:
    """SubjectPublicKeyInfo of a point."""
    name = _P256 if curve is P256 else _P384
    identifier = pack(SEQUENCE, pack(OID, EC_PUBLIC_KEY), pack(OID, name))
    return pack(SEQUENCE, identifier, pack(BIT_STRING, b"\0", curve.encode(point)))


def spki_of_ed25519(encoded: bytes) -> bytes:
    """SubjectPublicKeyInfo of an Ed25519 key's 32 bytes."""
    return pack(SEQUENCE, pack(SEQUENCE, pack(OID, ED25519)), pack(BIT_STRING, b"\0", encoded))


def spki_of_rsa(n: int, e: int, identifier: bytes = b"") -> bytes:
    """SubjectPublicKeyInfo of an RSA key. `identifier`: its AlgorithmIdentifier, DER; empty for
    rsaEncryption."""
    identifier = identifier or pack(SEQUENCE, pack(OID, RSA), pack(NULL))
    numbers = (pack(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in (n, e))
    return pack(SEQUENCE, identifier, pack(BIT_STRING, b"\0", pack(SEQUENCE, *numbers)))


def schemes_of(public: PublicKey) -> tuple[str, ...]:
    """The TLS 1.3 schemes of a key, shortest hash first."""
    names = [row.name for row in SCHEMES.values() if row.handshake and row.key == public.kind]
    if not isinstance(public, _RSAPublic):
        return tuple(names)
    fitting = []
    for name in names:
        hash_name = SCHEMES[name].algorithm.hash
        # RFC 8017 section 9.1.1: the encoded message holds hash, salt and two bytes more.
        room = hash_name is not None and (public.bits - 1 + 7) // 8 >= 2 * HASHES[hash_name] + 2
        if room and public.only in (None, hash_name):
            fitting.append(name)
    return tuple(fitting)
