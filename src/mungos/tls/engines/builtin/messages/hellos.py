"""ClientHello, ServerHello and HelloRetryRequest, EncryptedExtensions (RFC 8446 sections 4.1 and 4.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from mungos.tls.engines.builtin.codec import Reader
from mungos.tls.engines.builtin.faults import IllegalParameter
from mungos.tls.engines.builtin.messages.extensions import Extensions, packed_extensions, parse_extensions
from mungos.tls.engines.builtin.messages.registry import (
    HELLO_RETRY_RANDOM,
    TLS12,
    Context,
    ExtensionType,
    HandshakeType,
    frame,
)

__all__ = ["ClientHello", "EncryptedExtensions", "ServerHello"]

_HEAD = Struct("!H32s")  # legacy_version, random


@dataclass(slots=True)
class ClientHello:
    """RFC 8446 section 4.1.2.

    Attributes:
        packed: how many of the extensions, from the first on, are packed already, and as what.
    """

    random: bytes
    session_id: bytes
    suites: list[int]
    extensions: Extensions = field(default_factory=dict)
    legacy_version: int = TLS12
    compressions: bytes = b"\0"
    packed: tuple[int, bytes] = (0, b"")

    def pack(self) -> bytes:
        """The message with its header."""
        suites = b"".join([suite.to_bytes(2, "big") for suite in self.suites])
        body = (
            self.legacy_version.to_bytes(2, "big"),
            self.random,
            len(self.session_id).to_bytes(1, "big"),
            self.session_id,
            len(suites).to_bytes(2, "big"),
            suites,
            len(self.compressions).to_bytes(1, "big"),
            self.compressions,
            packed_extensions(self.extensions, *self.packed),
        )
        return frame(HandshakeType.client_hello, b"".join(body))

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        """From the body of the message. A hello of an older version may have no extensions."""
        reader = Reader(body, "ClientHello")
        legacy_version, random = _HEAD.unpack(reader.opaque(34, "legacy_version and random"))
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
        body = (
            self.legacy_version.to_bytes(2, "big"),
            self.random,
            len(self.session_id).to_bytes(1, "big"),
            self.session_id,
            self.suite.to_bytes(2, "big"),
            self.compression.to_bytes(1, "big"),
            packed_extensions(self.extensions),
        )
        return frame(HandshakeType.server_hello, b"".join(body))

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """From the body of the message. One of an older version may have no extensions."""
        reader = Reader(body, "ServerHello")
        legacy_version, random = _HEAD.unpack(reader.opaque(34, "legacy_version and random"))
        session_id = reader.vector(1, "legacy_session_id_echo", 0, 32)
        chosen = reader.uint(3, "cipher_suite and legacy_compression_method")
        suite, compression = chosen >> 8, chosen & 0xFF
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
        return frame(HandshakeType.encrypted_extensions, packed_extensions(self.extensions))

    @classmethod
    def parse(cls, body: bytes) -> EncryptedExtensions:
        """From the body of the message."""
        reader = Reader(body, "EncryptedExtensions")
        extensions = parse_extensions(reader, Context.EE)
        reader.close()
        return cls(extensions)
