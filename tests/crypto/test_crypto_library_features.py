"""The provider over `cryptography`: which versions of the library it takes, and what an old one lacks."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

import cryptography
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos.crypto.contract import TAG_LENGTH, BadKey, BadTag
from mungos.crypto.with_cryptography import CryptographyProvider, aead, exchange, keys, provider


def without_ml_kem(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A copy of the module, as it is where the library has no ML-KEM."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mlkem", None)
    spec = importlib.util.find_spec(exchange.__name__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_version_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cryptography, "__version__", "37.0.4")
    with pytest.raises(ImportError, match=r"cryptography 37\.0\.4 is too old: 38 or newer is needed"):
        importlib.reload(provider)


def test_a_library_without_ml_kem_has_no_hybrid_group(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(without_ml_kem(monkeypatch).exchanges()) == {"x25519", "secp256r1", "secp384r1"}


class Strict:
    """A cipher as older versions have it: it takes nothing but bytes."""

    def __init__(self, key: bytes) -> None:
        self.cipher = AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        if not all(isinstance(each, bytes) for each in (nonce, data, associated_data)):
            raise TypeError("data must be bytes")
        return self.cipher.encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        if not all(isinstance(each, bytes) for each in (nonce, data, associated_data)):
            raise TypeError("data must be bytes")
        return self.cipher.decrypt(nonce, data, associated_data)


def test_a_library_that_takes_bytes_alone_gets_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(aead._BY_NAME, "AES-128-GCM", (Strict, 16))
    key = aead.aead("AES-128-GCM", bytearray(16), into=False, buffers=False)
    buffer = bytearray(5 + TAG_LENGTH)
    nonce, added = memoryview(bytes(12)), bytearray(b"added")
    assert key.encrypt_into(nonce, memoryview(b"plain"), added, buffer) == len(buffer)
    assert buffer == key.encrypt(nonce, bytearray(b"plain"), added)
    assert key.decrypt(nonce, memoryview(buffer), added) == b"plain"
    buffer[0] ^= 1
    with pytest.raises(BadTag):
        key.decrypt(nonce, buffer, added)


@pytest.mark.parametrize("more", [b"\0", b"\x30\0"])
def test_nothing_may_stand_behind_an_rsa_key(monkeypatch: pytest.MonkeyPatch, more: bytes) -> None:
    made = rsa.generate_private_key(65537, 2048).public_key()
    der = made.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # Older versions pass over it.
    monkeypatch.setattr(keys, "load_der_public_key", lambda _: made)
    assert CryptographyProvider().public_key(der).kind == "rsa"
    for wrong in (der + more, der[:-1], der[:3], der[:1], b""):
        with pytest.raises(BadKey, match=f"not {len(wrong)} bytes long by its own header"):
            CryptographyProvider().public_key(wrong)


def test_it_names_the_librarys_version() -> None:
    assert repr(CryptographyProvider()) == f"CryptographyProvider(version={cryptography.__version__!r})"
