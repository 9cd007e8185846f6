"""TLS 1.3 in Python, over the primitives of a cryptographic provider (RFC 8446)."""

from __future__ import annotations

from mungos.tls.engines.builtin.engine import BuiltinEngine
from mungos.tls.engines.builtin.factory import BUILTIN, BuiltinFactory

__all__ = ["BUILTIN", "BuiltinEngine", "BuiltinFactory"]
