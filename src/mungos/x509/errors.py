"""Why a certificate is not believed: one class a reason, each of one kind of blame and with one TLS alert."""

from __future__ import annotations

from typing import ClassVar

from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError

__all__ = [
    "BadCertificate",
    "CertificateError",
    "CertificateExpired",
    "CertificateMalformed",
    "CertificateNotYetValid",
    "NameConstraintViolated",
    "NameMismatch",
    "NoCertificate",
    "PathTooHard",
    "PurposeMismatch",
    "SignatureMismatch",
    "UnknownIssuer",
    "UnsupportedCertificate",
]


class CertificateError(ProtocolError):
    """A certificate or its path was refused.

    Attributes:
        alert: the name of the TLS alert that this reason deserves (RFC 8446 section 6.2), the name of a
            member of `mungos.tls.alerts.AlertDescription`.
    """

    alert: ClassVar[str] = "certificate_unknown"


class CertificateMalformed(CertificateError, Malformed):
    """Not a certificate: broken DER, or a structure that RFC 5280 section 4.1 forbids."""

    alert: ClassVar[str] = "bad_certificate"


class BadCertificate(CertificateError, PeerMisbehaved):
    """An issuer that may not be one, a path that is longer than an issuer allows."""

    alert: ClassVar[str] = "bad_certificate"


class SignatureMismatch(CertificateError, PeerMisbehaved):
    """A certificate names an issuer that did not sign it."""

    alert: ClassVar[str] = "bad_certificate"


class NoCertificate(CertificateError, PeerMisbehaved):
    """The list of certificates is empty where one is required. A server's empty list never comes here: it
    is a decode_error of the message (RFC 8446 section 4.4.2.4)."""

    alert: ClassVar[str] = "certificate_required"


class UnsupportedCertificate(CertificateError, PeerIncompatible):
    """A key, signature algorithm or critical extension that is not spoken here."""

    alert: ClassVar[str] = "unsupported_certificate"


class CertificateExpired(CertificateError, PeerMisbehaved):
    """A certificate of the path is past its notAfter."""

    alert: ClassVar[str] = "certificate_expired"


class CertificateNotYetValid(CertificateError, PeerMisbehaved):
    """A certificate of the path is before its notBefore (the alert is the same: "expired or not currently
    valid")."""

    alert: ClassVar[str] = "certificate_expired"


class UnknownIssuer(CertificateError, PeerMisbehaved):
    """No path leads to a trusted root."""

    alert: ClassVar[str] = "unknown_ca"


class NameMismatch(CertificateError, PeerMisbehaved):
    """The certificate does not bear the name that was asked for (RFC 9525)."""

    alert: ClassVar[str] = "bad_certificate"


class PurposeMismatch(CertificateError, PeerMisbehaved):
    """The key may not be used for this: keyUsage or extKeyUsage says otherwise."""

    alert: ClassVar[str] = "unsupported_certificate"


class NameConstraintViolated(CertificateError, PeerMisbehaved):
    """A name lies outside what an issuer may speak for (RFC 5280 section 4.2.1.10)."""

    alert: ClassVar[str] = "bad_certificate"


class PathTooHard(CertificateError, PeerMisbehaved):
    """Too many certificates, names or signatures to check before a path was found."""

    alert: ClassVar[str] = "certificate_unknown"
