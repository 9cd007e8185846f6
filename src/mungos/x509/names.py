"""Whether a certificate bears a name (RFC 9525). Only subjectAltName counts, never a common name."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from mungos.errors import Misuse
from mungos.printable import quoted
from mungos.x509.certificate import Certificate
from mungos.x509.extensions import DNS_NAME, IP_ADDRESS

__all__ = ["bears_name", "is_dns_name", "matches_dns_name", "reference_identity", "wanted_identity"]

# RFC 1123 section 2.1, RFC 1035 section 2.3.4; the underscore is no part of host names but is met in them.
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DNS_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_MAX_DNS_NAME = 253


def is_dns_name(name: str) -> bool:
    """Whether a text in lower case, without a trailing dot, is a DNS host name in A-labels."""
    return len(name) <= _MAX_DNS_NAME and _DNS_NAME.fullmatch(name) is not None


def reference_identity(name: str) -> str | bytes:
    """What to look for: a DNS name in lower case without a trailing dot, or the 4 or 16 bytes of an address.

    Args:
        name: a DNS name or an address literal, IPv6 with or without brackets.

    Raises:
        Misuse: `name` is neither. An internationalised name is given as A-labels ("xn--..."), since the
            mapping belongs to whoever took the name from the user (RFC 9525 section 2, RFC 5891).
    """
    literal = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    # A zone ("%eth0") belongs to a link, not to a certificate.
    if (":" in literal or literal[-1:].isdigit()) and "%" not in literal:
        try:
            return ipaddress.ip_address(literal).packed
        except ValueError:
            pass  # "host-1" is a name
    lowered = name.lower().removesuffix(".") if name.isascii() else ""
    # A last label of digits only would be an address to some and a name to others (WHATWG URL section 3.5).
    if not is_dns_name(lowered) or _ENDS_IN_NUMBER.fullmatch(lowered):
        write = 'write the name in the certificate: "example.org"'
        if not name.isascii():
            write = "write its A-label form (xn--...; the package idna makes it)"
        raise Misuse(f"{quoted(name)} is neither a DNS name in A-labels nor an address: {write}")
    return lowered


@lru_cache(maxsize=256)
def wanted_identity(name: str) -> str | bytes:
    """`reference_identity`, remembered: for names that are asked for here, never for what a peer names."""
    return reference_identity(name)


def matches_dns_name(presented: str, name: str) -> bool:
    """Whether a dNSName value covers a name (RFC 9525 section 6.3).

    Args:
        presented: the value in the certificate.
        name: a name as `reference_identity` returns it.
    """
    presented = presented.lower()
    if presented == name:
        return True
    # The wildcard is the complete left-most label, stands alone, and covers exactly one label. "*.com" is
    # ignored too: a name right below a public suffix of one label is nobody's to speak for.
    if not presented.startswith("*."):
        return False
    parent = presented[2:]
    label, dot, rest = name.partition(".")
    return bool(dot and label) and rest == parent and "." in parent


def bears_name(certificate: Certificate, identity: str | bytes) -> bool:
    """Whether the subjectAltName presents the identity that `reference_identity` made.

    Raises CertificateMalformed as `Certificate.extensions`.
    """
    names = certificate.extensions.names
    if isinstance(identity, bytes):
        # RFC 9525 section 6.4: byte for byte; an address is never found in a dNSName.
        return (IP_ADDRESS, identity) in names
    return any(tag == DNS_NAME and matches_dns_name(value.decode("ascii"), identity) for tag, value in names)
