"""TLS 1.2 and 1.3 by the system's wolfSSL, over memory."""

from __future__ import annotations

from mungos.tls.engines.wolfssl.factory import WOLFSSL

__all__ = ["WOLFSSL"]
