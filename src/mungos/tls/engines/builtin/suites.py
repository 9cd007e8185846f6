"""Cipher suites, groups and signature schemes by their numbers (RFC 8446 appendix B.3 and B.4)."""

from __future__ import annotations

from dataclasses import dataclass

from mungos.crypto.contract import AEADS, SCHEMES, HashName, SignatureScheme

__all__ = [
    "GROUP_CODES",
    "GROUP_NAMES",
    "SCHEMES_BY_CODE",
    "SUITES",
    "SUITES_BY_CODE",
    "Suite",
]


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite of TLS 1.3.

    Attributes:
        name: the IANA name.
        code: the number on the wire.
        aead: the provider's name of the AEAD.
        hash: the hash of the key schedule and the transcript.
        record_limit: records that may be protected under one key before it is updated (section 5.5).
    """

    name: str
    code: int
    aead: str
    hash: HashName
    record_limit: int

    @property
    def key_length(self) -> int:
        """Bytes of a traffic key."""
        return AEADS[self.aead].key_length


# Section 5.5: AES-GCM is good for 2^24.5 full-size records; ChaCha20-Poly1305's limit lies beyond the
# sequence number.
_GCM_LIMIT = 1 << 24
_SEQUENCE_LIMIT = 1 << 62

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("TLS_AES_128_GCM_SHA256", 0x1301, "AES-128-GCM", "sha256", _GCM_LIMIT),
        Suite("TLS_AES_256_GCM_SHA384", 0x1302, "AES-256-GCM", "sha384", _GCM_LIMIT),
        Suite("TLS_CHACHA20_POLY1305_SHA256", 0x1303, "CHACHA20-POLY1305", "sha256", _SEQUENCE_LIMIT),
    )
}

SUITES_BY_CODE: dict[int, Suite] = {suite.code: suite for suite in SUITES.values()}

GROUP_CODES: dict[str, int] = {
    "secp256r1": 0x0017,
    "secp384r1": 0x0018,
    "x25519": 0x001D,
    "X25519MLKEM768": 0x11EC,
}
"""RFC 8446 section 4.2.7, and draft-ietf-tls-ecdhe-mlkem for the hybrid."""

GROUP_NAMES: dict[int, str] = {code: name for name, code in GROUP_CODES.items()}

SCHEMES_BY_CODE: dict[int, SignatureScheme] = {scheme.code: scheme for scheme in SCHEMES.values()}
