"""The handshake messages of TLS 1.3, parsed and packed in pairs."""

from __future__ import annotations

from mungos.tls.engines.builtin.messages.authentication import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    Finished,
)
from mungos.tls.engines.builtin.messages.hellos import ClientHello, EncryptedExtensions, ServerHello
from mungos.tls.engines.builtin.messages.post_handshake import EndOfEarlyData, KeyUpdate, NewSessionTicket
from mungos.tls.engines.builtin.messages.registry import Context, ExtensionType, HandshakeType

__all__ = [
    "Certificate",
    "CertificateEntry",
    "CertificateRequest",
    "CertificateVerify",
    "ClientHello",
    "Context",
    "EncryptedExtensions",
    "EndOfEarlyData",
    "ExtensionType",
    "Finished",
    "HandshakeType",
    "KeyUpdate",
    "NewSessionTicket",
    "ServerHello",
]
