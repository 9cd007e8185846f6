"""A certificate, parsed as far as it was asked for (RFC 5280 section 4)."""

from __future__ import annotations

from datetime import date

from mungos.crypto.contract import BadKey, Provider, PublicKey, Unsupported
from mungos.printable import quoted
from mungos.x509.der import BIT_STRING, GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME, Reader
from mungos.x509.errors import CertificateMalformed, UnsupportedCertificate
from mungos.x509.extensions import DNS_NAME, IP_ADDRESS, Extensions, parse_extensions
from mungos.x509.wording import name_text

__all__ = ["MAX_CERTIFICATE", "Certificate", "subject_of"]

MAX_CERTIFICATE = 128 * 1024
"""Bytes of one certificate."""

_MAX_SERIAL = 21
"""Bytes: twenty, and a zero in front of a set high bit (RFC 5280 section 4.1.2.2)."""

_EPOCH = date(1970, 1, 1).toordinal()
_YEAR_2050 = (date(2050, 1, 1).toordinal() - _EPOCH) * 86_400
_NO_EXTENSIONS = Extensions()
_TWO = (SEQUENCE, SEQUENCE)


def _time(reader: Reader) -> tuple[int, bool]:
    """Time (RFC 5280 section 4.1.2.5), in seconds since the epoch, and whether its form is the wrong one."""
    tag, start, stop = reader.any()
    text = reader.data[start:stop]
    # Sections 4.1.2.5.1 and 4.1.2.5.2: seconds are there, the zone is Z, and there are no fractions.
    digits = text[:-1]
    if not (text[-1:] == b"Z" and digits.isdigit()):
        raise CertificateMalformed(f"the time {quoted(text)} is not of digits and Z")
    length = len(text)
    if not ((tag == UTC_TIME and length == 13) or (tag == GENERALIZED_TIME and length == 15)):
        raise CertificateMalformed(f"a time with tag 0x{tag:02x} and {length} bytes")
    # YYMMDDhhmmss, or YYYYMMDDhhmmss
    days, clock = divmod(int(digits), 1_000_000)
    hour, clock = divmod(clock, 10_000)
    minute, second = divmod(clock, 100)
    if hour > 23 or minute > 59 or second > 59:
        raise CertificateMalformed(f"the time {text!r} has no such hour, minute or second")
    year, days = divmod(days, 10_000)
    if tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    try:
        day = date(year, *divmod(days, 100)).toordinal()
    except ValueError:
        raise CertificateMalformed(f"the time {text!r} has no such date") from None
    time = (day - _EPOCH) * 86_400 + hour * 3_600 + minute * 60 + second
    # "through the year 2049 as UTCTime": old roots that everybody trusts do otherwise.
    return time, tag != UTC_TIME and time < _YEAR_2050


