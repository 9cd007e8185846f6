"""NewSessionTicket, KeyUpdate, EndOfEarlyData (RFC 8446 sections 4.6 and 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import IllegalParameter
from mungos.tls.engines.builtin.messages.extensions import Extensions, pack_extensions, parse_extensions
from mungos.tls.engines.builtin.messages.registry import Context, HandshakeType, frame

__all__ = ["EndOfEarlyData", "KeyUpdate", "NewSessionTicket"]


@dataclass(slots=True)
class NewSessionTicket:
    """RFC 8446 section 4.6.1; `lifetime` in seconds."""

    lifetime: int
    age_add: int
    nonce: bytes
    ticket: bytes
    extensions: Extensions = field(default_factory=dict)

    def pack(self) -> bytes:
        """The message with its header."""
        writer = Writer()
        writer.uint(4, self.lifetime)
        writer.uint(4, self.age_add)
        writer.vector(1, self.nonce)
        writer.vector(2, self.ticket)
        pack_extensions(writer, self.extensions)
        return frame(HandshakeType.new_session_ticket, writer.getvalue())

    @classmethod
    def parse(cls, body: bytes) -> NewSessionTicket:
        """From the body of the message."""
        reader = Reader(body, "NewSessionTicket")
        lifetime = reader.uint(4, "ticket_lifetime")
        age_add = reader.uint(4, "ticket_age_add")
        nonce = reader.vector(1, "ticket_nonce")
        ticket = reader.vector(2, "ticket", 1)
        extensions = parse_extensions(reader, Context.NST)
        reader.close()
        return cls(lifetime, age_add, nonce, ticket, extensions)


@dataclass(slots=True)
class KeyUpdate:
    """RFC 8446 section 4.6.3."""

    requested: bool

    def pack(self) -> bytes:
        """The message with its header."""
        return frame(HandshakeType.key_update, b"\1" if self.requested else b"\0")

    @classmethod
    def parse(cls, body: bytes) -> KeyUpdate:
        """From the body of the message."""
        reader = Reader(body, "KeyUpdate")
        value = reader.uint(1, "request_update")
        reader.close()
        # Section 4.6.3: "any other value": illegal_parameter.
        if value > 1:
            raise IllegalParameter(f"KeyUpdate: request_update is {value}, must be 0 or 1")
        return cls(value == 1)


@dataclass(slots=True)
class EndOfEarlyData:
    """RFC 8446 section 4.5: it has no content."""

    def pack(self) -> bytes:
        """The message with its header."""
        return frame(HandshakeType.end_of_early_data, b"")

    @classmethod
    def parse(cls, body: bytes) -> EndOfEarlyData:
        """From the body of the message."""
        Reader(body, "EndOfEarlyData").close()
        return cls()
