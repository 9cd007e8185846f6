"""Cipher suites and groups by their numbers, under the names of IANA and of the configuration."""

from __future__ import annotations

from collections.abc import Sequence

from mungos.errors import Misuse
from mungos.tls.config import DEFAULT_GROUPS

__all__ = ["GROUPS", "SUITES_12", "SUITES_13", "SUITE_NAMES", "groups", "suites"]

SUITES_13 = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
}
"""RFC 8446 appendix B.4."""

SUITES_12 = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": 0xC02B,
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": 0xC02F,
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": 0xC02C,
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": 0xC030,
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA9,
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA8,
}
"""RFC 9325 section 4.2: forward secrecy and authenticated encryption only."""

SUITE_NAMES = {code: name for table in (SUITES_13, SUITES_12) for name, code in table.items()}
"""By number."""

GROUPS = {"x25519": 0x001D, "secp256r1": 0x0017, "secp384r1": 0x0018}
"""RFC 8446 section 4.2.7: those that the libraries have in all of their versions."""


def suites(names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of TLS 1.3's suites, in order. Raises Misuse for an unknown one, or none."""
    for name in names:
        if name not in SUITES_13:
            raise Misuse(f"unknown cipher suite {name!r}; known are {', '.join(SUITES_13)}")
    if not names:
        raise Misuse("no cipher suite is left to offer")
    return tuple(SUITES_13[name] for name in names)


def groups(names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the groups, in order; those that the libraries lack are left out. Raises Misuse for an
    unknown one, or none."""
    for name in names:
        if name not in GROUPS and name not in DEFAULT_GROUPS:
            raise Misuse(f"unknown group {name!r}; known are {', '.join(GROUPS)}")
    numbers = tuple(GROUPS[name] for name in names if name in GROUPS)
    if not numbers:
        raise Misuse(f"none of the groups {', '.join(names)} is spoken here; known are {', '.join(GROUPS)}")
    return numbers
