"""Poly1305 (RFC 8439 section 2.5)."""

from __future__ import annotations

__all__ = ["poly1305"]

_PRIME = (1 << 130) - 5
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF


def poly1305(key: bytes, message: bytes) -> bytes:
    """The tag, 16 bytes. `key`: 32 bytes, for one message only."""
    r = int.from_bytes(key[:16], "little") & _CLAMP
    total = 0
    from_bytes = int.from_bytes
    whole = len(message) & ~15
    one = 1 << 128
    for at in range(0, whole, 16):
        total = (total + from_bytes(message[at : at + 16], "little") + one) * r % _PRIME
    if rest := message[whole:]:
        total = (total + from_bytes(rest + b"\1", "little")) * r % _PRIME
    return (total + from_bytes(key[16:], "little") & one - 1).to_bytes(16, "little")
