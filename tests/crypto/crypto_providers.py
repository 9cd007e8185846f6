"""The providers under test, by name, each made once."""

from __future__ import annotations

import os
import warnings
from functools import cache

from mungos.crypto.contract import Provider
from mungos.crypto.pure import PureSigningProvider, SlowCryptography
from mungos.crypto.with_cryptography import CryptographyProvider

PROVIDERS = ("cryptography", "pure")

NIGHTLY = os.environ.get("MUNGOS_HYPOTHESIS_PROFILE") == "nightly"
"""Whether tests may take their time; see tests/conftest.py."""


@cache
def provider_named(name: str) -> Provider:
    """That provider; the pure one without its warning, and allowed to load private keys."""
    if name == "cryptography":
        return CryptographyProvider()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCryptography)
        return PureSigningProvider(os.urandom)
