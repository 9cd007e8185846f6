"""From what `ssl` raises to whose fault it is, and which alert passed.

The standard library shows no alert codes. A received alert is known by its name in the error's text; a sent
one by the seven bytes of its record while nothing is encrypted yet, else by what OpenSSL sends for the reason
that it gives. Where neither tells, the alert is None.
"""

from __future__ import annotations

import re
import ssl

from mungos.errors import Malformed, PeerMisbehaved
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import Failed
from mungos.tls.engines.foreign.verdicts import alert_received, alert_sent

__all__ = ["failure"]

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
    "MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA": Alert.unexpected_message,
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


def _text(error: ssl.SSLError) -> str:
    return str(error.args[1] if len(error.args) > 1 else error)


def _received(text: str) -> Alert | None:
    found = _RECEIVED.search(text) or _RECEIVED_UNNAMED.search(text)
    if found is None:
        return None
    name = found[1].replace(" ", "_")
    return Alert.__members__.get(_SPELLINGS.get(name, name))


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
    verdict = alert_sent(alert, f"TLS failed: {_plain_words(text)}")
    return verdict if answered else Failed(verdict.error)


def _plain_words(text: str) -> str:
    """OpenSSL's words without the error's code and the place in C."""
    return re.sub(r"^\[[^\]]*\] ?| \(_ssl\.c:\d+\)$", "", text)
