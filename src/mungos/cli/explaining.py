"""How a connection ended, in one line, with what to do about it; and what TLS negotiated."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from typing import Final

from mungos import CloseKind, CloseReason
from mungos.cli.printable import printable
from mungos.tls import Negotiated
from mungos.url import URL
from mungos.x509 import Certificate, CertificateError, CertificateMalformed, NameMismatch, UnknownIssuer
from mungos.x509.der import OID, SEQUENCE, SET, Reader
from mungos.x509.oids import dotted

__all__ = ["describe_tls", "explain", "name_text"]

_HINTS: Final = {
    CloseKind.REFUSED: "nothing listens there: is the server running, and the port right?",
    CloseKind.NOT_RESOLVED: "is the name spelt right, and a name server reachable?",
    CloseKind.UNREACHABLE: "is the network up, and the address right?",
}

# RFC 4519 section 2, RFC 4514 section 3; emailAddress from PKCS #9.
_ATTRIBUTES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_BMP_STRING: Final = 0x1E


def explain(url: URL, reason: CloseReason) -> str:
    """One line: where, what, and what to do."""
    hint = _HINTS.get(reason.kind, "")
    if reason.phase == "securing" or reason.kind is CloseKind.TLS_ALERT:
        hint = _tls_hint(reason)
    text = f"{url}: {reason}"
    return f"{text} ({hint})" if hint else text


def _tls_hint(reason: CloseReason) -> str:
    error = reason.error
    text = str(error).lower()
    if isinstance(error, NameMismatch) or "mismatch" in text or "not valid for" in text:
        return "if that is the right server, give the name in its certificate with --tls-name"
    if isinstance(error, UnknownIssuer) or "self-signed" in text or "self signed" in text or "issuer" in text:
        return "if it is to be trusted, give its certificate or its issuer's with --cacert FILE"
    if isinstance(error, CertificateError) or "certificate" in text:
        return "--insecure accepts any certificate, for experiments"
    if "protocol_version" in text or "tlsv1.2" in text or "tls 1.2" in text:
        return "a peer without TLS 1.3 needs --tls-engine openssl"
    if reason.kind is CloseKind.TIMED_OUT or "record" in text:
        return "does the peer speak TLS at that port?"
    return ""


def describe_tls(negotiated: Negotiated) -> list[str]:
    """What the handshake agreed on, and who the peer is; a line each, fit for a terminal."""
    facts = [negotiated.version, negotiated.suite]
    if negotiated.group:
        facts.append(f"group {negotiated.group}")
    if negotiated.scheme:
        facts.append(f"signature {negotiated.scheme}")
    facts.append(f"ALPN {negotiated.alpn}" if negotiated.alpn else "no ALPN")
    facts.append("resumed" if negotiated.resumed else "new session")
    lines = [", ".join(facts)]
    lines += [f"certificate {place}: {_certificate(der)}" for place, der in enumerate(negotiated.peer_chain)]
    return [printable(line) for line in lines]


def _certificate(der: bytes) -> str:
    fingerprint = f"SHA-256 {hashlib.sha256(der).hexdigest()}"
    try:
        certificate = Certificate(der)
        names = [*certificate.dns_names, *(str(ipaddress.ip_address(a)) for a in certificate.ip_addresses)]
        return (
            f"subject {name_text(certificate.subject)}; issuer {name_text(certificate.issuer)}; "
            f"valid {_date(certificate.not_before)} to {_date(certificate.not_after)}; "
            f"for {', '.join(names) or 'no name'}; {fingerprint}"
        )
    except (CertificateMalformed, ValueError) as error:
        return f"not readable ({error}); {fingerprint}"


def _date(seconds: int) -> str:
    # Dates up to 9999 that `fromtimestamp` may refuse.
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%d")


def name_text(der: bytes) -> str:
    """A Name in words, most general part first, as it stands: "O=Example, CN=example.org".

    Args:
        der: an RDNSequence (RFC 5280 section 4.1.2.4).

    Raises CertificateMalformed.
    """
    parts = []
    with Reader(der) as whole, whole.enter(SEQUENCE) as sequence:
        while sequence.more():
            with sequence.enter(SET) as relative:
                while relative.more():
                    with relative.enter(SEQUENCE) as attribute:
                        kind = dotted(attribute.content(OID))
                        tag, start, stop = attribute.any()
                        encoding = "utf-16-be" if tag == _BMP_STRING else "utf-8"
                        value = der[start:stop].decode(encoding, "backslashreplace")
                        parts.append(f"{_ATTRIBUTES.get(kind, kind)}={value}")
    return ", ".join(parts) or "(empty)"
