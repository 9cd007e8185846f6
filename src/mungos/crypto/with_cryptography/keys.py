"""Signing and verifying with the `cryptography` package."""

from __future__ import annotations

import binascii
import re
from abc import ABC, abstractmethod
from typing import cast

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from mungos.crypto.contract import (
    HASHES,
    MAX_RSA_EXPONENT,
    MAX_RSA_MODULUS,
    SCHEMES,
    BadKey,
    BadSignature,
    HashName,
    KeyKind,
    PrivateKey,
    PublicKey,
    SignatureAlgorithm,
    SignatureScheme,
    Unsupported,
)
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["private_key", "public_key"]

_HASHES: dict[str, SHA256 | SHA384 | SHA512] = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}
_ECDSA = {name: ECDSA(algorithm) for name, algorithm in _HASHES.items()}
_PKCS1 = PKCS1v15()
_DIGEST_INFO = 19  # bytes in front of the hash (RFC 8017 section 9.2, note 1)

# SubjectPublicKeyInfo up to the key itself: named curves only and uncompressed points only (RFC 5480 section
# 2.1.1), and no parameters for Ed25519 (RFC 8410 section 3).
_P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04"
_P384_PREFIX = bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200") + b"\x04"
_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")

# AlgorithmIdentifiers of RSA keys. id-RSASSA-PSS without parameters may sign with any hash (RFC 4055 section
# 3.1); with them, only with that hash, the mask over the same hash, and a salt at least as long.
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_RSA_PSS = bytes.fromhex("300b06092a864886f70d01010a")
_RSA_PSS_OID = bytes.fromhex("06092a864886f70d01010a")


def _restricted(hash_name: HashName) -> bytes:
    """id-RSASSA-PSS bound to one hash for message and mask, with a salt as long (RFC 4055 section 3.1)."""
    hash_oid = {"sha256": b"\x01", "sha384": b"\x02", "sha512": b"\x03"}[hash_name]
    hash_id = bytes.fromhex("300d06096086480165030402") + hash_oid + b"\x05\x00"
    mask_id = b"\x30\x1a" + bytes.fromhex("06092a864886f70d010108") + hash_id
    salt = b"\xa2\x03\x02\x01" + bytes((HASHES[hash_name],))
    parameters = b"\xa0\x0f" + hash_id + b"\xa1\x1c" + mask_id + salt
    return b"\x30\x41" + _RSA_PSS_OID + b"\x30\x34" + parameters


_RESTRICTED: dict[bytes, HashName] = {
    _restricted("sha256"): "sha256",
    _restricted("sha384"): "sha384",
    _restricted("sha512"): "sha512",
}


def _misfit(kind: str) -> BadSignature:
    return BadSignature(f"the signature does not fit the message and the {kind} key")


def _forbidden(kind: str, algorithm: SignatureAlgorithm) -> BadSignature:
    return BadSignature(f"a key of kind {kind} does not sign with {algorithm.family} over {algorithm.hash}")


def _has_room(bits: int, family: str, hash_name: HashName, salt_length: int) -> bool:
    """Whether the encoded message of an RSA key of that many bits holds the hash and what goes with it."""
    if family == "rsa-pss":
        # RFC 8017 section 9.1.1, step 3.
        return (bits - 1 + 7) // 8 >= HASHES[hash_name] + salt_length + 2
    # Section 9.2, step 3: DigestInfo, and eleven bytes of padding at least.
    return (bits + 7) // 8 >= _DIGEST_INFO + HASHES[hash_name] + 11


def _scheme(name: str) -> SignatureScheme:
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
        row = _scheme(scheme)
        if row.key != self.kind:
            raise BadSignature(f"a key of kind {self.kind} does not sign with {scheme}")
        self.verify_algorithm(row.algorithm, signature, message)

    @abstractmethod
    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        """As the contract has it."""


class _CurvePublic(_Public):
    __slots__ = ("_key",)

    def __init__(self, kind: KeyKind, bits: int, spki: bytes, key: EllipticCurvePublicKey) -> None:
        super().__init__(kind, bits, spki)
        self._key = key

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        if algorithm.family != "ecdsa" or algorithm.hash is None:
            raise _forbidden(self.kind, algorithm)
        try:
            self._key.verify(signature, message, _ECDSA[algorithm.hash])
        except InvalidSignature:
            raise _misfit(self.kind) from None


class _Ed25519Public(_Public):
    __slots__ = ("_key",)

    def __init__(self, spki: bytes, key: Ed25519PublicKey) -> None:
        super().__init__("ed25519", 255, spki)
        self._key = key

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        if algorithm.family != "ed25519":
            raise _forbidden(self.kind, algorithm)
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise _misfit(self.kind) from None


