"""The provider over `cryptography`: which versions of the library it takes, and what an old one lacks."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

import cryptography
import pytest

from mungos.crypto.with_cryptography import CryptographyProvider, exchange, provider


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
    monkeypatch.setattr(cryptography, "__version__", "41.0.7")
    with pytest.raises(ImportError, match=r"cryptography 41\.0\.7 is too old: 42 or newer is needed"):
        importlib.reload(provider)


def test_a_library_without_ml_kem_has_no_hybrid_group(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(without_ml_kem(monkeypatch).exchanges()) == {"x25519", "secp256r1", "secp384r1"}


def test_it_names_the_librarys_version() -> None:
    assert repr(CryptographyProvider()) == f"CryptographyProvider(version={cryptography.__version__!r})"
