"""What the two ends of a TLS session are told: certificates, roots, names, limits. Plain data, no engine.

A configuration is built once and shared: engines keep what they derive from it (a parsed chain, an
`ssl.SSLContext`) once per configuration, not once per connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mungos.tls.early_data import EarlyDataGuard
from mungos.tls.external_psk import ExternalPsk
from mungos.tls.sessions import SessionCache, TicketKeys

__all__ = [
    "DEFAULT_GROUPS",
    "DEFAULT_SUITES",
    "MAX_RECORD_SIZE",
    "ClientConfig",
    "Credential",
    "ServerConfig",
]

DEFAULT_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Cipher suites of TLS 1.3 in order of preference (RFC 8446 appendix B.4)."""

DEFAULT_GROUPS = ("X25519MLKEM768", "x25519", "secp256r1", "secp384r1")
"""Key exchange groups in order of preference; those that the engine or its provider lacks are left out."""

MAX_RECORD_SIZE = (1 << 14) + 1
"""Bytes of the largest record of TLS 1.3, its content type included (RFC 8449 section 4)."""


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A certificate chain and its private key, both PEM.

    Attributes:
        chain: certificates, leaf first, PEM.
        key: the private key, PEM, unencrypted.
        staple: an OCSPResponse about the leaf, DER, for those who ask (RFC 6066 section 8); None: none is
            shown. It is handed on as it is: to renew it in time is the caller's affair.
    """

    chain: bytes
    key: bytes
    staple: bytes | None = None

    @classmethod
    def from_files(cls, chain: str | Path, key: str | Path) -> Credential:
        """Read both files. Raises OSError naming the file that can't be read."""
        return cls(Path(chain).read_bytes(), Path(key).read_bytes())

    def __repr__(self) -> str:
        return f"Credential({len(self.chain)} bytes of certificates, key not shown)"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ClientConfig:
    """A client's side. Verification is on, with the system's roots, unless it is said otherwise.

    Attributes:
        roots: trusted certificates, PEM, one or many; None means the system's.
        verify: False accepts any certificate and any name: for experiments only.
        credential: shown when the server asks for a certificate.
        alpn: protocols offered, in order of preference (RFC 7301).
        minimum_version: "TLSv1.2" or "TLSv1.3".
        handshake_timeout: seconds for the whole handshake.
        max_unread: cap on undelivered plaintext, bytes.
        max_unsent: cap on ciphertext not taken yet, bytes.
        suites: TLS 1.3 cipher suites offered, in order of preference.
        groups: key exchange groups offered, in order of preference.
        sessions: where session tickets are kept; None means that no session is resumed.
        keylog: gets each line of RFC 9850's key log, without its line end. Who has them reads the traffic.
        provider: the cryptographic provider's name, for engines that have several: "cryptography", or by name
            only, since it is slow and not constant in time, "pure", which loads no private key, or
            "pure-with-private-keys".
        wall: civil time, seconds since 1970, for the dates in certificates and the age of tickets; None means
            the factory's own clock.
        psks: keys known to both sides beforehand, in order of preference. Without a server name they alone
            prove who the server is; with one it may show a certificate in their place.
        early_data: whether 0-RTT data may be sent when a session is resumed, which an attacker can repeat
            (RFC 8446 section 8). "resend": what the server refused is sent once more after the handshake,
            where the application protocol is the same; "report": it is not, `Negotiated.early_data` says so.
        ask_staple: ask for an OCSPResponse; what comes is shown unread in `Negotiated.ocsp_staple`.
        record_size_limit: bytes of the largest record that the peer may send, its content type included, 64
            to 16385 (RFC 8449).
        compress_certificates: take certificates compressed by zlib, and show our own so (RFC 8879).
        grease: offer values that mean nothing, so that servers learn to pass over what they don't know
            (RFC 8701).
    """

    roots: bytes | None = None
    verify: bool = True
    credential: Credential | None = None
    alpn: tuple[str, ...] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024
    suites: tuple[str, ...] = DEFAULT_SUITES
    groups: tuple[str, ...] = DEFAULT_GROUPS
    sessions: SessionCache | None = None
    keylog: Callable[[str], None] | None = None
    provider: str | None = None
    wall: Callable[[], float] | None = None
    psks: tuple[ExternalPsk, ...] = ()
    early_data: Literal["off", "report", "resend"] = "off"
    ask_staple: bool = False
    record_size_limit: int = MAX_RECORD_SIZE
    compress_certificates: bool = False
    grease: bool = True


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ServerConfig:
    """A server's side.

    Attributes:
        credentials: one or more; the one whose names cover the client's server_name is taken, else the first.
        client_roots: trusted issuers of client certificates, PEM.
        client_auth: whether a client certificate is asked for ("none"), may be shown ("optional") or must be.
        alpn: protocols spoken, in order of preference; empty means that ALPN is not answered.
        minimum_version, handshake_timeout, max_unread, max_unsent: as for a client.
        suites, groups: spoken, in order of preference; the server's order decides.
        tickets: the keys under which session tickets are sealed; None means that none are sent or accepted.
        retry_cookie: put a cookie into a HelloRetryRequest, and demand it back (RFC 8446 section 4.2.2).
        keylog, provider, wall, record_size_limit, compress_certificates: as for a client.
        psks: keys known to both sides beforehand. With them there may be no credential at all. They prove who
            the client is: it is not asked for a certificate besides (RFC 8446 section 4.3.2).
        early_data: lets 0-RTT data of resumed sessions in; None: none are taken.
    """

    credentials: tuple[Credential, ...] = ()
    client_roots: bytes | None = None
    client_auth: Literal["none", "optional", "required"] = "none"
    alpn: tuple[str, ...] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024
    suites: tuple[str, ...] = DEFAULT_SUITES
    groups: tuple[str, ...] = DEFAULT_GROUPS
    tickets: TicketKeys | None = None
    retry_cookie: bool = False
    keylog: Callable[[str], None] | None = None
    provider: str | None = None
    wall: Callable[[], float] | None = None
    psks: tuple[ExternalPsk, ...] = ()
    early_data: EarlyDataGuard | None = None
    record_size_limit: int = MAX_RECORD_SIZE
    compress_certificates: bool = False