class _RSAPublic(_Public):
    __slots__ = ("_key", "_only")

    def __init__(self, kind: KeyKind, spki: bytes, key: RSAPublicKey, only: HashName | None) -> None:
        super().__init__(kind, key.key_size, spki)
        self._key = key
        self._only = only

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        name = algorithm.hash
        if name is None:
            raise _forbidden(self.kind, algorithm)
        padding: PKCS1v15 | PSS
        if algorithm.family == "rsa-pss":
            if self._only is not None and (name != self._only or algorithm.salt_length < HASHES[name]):
                raise _forbidden(self.kind, algorithm)
            padding = PSS(MGF1(_HASHES[name]), algorithm.salt_length)
        elif algorithm.family == "rsa-pkcs1" and self.kind == "rsa":
            padding = _PKCS1
        else:
            raise _forbidden(self.kind, algorithm)
        # RFC 8017 section 9.1.2, step 3; the library takes it for the caller's fault.
        if not _has_room(self.bits, algorithm.family, name, algorithm.salt_length):
            raise _misfit(self.kind)
        try:
            self._key.verify(bytes(signature), bytes(message), padding, _HASHES[name])
        except InvalidSignature:
            raise _misfit(self.kind) from None


def _curve_key(spki: bytes, curve: SECP256R1 | SECP384R1, length: int) -> EllipticCurvePublicKey:
    try:
        return EllipticCurvePublicKey.from_encoded_point(curve, spki[-length:])
    except ValueError:
        raise BadKey(f"the public key is not a point of {curve.name}") from None


def _rsa_algorithm(spki: bytes) -> tuple[KeyKind, HashName | None] | None:
    """The kind of an RSA key and the only hash that it may use, or None for keys of other kinds."""
    start = 2 + (spki[1] & 0x7F) if spki[1:2] >= b"\x80" else 2
    for identifier, hash_name in _RESTRICTED.items():
        if spki.startswith(identifier, start):
            return "rsa-pss", hash_name
    if spki.startswith(_RSA_PSS, start):
        return "rsa-pss", None
    if spki.startswith(_RSA, start):
        return "rsa", None
    return None


def public_key(spki: Buffer) -> PublicKey:
    """From SubjectPublicKeyInfo, DER. Raises BadKey, or Unsupported."""
    spki = bytes(spki)
    # The length stands in the prefix's second byte, so a fitting prefix and length leave nothing to parse.
    if spki.startswith(_P256_PREFIX) and len(spki) == len(_P256_PREFIX) + 64:
        return _CurvePublic("secp256r1", 256, spki, _curve_key(spki, SECP256R1(), 65))
    if spki.startswith(_P384_PREFIX) and len(spki) == len(_P384_PREFIX) + 96:
        return _CurvePublic("secp384r1", 384, spki, _curve_key(spki, SECP384R1(), 97))
    if spki.startswith(_ED25519_PREFIX) and len(spki) == len(_ED25519_PREFIX) + 32:
        try:
            return _Ed25519Public(spki, Ed25519PublicKey.from_public_bytes(spki[-32:]))
        except UnsupportedAlgorithm:
            raise Unsupported("the library below has no Ed25519") from None
    return _rsa_key(spki)


def _is_whole(der: bytes) -> bool:
    """Whether the length in the header is that of the rest (X.690 section 8.1.3)."""
    if len(der) < 2 or der[1] < 0x80:
        return len(der) > 1 and len(der) == 2 + der[1]
    size = der[1] & 0x7F
    return len(der) == 2 + size + int.from_bytes(der[2 : 2 + size], "big")


def _type_name(key: object) -> str:
    return type(key).__name__.removeprefix("_")  # as older versions call theirs


def _rsa_key(spki: bytes) -> PublicKey:
    algorithm = _rsa_algorithm(spki)
    # Before version 40 the library passes over what stands behind the key.
    if not _is_whole(spki):
        raise BadKey(f"SubjectPublicKeyInfo is not {len(spki)} bytes long by its own header")
    try:
        key = load_der_public_key(spki)
    except UnsupportedAlgorithm:
        raise Unsupported("the public key is of a kind that the library does not know") from None
    except (ValueError, InternalError):  # the second from version 43, for a few malformed keys
        raise BadKey("SubjectPublicKeyInfo can't be parsed, or holds no valid key") from None
    if algorithm is None or not isinstance(key, RSAPublicKey):
        raise Unsupported(
            f"a public key of type {_type_name(key).removesuffix('PublicKey')} is not spoken here"
        )
    bits = key.key_size
    if bits > MAX_RSA_MODULUS:
        raise Unsupported(f"an RSA key of {bits} bits is over the limit of {MAX_RSA_MODULUS} bits")
    exponent = key.public_numbers().e.bit_length()
    if exponent > MAX_RSA_EXPONENT:
        raise Unsupported(f"an RSA exponent of {exponent} bits is over the limit of {MAX_RSA_EXPONENT} bits")
    return _RSAPublic(algorithm[0], spki, key, algorithm[1])


