"""What outlives a session so that the next one is cheaper: a server's ticket keys, a client's tickets.

Both are objects of a configuration, shared by all of its sessions (RFC 8446 sections 2.2 and 4.6.1).
Neither knows a clock or a random source: the engine hands in both. One thread uses them at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mungos import checking

__all__ = ["MAX_TICKET_LIFETIME", "ClientSession", "SessionCache", "TicketKey", "TicketKeys"]

MAX_TICKET_LIFETIME = 604_800
"""Seconds. RFC 8446 section 4.6.1: a ticket lives seven days at the longest."""

_MAX_ROTATION = 366 * 24 * 3600
TICKET_KEY_NAME_LENGTH = 16
TICKET_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key under which a server seals what it must remember.

    Attributes:
        name: 16 random bytes that stand in front of each ticket.
        key: 32 bytes.
        created: seconds of civil time.
    """

    name: bytes
    key: bytes = field(repr=False)
    created: float


class TicketKeys:
    """A server's rotating keys: the newest seals, older ones open until every ticket under them is stale.

    Args:
        lifetime: seconds for which a ticket may be used, at most seven days. At it: a full handshake.
        rotation: seconds for which a key seals new tickets. At it: a new key takes over; the old one opens
            its tickets until the last is stale.
        count: tickets sent after each handshake. At it: no more are sent.

    Raises Misuse for a value of another kind or out of range.
    """

    __slots__ = ("_keys", "count", "lifetime", "rotation")

    def __init__(self, *, lifetime: int = 7200, rotation: float = 3600.0, count: int = 2) -> None:
        checking.count("lifetime", lifetime, 1, MAX_TICKET_LIFETIME)
        checking.seconds("rotation", rotation, most=_MAX_ROTATION)
        checking.count("count", count, 0, 16)
        self.lifetime = lifetime
        self.rotation = rotation
        self.count = count
        self._keys: list[TicketKey] = []

    def __repr__(self) -> str:
        return f"TicketKeys(lifetime={self.lifetime}, rotation={self.rotation:g}, {len(self._keys)} keys)"

    def sealing(self, wall: float, random: Callable[[int], bytes]) -> TicketKey:
        """The key for new tickets; makes one when there is none, or the newest is older than `rotation`."""
        self._forget(wall)
        if not self._keys or not 0 <= wall - self._keys[0].created < self.rotation:
            self._keys.insert(0, TicketKey(random(TICKET_KEY_NAME_LENGTH), random(TICKET_KEY_LENGTH), wall))
        return self._keys[0]

    def opening(self, name: bytes, wall: float) -> TicketKey | None:
        """The key that bears this name, or None when it is unknown or too old."""
        self._forget(wall)
        for key in self._keys:
            if key.name == name:
                return key
        return None

    def _forget(self, wall: float) -> None:
        oldest = wall - self.rotation - self.lifetime
        while self._keys and self._keys[-1].created < oldest:
            self._keys.pop()


@dataclass(frozen=True, slots=True)
class ClientSession:
    """What a client keeps of one ticket.

    Attributes:
        ticket: the server's opaque bytes.
        secret: the pre-shared key.
        suite: the cipher suite of the session that the ticket came from.
        server_name: the name that session was verified for, or None.
        trust: names the way in which the peer was verified; it must be the same for the session that resumes.
        age_add: what is added to the ticket's age on the wire (RFC 8446 section 4.2.11.1).
        obtained: civil time in seconds.
        expires: civil time in seconds after which it is not used.
        alpn: the protocol of that session, or None.
        peer_chain: the certificates that were verified, DER, leaf first.
        max_early_data: bytes of 0-RTT data that the server takes with the ticket.
        psk_identity: of the external pre-shared key by which the peer was known, or None.
    """

    ticket: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    suite: str
    server_name: str | None
    trust: bytes = field(repr=False)
    age_add: int = field(repr=False)
    obtained: float
    expires: float
    alpn: str | None = None
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    max_early_data: int = 0
    psk_identity: bytes | None = None


class SessionCache:
    """A client's tickets, by the server's name. Each ticket is handed out once (RFC 8446 appendix C.4).

    Args:
        servers: names that are remembered. At it: the one not used for longest goes first.
        tickets: tickets that are kept for each. At it: the oldest goes first.
        ticket_bytes: bytes of a ticket that is kept. At it: a larger one is not kept.

    Raises Misuse for a value of another kind or out of range.
    """

    __slots__ = ("_sessions", "servers", "ticket_bytes", "tickets")

    def __init__(self, *, servers: int = 256, tickets: int = 4, ticket_bytes: int = 16_384) -> None:
        checking.count("servers", servers, 1)
        checking.count("tickets", tickets, 1)
        checking.count("ticket_bytes", ticket_bytes, 1)
        self.servers = servers
        self.tickets = tickets
        self.ticket_bytes = ticket_bytes
        self._sessions: OrderedDict[tuple[str, bytes], list[ClientSession]] = OrderedDict()

    def __repr__(self) -> str:
        return f"SessionCache({len(self._sessions)} of {self.servers} servers)"

    def __len__(self) -> int:
        return sum(len(sessions) for sessions in self._sessions.values())

    def put(self, session: ClientSession) -> bool:
        """Keep a session. Returns whether it was kept: not when it has no server name, or is too large."""
        if session.server_name is None or len(session.ticket) > self.ticket_bytes:
            return False
        key = (session.server_name, session.trust)
        sessions = self._sessions.setdefault(key, [])
        sessions.append(session)
        del sessions[: -self.tickets]
        self._sessions.move_to_end(key)
        while len(self._sessions) > self.servers:
            self._sessions.popitem(last=False)
        return True

    def take(self, server_name: str, trust: bytes, wall: float) -> ClientSession | None:
        """The newest session that is still good, struck out of the cache; None when there is none."""
        sessions = self._sessions.get((server_name, trust))
        while sessions:
            session = sessions.pop()
            if not sessions:
                del self._sessions[server_name, trust]
            if session.obtained <= wall < session.expires:
                return session
        return None

    def forget(self, server_name: str) -> None:
        """Drop every session of that name (after a fatal alert, for one)."""
        for key in [key for key in self._sessions if key[0] == server_name]:
            del self._sessions[key]
