"""From wolfSSL's error codes to whose fault it is. Which alert passed, its own history says."""

from __future__ import annotations

from mungos.errors import Broken, PeerMisbehaved
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import Failed
from mungos.tls.engines.foreign.verdicts import alert_named, alert_received, alert_sent
from mungos.tls.engines.wolfssl.library import AlertHistory

__all__ = ["WANT_READ", "ZERO_RETURN", "deserved_alert", "failure"]

# Results of wolfSSL_get_error that are no errors.
WANT_READ = 2
ZERO_RETURN = 6

_FATAL = 2

# What the error deserves where the library itself is silent (wolfssl/error-ssl.h: the numbers never move).
_DESERVED = {
    -305: Alert.bad_record_mac,  # VERIFY_MAC_ERROR
    -306: Alert.decode_error,  # PARSE_ERROR
    -307: Alert.unexpected_message,  # UNKNOWN_HANDSHAKE_TYPE
    -310: Alert.missing_extension,  # INCOMPLETE_DATA
    -311: Alert.unexpected_message,  # UNKNOWN_RECORD_TYPE
    -312: Alert.bad_record_mac,  # DECRYPT_ERROR
    -321: Alert.decode_error,  # BAD_HELLO
    -345: Alert.handshake_failure,  # NO_PEER_CERT
    -401: Alert.insufficient_security,  # DH_KEY_SIZE_E
    -409: Alert.insufficient_security,  # RSA_KEY_SIZE_E
    -410: Alert.insufficient_security,  # ECC_KEY_SIZE_E
    -326: Alert.protocol_version,  # VERSION_ERROR
    -328: Alert.decode_error,  # BUFFER_ERROR
    -341: Alert.record_overflow,  # LENGTH_ERROR
    -342: Alert.illegal_parameter,  # PEER_KEY_ERROR
    -350: Alert.illegal_parameter,  # ECC_CURVETYPE_ERROR
    -351: Alert.illegal_parameter,  # ECC_CURVE_ERROR
    -352: Alert.illegal_parameter,  # ECC_PEERKEY_ERROR
    -373: Alert.unexpected_message,  # OUT_OF_ORDER_E
    -393: Alert.unexpected_message,  # NO_CHANGE_CIPHER_E
    -394: Alert.unexpected_message,  # SANITY_MSG_E
    -395: Alert.unexpected_message,  # DUPLICATE_MSG_E
    -404: Alert.decode_error,  # HANDSHAKE_SIZE_ERROR
    -405: Alert.no_application_protocol,  # UNKNOWN_ALPN_PROTOCOL_NAME_E
    -412: Alert.record_overflow,  # INPUT_SIZE_E
    -416: Alert.decode_error,  # DECODE_E
    -421: Alert.illegal_parameter,  # BAD_KEY_SHARE_DATA
    -424: Alert.illegal_parameter,  # EXT_NOT_ALLOWED
    -425: Alert.illegal_parameter,  # INVALID_PARAMETER
    -427: Alert.unexpected_message,  # ALERT_COUNT_E
    -428: Alert.missing_extension,  # EXT_MISSING
    -429: Alert.unsupported_extension,  # UNSUPPORTED_EXTENSION
    -450: Alert.protocol_version,  # UNSUPPORTED_PROTO_VERSION
    -457: Alert.illegal_parameter,  # DUPLICATE_TLS_EXT_E
    -500: Alert.illegal_parameter,  # UNSUPPORTED_SUITE
    -501: Alert.handshake_failure,  # MATCH_SUITE_ERROR
}

# It is not the peer's fault: memory, randomness, our own functions.
_OURS = frozenset({-125, -199, -303, -308, -314, -317, -320, -387, -440})


def deserved_alert(code: int) -> Alert:
    """What the peer is told where the library says nothing and nothing is encrypted yet."""
    return Alert.internal_error if code in _OURS else _DESERVED.get(code, Alert.illegal_parameter)


def failure(code: int, words: str, history: AlertHistory) -> Failed:
    """Judge an error.

    Args:
        code: what wolfSSL_get_error said.
        words: the library's own text for it.
        history: the last alerts.
    """
    if history.received_level > 0:
        received = alert_named(history.received_code)
        if received is not None:
            return alert_received(received)
        error = PeerMisbehaved(f"the peer ended the session with the unknown alert {history.received_code}")
        return Failed(error, sent_by_peer=True)
    why = f"TLS failed: {words} ({code})"
    sent = alert_named(history.sent_code) if history.sent_level == _FATAL else None
    if code in _OURS:
        return Failed(Broken(why), sent)
    if sent is not None:
        return alert_sent(sent, why)
    return Failed(alert_sent(deserved_alert(code), why).error)
