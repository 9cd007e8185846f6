"""What may come after the handshake: tickets and key updates (RFC 8446 section 4.6), as one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mungos.tls.engines.builtin.faults import UnexpectedMessage
from mungos.tls.engines.builtin.handshake import Outcome
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.messages import HandshakeType, NewSessionTicket
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.sessions import MAX_TICKET_LIFETIME, ClientSession, SessionCache

__all__ = ["ALLOWED_AFTER", "After", "TicketKeeper", "check_allowed"]


class After(Enum):
    """Who we are once the handshake is through."""

    CLIENT = "client"
    SERVER = "server"


ALLOWED_AFTER: dict[After, frozenset[int]] = {
    After.CLIENT: frozenset({HandshakeType.new_session_ticket, HandshakeType.key_update}),
    After.SERVER: frozenset({HandshakeType.key_update}),
}
"""Sections 4.6.1 to 4.6.3. No CertificateRequest may come: post_handshake_auth is never offered (4.6.2)."""


def check_allowed(role: After, kind: int) -> None:
    """Raise UnexpectedMessage for what must not come to this role."""
    if kind not in ALLOWED_AFTER[role]:
        raise UnexpectedMessage(f"handshake message of type {kind} to a {role.value} after the handshake")


@dataclass(slots=True)
class TicketKeeper:
    """What a client needs to keep the tickets of its session."""

    prepared: PreparedClient
    sessions: SessionCache
    server_name: str
    kdf: Kdf
    suite: str
    alpn: str | None
    peer_chain: tuple[bytes, ...]
    psk_identity: bytes | None
    resumption: bytes = field(repr=False)

    @classmethod
    def of(cls, prepared: PreparedClient, server_name: str | None, outcome: Outcome) -> TicketKeeper | None:
        """None where tickets would go nowhere."""
        if prepared.sessions is None or server_name is None or outcome.resumption is None:
            return None
        negotiated = outcome.negotiated
        return cls(
            prepared,
            prepared.sessions,
            server_name,
            outcome.kdf,
            outcome.suite.name,
            negotiated.alpn,
            negotiated.peer_chain,
            negotiated.psk_identity,
            outcome.resumption,
        )

    def keep(self, ticket: NewSessionTicket, max_early_data: int) -> None:
        """Put the ticket into the cache (section 4.6.1). `max_early_data`: bytes, by its extension."""
        # Section 4.6.1: a lifetime of zero: discard at once.
        if ticket.lifetime == 0:
            return
        wall = self.prepared.wall()
        # Section 4.6.1: "Clients MUST NOT cache tickets for longer than 7 days".
        lifetime = min(ticket.lifetime, MAX_TICKET_LIFETIME)
        self.sessions.put(
            ClientSession(
                ticket=ticket.ticket,
                secret=self.kdf.resumption_psk(self.resumption, ticket.nonce),
                suite=self.suite,
                server_name=self.server_name,
                trust=self.prepared.trust,
                age_add=ticket.age_add,
                obtained=wall,
                expires=wall + lifetime,
                alpn=self.alpn,
                peer_chain=self.peer_chain,
                max_early_data=max_early_data,
                psk_identity=self.psk_identity,
            )
        )

    def forget(self) -> None:
        """The session failed: what it left is not used again (section 6.2)."""
        self.sessions.forget(self.server_name)
