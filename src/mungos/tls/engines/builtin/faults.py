"""What a peer can do wrong in TLS 1.3, one class a rule, and its alert (RFC 8446 section 6.2).

The class says who is to blame (see `mungos.errors`); `alert_for` is the one map from an error to the alert
that is sent. It is total: the three kinds of blame stand in it themselves.
"""

from __future__ import annotations

from mungos.crypto.contract import BadKey, BadShare, BadSignature, BadTag, Unsupported
from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls.alerts import AlertDescription
from mungos.x509.errors import CertificateError

__all__ = [
    "ALERTS",
    "REFUSALS",
    "BadCompression",
    "BadFinished",
    "BadStaple",
    "CertificateMissing",
    "DecodeError",
    "IllegalParameter",
    "MissingExtension",
    "NoCommonProtocol",
    "NotTls",
    "NothingInCommon",
    "RecordOverflow",
    "UnexpectedMessage",
    "UnknownPsk",
    "UnsupportedExtension",
    "VersionNotSpoken",
    "alert_for",
    "received",
]


class DecodeError(Malformed):
    """A length that does not fit, a field out of its range, bytes left over."""


class UnexpectedMessage(PeerMisbehaved):
    """A message or record that is not allowed here."""


class NotTls(Malformed):
    """A record of a type that TLS does not have: mostly another protocol altogether."""


class RecordOverflow(Malformed):
    """A record over the limits of RFC 8446 sections 5.1 and 5.2, or over ours (RFC 8449 section 4)."""


class BadCompression(Malformed):
    """A compressed certificate that is not what it says (RFC 8879 section 4)."""


class BadStaple(Malformed):
    """An OCSP response that can't be one (RFC 6066 section 8)."""


class IllegalParameter(PeerMisbehaved):
    """A field that is well formed but wrong, or contradicts another."""


class MissingExtension(PeerMisbehaved):
    """An extension that RFC 8446 section 9.2 demands is not there."""


class UnsupportedExtension(PeerMisbehaved):
    """An answer to an extension that was never offered (RFC 8446 section 4.2)."""


class BadFinished(PeerMisbehaved):
    """A Finished, or a PSK binder, that does not fit the transcript."""


class CertificateMissing(PeerMisbehaved):
    """The client showed no certificate where one is required (RFC 8446 section 4.4.2.4)."""


class VersionNotSpoken(PeerIncompatible):
    """The peer does not speak TLS 1.3."""


class UnknownPsk(PeerIncompatible):
    """None of the pre-shared keys that the client offers is known, and there is no other way (RFC 8446
    section 6.2)."""


class NothingInCommon(PeerIncompatible):
    """No cipher suite, group or signature scheme that both sides speak."""


class NoCommonProtocol(PeerIncompatible):
    """No application protocol that both sides speak (RFC 7301 section 3.2)."""


REFUSALS = frozenset(
    {
        AlertDescription.handshake_failure,
        AlertDescription.unsupported_certificate,
        AlertDescription.protocol_version,
        AlertDescription.insufficient_security,
        AlertDescription.inappropriate_fallback,
        AlertDescription.missing_extension,
        AlertDescription.unsupported_extension,
        AlertDescription.unrecognized_name,
        AlertDescription.unknown_psk_identity,
        AlertDescription.no_application_protocol,
    }
)
"""Alerts by which a peer says that it speaks something else, not that a rule was broken."""

ALERTS: dict[type[ProtocolError], AlertDescription] = {
    DecodeError: AlertDescription.decode_error,
    UnexpectedMessage: AlertDescription.unexpected_message,
    NotTls: AlertDescription.unexpected_message,
    RecordOverflow: AlertDescription.record_overflow,
    BadCompression: AlertDescription.bad_certificate,
    BadStaple: AlertDescription.bad_certificate_status_response,
    IllegalParameter: AlertDescription.illegal_parameter,
    MissingExtension: AlertDescription.missing_extension,
    UnsupportedExtension: AlertDescription.unsupported_extension,
    BadFinished: AlertDescription.decrypt_error,
    CertificateMissing: AlertDescription.certificate_required,
    VersionNotSpoken: AlertDescription.protocol_version,
    UnknownPsk: AlertDescription.unknown_psk_identity,
    NothingInCommon: AlertDescription.handshake_failure,
    NoCommonProtocol: AlertDescription.no_application_protocol,
    BadTag: AlertDescription.bad_record_mac,
    BadSignature: AlertDescription.decrypt_error,
    BadShare: AlertDescription.illegal_parameter,
    BadKey: AlertDescription.bad_certificate,
    Unsupported: AlertDescription.unsupported_certificate,
    Malformed: AlertDescription.decode_error,
    PeerMisbehaved: AlertDescription.illegal_parameter,
    PeerIncompatible: AlertDescription.handshake_failure,
}


def alert_for(error: ProtocolError) -> AlertDescription:
    """The alert that tells the peer about `error`."""
    if isinstance(error, CertificateError):
        return AlertDescription[error.alert]
    for kind in type(error).__mro__:
        if kind in ALERTS:
            return ALERTS[kind]
    return AlertDescription.internal_error


def received(code: int, name: str) -> ProtocolError:
    """The fault that an alert of the peer stands for (RFC 8446 section 6.2)."""
    kind = PeerIncompatible if code in REFUSALS else PeerMisbehaved
    hint = "; the engine 'openssl' also speaks TLS 1.2" if code == AlertDescription.protocol_version else ""
    return kind(f"the peer ended the session with the alert {name} ({code}){hint}")
