"""What the two ends of a TLS session are told: certificates, roots, names, limits. Plain data, no engine.

A configuration is built once and shared: engines keep what they derive from it (a parsed chain, an
`ssl.SSLContext`) once per configuration, not once per connection. What can be judged without an engine is
judged as it is built; a sequence, of whatever kind, is kept as a tuple.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mungos import checking
from mungos.errors import Misuse
from mungos.tls.early_data import EarlyDataGuard
from mungos.tls.external_psk import ExternalPsk
from mungos.tls.sessions import SessionCache, TicketKeys

__all__ = [
    "DEFAULT_GROUPS",
    "DEFAULT_SUITES",
    "LEAST_RECORD_SIZE",
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

LEAST_RECORD_SIZE = 64
"""Bytes. RFC 8449 section 4: a smaller limit is an error."""

_VERSIONS: Final = ("TLSv1.2", "TLSv1.3")
_MAX_ALPN: Final = 255  # bytes of a protocol's name (RFC 7301 section 3.1)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_CERTIFICATE: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----")


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A certificate chain and its private key, both PEM.

    Attributes:
        chain: certificates, leaf first, PEM.
        key: the private key, PEM, unencrypted.
        staple: an OCSPResponse about the leaf, DER, for those who ask (RFC 6066 section 8); None: none is
            shown. It is handed on as it is: to renew it in time is the caller's affair.

    Raises:
        Misuse: they are no bytes, or the chain and the key stand in each other's place.
    """

    chain: bytes
    key: bytes
    staple: bytes | None = None

    def __post_init__(self) -> None:
        files = "PEM bytes, or Credential.from_files(chain, key) with the paths of both"
        checking.octets("chain", self.chain, write=files, secret=True)
        checking.octets("key", self.key, write=files, secret=True)
        checking.octets("staple", self.staple, write="the bytes of an OCSPResponse, DER", none=True)
        # A library may sort them out by itself, and show the key's own chain; another fails at a handshake.
        if _PRIVATE_KEY.search(self.chain) and not _CERTIFICATE.search(self.chain):
            raise Misuse("chain holds a private key and no certificate: write Credential(chain, key)")
        if _CERTIFICATE.search(self.key) and not _PRIVATE_KEY.search(self.key):
            raise Misuse("key holds a certificate and no private key: write Credential(chain, key)")

    @classmethod
    def from_files(cls, chain: str | Path, key: str | Path) -> Credential:
        """Read both files. Raises OSError naming the file that can't be read."""
        return cls(Path(chain).read_bytes(), Path(key).read_bytes())

    def __repr__(self) -> str:
        return f"Credential({len(self.chain)} bytes of certificates, key not shown)"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ClientConfig:
    """A client's side. Verification is on, with the system's roots, unless it is said otherwise.

    The built-in engine has all of it. Others refuse, at the call that gets the configuration, what they lack:
    keylog, psks, early_data, ask_staple, record_size_limit and compress_certificates all of them, openssl
    suites, groups and wall, wolfssl and mbedtls sessions and provider, mbedtls before 3.6 suites besides.

    Attributes:
        roots: trusted certificates, PEM, one or many; None means the system's.
        verify: False accepts any certificate and any name: for experiments only.
        credential: shown when the server asks for a certificate.
        alpn: protocols offered, in order of preference (RFC 7301).
        minimum_version: "TLSv1.2" or "TLSv1.3".
        handshake_timeout: seconds for the whole handshake. At it: `timed out` while securing.
        max_unread: bytes of plaintext that are not delivered yet. At it: nothing is decrypted or read, and
            the peer must wait.
        max_unsent: bytes of ciphertext that are not taken yet. At it: no more plaintext is taken.
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
            to 16385 (RFC 8449). At it: a larger one is refused with the alert record_overflow.
        compress_certificates: take certificates compressed by zlib, and show our own so (RFC 8879).
        grease: offer values that mean nothing, so that servers learn to pass over what they don't know
            (RFC 8701).

    Raises:
        Misuse: a value is of another kind, out of its range, or of no use with the others: `roots` with
            `verify=False`, `early_data` without `sessions`.
    """

    roots: bytes | None = None
    verify: bool = True
    credential: Credential | None = None
    alpn: Sequence[str] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024
    suites: Sequence[str] = DEFAULT_SUITES
    groups: Sequence[str] = DEFAULT_GROUPS
    sessions: SessionCache | None = None
    keylog: Callable[[str], None] | None = None
    provider: str | None = None
    wall: Callable[[], float] | None = None
    psks: Sequence[ExternalPsk] = ()
    early_data: Literal["off", "report", "resend"] = "off"
    ask_staple: bool = False
    record_size_limit: int = MAX_RECORD_SIZE
    compress_certificates: bool = False
    grease: bool = True

    def __post_init__(self) -> None:
        _judge_both(self)
        checking.octets("roots", self.roots, write=_pem(self.roots), none=True)
        checking.instance(
            "credential",
            self.credential,
            Credential,
            write="Credential(chain, key) or Credential.from_files(chain, key)",
            none=True,
            secret=True,
        )
        checking.instance("sessions", self.sessions, SessionCache, write="SessionCache()", none=True)
        checking.one_of("early_data", self.early_data, ("off", "report", "resend"))
        if self.roots is not None and not self.verify:
            raise Misuse("roots are given, and verify=False looks at none of them: leave one of both out")
        if self.early_data != "off" and self.sessions is None:
            raise Misuse(
                f"early_data is {self.early_data!r}, which is for resumed sessions, and none are kept: write "
                "sessions=SessionCache(), or leave it out"
            )


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ServerConfig:
    """A server's side.

    The built-in engine has all of it. Others refuse, at the call that gets the configuration, what they lack:
    keylog, psks, early_data, staples, retry_cookie, record_size_limit and compress_certificates all of them,
    openssl suites, groups and wall, wolfssl and mbedtls provider, mbedtls before 3.6 suites besides.

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

    Raises:
        Misuse: a value is of another kind or out of its range; `client_roots` and `client_auth` contradict
            each other; `early_data` stands without `tickets`.
    """

    credentials: Sequence[Credential] = ()
    client_roots: bytes | None = None
    client_auth: Literal["none", "optional", "required"] = "none"
    alpn: Sequence[str] = ()
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    handshake_timeout: float = 10.0
    max_unread: int = 256 * 1024
    max_unsent: int = 256 * 1024
    suites: Sequence[str] = DEFAULT_SUITES
    groups: Sequence[str] = DEFAULT_GROUPS
    tickets: TicketKeys | None = None
    retry_cookie: bool = False
    keylog: Callable[[str], None] | None = None
    provider: str | None = None
    wall: Callable[[], float] | None = None
    psks: Sequence[ExternalPsk] = ()
    early_data: EarlyDataGuard | None = None
    record_size_limit: int = MAX_RECORD_SIZE
    compress_certificates: bool = False

    def __post_init__(self) -> None:
        _judge_both(self)
        write = "a tuple: (Credential(chain, key),)"
        credentials = checking.items("credentials", self.credentials, Credential, write=write, secret=True)
        object.__setattr__(self, "credentials", credentials)
        checking.octets("client_roots", self.client_roots, write=_pem(self.client_roots), none=True)
        checking.one_of("client_auth", self.client_auth, ("none", "optional", "required"))
        if self.client_auth != "none" and self.client_roots is None:
            raise Misuse(
                f"client_auth is {self.client_auth!r}, and client certificates can't be verified without "
                "client_roots: write client_roots=PEM bytes of their issuers"
            )
        if self.client_auth == "none" and self.client_roots is not None:
            raise Misuse(
                "client_roots are given, and client_auth is 'none': nobody would be asked for a certificate: "
                "write client_auth='required' (or 'optional')"
            )
        checking.instance("tickets", self.tickets, TicketKeys, write="TicketKeys()", none=True)
        checking.instance("early_data", self.early_data, EarlyDataGuard, write="EarlyDataGuard()", none=True)
        if self.early_data is not None and self.tickets is None:
            raise Misuse(
                "early_data is for resumed sessions, and without tickets there are none: write "
                "tickets=TicketKeys(), or leave it out"
            )


