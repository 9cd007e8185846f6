"""The provider over the standard library and Python's integers alone: always there, slow, not constant in
time, and chosen by name only."""

from __future__ import annotations

from mungos.crypto.pure.provider import PureProvider, PureSigningProvider, SlowCryptography

__all__ = ["PureProvider", "PureSigningProvider", "SlowCryptography"]
