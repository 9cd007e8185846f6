"""The one place where randomness and civil time come in, for the engines over a library."""

from __future__ import annotations

import os
from datetime import UTC, datetime

__all__ = ["civil_time", "random_bytes"]


def random_bytes(size: int) -> bytes:
    """The kernel's: they are never the same on both sides of a fork."""
    return os.urandom(size)


def civil_time() -> float:
    """Seconds since 1970."""
    return datetime.now(UTC).timestamp()
