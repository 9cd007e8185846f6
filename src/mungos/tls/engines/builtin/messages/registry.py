"""Numbers of the handshake protocol (RFC 8446 sections 4 and 4.2), and what may stand where."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = [
    "ALLOWED",
    "HELLO_RETRY_RANDOM",
    "TLS12",
    "TLS13",
    "Context",
    "ExtensionType",
    "HandshakeType",
    "extension_name",
    "frame",
]

TLS12 = 0x0303
TLS13 = 0x0304

HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""RFC 8446 section 4.1.3: a ServerHello with this random is a HelloRetryRequest."""


class HandshakeType(IntEnum):
    """RFC 8446 section 4 and RFC 8879 section 7.2; `message_hash` never stands on the wire."""

    client_hello = 1
    server_hello = 2
    new_session_ticket = 4
    end_of_early_data = 5
    encrypted_extensions = 8
    certificate = 11
    certificate_request = 13
    certificate_verify = 15
    finished = 20
    key_update = 24
    compressed_certificate = 25
    message_hash = 254


class ExtensionType(IntEnum):
    """RFC 8446 section 4.2, compress_certificate (RFC 8879 section 3), record_size_limit (RFC 8449 section
    4)."""

    server_name = 0
    max_fragment_length = 1
    status_request = 5
    supported_groups = 10
    signature_algorithms = 13
    use_srtp = 14
    heartbeat = 15
    application_layer_protocol_negotiation = 16
    signed_certificate_timestamp = 18
    client_certificate_type = 19
    server_certificate_type = 20
    padding = 21
    compress_certificate = 27
    record_size_limit = 28
    pre_shared_key = 41
    early_data = 42
    supported_versions = 43
    cookie = 44
    psk_key_exchange_modes = 45
    certificate_authorities = 47
    oid_filters = 48
    post_handshake_auth = 49
    signature_algorithms_cert = 50
    key_share = 51


class Context(Enum):
    """The messages that carry extensions, by the letters of RFC 8446 section 4.2's table."""

    CH = "ClientHello"
    SH = "ServerHello"
    HRR = "HelloRetryRequest"
    EE = "EncryptedExtensions"
    CT = "Certificate"
    CR = "CertificateRequest"
    NST = "NewSessionTicket"

    __hash__ = object.__hash__  # of a singleton, and quick: `ALLOWED` is asked for each extension


def _allowed() -> dict[int, frozenset[Context]]:
    table = {
        "server_name": "CH EE",
        "max_fragment_length": "CH EE",
        "status_request": "CH CR CT",
        "supported_groups": "CH EE",
        "signature_algorithms": "CH CR",
        "use_srtp": "CH EE",
        "heartbeat": "CH EE",
        "application_layer_protocol_negotiation": "CH EE",
        "signed_certificate_timestamp": "CH CR CT",
        "client_certificate_type": "CH EE",
        "server_certificate_type": "CH EE",
        "padding": "CH",
        "compress_certificate": "CH CR",
        "record_size_limit": "CH EE",
        "pre_shared_key": "CH SH",
        "early_data": "CH EE NST",
        "supported_versions": "CH SH HRR",
        "cookie": "CH HRR",
        "psk_key_exchange_modes": "CH",
        "certificate_authorities": "CH CR",
        "oid_filters": "CR",
        "post_handshake_auth": "CH",
        "signature_algorithms_cert": "CH CR",
        "key_share": "CH SH HRR",
    }
    return {
        ExtensionType[name]: frozenset(Context[letters] for letters in contexts.split())
        for name, contexts in table.items()
    }


ALLOWED: dict[int, frozenset[Context]] = _allowed()
"""RFC 8446 section 4.2: in which messages each extension may appear."""


def extension_name(code: int) -> str:
    """For the texts of errors: the name, or the number of one without a name."""
    return ExtensionType(code).name if code in ALLOWED else f"extension {code}"


def frame(kind: HandshakeType, body: bytes) -> bytes:
    """A handshake message: type and length in front of the body (RFC 8446 section 4)."""
    return (kind << 24 | len(body)).to_bytes(4, "big") + body
