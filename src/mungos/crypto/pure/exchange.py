"""Key exchange: x25519 (RFC 7748), the NIST curves (RFC 8446 section 4.2.8.2), and ML-KEM-768 beside x25519
(draft-ietf-tls-ecdhe-mlkem)."""

from __future__ import annotations

from mungos.crypto.contract import BadShare, KeyExchange, KeyShare, Random
from mungos.crypto.pure import ml_kem
from mungos.crypto.pure.weierstrass import P256, P384, Curve, Point
from mungos.crypto.pure.x25519 import KEY_LENGTH, public_key, x25519
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["exchanges"]

_MOST_TRIES = 64  # each fails with a probability under 2^-31 on a sound source


def _expect(group: str, share: Buffer, length: int) -> bytes:
    if len(share) != length:
        raise BadShare(f"a share of {group} has {length} bytes, not {len(share)}")
    return bytes(share)


def _length(group: str, private: bytes, length: int) -> None:
    if len(private) != length:
        raise Misuse(f"a private key of {group} has {length} bytes, not {len(private)}")


class _X25519Share:
    __slots__ = ("_private", "group", "public")

    def __init__(self, private: bytes) -> None:
        self.group = "x25519"
        self._private = private
        self.public = public_key(private)

    def exchange(self, peer_share: Buffer, /) -> bytes:
        secret = x25519(self._private, _expect(self.group, peer_share, KEY_LENGTH))
        # RFC 8446 section 7.4.2: the all-zero value MUST be refused.
        if not any(secret):
            raise BadShare("the share is a point of small order: the x25519 secret would be all zeros")
        return secret


class _X25519Exchange:
    __slots__ = ("_random", "group")

    def __init__(self, random: Random) -> None:
        self.group = "x25519"
        self._random = random

    def generate(self, random: Random | None = None) -> KeyShare:
        return self.from_private_bytes((random or self._random)(KEY_LENGTH))

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length(self.group, private, KEY_LENGTH)
        return _X25519Share(private)

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        share = self.generate(random)
        return share.public, share.exchange(peer_share)


class _CurveShare:
    __slots__ = ("_curve", "_scalar", "group", "public")

    def __init__(self, curve: Curve, scalar: int, point: Point) -> None:
        self.group = curve.name
        self._curve = curve
        self._scalar = scalar
        self.public = curve.encode(point)

    def exchange(self, peer_share: Buffer, /) -> bytes:
        curve = self._curve
        share = _expect(self.group, peer_share, len(self.public))
        # RFC 8446 section 4.2.8.2: only the uncompressed form, and only points of the curve.
        if share[0] != 4:
            raise BadShare(f"a share of {self.group} begins with 4, not {share[0]}")
        point = curve.decode(share)
        product = None if point is None else curve.multiply(self._scalar, point)
        if product is None:
            raise BadShare(f"the share is not a point of {self.group}")
        return product[0].to_bytes(curve.size, "big")


class _CurveExchange:
    __slots__ = ("_curve", "_random", "group")

    def __init__(self, curve: Curve, random: Random) -> None:
        self.group = curve.name
        self._curve = curve
        self._random = random

    def generate(self, random: Random | None = None) -> KeyShare:
        # FIPS 186-5 appendix A.2.2: candidates are tried until one is in range.
        source = random or self._random
        for _ in range(_MOST_TRIES):
            if (share := self._share(source(self._curve.size))) is not None:
                return share
        raise Misuse(f"the random source gave no private key of {self.group} in {_MOST_TRIES} tries")

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length(self.group, private, self._curve.size)
        share = self._share(private)
        if share is None:
            raise Misuse(f"the scalar is not in the range of {self.group}")
        return share

    def _share(self, private: bytes) -> KeyShare | None:
        scalar = int.from_bytes(private, "big")
        point = self._curve.multiply_generator(scalar) if 0 < scalar < self._curve.n else None
        return None if point is None else _CurveShare(self._curve, scalar, point)

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        share = self.generate(random)
        return share.public, share.exchange(peer_share)


class _HybridShare:
    __slots__ = ("_curve", "_kem", "group", "public")

    def __init__(self, kem_public: bytes, kem_private: bytes, curve: KeyShare) -> None:
        self.group = "X25519MLKEM768"
        self._kem = kem_private
        self._curve = curve
        self.public = kem_public + curve.public

    def exchange(self, peer_share: Buffer, /) -> bytes:
        share = _expect(self.group, peer_share, ml_kem.CIPHERTEXT_LENGTH + KEY_LENGTH)
        ciphertext, point = share[: ml_kem.CIPHERTEXT_LENGTH], share[ml_kem.CIPHERTEXT_LENGTH :]
        # A wrong ciphertext of the right length gives a wrong secret, by design (FIPS 203 section 6.3).
        return ml_kem.decapsulate(self._kem, ciphertext) + self._curve.exchange(point)


class _HybridExchange:
    __slots__ = ("_curve", "_random", "group")

    def __init__(self, curve: _X25519Exchange, random: Random) -> None:
        self.group = "X25519MLKEM768"
        self._curve = curve
        self._random = random

    def generate(self, random: Random | None = None) -> KeyShare:
        source = random or self._random
        return self.from_private_bytes(source(ml_kem.SEED_LENGTH) + source(KEY_LENGTH))

    def from_private_bytes(self, private: bytes) -> KeyShare:
        _length(self.group, private, ml_kem.SEED_LENGTH + KEY_LENGTH)
        half = ml_kem.SEED_LENGTH // 2
        public, kem = ml_kem.generate(private[:half], private[half : 2 * half])
        return _HybridShare(public, kem, self._curve.from_private_bytes(private[2 * half :]))

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        share = _expect(self.group, peer_share, ml_kem.ENCAPSULATION_KEY_LENGTH + KEY_LENGTH)
        key, point = share[: ml_kem.ENCAPSULATION_KEY_LENGTH], share[ml_kem.ENCAPSULATION_KEY_LENGTH :]
        # FIPS 203 section 7.2: the modulus check.
        if not ml_kem.valid_encapsulation_key(key):
            raise BadShare("the share is not an ML-KEM-768 encapsulation key")
        curve_share, curve_secret = self._curve.encapsulate(point, random)
        kem_secret, ciphertext = ml_kem.encapsulate(key, (random or self._random)(ml_kem.SECRET_LENGTH))
        return ciphertext + curve_share, kem_secret + curve_secret


def exchanges(random: Random) -> dict[str, KeyExchange]:
    """Every group of the contract. `random`: the source, where a call does not bring its own."""
    x25519_exchange = _X25519Exchange(random)
    found: list[KeyExchange] = [
        x25519_exchange,
        _HybridExchange(x25519_exchange, random),
        _CurveExchange(P256, random),
        _CurveExchange(P384, random),
    ]
    return {exchange.group: exchange for exchange in found}