_JUDGED_HERE = {
    "alpn",
    "client_auth",
    "client_roots",
    "credential",
    "credentials",
    "early_data",
    "groups",
    "keylog",
    "minimum_version",
    "provider",
    "psks",
    "roots",
    "sessions",
    "suites",
    "tickets",
    "wall",
}
"""Fields of either side that are no numbers and no switches."""


def _judge_both(config: ClientConfig | ServerConfig) -> None:
    """What both sides have; their sequences become tuples."""
    checking.count("record_size_limit", config.record_size_limit, LEAST_RECORD_SIZE, MAX_RECORD_SIZE)
    checking.numbers(config, zero=("max_unread",), others=_JUDGED_HERE)
    checking.one_of("minimum_version", config.minimum_version, _VERSIONS)
    for name, given, write in (
        ("alpn", config.alpn, 'a tuple of names: ("http/1.1",)'),
        ("suites", config.suites, f'a tuple of names: ("{DEFAULT_SUITES[0]}",)'),
        ("groups", config.groups, 'a tuple of names: ("x25519", "secp256r1")'),
    ):
        found = checking.names(name, given, write=write)
        for each in found:
            if name == "alpn":
                if not (each.isascii() and each.isprintable()) or len(each) > _MAX_ALPN:
                    raise checking.wrong("alpn", each, f"names of 1 to {_MAX_ALPN} characters of ASCII")
            elif _NAME.fullmatch(each) is None:
                raise checking.wrong(name, each, write)
        if not found and name != "alpn":
            raise Misuse(f"{name} is empty: write {write}, or leave it out")
        object.__setattr__(config, name, found)
    write = "a tuple: (ExternalPsk(identity, key),)"
    object.__setattr__(
        config, "psks", checking.items("psks", config.psks, ExternalPsk, write=write, secret=True)
    )
    checking.function("keylog", config.keylog, write="a function that takes each line", none=True)
    checking.function("wall", config.wall, write="a function that tells the seconds since 1970", none=True)
    checking.text("provider", config.provider, write='a provider\'s name: "cryptography"', none=True)


def _pem(given: object) -> str:
    """What to write where PEM bytes are wanted."""
    if isinstance(given, str | Path) and not str(given).startswith("-----"):
        return f"PEM bytes: Path({str(given)[:60]!r}).read_bytes()"
    return 'PEM bytes: Path("ca.pem").read_bytes()'
