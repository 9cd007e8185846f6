"""Who the peer is, decided by our own X.509 and not by the library's: the same names, dates, anchors and
reasons whichever library proves that the peer holds the key (RFC 5280 section 6, RFC 9525)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from mungos.crypto.contract import Provider
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines.foreign.outside import civil_time, random_bytes
from mungos.tls.engines.foreign.pipe import Judge
from mungos.x509 import (
    CertificateError,
    TrustStore,
    reference_identity,
    system_trust_store,
    verify_client,
    verify_server,
)

__all__ = ["Verifier", "client_verifier", "server_verifier", "wanted_name"]


@cache
def _provider() -> Provider:
    """Who checks signatures: what is public is safe with any provider."""
    try:
        from mungos.crypto.with_cryptography import CryptographyProvider  # noqa: PLC0415 - an extra
    except ImportError:
        from mungos.crypto.pure import PureProvider  # noqa: PLC0415 - slow to load

        return PureProvider(random_bytes)
    return CryptographyProvider()


class Verifier:
    """Checks the chains of a configuration's peers.

    Args:
        roots: who is trusted.
        wall: civil time, seconds since 1970; None means the system's.
    """

    __slots__ = ("_provider", "_wall", "roots")

    def __init__(self, roots: TrustStore, wall: Callable[[], float] | None) -> None:
        self.roots = roots
        self._wall = wall or civil_time
        self._provider = _provider()

    def of_server(self, name: str) -> Judge:
        """Judges a server that must bear `name`."""

        def judge(chain: Sequence[bytes]) -> CertificateError | None:
            try:
                verify_server(chain, name, self.roots, self._provider, self._wall())
            except CertificateError as error:
                return error
            return None

        return judge

    def of_client(self, chain: Sequence[bytes]) -> CertificateError | None:
        """Judges a client."""
        try:
            verify_client(chain, self.roots, self._provider, self._wall())
        except CertificateError as error:
            return error
        return None


def client_verifier(config: ClientConfig) -> Verifier | None:
    """Of a client's configuration, None where it verifies nothing. Raises Misuse for unreadable roots."""
    if not config.verify:
        return None
    roots = system_trust_store() if config.roots is None else TrustStore.from_pem(config.roots)
    return Verifier(roots, config.wall)


def server_verifier(config: ServerConfig) -> Verifier | None:
    """Of a server's configuration, None where it asks for no certificate. Raises Misuse for unreadable roots,
    or none."""
    if config.client_auth == "none":
        return None
    if config.client_roots is None:
        raise Misuse(f'client_auth is "{config.client_auth}", but client_roots names no issuer to trust')
    return Verifier(TrustStore.from_pem(config.client_roots), config.wall)


def wanted_name(config: ClientConfig, server_name: str | None) -> tuple[str | None, str | None]:
    """The name that the server must bear, and the one that is sent (RFC 6066 section 3: no addresses).

    Raises Misuse for what is neither a DNS name nor an address, and where there is none but one is needed.
    """
    if not server_name:
        if config.verify:
            raise Misuse("verification needs a server_name: give one, or say verify=False")
        return None, None
    # RFC 6874: a zone names an interface of this machine; it is no part of the address.
    name = server_name.partition("%")[0] if ":" in server_name else server_name
    identity = reference_identity(name)
    return (identity, identity) if isinstance(identity, str) else (name, None)
