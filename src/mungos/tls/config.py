"""What the two ends of a TLS session are told: certificates, roots, names, limits. Plain data, no engine.

A configuration is built once and shared: engines keep what they derive from it (a parsed chain, an
`ssl.SSLContext`) once per configuration, not once per connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["ClientConfig", "Credential", "ServerConfig"]


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A certificate chain and its private key, both PEM.

    Attributes:
        chain: certificates, leaf first, PEM.
        key: the private key, PEM, unencrypted.
    """

    chain: bytes
    key: bytes

    @classmethod
    def from_files(cls, chain: str | Path, key: str | Path) -> Credential:
        """Read both files. Raises OSError naming the file that can't be read."""
        return cls(Path(chain).read_bytes(), Path(key).read_bytes())

    def __repr__(self) -> str:
        return f"Credential({len(self.chain)} bytes of certificates, key not shown)"


@dataclass(frozen=True, slots=True, eq=False)
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
    """

    roots: bytes | None = None
    verify: bool = True
    credential: Credential | None = None
    alpn: tuple[str, ...] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class ServerConfig:
    """A server's side.

    Attributes:
        credentials: one or more; the one whose names cover the client's server_name is chosen, else the first.
        client_roots: trusted issuers of client certificates, PEM.
        client_auth: whether a client certificate is asked for ("none"), may be shown ("optional") or must be.
        alpn: protocols spoken, in order of preference; empty means that ALPN is not answered.
        minimum_version, handshake_timeout, max_unread, max_unsent: as for a client.
    """

    credentials: tuple[Credential, ...]
    client_roots: bytes | None = None
    client_auth: Literal["none", "optional", "required"] = "none"
    alpn: tuple[str, ...] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024