class Certificate:
    """One certificate. The outer structure is checked at once, extensions when they are first asked for.

    Attributes (read only):
        der: the whole certificate.
        tbs: what is signed.
        signature_algorithm: AlgorithmIdentifier, DER.
        signature: the signature's bytes.
        version: 1, 2 or 3.
        serial: the serial number.
        issuer, subject: raw Name, DER.
        not_before, not_after: seconds since 1970-01-01T00:00:00Z, both inclusive.
        odd_times: whether a date before 2050 is a GeneralizedTime (RFC 5280 section 4.1.2.5 forbids it).
        spki: SubjectPublicKeyInfo, DER.

    Attributes (to be filled):
        signed_by: the SubjectPublicKeyInfo whose key is known to have signed it; empty if none is.
    """

    __slots__ = (
        "_extensions",
        "_extensions_der",
        "_public_key",
        "der",
        "issuer",
        "not_after",
        "not_before",
        "odd_times",
        "serial",
        "signature",
        "signature_algorithm",
        "signed_by",
        "spki",
        "subject",
        "tbs",
        "version",
    )

    def __init__(self, der: bytes) -> None:
        """Raises CertificateMalformed."""
        if len(der) > MAX_CERTIFICATE:
            raise CertificateMalformed(f"a certificate of {len(der)} bytes (limit {MAX_CERTIFICATE} bytes)")
        self.der = der
        self._extensions: Extensions | None = None
        self._extensions_der = b""
        self._public_key: PublicKey | None = None
        self.signed_by = b""
        whole = Reader(der)
        outer = whole.enter(SEQUENCE)
        start = outer.position
        tbs = outer.enter(SEQUENCE)
        self._parse_tbs(tbs)
        tbs.close()
        self.tbs = der[start : outer.position]
        # RFC 5280 section 4.1.1.2: the same identifier as inside.
        if outer.element(SEQUENCE) != self.signature_algorithm:
            raise CertificateMalformed("the signature algorithm inside and outside differ")
        self.signature, unused = outer.bit_string(BIT_STRING)
        if unused:
            raise CertificateMalformed(f"the signature has {unused} unused bits")
        outer.close()
        whole.close()

    def _parse_tbs(self, tbs: Reader) -> None:
        """TBSCertificate (RFC 5280 section 4.1)."""
        self.version = 1
        if tbs.next_is(0xA0):
            tagged = tbs.enter(0xA0)
            self.version = tagged.integer() + 1
            tagged.close()
            # X.690 section 11.5: version 1 is the default, so it is not encoded.
            if self.version not in (2, 3):
                raise CertificateMalformed(f"version {self.version} is not 2 or 3")
        at = tbs.position
        self.serial = tbs.integer()
        if tbs.position - at > _MAX_SERIAL + 2:
            raise CertificateMalformed(
                f"a serial number of {tbs.position - at - 2} bytes (limit {_MAX_SERIAL})"
            )
        self.signature_algorithm, self.issuer = tbs.elements(_TWO)
        validity = tbs.enter(SEQUENCE)
        self.not_before, odd_before = _time(validity)
        self.not_after, odd_after = _time(validity)
        validity.close()
        self.odd_times = odd_before or odd_after
        self.subject, self.spki = tbs.elements(_TWO)
        # RFC 5280 section 4.1.2.8: unique identifiers only from version 2 on.
        if self.version >= 2 and not tbs.next_is(0xA3):
            for tag in (0x81, 0x82):
                if tbs.next_is(tag):
                    tbs.bit_string(tag)
        if self.version == 3 and tbs.next_is(0xA3):
            tagged = tbs.enter(0xA3)
            self._extensions_der = tagged.element(SEQUENCE)
            tagged.close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<certificate {self.serial:x} of {len(self.der)} bytes>"

    def __str__(self) -> str:
        """For messages: the subject in words, and the serial number in hexadecimal."""
        try:
            subject = name_text(self.subject)
        except CertificateMalformed:
            subject = "an unreadable name"
        return f"the certificate of {subject} (serial {self.serial:x})"

    @property
    def extensions(self) -> Extensions:
        """The extensions. Raises CertificateMalformed when they are first asked for and broken."""
        if self._extensions is None:
            self._extensions = (
                parse_extensions(self._extensions_der) if self._extensions_der else _NO_EXTENSIONS
            )
        return self._extensions

    def complete(self) -> None:
        """Parse now what is otherwise parsed when it is asked for. Raises CertificateMalformed."""
        self._extensions = self.extensions

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are one name (RFC 5280 section 6.1)."""
        return self.subject == self.issuer

    @property
    def dns_names(self) -> tuple[str, ...]:
        """dNSName values of subjectAltName, as they stand. Raises CertificateMalformed as `extensions`."""
        return tuple(value.decode("ascii") for tag, value in self.extensions.names if tag == DNS_NAME)

    @property
    def ip_addresses(self) -> tuple[bytes, ...]:
        """iPAddress values of subjectAltName, 4 or 16 bytes. Raises CertificateMalformed as `extensions`."""
        return tuple(value for tag, value in self.extensions.names if tag == IP_ADDRESS)

    def public_key(self, provider: Provider) -> PublicKey:
        """The subject's key, remembered from the first call on.

        Raises UnsupportedCertificate when the provider does not know its kind, CertificateMalformed when it
        can't be parsed.
        """
        if self._public_key is None:
            try:
                self._public_key = provider.public_key(self.spki)
            except Unsupported as error:
                raise UnsupportedCertificate(str(error)) from None
            except BadKey as error:
                raise CertificateMalformed(str(error)) from None
        return self._public_key


def subject_of(der: bytes) -> bytes:
    """The subject's raw Name, found without parsing the rest. Raises CertificateMalformed."""
    with Reader(der) as whole:
        outer = whole.enter(SEQUENCE)
        tbs = outer.enter(SEQUENCE)
        if tbs.next_is(0xA0):
            tbs.bounds(0xA0)
        tbs.bounds(INTEGER)
        for _ in ("signature", "issuer", "validity"):
            tbs.bounds(SEQUENCE)
        return tbs.element(SEQUENCE)
