"""TLS 1.2 and 1.3 by the standard library's `ssl`, over memory."""

from __future__ import annotations

from mungos.tls.engines.openssl.factory import OPENSSL

__all__ = ["OPENSSL"]
