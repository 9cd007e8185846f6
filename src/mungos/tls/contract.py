"""What a connection asks of a TLS engine: ciphertext in, plaintext out, and back. Sans-I/O.

Nothing raises for a peer's fault: the alert is queued, then `Failed` is handed out, once. An engine owns
no socket and no clock; `now` is seconds on the caller's monotonic clock, and `wall` (for the dates in
certificates) is the caller's idea of civil time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal
from typing import Protocol as Contract

from mungos.errors import Broken, ProtocolError, TimedOut
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.config import ClientConfig, ServerConfig

__all__ = [
    "Availability",
    "Data",
    "EarlyData",
    "Engine",
    "EngineFactory",
    "Established",
    "Event",
    "Failed",
    "Negotiated",
    "PeerClosed",
    "ReadSide",
    "WriteSide",
]


class ReadSide(Enum):
    """How far the peer's direction has come (RFC 8446 section 6.1)."""

    OPEN = "open"
    ENDED = "ended"  # close_notify received
    TRUNCATED = "truncated"  # end of stream without close_notify
    FAILED = "failed"


class WriteSide(Enum):
    """How far our direction has come."""

    OPEN = "open"
    FLUSHING = "flushing"  # close_notify queued, not all handed out by take()
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What the handshake agreed on; None or empty where the engine can't tell.

    Attributes:
        version: "TLSv1.3", "TLSv1.2".
        suite: the IANA name of the cipher suite.
        group: the key exchange group's name ("x25519", "secp256r1", ...).
        scheme: the signature scheme with which the server proved its key.
        alpn: the protocol chosen (RFC 7301), or None.
        server_name: the name sent by the client (RFC 6066 section 3), or None.
        resumed: whether a session ticket was used.
        peer_chain: the peer's certificates, DER, leaf first; empty when it showed none.
        psk_identity: of the external pre-shared key by which the peer is known, also where a ticket stood
            for it; None without one.
        early_data: what became of a client's 0-RTT data: "none" were offered; "accepted"; "rejected", and
            nobody has them; "resent" (by a client) after they were rejected.
        ocsp_staple: an OCSPResponse that a server showed with its certificate, DER and unread; empty without.
    """

    version: str
    suite: str
    group: str | None = None
    scheme: str | None = None
    alpn: str | None = None
    server_name: str | None = None
    resumed: bool = False
    peer_chain: tuple[bytes, ...] = ()
    psk_identity: bytes | None = None
    early_data: Literal["none", "accepted", "rejected", "resent"] = "none"
    ocsp_staple: bytes = b""


@dataclass(slots=True)
class Data:
    """Plaintext from the peer, authenticated, in order."""

    data: Buffer


@dataclass(slots=True)
class EarlyData:
    """0-RTT plaintext, before `Established`: it may be a replay (RFC 8446 section 8). Once `Established` has
    followed, it is none: the client has proved that it is there."""

    data: Buffer


@dataclass(slots=True)
class Established:
    """The handshake is complete and verified; `write` is open."""

    negotiated: Negotiated


@dataclass(slots=True)
class PeerClosed:
    """close_notify came: the peer's direction ended cleanly; ours stays open (RFC 8446 section 6.1)."""


@dataclass(slots=True)
class Failed:
    """The session is dead, in both directions.

    Attributes:
        error: whose fault and which rule. A `Broken` where the stream ended or broke below us during the
            handshake; a `TimedOut` where the caller let the handshake's deadline pass.
        alert: the alert sent or received, None where the engine can't tell or none applies.
        sent_by_peer: True when the peer raised the alert.
    """

    error: ProtocolError | Broken | TimedOut
    alert: AlertDescription | None = None
    sent_by_peer: bool = False


Event = Data | EarlyData | Established | PeerClosed | Failed