class _Private:
    """One private key, and what it can sign."""

    __slots__ = ("_key", "kind", "public", "schemes")

    def __init__(
        self,
        key: EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey,
        public: PublicKey,
        schemes: tuple[str, ...],
    ) -> None:
        self._key = key
        self.kind: KeyKind = public.kind
        self.public = public
        self.schemes = schemes

    def __repr__(self) -> str:
        return f"<{self.kind} private key of {self.public.bits} bits>"

    def sign(self, scheme: str, message: Buffer, /) -> bytes:
        row = _scheme(scheme)
        algorithm = row.algorithm
        key = self._key
        if row.key != self.kind or (row.handshake and scheme not in self.schemes):
            raise Misuse(f"a key of kind {self.kind} ({self.public.bits} bits) does not sign with {scheme}")
        # By the algorithm, since to ask for an instance of the library's abstract classes takes time.
        if algorithm.family == "ed25519":
            return cast(Ed25519PrivateKey, key).sign(bytes(message))
        hash_name = cast("HashName", algorithm.hash)  # every family but Ed25519 has one
        if algorithm.family == "ecdsa":
            return cast(EllipticCurvePrivateKey, key).sign(bytes(message), _ECDSA[hash_name])
        key = cast(RSAPrivateKey, key)
        if not _has_room(self.public.bits, algorithm.family, hash_name, algorithm.salt_length):
            raise Misuse(f"an RSA key of {self.public.bits} bits is too short for {scheme}")
        if algorithm.family == "rsa-pkcs1":
            return key.sign(bytes(message), _PKCS1, _HASHES[hash_name])
        padding = PSS(MGF1(_HASHES[hash_name]), algorithm.salt_length)
        return key.sign(bytes(message), padding, _HASHES[hash_name])


_BLOCK = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def private_key(pem: bytes) -> PrivateKey:
    """The first private key of a PEM text: PKCS#8, SEC1 or PKCS#1. Raises Misuse."""
    block = _BLOCK.search(pem)
    if block is None:
        raise Misuse("there is no PEM block of a private key")
    if block[1] == b"ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in block[2]:
        raise Misuse("the private key is encrypted: give it unencrypted")
    try:
        der = binascii.a2b_base64(b"".join(block[2].split()), strict_mode=True)
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misuse(f"the private key can't be read: {error}") from None
    if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
        raise Misuse(f"a private key of type {_type_name(key)} is not spoken here")
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, RSAPrivateKey) and block[1] == b"PRIVATE KEY":
        spki = _with_pss_identifier(spki, der)
    try:
        public = public_key(spki)
    except (BadKey, Unsupported) as error:
        raise Misuse(f"the private key is of no use in TLS 1.3: {error}") from None
    return _Private(key, public, _schemes_of(public))


def _with_pss_identifier(spki: bytes, pkcs8: bytes) -> bytes:
    """The library forgets that an RSA key is bound to PSS: put the identifier of the PKCS#8 text back."""
    if _RSA_PSS_OID not in pkcs8[:32]:
        return spki
    # PrivateKeyInfo (RFC 5208 section 5): SEQUENCE { version, privateKeyAlgorithm, ... }.
    start = pkcs8.index(_RSA_PSS_OID) - 2
    identifier = pkcs8[start : start + 2 + pkcs8[start + 1]]
    body = identifier + spki[spki.index(_RSA) + len(_RSA) :]
    length = len(body)
    if length < 0x80:
        return bytes((0x30, length)) + body
    size = (length.bit_length() + 7) // 8
    return bytes((0x30, 0x80 | size)) + length.to_bytes(size, "big") + body


def _schemes_of(public: PublicKey) -> tuple[str, ...]:
    """The TLS 1.3 schemes of a key, shortest hash first (stronger ones cost time and prove no more here)."""
    names = [row.name for row in SCHEMES.values() if row.handshake and row.key == public.kind]
    if not isinstance(public, _RSAPublic):
        return tuple(names)
    fitting = []
    for name in names:
        algorithm = SCHEMES[name].algorithm
        hash_name = cast("HashName", algorithm.hash)
        room = _has_room(public.bits, algorithm.family, hash_name, algorithm.salt_length)
        if room and public._only in (None, hash_name):
            fitting.append(name)
    return tuple(fitting)
