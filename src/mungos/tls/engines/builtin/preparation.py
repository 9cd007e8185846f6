"""What is derived from a configuration once, and shared by all of its sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mungos.crypto.contract import SCHEMES, Provider, Random
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines.builtin.credentials import LoadedCredential, load_credential
from mungos.tls.engines.builtin.first_hello import hello_forms
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.psks import load_psks
from mungos.tls.engines.builtin.suites import GROUP_CODES, SUITES, Suite
from mungos.x509 import TrustStore, system_trust_store

__all__ = ["Prepared", "PreparedClient", "PreparedServer"]

_SCHEME_ORDER = (
    "ecdsa_secp256r1_sha256",
    "ed25519",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha256",
    "rsa_pss_rsae_sha384",
    "rsa_pss_rsae_sha512",
    "rsa_pss_pss_sha256",
    "rsa_pss_pss_sha384",
    "rsa_pss_pss_sha512",
    "rsa_pkcs1_sha256",
    "rsa_pkcs1_sha384",
    "rsa_pkcs1_sha512",
)
"""signature_algorithms as we send it; RSASSA-PKCS1-v1_5 is for chains only (RFC 8446 section 4.2.3)."""


class Prepared:
    """What both sides need.

    Attributes:
        suites, groups: spoken here, in order of preference.
        kdfs: for the hash of each suite what derives by it.
        schemes: numbers of the signature schemes that we can check, in order of preference.
        alpn: protocol names as they stand on the wire.
        psks: keys from outside, in order of preference.
        record_size_limit: bytes of the largest record that the peer may send, its content type included.
    """

    __slots__ = (
        "alpn",
        "compress_certificates",
        "groups",
        "handshake_timeout",
        "kdfs",
        "keylog",
        "max_unread",
        "max_unsent",
        "provider",
        "psks",
        "random",
        "record_size_limit",
        "schemes",
        "suites",
        "wall",
    )

    def __init__(
        self,
        config: ClientConfig | ServerConfig,
        provider: Provider,
        random: Random,
        wall: Callable[[], float],
    ) -> None:
        self.provider = provider
        self.random = random
        self.wall = config.wall or wall
        self.keylog = config.keylog
        self.handshake_timeout = config.handshake_timeout
        self.max_unread = config.max_unread
        self.max_unsent = config.max_unsent
        self.suites = _suites(config.suites, provider)
        self.kdfs = {suite.hash: Kdf(provider, suite.hash) for suite in self.suites}
        self.groups = _groups(config.groups, provider)
        self.schemes = tuple(SCHEMES[name].code for name in _SCHEME_ORDER if provider.supports(name))
        self.alpn = tuple(name.encode("ascii") for name in config.alpn)
        self.psks = load_psks(config.psks, self.kdfs, provider)
        self.record_size_limit = config.record_size_limit
        self.compress_certificates = config.compress_certificates


class PreparedClient(Prepared):
    """A client's side.

    Attributes:
        forms: what every first ClientHello offers; of several, each session takes one at random.
        roots: who is trusted; None when nothing is verified.
        trust: names the way of verification, the credential and the keys from outside, for the session cache.
    """

    __slots__ = ("ask_staple", "credential", "early_data", "forms", "roots", "sessions", "trust")

    def __init__(
        self, config: ClientConfig, provider: Provider, random: Random, wall: Callable[[], float]
    ) -> None:
        super().__init__(config, provider, random, wall)
        self.early_data = config.early_data
        self.ask_staple = config.ask_staple
        self.forms = hello_forms(
            [suite.code for suite in self.suites],
            [GROUP_CODES[name] for name in self.groups],
            self.schemes,
            self.alpn,
            greased=config.grease,
            staple=config.ask_staple,
            compression=config.compress_certificates,
            record_size_limit=config.record_size_limit,
        )
        self.roots: TrustStore | None = None
        if config.verify:
            self.roots = system_trust_store() if config.roots is None else TrustStore.from_pem(config.roots)
        self.credential: LoadedCredential | None = None
        if config.credential is not None:
            self.credential = load_credential(config.credential, provider)
        self.sessions = config.sessions
        parts = [
            b"verified" if config.verify else b"not verified",
            b"the system's roots" if config.roots is None else config.roots,
            b"" if config.credential is None else config.credential.chain,
        ]
        for psk in self.psks:
            parts += (psk.identity, psk.key)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        self.trust = provider.digest("sha256", framed)


class PreparedServer(Prepared):
    """A server's side.

    Attributes:
        psks_by_identity: keys from outside, by what stands on the wire.
        psk_names: their identities as configured.
    """

    __slots__ = (
        "client_auth",
        "client_roots",
        "credentials",
        "early_data",
        "psk_names",
        "psks_by_identity",
        "retry_cookie",
        "tickets",
    )

    def __init__(
        self, config: ServerConfig, provider: Provider, random: Random, wall: Callable[[], float]
    ) -> None:
        super().__init__(config, provider, random, wall)
        if not config.credentials and not self.psks:
            raise Misuse("a server needs at least one credential, or a pre-shared key")
        self.credentials = tuple(load_credential(credential, provider) for credential in config.credentials)
        self.client_auth = config.client_auth
        self.client_roots: TrustStore | None = None
        if config.client_auth == "required" and self.psks:
            # RFC 8446 section 4.3.2: who is known by a PSK is not asked for a certificate.
            raise Misuse(
                'client_auth is "required", but who is known by a PSK is not asked for a certificate'
            )
        if config.client_auth != "none":
            self.client_roots = TrustStore.from_pem(config.client_roots or b"")
        self.tickets = config.tickets
        self.retry_cookie = config.retry_cookie
        self.psks_by_identity = {psk.identity: psk for psk in self.psks}
        self.psk_names = frozenset(psk.name for psk in self.psks)
        self.early_data = config.early_data
        if config.early_data is not None:
            if config.tickets is None:
                raise Misuse("without tickets no early data can come")
            config.early_data.begin(self.wall())


def _suites(names: Sequence[str], provider: Provider) -> tuple[Suite, ...]:
    for name in names:
        if name not in SUITES:
            raise Misuse(f"unknown cipher suite {name!r}; known are {', '.join(SUITES)}")
    suites = tuple(SUITES[name] for name in names if provider.supports(SUITES[name].aead))
    if not suites:
        raise Misuse(f"the provider {provider.name} has none of the cipher suites {', '.join(names)}")
    return suites


def _groups(names: Sequence[str], provider: Provider) -> tuple[str, ...]:
    for name in names:
        if name not in GROUP_CODES:
            raise Misuse(f"unknown group {name!r}; known are {', '.join(GROUP_CODES)}")
    groups = tuple(name for name in names if provider.supports(name))
    if not groups:
        raise Misuse(f"the provider {provider.name} has none of the groups {', '.join(names)}")
    return groups
