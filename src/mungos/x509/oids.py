"""Object identifiers by the names of their RFCs, as DER content."""

from __future__ import annotations

__all__ = ["dotted", "encoded"]

_MAX_SHOWN = 64  # bytes; a part of them all has 135 digits


def encoded(text: str) -> bytes:
    """The DER content of a dotted identifier (X.690 section 8.19)."""
    parts = [int(part) for part in text.split(".")]
    output = bytearray()
    for part in (parts[0] * 40 + parts[1], *parts[2:]):
        septets = [part & 0x7F]
        while part := part >> 7:
            septets.append(part & 0x7F | 0x80)
        output += bytes(reversed(septets))
    return bytes(output)


def dotted(content: bytes) -> str:
    """The dotted text, for messages; of an absurdly long identifier its length."""
    if len(content) > _MAX_SHOWN:
        return f"({len(content)} bytes)"
    parts: list[int] = []
    part = 0
    for byte in content:
        part = part << 7 | byte & 0x7F
        if byte < 0x80:
            parts.append(part)
            part = 0
    if not parts:
        return ""
    first = min(parts[0] // 40, 2)
    return ".".join(map(str, (first, parts[0] - 40 * first, *parts[1:])))


# RFC 5280 section 4.2
SUBJECT_KEY_IDENTIFIER = encoded("2.5.29.14")
KEY_USAGE = encoded("2.5.29.15")
SUBJECT_ALT_NAME = encoded("2.5.29.17")
BASIC_CONSTRAINTS = encoded("2.5.29.19")
NAME_CONSTRAINTS = encoded("2.5.29.30")
AUTHORITY_KEY_IDENTIFIER = encoded("2.5.29.35")
EXT_KEY_USAGE = encoded("2.5.29.37")

# RFC 5280 section 4.2.1.12
SERVER_AUTH = encoded("1.3.6.1.5.5.7.3.1")
CLIENT_AUTH = encoded("1.3.6.1.5.5.7.3.2")

# RFC 5280 appendix A.1: emailAddress, in old subjects
EMAIL_ADDRESS = encoded("1.2.840.113549.1.9.1")

# RFC 4055 sections 2.1, 2.2 and 3
SHA256 = encoded("2.16.840.1.101.3.4.2.1")
SHA384 = encoded("2.16.840.1.101.3.4.2.2")
SHA512 = encoded("2.16.840.1.101.3.4.2.3")
MGF1 = encoded("1.2.840.113549.1.1.8")
RSASSA_PSS = encoded("1.2.840.113549.1.1.10")

# RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3
SHA256_WITH_RSA = encoded("1.2.840.113549.1.1.11")
SHA384_WITH_RSA = encoded("1.2.840.113549.1.1.12")
SHA512_WITH_RSA = encoded("1.2.840.113549.1.1.13")
ECDSA_WITH_SHA256 = encoded("1.2.840.10045.4.3.2")
ECDSA_WITH_SHA384 = encoded("1.2.840.10045.4.3.3")
ECDSA_WITH_SHA512 = encoded("1.2.840.10045.4.3.4")
ED25519 = encoded("1.3.101.112")
