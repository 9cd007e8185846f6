"""What an older library, or one in FIPS mode, lacks is not offered, and its absence has a name."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos.crypto.contract import BadSignature, SignatureAlgorithm, Unsupported
from mungos.crypto.with_cryptography import CryptographyProvider, aead, exchange, keys, provider
from mungos.errors import Misuse, ProtocolError
from tests.crypto.crypto_fixed_rsa import rsa_key


class _Lacking:
    """A class of the library whose algorithm is not there."""

    def __init__(self, *_: object) -> None:
        raise UnsupportedAlgorithm("not here")

    @classmethod
    def from_private_bytes(cls, data: bytes) -> None:
        raise UnsupportedAlgorithm("not here")

    from_public_bytes = from_seed_bytes = from_private_bytes


def test_no_chacha(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "ChaCha20Poly1305", _Lacking)
    found = CryptographyProvider()
    assert not found.supports("CHACHA20-POLY1305")
    assert found.supports("AES-128-GCM")


def test_no_ed25519(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "Ed25519PrivateKey", _Lacking)
    found = CryptographyProvider()
    assert not found.supports("ed25519")
    assert found.supports("rsa_pss_rsae_sha256")


def test_ed25519_key_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert CryptographyProvider().public_key(spki).kind == "ed25519"
    monkeypatch.setattr(keys, "Ed25519PublicKey", _Lacking)
    with pytest.raises(Unsupported, match="the library below has no Ed25519"):
        CryptographyProvider().public_key(spki)


def test_no_x25519_means_no_hybrid_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "X25519PrivateKey", _Lacking)
    assert set(exchange.exchanges()) == {"secp256r1", "secp384r1"}


@pytest.mark.parametrize("imported", [True, False])
def test_no_ml_kem(monkeypatch: pytest.MonkeyPatch, imported: bool) -> None:
    monkeypatch.setattr(exchange, "_MLKEM_IMPORTED", imported)
    monkeypatch.setattr(exchange, "MLKEM768PrivateKey", _Lacking, raising=False)
    assert "X25519MLKEM768" not in exchange.exchanges()
    assert "x25519" in exchange.exchanges()


def test_group_that_is_not_there_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "X25519PrivateKey", _Lacking)
    with pytest.raises(Unsupported, match="x25519"):
        CryptographyProvider().key_exchange("x25519")


def test_no_writing_into_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aead, "HAS_INTO", False)
    assert not CryptographyProvider().supports("encrypt-into")


def test_keys_are_not_used_for_the_algorithms_of_others() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public = CryptographyProvider().public_key(spki)
    for family in ("ecdsa", "rsa-pss", "rsa-pkcs1"):
        with pytest.raises(ProtocolError):
            public.verify_algorithm(SignatureAlgorithm(family, "sha256", 32), bytes(64), b"")
    with pytest.raises(BadSignature):
        public.verify_algorithm(SignatureAlgorithm("ed25519"), bytes(64), b"")


def test_rsa_without_a_hash() -> None:
    key = rsa_key().public_key()
    public = CryptographyProvider().public_key(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ProtocolError):
        public.verify_algorithm(SignatureAlgorithm("rsa-pkcs1"), bytes(256), b"")


def test_private_key_that_is_not_base64() -> None:
    text = b"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"
    with pytest.raises(Misuse, match="the private key can't be read: "):
        CryptographyProvider().private_key(text)
