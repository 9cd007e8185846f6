"""How much a peer may ask of a TLS session before it is known who it is: what every engine holds it to.

Lists of a peer's are looked up in sets, and read once; where that is not enough, the number is bounded here.
"""

from __future__ import annotations

__all__ = [
    "MAX_ANSWERS",
    "MAX_CLIENT_HELLO",
    "MAX_FRAGMENTS",
    "MAX_KEY_SHARES",
    "MAX_QUIET",
]

MAX_CLIENT_HELLO = 65_536
"""Bytes of a ClientHello, its header included; those in use have 200 to 4,000."""

MAX_FRAGMENTS = 4_096
"""Records over which one handshake message may be spread."""

MAX_KEY_SHARES = 32
"""Key shares in one ClientHello: some libraries look through all groups for each."""

MAX_ANSWERS = 16_384
"""Bytes above `max_unsent` of what a library answers by itself (KeyUpdates, alerts) to a peer that does not
read; with more the session ends."""

MAX_QUIET = 64
"""Empty records, change_cipher_spec records, warnings, tickets and KeyUpdates that may come in a row, without
data between them; of those that a library judges by itself only what comes in the handshake is counted."""
