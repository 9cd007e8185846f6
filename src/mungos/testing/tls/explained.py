"""What foreign libraries are known to do otherwise than a case expects: theirs, not the engine's."""

from __future__ import annotations

__all__ = ["KNOWN", "explained"]

# Engine, case, role ("" for both), a piece of what is seen ("" for anything), what the library does.
KNOWN: tuple[tuple[str, str, str, str, str], ...] = (
    ("wolfssl", "T26", "server", "the peer saw: truncated", "ends it without an alert"),
    ("wolfssl", "T44", "", "the peer saw: truncated", "ends it without an alert"),
    (
        "wolfssl",
        "T88",
        "client",
        "handshake message of type 11",
        "answers a CertificateRequest though it has not offered post_handshake_auth",
    ),
)


def explained(engine: str, case: str, role: str, seen: str) -> str:
    """What the library does; "" where it is not known for it."""
    for name, identity, side, words, does in KNOWN:
        if (name, identity) == (engine, case) and side in ("", role) and words in seen:
            return does
    return ""
