"""The extensions of a certificate that matter here (RFC 5280 section 4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mungos.x509 import oids
from mungos.x509.der import BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, Reader
from mungos.x509.errors import CertificateMalformed

__all__ = [
    "DIGITAL_SIGNATURE",
    "DIRECTORY_NAME",
    "DNS_NAME",
    "IP_ADDRESS",
    "KEY_CERT_SIGN",
    "MAX_EXTENSIONS",
    "MAX_GENERAL_NAMES",
    "RFC822_NAME",
    "Extensions",
    "GeneralName",
    "NameConstraints",
    "parse_extensions",
]

MAX_EXTENSIONS = 64
"""Extensions in one certificate."""

MAX_GENERAL_NAMES = 2_048
"""Names in one subjectAltName or nameConstraints."""

# RFC 5280 section 4.2.1.6: tags of GeneralName.
RFC822_NAME = 0x81
DNS_NAME = 0x82
DIRECTORY_NAME = 0xA4
IP_ADDRESS = 0x87
_GENERAL_NAMES = frozenset({0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x86, 0x87, 0x88})

# RFC 5280 section 4.2.1.3: bit 0 is the highest of the first byte.
DIGITAL_SIGNATURE = 0x8000
KEY_CERT_SIGN = 0x0400

GeneralName = tuple[int, bytes]
"""The tag and the content."""


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """RFC 5280 section 4.2.1.10."""

    permitted: tuple[GeneralName, ...]
    excluded: tuple[GeneralName, ...]


class Extensions:
    """What was found; None or empty where an extension is absent.

    Attributes:
        is_ca, path_length: basicConstraints.
        key_usage: the bits, bit 0 (digitalSignature) as 0x8000.
        purposes: extKeyUsage, identifiers as DER content.
        names: subjectAltName.
        name_constraints: nameConstraints.
        authority_key: the key identifier in authorityKeyIdentifier.
        subject_key: subjectKeyIdentifier.
        unknown_critical: identifiers of critical extensions that are not processed here.
    """

    __slots__ = (
        "authority_key",
        "is_ca",
        "key_usage",
        "name_constraints",
        "names",
        "path_length",
        "purposes",
        "subject_key",
        "unknown_critical",
    )

    def __init__(self) -> None:
        self.is_ca = False
        self.path_length: int | None = None
        self.key_usage: int | None = None
        self.purposes: tuple[bytes, ...] | None = None
        self.names: tuple[GeneralName, ...] = ()
        self.name_constraints: NameConstraints | None = None
        self.authority_key: bytes | None = None
        self.subject_key: bytes | None = None
        self.unknown_critical: list[bytes] = []


def _basic_constraints(found: Extensions, value: Reader) -> None:
    value.into(SEQUENCE)
    if value.next_is(BOOLEAN):
        found.is_ca = value.boolean()
        if not found.is_ca:
            # X.690 section 11.5: a default value is not encoded.
            raise CertificateMalformed("basicConstraints encodes the default of cA")
    if value.next_is(INTEGER):
        found.path_length = value.integer()
        if not found.is_ca or found.path_length < 0:
            raise CertificateMalformed(f"pathLenConstraint {found.path_length} is negative or not of a CA")


def _key_usage(found: Extensions, value: Reader) -> None:
    content, unused = value.bit_string()
    if len(content) > 2:
        raise CertificateMalformed(f"keyUsage of {8 * len(content) - unused} bits (limit 9)")
    found.key_usage = int.from_bytes(content.ljust(2, b"\0"), "big")
    # RFC 5280 section 4.2.1.3: at least one of the bits MUST be set.
    if not found.key_usage:
        raise CertificateMalformed("keyUsage with no bit set")


def _purposes(found: Extensions, value: Reader) -> None:
    purposes: list[bytes] = []
    value.into(SEQUENCE)
    while value.more():
        purposes.append(value.oid())
    if not purposes:
        raise CertificateMalformed("extKeyUsage without a purpose")
    found.purposes = tuple(purposes)


def _general_name(inner: Reader) -> GeneralName:
    tag, start, stop = inner.any()
    if tag not in _GENERAL_NAMES:
        raise CertificateMalformed(f"tag 0x{tag:02x} is no GeneralName")
    content = inner.data[start:stop]
    if tag in {RFC822_NAME, DNS_NAME, 0x86} and not content.isascii():
        raise CertificateMalformed(f"a name with tag 0x{tag:02x} is not an IA5String")
    return tag, content


def _subject_alt_name(found: Extensions, value: Reader) -> None:
    names: list[GeneralName] = []
    value.into(SEQUENCE)
    while value.more():
        name = _general_name(value)
        # RFC 5280 section 4.2.1.6: four octets for IPv4, sixteen for IPv6.
        if name[0] == IP_ADDRESS and len(name[1]) not in (4, 16):
            raise CertificateMalformed(f"an iPAddress of {len(name[1])} bytes (4 or 16)")
        names.append(name)
        if len(names) > MAX_GENERAL_NAMES:
            raise CertificateMalformed(f"over {MAX_GENERAL_NAMES} names in subjectAltName")
    if not names:
        raise CertificateMalformed("subjectAltName without a name")
    found.names = tuple(names)


def _subtrees(value: Reader, tag: int) -> tuple[GeneralName, ...]:
    trees: list[GeneralName] = []
    if value.next_is(tag):
        with value.enter(tag) as inner:
            while inner.more():
                # RFC 5280 section 4.2.1.10: minimum is zero, so not encoded, and maximum is absent.
                with inner.enter(SEQUENCE) as subtree:
                    trees.append(_general_name(subtree))
                if len(trees) > MAX_GENERAL_NAMES:
                    raise CertificateMalformed(f"over {MAX_GENERAL_NAMES} names in nameConstraints")
        if not trees:
            raise CertificateMalformed("an empty list of subtrees in nameConstraints")
    return tuple(trees)


def _name_constraints(found: Extensions, value: Reader) -> None:
    with value.enter(SEQUENCE) as inner:
        found.name_constraints = NameConstraints(_subtrees(inner, 0xA0), _subtrees(inner, 0xA1))
    if not found.name_constraints.permitted and not found.name_constraints.excluded:
        raise CertificateMalformed("nameConstraints without a subtree")


def _authority_key(found: Extensions, value: Reader) -> None:
    value.into(SEQUENCE)
    if value.next_is(0x80):
        found.authority_key = value.content(0x80)
    if value.next_is(0xA1):
        value.bounds(0xA1)
    if value.next_is(0x82):
        value.bounds(0x82)


def _subject_key(found: Extensions, value: Reader) -> None:
    found.subject_key = value.content(OCTET_STRING)


# Nearly all extensions: an identifier below id-ce (RFC 5280 section 4.2), TRUE or nothing, a short value.
_USUAL = re.compile(rb"\x30[\x00-\x7f]\x06\x03(\x55\x1d[\x00-\x7f])(\x01\x01\xff)?\x04[\x00-\x7f]", re.DOTALL)

_PARSERS: dict[bytes, Callable[[Extensions, Reader], None]] = {
    oids.BASIC_CONSTRAINTS: _basic_constraints,
    oids.KEY_USAGE: _key_usage,
    oids.EXT_KEY_USAGE: _purposes,
    oids.SUBJECT_ALT_NAME: _subject_alt_name,
    oids.NAME_CONSTRAINTS: _name_constraints,
    oids.AUTHORITY_KEY_IDENTIFIER: _authority_key,
    oids.SUBJECT_KEY_IDENTIFIER: _subject_key,
}


def _next(inner: Reader) -> tuple[bytes, bool, int, int]:
    """The next extension: its identifier, whether it is critical, where its value begins and ends."""
    data, at, end = inner.data, inner.position, inner.end
    usual = _USUAL.match(data, at, end)
    if usual is not None:
        start = usual.end()
        stop = start + data[start - 1]
        if stop == at + 2 + data[at + 1] and stop <= end:
            inner.position = stop
            return usual[1], usual[2] is not None, start, stop
    extension = inner.enter(SEQUENCE)
    identifier = extension.oid()
    critical = False
    if extension.next_is(BOOLEAN):
        critical = extension.boolean()
        if not critical:
            raise CertificateMalformed(f"extension {oids.dotted(identifier)} encodes a default")
    start, stop = extension.bounds(OCTET_STRING)
    extension.close()
    return identifier, critical, start, stop


def parse_extensions(der: bytes) -> Extensions:
    """Parse `Extensions` (a SEQUENCE). Raises CertificateMalformed, also when one stands twice."""
    found = Extensions()
    seen: set[bytes] = set()
    with Reader(der).enter(SEQUENCE) as inner:
        # RFC 5280 section 4.1.2.9: a sequence of one or more.
        if not inner.more():
            raise CertificateMalformed("an empty list of extensions")
        while inner.more():
            identifier, critical, start, stop = _next(inner)
            # RFC 5280 section 4.2: not more than one instance of an extension.
            if identifier in seen:
                raise CertificateMalformed(f"extension {oids.dotted(identifier)} stands twice")
            seen.add(identifier)
            if len(seen) > MAX_EXTENSIONS:
                raise CertificateMalformed(f"over {MAX_EXTENSIONS} extensions")
            parser = _PARSERS.get(identifier)
            if parser is not None:
                value = Reader(der, start, stop)
                parser(found, value)
                if value.position != stop:
                    value.close()
            elif critical:
                found.unknown_critical.append(identifier)
    return found
