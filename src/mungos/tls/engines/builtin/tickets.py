"""What a server puts into a session ticket, and how it is sealed (RFC 8446 section 4.6.1).

A ticket is the key's name, a nonce, and the state under AES-256-GCM (ChaCha20-Poly1305 where that is
missing): the server itself remembers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from mungos.crypto.contract import AEAD, BadTag, Provider, Random
from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.sessions import TicketKeys

__all__ = ["TicketState", "open_ticket", "seal_ticket"]

_FORMAT = 2
_NAME_LENGTH = 16
_NONCE_LENGTH = 12
_HEAD = Struct("!BHQII")  # format, suite, milliseconds of `issued`, `age_add`, `max_early_data`


@dataclass(slots=True)
class TicketState:
    """What must be remembered of a session.

    Attributes:
        suite: the cipher suite's number.
        psk: the pre-shared key.
        issued: civil time in seconds.
        client_chain: the client's certificates, DER, leaf first; empty when it showed none.
        psk_identity: of the external key by which the client was known, or None.
        age_add: what the client adds to the ticket's age (section 4.6.1).
        max_early_data: bytes of 0-RTT data that may come with the ticket.
        alpn, server_name: the session's, or None.
    """

    suite: int
    psk: bytes = field(repr=False)
    issued: float
    client_chain: tuple[bytes, ...] = ()
    psk_identity: bytes | None = None
    age_add: int = 0
    max_early_data: int = 0
    alpn: str | None = None
    server_name: str | None = None

    def pack(self) -> bytes:
        """As bytes."""
        writer = Writer()
        head = _HEAD.pack(_FORMAT, self.suite, int(self.issued * 1000), self.age_add, self.max_early_data)
        writer.opaque(head)
        writer.vector(1, self.psk)
        # None of these is empty where it is there.
        writer.vector(1, (self.alpn or "").encode("ascii"))
        writer.vector(1, (self.server_name or "").encode("ascii"))
        writer.vector(2, self.psk_identity or b"")
        for certificate in self.client_chain:
            writer.vector(3, certificate)
        return writer.getvalue()

    @classmethod
    def parse(cls, data: bytes) -> TicketState:
        """Back from bytes. Raises DecodeError: another version of this program may have sealed it."""
        reader = Reader(data, "ticket")
        kind, suite, issued, age_add, max_early_data = _HEAD.unpack(reader.opaque(_HEAD.size, "head"))
        if kind != _FORMAT:
            raise DecodeError("a ticket of another format")
        psk = reader.vector(1, "psk", 32)
        alpn = reader.vector(1, "alpn").decode("ascii")
        server_name = reader.vector(1, "server_name").decode("ascii")
        psk_identity = reader.vector(2, "psk_identity")
        chain: list[bytes] = []
        while reader.left:
            chain.append(reader.vector(3, "certificate", 1))
        return cls(
            suite,
            psk,
            issued / 1000,
            tuple(chain),
            psk_identity or None,
            age_add,
            max_early_data,
            alpn or None,
            server_name or None,
        )


def _aead(provider: Provider, key: bytes) -> AEAD:
    name = "AES-256-GCM" if provider.supports("AES-256-GCM") else "CHACHA20-POLY1305"
    return provider.aead(name, key)


def seal_ticket(
    state: TicketState, keys: TicketKeys, provider: Provider, random: Random, wall: float
) -> bytes:
    """The ticket for `state`, under the newest key."""
    key = keys.sealing(wall, random)
    nonce = random(_NONCE_LENGTH)
    return key.name + nonce + _aead(provider, key.key).encrypt(nonce, state.pack(), key.name)


def open_ticket(ticket: bytes, keys: TicketKeys, provider: Provider, wall: float) -> TicketState | None:
    """What a ticket holds, or None when it is not ours, was changed, or is too old: the handshake then simply
    goes on without it (section 4.2.11)."""
    name = ticket[:_NAME_LENGTH]
    nonce = ticket[_NAME_LENGTH : _NAME_LENGTH + _NONCE_LENGTH]
    key = keys.opening(name, wall)
    if key is None or len(nonce) != _NONCE_LENGTH:
        return None
    try:
        opened = _aead(provider, key.key).decrypt(nonce, ticket[_NAME_LENGTH + _NONCE_LENGTH :], name)
        state = TicketState.parse(opened)
    except (BadTag, DecodeError):
        return None
    # `issued` was rounded to milliseconds.
    if not -0.001 <= wall - state.issued <= keys.lifetime:
        return None
    return state
