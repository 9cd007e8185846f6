"""TLS 1.2, and where the library has it 1.3, by the system's Mbed TLS, over memory."""

from __future__ import annotations

from mungos.tls.engines.mbedtls.factory import MBEDTLS

__all__ = ["MBEDTLS"]
