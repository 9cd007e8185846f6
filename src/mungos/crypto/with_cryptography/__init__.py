"""The provider over the `cryptography` package. ImportError where that is missing or too old."""

from __future__ import annotations

from mungos.crypto.with_cryptography.provider import CryptographyProvider

__all__ = ["CryptographyProvider"]