class Engine(Contract):
    """One TLS session, client or server.

    The order of a life: `start`, then `receive`/`next_event`/`take` in any interleaving, `write` once
    `Established` was handed out, `close_write` (close_notify), `receive` until the peer's end, `release`.
    """

    @property
    def exact_alerts(self) -> bool:
        """False when the engine can't always say which alert it sent or received (the standard library's)."""

    @property
    def unread(self) -> int:
        """Bytes held that may still yield events without another `receive` (plaintext, or whole records not
        yet looked at), and events not yet handed out: while it is not 0, a quiet socket means nothing. Half
        a record does not count."""

    @property
    def unsent(self) -> int:
        """Bytes that `take` would hand out, ciphertext."""

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, on the clock of `now`; None when nothing is pending."""

    @property
    def read_side(self) -> ReadSide:
        """How far the peer's direction has come; final once `next_event` returned None."""

    @property
    def write_side(self) -> WriteSide:
        """How far ours has come. After a failure it is FLUSHING while the alert waits for `take`. Under TLS
        1.2 the peer's close_notify is answered at once (RFC 5246 section 7.2.1), so it may leave OPEN with
        the event PeerClosed."""

    @property
    def negotiated(self) -> Negotiated | None:
        """What the handshake agreed on, once it is complete."""

    @property
    def ending(self) -> Failed | None:
        """The failure that ended it, once handed out or queued."""

    def start(self, now: float) -> None:
        """Begin; a client queues its ClientHello."""

    def receive(self, data: Buffer, now: float) -> int:
        """Take ciphertext. Returns bytes taken: fewer than given when the cap on unread plaintext is
        reached (pull events, then offer the rest). After a failure or the peer's close_notify everything
        is taken and discarded (RFC 8446 section 6.1)."""

    def receive_eof(self, now: float) -> None:
        """The stream below ended. Without a close_notify first this makes `read_side` TRUNCATED, or
        fails the handshake, as soon as what came before was pulled."""

    def next_event(self) -> Event | None:
        """The next event, or None."""

    def write(self, parts: Sequence[Buffer]) -> int:
        """Encrypt. Returns plaintext bytes accepted (fewer when the cap on unsent ciphertext is reached;
        0 before `Established`, after a failure, and after a peer's close_notify that ended both directions).
        Raises Closed after `close_write`."""

    def write_early(self, parts: Sequence[Buffer]) -> int:
        """Send 0-RTT data, between `start` and `Established` (RFC 8446 section 2.3). Returns bytes accepted:
        0 where they can't be sent, fewer than given when the server's limit is reached. They may reach the
        server more than once. Raises Closed after `close_write`."""

    def close_write(self) -> None:
        """Queue close_notify: our direction ends after what was written. Idempotent. Before the handshake
        is complete it cancels (RFC 8446 section 6.1: user_canceled where the engine can), and no event
        follows."""

    def fail(self, alert: AlertDescription) -> None:
        """Queue a fatal alert of our own choice and end the session."""

    def expire(self, now: float) -> None:
        """Act on `deadline`."""

    def take(self, limit: int) -> list[Buffer]:
        """Hand out ciphertext to send, about `limit` bytes."""

    def unwrap(self) -> bytes:
        """For those who leave TLS: ciphertext-level bytes that followed the peer's close_notify. Raises
        Misuse before both close_notify have passed."""

    def release(self) -> None:
        """Drop keys and buffers. Idempotent; the last call of a life."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can be used here.

    Attributes:
        name: "openssl", "builtin", ...
        present: usable now.
        version: the library's own version text, or "".
        reason: why it is not present, and what to install; "" when it is.
        lacks: features of the contract that this engine declares it has not.
        providers: the cryptographic providers that a configuration may name, the one that is taken otherwise
            first; empty where there is nothing to choose. `present` is about that first one.
    """

    name: str
    present: bool
    version: str = ""
    reason: str = ""
    lacks: tuple[str, ...] = field(default=())
    providers: tuple[Availability, ...] = field(default=())


class EngineFactory(Contract):
    """Makes sessions of one engine. Contexts derived from a configuration are cached per configuration."""

    @property
    def name(self) -> str:
        """What `select` knows it by."""

    def availability(self) -> Availability:
        """Whether it can be used here, and why not."""

    def client(self, config: ClientConfig, server_name: str | None) -> Engine:
        """A client session. `server_name` is the DNS name or IP address literal that the certificate must
        bear (and that is sent as SNI when it is a DNS name). Raises Misuse when the configuration can't
        work (unreadable PEM, a key that does not match, a feature that the engine lacks, verification
        without a name)."""

    def server(self, config: ServerConfig) -> Engine:
        """A server session. Raises Misuse as above."""
