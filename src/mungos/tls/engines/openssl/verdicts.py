"""From what `ssl` raises to whose fault it is, and which alert passed.

The standard library shows no alert codes. A received alert is known by its name in the error's text; a sent
one by the seven bytes of its record while nothing is encrypted yet, else by what OpenSSL sends for the reason
that it gives. Where neither tells, the alert is None.
"""

from __future__ import annotations

import re
import ssl

from mungos.errors import Broken, Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import Failed

__all__ = [
    "PLAIN_ALERT_SIZE",
    "alert_received",
    "failure",
    "plain_alert",
    "plain_alert_description",
    "received_plain_alert",
]

PLAIN_ALERT_SIZE = 7
"""Bytes: a record's header, a level and a description (RFC 8446 sections 5.1 and 6)."""

_RECEIVED = re.compile(r"\balert ([a-z0-9 ]+?)(?= \(|$)")
_RECEIVED_UNNAMED = re.compile(
    r"\b(?:tlsv1|tls) (unrecognized name|unsupported extension|bad certificate status response)(?= \(|$)"
)
_SPELLINGS = {"user_cancelled": "user_canceled"}

# X509_verify_cert's result (`verify_code`), and the alert with which OpenSSL answers it.
_BY_VERIFY_CODE = {
    2: Alert.unknown_ca,  # issuer not found
    7: Alert.decrypt_error,  # signature of the certificate
    9: Alert.bad_certificate,  # not yet valid
    10: Alert.certificate_expired,
    18: Alert.unknown_ca,  # self-signed
    19: Alert.unknown_ca,  # self-signed in the chain
    20: Alert.unknown_ca,  # issuer not found locally
    21: Alert.unknown_ca,  # leaf can't be verified
    22: Alert.unknown_ca,  # chain too long
    23: Alert.certificate_revoked,
    24: Alert.unknown_ca,  # invalid authority
    25: Alert.unknown_ca,  # path length
    26: Alert.unsupported_certificate,  # purpose
    62: Alert.bad_certificate,  # host name
    64: Alert.bad_certificate,  # IP address
}

_BY_REASON = {
    "BAD_DIGEST": Alert.decrypt_error,
    "BAD_EXTENSION": Alert.decode_error,
    "BAD_LENGTH": Alert.decode_error,
    "BAD_PACKET": Alert.decode_error,
    "BAD_RECORD_TYPE": Alert.unexpected_message,
    "BAD_SIGNATURE": Alert.decrypt_error,
    "DATA_LENGTH_TOO_LONG": Alert.record_overflow,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": Alert.bad_record_mac,
    "DIGEST_CHECK_FAILED": Alert.decrypt_error,
    "ENCRYPTED_LENGTH_TOO_LONG": Alert.record_overflow,
    "INTERNAL_ERROR": Alert.internal_error,
    "LENGTH_MISMATCH": Alert.decode_error,
    "LENGTH_TOO_SHORT": Alert.decode_error,
    "NO_SHARED_CIPHER": Alert.handshake_failure,
    "NO_SUITABLE_KEY_SHARE": Alert.handshake_failure,
    "PACKET_LENGTH_TOO_LONG": Alert.record_overflow,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Alert.certificate_required,
    "UNEXPECTED_CCS_MESSAGE": Alert.unexpected_message,
    "UNEXPECTED_MESSAGE": Alert.unexpected_message,
    "UNEXPECTED_RECORD": Alert.unexpected_message,
    "UNSUPPORTED_PROTOCOL": Alert.protocol_version,
}

_NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "WRONG_VERSION_NUMBER"})

_MALFORMED = frozenset({Alert.decode_error, Alert.record_overflow})
_INCOMPATIBLE = frozenset(
    {
        Alert.handshake_failure,
        Alert.inappropriate_fallback,
        Alert.insufficient_security,
        Alert.no_application_protocol,
        Alert.protocol_version,
        Alert.unrecognized_name,
    }
)


def plain_alert(alert: Alert, level: int = 2) -> bytes:
    """The record of an alert before anything is encrypted; `level` is 1 (warning) or 2 (fatal)."""
    return bytes((21, 3, 3, 0, 2, level, alert))


def plain_alert_description(record: bytes) -> Alert | None:
    """The fatal alert in an unencrypted record of seven bytes, or None when it is something else."""
    if len(record) == PLAIN_ALERT_SIZE and record[0] == 21 and record[3:6] == b"\x00\x02\x02":
        return _known(record[6])
    return None


def received_plain_alert(record: bytes) -> Failed | None:
    """The failure that an unencrypted alert of the peer means, or None where the record is no known alert."""
    if len(record) != PLAIN_ALERT_SIZE or record[0] != 21 or record[3:5] != b"\x00\x02":
        return None
    alert = _known(record[6])
    return None if alert is None else alert_received(alert)


def alert_received(alert: Alert) -> Failed:
    """The failure that the peer's alert means. A close_notify is one only within the handshake."""
    if alert is Alert.close_notify:
        error = Broken("the peer closed the session before the handshake was complete")
        return Failed(error, alert, sent_by_peer=True)
    kind = PeerIncompatible if alert in _INCOMPATIBLE else PeerMisbehaved
    return Failed(kind(f"the peer ended the session with the alert {alert.name}"), alert, sent_by_peer=True)


def _known(code: int) -> Alert | None:
    try:
        return Alert(code)
    except ValueError:
        return None


def _text(error: ssl.SSLError) -> str:
    return str(error.args[1] if len(error.args) > 1 else error)


def _received(text: str) -> Alert | None:
    found = _RECEIVED.search(text) or _RECEIVED_UNNAMED.search(text)
    if found is None:
        return None
    name = found[1].replace(" ", "_")
    return Alert.__members__.get(_SPELLINGS.get(name, name))


def _failure_for(alert: Alert, why: str) -> Failed:
    """The failure that our own `alert` answers: its blame follows from the alert."""
    kind: type[ProtocolError | Broken]
    if alert in _MALFORMED:
        kind = Malformed
    elif alert in _INCOMPATIBLE:
        kind = PeerIncompatible
    elif alert is Alert.internal_error:
        kind = Broken
    else:
        kind = PeerMisbehaved
    return Failed(kind(why), alert)


def failure(error: ssl.SSLError, *, seen: Alert | None, answered: bool) -> Failed:
    """Judge an error of `ssl`.

    Args:
        error: what was raised while the peer's bytes were processed.
        seen: the alert seen in the clear among the bytes that the call queued, or None.
        answered: whether the call queued any bytes, that is an alert.
    """
    text = _text(error)
    received = _received(text)
    if received is not None:
        return alert_received(received)
    if isinstance(error, ssl.SSLCertVerificationError):
        alert = seen or (_BY_VERIFY_CODE.get(error.verify_code) if answered else None)
        return Failed(PeerMisbehaved(f"the peer's certificate is refused: {error.verify_message}"), alert)
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return Failed(Malformed(f"not a TLS record: {_plain_words(text)}"), seen)
    alert = seen or _BY_REASON.get(reason)
    if alert is None:
        return Failed(PeerMisbehaved(f"TLS failed: {_plain_words(text)}"))
    verdict = _failure_for(alert, f"TLS failed: {_plain_words(text)}")
    return verdict if answered else Failed(verdict.error)


def _plain_words(text: str) -> str:
    """OpenSSL's words without the error's code and the place in C."""
    return re.sub(r"^\[[^\]]*\] ?| \(_ssl\.c:\d+\)$", "", text)
