"""What an issuer may speak for (RFC 5280 section 4.2.1.10).

dNSName, iPAddress and directoryName are processed. A constraint on another form refuses every certificate
below that bears a name of that form, since it "MUST either process the constraint or reject the certificate".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Set

from mungos.printable import quoted
from mungos.x509 import oids
from mungos.x509.certificate import Certificate
from mungos.x509.der import SEQUENCE, SET, Reader
from mungos.x509.errors import (
    CertificateMalformed,
    NameConstraintViolated,
    PathTooHard,
    UnsupportedCertificate,
)
from mungos.x509.extensions import (
    DIRECTORY_NAME,
    DNS_NAME,
    IP_ADDRESS,
    RFC822_NAME,
    GeneralName,
    NameConstraints,
)
from mungos.x509.names import is_dns_name

__all__ = ["MAX_COMPARISONS", "Comparisons", "check_names"]

MAX_COMPARISONS = 10_000
"""Comparisons of a name with a constraint in one verification."""

_MAX_ATTRIBUTES = 256
_MAX_DNS = 255  # bytes; RFC 1035 section 2.3.4
_MAX_TEXT = 1024  # bytes of one attribute: to bring text into its normal form takes more than linear time

# X.690 table 1: UTF8String, NumericString, PrintableString, TeletexString, IA5String, and BMPString by name.
_TEXT = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}

_Attribute = tuple[bytes, int, str | bytes]
_RDN = frozenset[_Attribute]
_Grouped = dict[int, tuple[list[bytes], list[bytes]]]


class Comparisons:
    """How many comparisons are left in one verification: an attacker chooses both lists of names. What was
    parsed for one is not parsed again for another."""

    __slots__ = ("_grouped", "_names", "left")

    def __init__(self, left: int = MAX_COMPARISONS) -> None:
        self.left = left
        self._names: dict[bytes, tuple[_RDN, ...]] = {}
        self._grouped: dict[int, tuple[NameConstraints, _Grouped]] = {}

    def name(self, der: bytes) -> tuple[_RDN, ...]:
        """A Name, made comparable. Raises CertificateMalformed."""
        found = self._names.get(der)
        if found is None:
            found = self._names[der] = _parse_name(der)
        return found

    def grouped(self, constraints: NameConstraints) -> _Grouped:
        """The constraints on each form of names, by its tag: those that permit, and those that exclude."""
        kept = self._grouped.get(id(constraints))
        if kept is None:
            groups: _Grouped = {}
            for which, trees in enumerate((constraints.permitted, constraints.excluded)):
                for tag, base in trees:
                    groups.setdefault(tag, ([], []))[which].append(base)
            # Kept with what it was made from, whose number is then nobody else's.
            kept = self._grouped[id(constraints)] = constraints, groups
        return kept[1]

    def spend(self, count: int) -> None:
        """Raises PathTooHard when none are left."""
        self.left -= count
        if self.left < 0:
            raise PathTooHard(f"over {MAX_COMPARISONS} comparisons of names with name constraints")


def _attribute(inner: Reader) -> _Attribute:
    """AttributeTypeAndValue, its text made comparable (RFC 5280 section 7.1)."""
    with inner.enter(SEQUENCE) as pair:
        oid = pair.oid()
        tag, start, stop = pair.any()
    content = inner.data[start:stop]
    if len(content) > _MAX_TEXT:
        raise CertificateMalformed(
            f"attribute {oids.dotted(oid)} of {len(content)} bytes (limit {_MAX_TEXT} bytes)"
        )
    if tag not in _TEXT:
        return oid, tag, content
    try:
        text = content.decode(_TEXT[tag])
    except UnicodeDecodeError:
        raise CertificateMalformed(f"attribute {oids.dotted(oid)} is not {_TEXT[tag]}") from None
    # Case and runs of blanks make no difference, nor does which kind of string it is.
    return oid, 0, " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _parse_name(der: bytes) -> tuple[_RDN, ...]:
    """Name (RFC 5280 section 4.1.2.4), as a sequence of sets of attributes."""
    rdns: list[_RDN] = []
    count = 0
    with Reader(der) as whole, whole.enter(SEQUENCE) as names:
        while names.more():
            attributes: set[_Attribute] = set()
            with names.enter(SET) as inner:
                while inner.more():
                    attributes.add(_attribute(inner))
                    count += 1
            if not attributes or count > _MAX_ATTRIBUTES:
                raise CertificateMalformed(f"a name with an empty part, or over {_MAX_ATTRIBUTES} attributes")
            rdns.append(frozenset(attributes))
    return tuple(rdns)


def _under(name: str, base: str) -> bool:
    """Whether a DNS name is the base, or has labels more on its left. An empty base holds every name."""
    return not base or name == base or name.endswith("." + base)


def _dns(value: bytes, constraint: bytes, excluded: bool, _comparisons: Comparisons) -> bool:
    if len(value) > _MAX_DNS:
        raise NameConstraintViolated(f"a name of {len(value)} bytes, so no name constraint can hold it")
    name = value.decode("ascii").lower()
    parent = name.removeprefix("*.")
    if not is_dns_name(parent):
        raise NameConstraintViolated(f"{quoted(name)} is no DNS name, so no name constraint can hold it")
    if len(constraint) > _MAX_DNS + 1:
        raise CertificateMalformed(f"a name constraint of {len(constraint)} bytes is no DNS name")
    base = constraint.decode("ascii").lower()
    # A leading dot is not of the RFC, but is met: it asks for one label more.
    bare = base.removeprefix(".")
    if bare and not is_dns_name(bare):
        raise CertificateMalformed(f"the name constraint {quoted(base)} is no DNS name")
    if parent == name:
        return excluded if name == bare != base else _under(name, bare)
    # A wildcard stands for every label: all that it covers must be permitted, nothing of it excluded.
    if _under(parent, bare):
        return True
    label, _, rest = bare.partition(".")
    return excluded and bool(label) and rest == parent


def _ip(value: bytes, base: bytes, _excluded: bool, _comparisons: Comparisons) -> bool:
    # An address of IPv4 takes eight octets, one of IPv6 thirty-two: the address and the mask.
    half = len(base) // 2
    if len(base) not in (8, 32):
        raise CertificateMalformed(f"an iPAddress constraint of {len(base)} bytes (8 or 32)")
    mask = int.from_bytes(base[half:], "big")
    inverse = mask ^ ((1 << 8 * half) - 1)
    if inverse & (inverse + 1):
        raise CertificateMalformed(f"the mask {base[half:].hex()} of an iPAddress constraint is no prefix")
    if len(value) != half:
        return False
    return int.from_bytes(value, "big") & mask == int.from_bytes(base[:half], "big") & mask


def _directory(value: bytes, base: bytes, _excluded: bool, comparisons: Comparisons) -> bool:
    wanted = comparisons.name(base)
    return comparisons.name(value)[: len(wanted)] == wanted


_FITS = {DNS_NAME: _dns, IP_ADDRESS: _ip, DIRECTORY_NAME: _directory}


def _constrained_names(certificate: Certificate, tags: Set[int]) -> list[GeneralName]:
    """The names of a certificate that have one of these forms: of subjectAltName, and of the subject."""
    names = [name for name in certificate.extensions.names if name[0] in tags]
    if DIRECTORY_NAME in tags and len(certificate.subject) > 2:
        names.append((DIRECTORY_NAME, certificate.subject))
    # "when ... subject alternative name is not included, ... the constraint MUST be applied to the attribute
    # of type emailAddress in the subject": it is not processed here, so its presence is enough.
    if RFC822_NAME in tags and oids.EMAIL_ADDRESS in certificate.subject:
        names.append((RFC822_NAME, b""))
    return names


def check_names(constraints: NameConstraints, certificate: Certificate, comparisons: Comparisons) -> None:
    """Check the names of one certificate against the constraints of an issuer above it.

    Raises NameConstraintViolated, UnsupportedCertificate for a constrained form that is not processed, and
    PathTooHard when the comparisons are used up.
    """
    groups = comparisons.grouped(constraints)
    for name in _constrained_names(certificate, groups.keys()):
        tag, value = name
        fits = _FITS.get(tag)
        if fits is None:
            raise UnsupportedCertificate(
                f"name constraints on names with tag 0x{tag:02x} are not spoken here"
            )
        permitted, excluded = groups[tag]
        comparisons.spend(len(excluded) + len(permitted))
        if any(fits(value, base, True, comparisons) for base in excluded):
            raise NameConstraintViolated(f"the name {quoted(value)} is excluded by an issuer")
        # One form that is permitted somewhere is forbidden everywhere else.
        if permitted and not any(fits(value, base, False, comparisons) for base in permitted):
            raise NameConstraintViolated(f"the name {quoted(value)} is not permitted by an issuer")
