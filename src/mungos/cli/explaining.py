"""How a connection ended, in one line, with what to do about it; and what TLS negotiated."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import re
from dataclasses import replace
from typing import Final

from mungos import CloseKind, CloseReason
from mungos.printable import printable
from mungos.tls import Negotiated
from mungos.url import URL
from mungos.x509 import (
    Certificate,
    CertificateError,
    CertificateMalformed,
    NameMismatch,
    UnknownIssuer,
    key_text,
    name_text,
)

__all__ = ["day_text", "describe_tls", "explain"]

_HINTS: Final = {
    CloseKind.REFUSED: "nothing listens there: is the server running, and the port right?",
    CloseKind.NOT_RESOLVED: "is the name spelt right, and a name server reachable?",
    CloseKind.UNREACHABLE: "is the network up, and the address right?",
}
_TO_TLS: Final = {"http": "https", "ws": "wss"}
# RFC 8446 section 5.1: an alert or a handshake message is what a TLS peer says to a request in plain text.
_TLS_RECORD: Final = re.compile(r"not a status line: b['\"]\\x1[56]\\x03")
_NO_VERSION: Final = "no version of TLS in common: --tls-engine openssl speaks 1.2 and 1.3"


def explain(url: URL, reason: CloseReason) -> str:
    """One line: where, what, and what to do."""
    hint = _HINTS.get(reason.kind, "")
    if reason.phase == "securing" or reason.kind is CloseKind.TLS_ALERT:
        hint = _tls_hint(reason)
    elif url.scheme in _TO_TLS and _TLS_RECORD.search(str(reason)):
        hint = f"the peer speaks TLS there: write {replace(url, scheme=_TO_TLS[url.scheme])}"
    text = f"{url}: {reason}"
    return f"{text} ({hint})" if hint else text


def _tls_hint(reason: CloseReason) -> str:
    error = reason.error
    text = str(error).lower()
    if "session with the alert" in text:
        return _alert_hint(text)
    if isinstance(error, NameMismatch) or "mismatch" in text or "not valid for" in text:
        return "if that is the right server, give the name in its certificate with --tls-name"
    if "is an issuer's, shown as the peer's own" in text:
        return (
            "its owner made it with CA:TRUE, as `openssl req -x509` does: let them add -addext "
            "basicConstraints=critical,CA:FALSE; --insecure accepts any certificate, for experiments"
        )
    if isinstance(error, UnknownIssuer) or "self-signed" in text or "self signed" in text or "issuer" in text:
        return "if it is to be trusted, give its certificate or its issuer's with --cacert FILE"
    if isinstance(error, CertificateError) or "certificate" in text:
        return "--insecure accepts any certificate, for experiments"
    if "protocol_version" in text or "tlsv1.2" in text or "tls 1.2" in text:
        return _NO_VERSION
    if reason.kind is CloseKind.TIMED_OUT or "record" in text:
        return "does the peer speak TLS at that port?"
    return ""


def _alert_hint(text: str) -> str:
    """The peer refused us: what it said is about our side."""
    if "certificate_required" in text:
        return "the peer wants to see a certificate: give --tls-cert and --tls-key"
    if "unknown_psk_identity" in text:
        return "the peer does not know the pre-shared key: see --tls-psk"
    if "certificate" in text or "unknown_ca" in text:
        return "the peer does not accept the certificate that it was shown"
    if "protocol_version" in text:
        return _NO_VERSION
    if "decrypt_error" in text:
        return "the peer knows another key than ours: that of --tls-psk, or of the certificate of --tls-cert"
    if "handshake_failure" in text:
        return (
            "no group, cipher suite or signature scheme in common: see --tls-groups and --tls-ciphers; "
            "or it wants a pre-shared key: --tls-psk"
        )
    if "no_application_protocol" in text:
        return "the peer speaks none of the protocols offered by ALPN"
    return ""


def describe_tls(negotiated: Negotiated) -> list[str]:
    """What the handshake agreed on, and who the peer is; a line each, fit for a terminal."""
    facts = [negotiated.version, negotiated.suite]
    if negotiated.group:
        facts.append(f"group {negotiated.group}")
    if negotiated.scheme:
        facts.append(f"signature {negotiated.scheme}")
    if negotiated.psk_identity is not None:
        facts.append(f"pre-shared key {negotiated.psk_identity.decode('utf-8', 'replace')}")
    facts.append(f"ALPN {negotiated.alpn}" if negotiated.alpn else "no ALPN")
    facts.append("resumed" if negotiated.resumed else "new session")
    lines = [", ".join(facts)]
    for place, der in enumerate(negotiated.peer_chain):
        lines += _certificate(place, der)
    return [printable(line) for line in lines]


def _certificate(place: int, der: bytes) -> list[str]:
    fingerprint = f"  SHA-256 {hashlib.sha256(der).hexdigest()}"
    try:
        certificate = Certificate(der)
        names = [*certificate.dns_names, *(str(ipaddress.ip_address(a)) for a in certificate.ip_addresses)]
        return [
            f"certificate {place}: subject {name_text(certificate.subject)}",
            f"  issuer {name_text(certificate.issuer)}",
            f"  valid {day_text(certificate.not_before)} to {day_text(certificate.not_after)}, "
            f"for {', '.join(names) or 'no name'}",
            f"  key {key_text(certificate.spki)}, serial {certificate.serial:x}",
            fingerprint,
        ]
    except (CertificateMalformed, ValueError) as error:
        return [f"certificate {place}: not readable ({error})", fingerprint]


def day_text(seconds: int) -> str:
    """A day, as in "2038-01-19".

    Args:
        seconds: since 1970, UTC; not after the year 9999.
    """
    # Counted: a system whose own seconds have 32 bits can't be asked for a date after 2038.
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%d")
