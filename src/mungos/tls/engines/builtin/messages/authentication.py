"""CertificateRequest, Certificate, CertificateVerify, Finished (RFC 8446 sections 4.3.2 and 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.engines.builtin.messages.extensions import Extensions, pack_extensions, parse_extensions
from mungos.tls.engines.builtin.messages.registry import Context, HandshakeType, frame
from mungos.x509.errors import PathTooHard

__all__ = [
    "MAX_CERTIFICATES",
    "Certificate",
    "CertificateEntry",
    "CertificateRequest",
    "CertificateVerify",
    "Finished",
]

MAX_CERTIFICATES = 64
"""Certificates in one message, also where nobody verifies them."""


@dataclass(slots=True)
class CertificateRequest:
    """RFC 8446 section 4.3.2."""

    context: bytes
    extensions: Extensions = field(default_factory=dict)

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        writer.vector(1, self.context)
        pack_extensions(writer, self.extensions)
        return frame(HandshakeType.certificate_request, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> CertificateRequest:
        """From the body of the message."""
        reader = Reader(body, "CertificateRequest")
        context = reader.vector(1, "certificate_request_context")
        extensions = parse_extensions(reader, Context.CR)
        reader.close()
        return cls(context, extensions)


@dataclass(slots=True)
class CertificateEntry:
    """One certificate, DER, and what was said about it."""

    certificate: bytes
    extensions: Extensions = field(default_factory=dict)


@dataclass(slots=True)
class Certificate:
    """RFC 8446 section 4.4.2."""

    context: bytes
    entries: list[CertificateEntry] = field(default_factory=list)

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        writer.vector(1, self.context)
        entries = Writer()
        for entry in self.entries:
            entries.vector(3, entry.certificate)
            pack_extensions(entries, entry.extensions)
        writer.vector(3, entries.getvalue())
        return frame(HandshakeType.certificate, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> Certificate:
        """From the body of the message."""
        reader = Reader(body, "Certificate")
        context = reader.vector(1, "certificate_request_context")
        block = reader.block(3, "certificate_list")
        entries: list[CertificateEntry] = []
        while block.left:
            if len(entries) == MAX_CERTIFICATES:
                raise PathTooHard(f"over {MAX_CERTIFICATES} certificates in one message")
            certificate = block.vector(3, "cert_data", 1)
            entries.append(CertificateEntry(certificate, parse_extensions(block, Context.CT)))
        reader.close()
        return cls(context, entries)


@dataclass(slots=True)
class CertificateVerify:
    """RFC 8446 section 4.4.3."""

    scheme: int
    signature: bytes

    def pack(self) -> bytes:
        """The message with its header."""
        body = (self.scheme.to_bytes(2, "big"), len(self.signature).to_bytes(2, "big"), self.signature)
        return frame(HandshakeType.certificate_verify, b"".join(body))

    @classmethod
    def parse(cls, body: bytes) -> CertificateVerify:
        """From the body of the message."""
        reader = Reader(body, "CertificateVerify")
        scheme = reader.uint(2, "algorithm")
        signature = reader.vector(2, "signature")
        reader.close()
        return cls(scheme, signature)


@dataclass(slots=True)
class Finished:
    """RFC 8446 section 4.4.4."""

    verify_data: bytes

    def pack(self) -> bytes:
        """The message with its header."""
        return frame(HandshakeType.finished, self.verify_data)

    @classmethod
    def parse(cls, body: bytes, length: int) -> Finished:
        """From the body of the message; `length` of the hash in bytes."""
        if len(body) != length:
            raise DecodeError(f"Finished: {len(body)} bytes, must be {length} bytes")
        return cls(body)
