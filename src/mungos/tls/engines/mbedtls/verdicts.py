"""From Mbed TLS's error codes to the alert that each deserves, and with it to whose fault it is.

The library does not say which alert it sent; but of most errors it sends this one, and where it sends none,
the session does.
"""

from __future__ import annotations

from mungos.tls.alerts import AlertDescription as Alert

__all__ = ["FATAL_ALERT", "NEW_TICKET", "PEER_CLOSE_NOTIFY", "WANT_READ", "deserved_alert"]

WANT_READ = -0x6900
PEER_CLOSE_NOTIFY = -0x7880
FATAL_ALERT = -0x7780
NEW_TICKET = -0x7B00  # version 3 only

# mbedtls/ssl.h. What both versions have:
_COMMON = {
    -0x7080: Alert.handshake_failure,  # FEATURE_UNAVAILABLE
    -0x7100: Alert.internal_error,  # BAD_INPUT_DATA
    -0x7180: Alert.bad_record_mac,  # INVALID_MAC
    -0x7200: Alert.decode_error,  # INVALID_RECORD
    -0x7400: Alert.internal_error,  # NO_RNG
    -0x7600: Alert.internal_error,  # PRIVATE_KEY_REQUIRED
    -0x7680: Alert.internal_error,  # CA_CHAIN_REQUIRED
    -0x7700: Alert.unexpected_message,  # UNEXPECTED_MESSAGE
    -0x7A00: Alert.bad_certificate,  # BAD_CERTIFICATE
    -0x7F00: Alert.internal_error,  # ALLOC_FAILED
    -0x6E80: Alert.protocol_version,  # BAD_PROTOCOL_VERSION
    -0x6D00: Alert.unsupported_certificate,  # PK_TYPE_MISMATCH
    -0x6C00: Alert.internal_error,  # INTERNAL_ERROR
    -0x6B80: Alert.internal_error,  # COUNTER_WRAPPING
    -0x6A00: Alert.internal_error,  # BUFFER_TOO_SMALL
    -0x6700: Alert.unexpected_message,  # UNEXPECTED_RECORD
    -0x6600: Alert.illegal_parameter,  # ILLEGAL_PARAMETER, INVALID_VERIFY_HASH
    -0x5E80: Alert.internal_error,  # BAD_CONFIG
    -0x2700: Alert.bad_certificate,  # X509_CERT_VERIFY_FAILED
    -0x003C: Alert.internal_error,  # ENTROPY_SOURCE_FAILED
}

_VERSION_2 = {
    -0x7300: Alert.illegal_parameter,  # UNKNOWN_CIPHER
    -0x7380: Alert.handshake_failure,  # NO_CIPHER_CHOSEN
    -0x7480: Alert.handshake_failure,  # NO_CLIENT_CERTIFICATE
    -0x7900: Alert.decode_error,  # BAD_HS_CLIENT_HELLO
    -0x7980: Alert.illegal_parameter,  # BAD_HS_SERVER_HELLO
    -0x7A80: Alert.decode_error,  # BAD_HS_CERTIFICATE_REQUEST
    -0x7B00: Alert.decode_error,  # BAD_HS_SERVER_KEY_EXCHANGE
    -0x7B80: Alert.decode_error,  # BAD_HS_SERVER_HELLO_DONE
    -0x7C00: Alert.decode_error,  # BAD_HS_CLIENT_KEY_EXCHANGE
    -0x7C80: Alert.illegal_parameter,  # BAD_HS_CLIENT_KEY_EXCHANGE_RP
    -0x7D00: Alert.illegal_parameter,  # BAD_HS_CLIENT_KEY_EXCHANGE_CS
    -0x7D80: Alert.decrypt_error,  # BAD_HS_CERTIFICATE_VERIFY
    -0x7E00: Alert.unexpected_message,  # BAD_HS_CHANGE_CIPHER_SPEC
    -0x7E80: Alert.decrypt_error,  # BAD_HS_FINISHED
    -0x6E00: Alert.decode_error,  # BAD_HS_NEW_SESSION_TICKET
    -0x6980: Alert.handshake_failure,  # NO_USABLE_CIPHERSUITE
}

_VERSION_3 = {
    -0x7300: Alert.decode_error,  # DECODE_ERROR
    -0x7480: Alert.certificate_required,  # NO_CLIENT_CERTIFICATE
    -0x7500: Alert.unsupported_extension,  # UNSUPPORTED_EXTENSION
    -0x7580: Alert.no_application_protocol,  # NO_APPLICATION_PROTOCOL
    -0x7800: Alert.unrecognized_name,  # UNRECOGNIZED_NAME
    -0x6E00: Alert.handshake_failure,  # HANDSHAKE_FAILURE
}


def deserved_alert(code: int, *, third: bool) -> Alert:
    """What an error deserves; `third` for version 3 of the library. A sum of two codes is one of the lower
    modules, and of TLS only where the table has it."""
    table = _VERSION_3 if third else _VERSION_2
    return table.get(code) or _COMMON.get(code) or Alert.illegal_parameter
