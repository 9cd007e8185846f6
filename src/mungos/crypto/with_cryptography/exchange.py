"""Key exchange over the `cryptography` package: x25519 (RFC 7748), the NIST curves (RFC 8446 section
4.2.8.2), and ML-KEM-768 beside x25519 (draft-ietf-tls-ecdhe-mlkem)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos.crypto.contract import GROUPS, BadShare, KeyExchange, KeyShare, Random
from mungos.errors import Misuse
from mungos.protocol import Buffer

try:
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
except ImportError:  # a version without ML-KEM
    _MLKEM_IMPORTED = False
else:
    _MLKEM_IMPORTED = True

__all__ = ["exchanges"]

_MLKEM_SEED = 64  # FIPS 203 section 7.1: d and z
_MLKEM_KEY = 1184  # encapsulation key, FIPS 203 table 3
_MLKEM_CIPHERTEXT = 1088
_X25519 = 32
_MOST_TRIES = 64  # each fails with a probability under 2^-31 on a sound source


def _expect(group: str, share: Buffer, length: int) -> None:
    if len(share) != length:
        raise BadShare(f"a share of {group} has {length} bytes, not {len(share)}")


def _length(group: str, private: bytes, length: int) -> None:
    if len(private) != length:
        raise Misuse(f"a private key of {group} has {length} bytes, not {len(private)}")


class _X25519Share:
    __slots__ = ("_key", "group", "public")

    def __init__(self, key: X25519PrivateKey) -> None:
        self.group = "x25519"
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def exchange(self, peer_share: Buffer, /) -> bytes:
        _expect("x25519", peer_share, _X25519)
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(bytes(peer_share)))
        except ValueError:
            # RFC 7748 section 6.1: "MAY check ... for the all-zero value"; RFC 8446 section 7.4.2: MUST.
            raise BadShare(
                "the share is a point of small order: the x25519 secret would be all zeros"
            ) from None


class _X25519Exchange:
    def __init__(self) -> None:
        self.group = "x25519"

    def generate(self, random: Random | None = None) -> KeyShare:
        if random is not None:
            return self.from_private_bytes(random(_X25519))
        return _X25519Share(X25519PrivateKey.generate())

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length("x25519", private, _X25519)
        return _X25519Share(X25519PrivateKey.from_private_bytes(private))

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        share = self.generate(random)
        return share.public, share.exchange(peer_share)


class _CurveShare:
    __slots__ = ("_key", "_length", "group", "public")

    def __init__(self, group: str, key: EllipticCurvePrivateKey) -> None:
        self.group = group
        self._key = key
        self._length = GROUPS[group].client_share
        self.public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def exchange(self, peer_share: Buffer, /) -> bytes:
        _expect(self.group, peer_share, self._length)
        # RFC 8446 section 4.2.8.2: only the uncompressed form.
        if peer_share[0] != 4:
            raise BadShare(f"a share of {self.group} begins with 4, not {peer_share[0]}")
        try:
            point = EllipticCurvePublicKey.from_encoded_point(self._key.curve, bytes(peer_share))
        except ValueError:
            raise BadShare(f"the share is not a point of {self.group}") from None
        return self._key.exchange(ECDH(), point)


class _CurveExchange:
    def __init__(self, group: str, curve: SECP256R1 | SECP384R1, order: int) -> None:
        self.group = group
        self._curve = curve
        self._order = order
        self._scalar = (order.bit_length() + 7) // 8

    def generate(self, random: Random | None = None) -> KeyShare:
        if random is None:
            return _CurveShare(self.group, generate_private_key(self._curve))
        # FIPS 186-5 appendix A.2.2: candidates are tried until one is in range.
        for _ in range(_MOST_TRIES):
            if 1 <= (scalar := int.from_bytes(random(self._scalar), "big")) < self._order:
                return _CurveShare(self.group, derive_private_key(scalar, self._curve))
        raise Misuse(f"the random source gave no private key of {self.group} in {_MOST_TRIES} tries")

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length(self.group, private, self._scalar)
        scalar = int.from_bytes(private, "big")
        if not 1 <= scalar < self._order:
            raise Misuse(f"the scalar is not in the range of {self.group}")
        return _CurveShare(self.group, derive_private_key(scalar, self._curve))

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        share = self.generate(random)
        return share.public, share.exchange(peer_share)


class _HybridShare:
    __slots__ = ("_curve", "_kem", "group", "public")

    def __init__(self, kem: MLKEM768PrivateKey, curve: KeyShare) -> None:
        self.group = "X25519MLKEM768"
        self._kem = kem
        self._curve = curve
        self.public = kem.public_key().public_bytes_raw() + curve.public

    def exchange(self, peer_share: Buffer, /) -> bytes:
        _expect(self.group, peer_share, _MLKEM_CIPHERTEXT + _X25519)
        view = bytes(peer_share)
        # A wrong ciphertext of the right length gives a wrong secret, by design (FIPS 203 section 6.3).
        return self._kem.decapsulate(view[:_MLKEM_CIPHERTEXT]) + self._curve.exchange(
            view[_MLKEM_CIPHERTEXT:]
        )


class _HybridExchange:
    def __init__(self) -> None:
        self.group = "X25519MLKEM768"
        self._curve = _X25519Exchange()

    def generate(self, random: Random | None = None) -> KeyShare:
        if random is not None:
            return self.from_private_bytes(random(_MLKEM_SEED) + random(_X25519))
        return _HybridShare(MLKEM768PrivateKey.generate(), self._curve.generate())

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length(self.group, private, _MLKEM_SEED + _X25519)
        kem = MLKEM768PrivateKey.from_seed_bytes(private[:_MLKEM_SEED])
        return _HybridShare(kem, self._curve.from_private_bytes(private[_MLKEM_SEED:]))

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        _expect(self.group, peer_share, _MLKEM_KEY + _X25519)
        view = bytes(peer_share)
        try:
            kem = MLKEM768PublicKey.from_public_bytes(view[:_MLKEM_KEY])
        except ValueError:
            # FIPS 203 section 7.2: the modulus check of the encapsulation key.
            raise BadShare("the share is not an ML-KEM-768 encapsulation key") from None
        curve_share, curve_secret = self._curve.encapsulate(view[_MLKEM_KEY:], random)
        kem_secret, ciphertext = kem.encapsulate()
        return ciphertext + curve_share, kem_secret + curve_secret


def _has_mlkem() -> bool:
    if not _MLKEM_IMPORTED:
        return False
    try:
        MLKEM768PrivateKey.from_seed_bytes(bytes(_MLKEM_SEED))
    except UnsupportedAlgorithm:  # the library is there, the OpenSSL below it is too old
        return False
    return True


# SEC 2 version 2.0, sections 2.4.2 and 2.5.1: the orders of the base points.
_ORDER_256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ORDER_384 = (
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
)


def exchanges() -> dict[str, KeyExchange]:
    """The groups that the installed library has."""
    found: list[KeyExchange] = []
    try:
        X25519PrivateKey.from_private_bytes(bytes(_X25519))
    except UnsupportedAlgorithm:  # an OpenSSL in FIPS mode
        pass
    else:
        found.append(_X25519Exchange())
        if _has_mlkem():
            found.append(_HybridExchange())
    found.append(_CurveExchange("secp256r1", SECP256R1(), _ORDER_256))
    found.append(_CurveExchange("secp384r1", SECP384R1(), _ORDER_384))
    return {exchange.group: exchange for exchange in found}
