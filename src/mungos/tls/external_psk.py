"""Keys that both sides were given outside TLS (RFC 8446 section 4.2.11, RFC 9257, RFC 9258)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mungos import checking
from mungos.errors import Misuse

__all__ = ["ExternalPsk"]

MAX_IDENTITY = 0xFFFF
"""Bytes of the name of an external PSK (RFC 8446 section 4.2.11)."""

LEAST_KEY = 16
"""Bytes. RFC 9257 section 6: an external PSK is to have at least 128 bits of entropy."""

_IMPORT_HEAD = 8  # bytes that RFC 9258 adds to the identity and the context


@dataclass(frozen=True, slots=True)
class ExternalPsk:
    """A pre-shared key from outside TLS. It is used with a key exchange only (psk_dhe_ke), never alone.

    Whoever knows the key is believed to be the peer: give each pair of a client and a server its own
    (RFC 9257 section 4.1).

    Args:
        identity: what stands on the wire for the key, 1 to 65535 bytes, readable by everyone.
        key: the secret, at least 16 bytes of randomness: not a password.
        hash: the hash that the key is bound to; it is used only with a cipher suite of that hash.
        imported: derive one key for each hash from it (RFC 9258); the peer must do so, too.
        context: what else the imported keys are bound to (RFC 9258 section 5.1).

    Raises Misuse for a value of another kind or out of range.
    """

    identity: bytes
    key: bytes = field(repr=False)
    hash: Literal["sha256", "sha384"] = "sha256"
    imported: bool = False
    context: bytes = b""

    def __post_init__(self) -> None:
        checking.octets("identity", self.identity, write='bytes: b"me"')
        checking.octets("key", self.key, write="bytes: bytes.fromhex(...)", secret=True)
        checking.flag("imported", self.imported)
        checking.octets("context", self.context, write="bytes")
        longest = MAX_IDENTITY - (_IMPORT_HEAD + len(self.context) if self.imported else 0)
        if not 1 <= len(self.identity) <= longest:
            raise Misuse(f"a PSK's identity of {len(self.identity)} bytes is not 1 to {longest} bytes long")
        if len(self.key) < LEAST_KEY:
            raise Misuse(f"a PSK of {len(self.key)} bytes can be guessed; it has at least {LEAST_KEY} bytes")
        checking.one_of("hash", self.hash, ("sha256", "sha384"))
        if self.context and not self.imported:
            raise Misuse("only an imported PSK has a context (RFC 9258)")
