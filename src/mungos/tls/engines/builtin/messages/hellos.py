"""ClientHello, ServerHello and HelloRetryRequest, EncryptedExtensions (RFC 8446 sections 4.1 and 4.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import IllegalParameter
from mungos.tls.engines.builtin.messages.extensions import Extensions, pack_extensions, parse_extensions
from mungos.tls.engines.builtin.messages.registry import (
    HELLO_RETRY_RANDOM,
    TLS12,
    Context,
    ExtensionType,
    HandshakeType,
    frame,
)

__all__ = ["ClientHello", "EncryptedExtensions", "ServerHello"]


@dataclass(slots=True)
class ClientHello:
    """RFC 8446 section 4.1.2."""

    random: bytes
    session_id: bytes
    suites: list[int]
    extensions: Extensions = field(default_factory=dict)
    legacy_version: int = TLS12
    compressions: bytes = b"\0"

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        writer.uint(2, self.legacy_version)
        writer.opaque(self.random)
        writer.vector(1, self.session_id)
        writer.uints(2, 2, self.suites)
        writer.vector(1, self.compressions)
        pack_extensions(writer, self.extensions)
        return frame(HandshakeType.client_hello, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        """From the body of the message. A hello of an older version may have no extensions."""
        reader = Reader(body, "ClientHello")
        legacy_version = reader.uint(2, "legacy_version")
        random = reader.opaque(32, "random")
        session_id = reader.vector(1, "legacy_session_id", 0, 32)
        suites = reader.uints(2, 2, "cipher_suites")
        compressions = reader.vector(1, "legacy_compression_methods", 1)
        extensions = parse_extensions(reader, Context.CH) if reader.left else {}
        reader.close()
        # Section 4.2.11: "The "pre_shared_key" extension MUST be the last extension in the ClientHello".
        if ExtensionType.pre_shared_key in extensions:
            if next(reversed(extensions)) != ExtensionType.pre_shared_key:
                raise IllegalParameter("ClientHello: pre_shared_key is not the last extension")
        return cls(random, session_id, suites, extensions, legacy_version, compressions)


@dataclass(slots=True)
class ServerHello:
    """RFC 8446 sections 4.1.3 and 4.1.4."""

    random: bytes
    session_id: bytes
    suite: int
    extensions: Extensions = field(default_factory=dict)
    legacy_version: int = TLS12
    compression: int = 0

    @property
    def is_retry(self) -> bool:
        """Whether it is a HelloRetryRequest."""
        return self.random == HELLO_RETRY_RANDOM

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        writer.uint(2, self.legacy_version)
        writer.opaque(self.random)
        writer.vector(1, self.session_id)
        writer.uint(2, self.suite)
        writer.uint(1, self.compression)
        pack_extensions(writer, self.extensions)
        return frame(HandshakeType.server_hello, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """From the body of the message. One of an older version may have no extensions."""
        reader = Reader(body, "ServerHello")
        legacy_version = reader.uint(2, "legacy_version")
        random = reader.opaque(32, "random")
        session_id = reader.vector(1, "legacy_session_id_echo", 0, 32)
        suite = reader.uint(2, "cipher_suite")
        compression = reader.uint(1, "legacy_compression_method")
        extensions: Extensions = {}
        if reader.left:
            context = Context.HRR if random == HELLO_RETRY_RANDOM else Context.SH
            extensions = parse_extensions(reader, context)
        reader.close()
        return cls(random, session_id, suite, extensions, legacy_version, compression)


@dataclass(slots=True)
class EncryptedExtensions:
    """RFC 8446 section 4.3.1."""

    extensions: Extensions = field(default_factory=dict)

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        pack_extensions(writer, self.extensions)
        return frame(HandshakeType.encrypted_extensions, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> EncryptedExtensions:
        """From the body of the message."""
        reader = Reader(body, "EncryptedExtensions")
        extensions = parse_extensions(reader, Context.EE)
        reader.close()
        return cls(extensions)
