"""What a server puts into a session ticket, and how it is sealed (RFC 8446 section 4.6.1).

A ticket is the key's name, a nonce, and the state under AES-256-GCM (ChaCha20-Poly1305 where that is
missing): the server itself remembers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mungos.crypto.contract import AEAD, BadTag, Provider, Random
from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.sessions import TicketKeys

__all__ = ["TicketState", "open_ticket", "seal_ticket"]

_FORMAT = 1
_NAME_LENGTH = 16
_NONCE_LENGTH = 12


@dataclass(slots=True)
class TicketState:
    """What must be remembered of a session.

    Attributes:
        suite: the cipher suite's number.
        psk: the pre-shared key.
        issued: civil time in seconds.
        client_chain: the client's certificates, DER, leaf first; empty when it showed none.
    """

    suite: int
    psk: bytes = field(repr=False)
    issued: int
    client_chain: tuple[bytes, ...] = ()

    def pack(self) -> bytes:
        """As bytes."""
        writer = Writer()
        writer.uint(1, _FORMAT)
        writer.uint(2, self.suite)
        writer.vector(1, self.psk)
        writer.uint(8, self.issued)
        chain = Writer()
        for certificate in self.client_chain:
            chain.vector(3, certificate)
        writer.vector(3, chain.getvalue())
        return writer.getvalue()

    @classmethod
    def parse(cls, data: bytes) -> TicketState:
        """Back from bytes. Raises DecodeError: another version of this program may have sealed it."""
        reader = Reader(data, "ticket")
        if reader.uint(1, "format") != _FORMAT:
            raise DecodeError("a ticket of another format")
        suite = reader.uint(2, "suite")
        psk = reader.vector(1, "psk", 32)
        issued = reader.uint(8, "issued")
        block = reader.block(3, "client_chain")
        chain: list[bytes] = []
        while block.left:
            chain.append(block.vector(3, "certificate", 1))
        reader.close()
        return cls(suite, psk, issued, tuple(chain))


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
    if not 0 <= wall - state.issued <= keys.lifetime:
        return None
    return state
