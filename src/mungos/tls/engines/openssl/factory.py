"""Makes sessions of the `openssl` engine."""

from __future__ import annotations

import ipaddress
import ssl

from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Availability
from mungos.tls.engines.foreign.client_hello import Offer
from mungos.tls.engines.foreign.engine import LibraryEngine
from mungos.tls.engines.openssl.contexts import client_context, server_contexts
from mungos.tls.engines.openssl.session import OpenSSLSession
from mungos.x509 import reference_identity

__all__ = ["OPENSSL", "OpenSSLFactory"]

_LACKS = (
    "certificate compression",
    "early data",
    "exact alerts",
    "external pre-shared keys",
    "fatal alerts of the caller's choice once keys are on",
    "GREASE",
    "group and signature scheme in Negotiated",
    "OCSP staples",
    "record_size_limit",
    "resumption by a client",
    "the caller's civil time for certificates",
)


class OpenSSLFactory:
    """Sessions over `ssl.MemoryBIO`; see `mungos.tls.contract.EngineFactory`."""

    name = "openssl"

    def availability(self) -> Availability:
        """Always present: the module that this one imports is there."""
        return Availability("openssl", present=True, version=ssl.OPENSSL_VERSION, lacks=_LACKS)

    def client(self, config: ClientConfig, server_name: str | None) -> LibraryEngine:
        """A client session; a final dot and an IPv6 zone are cut off `server_name`.

        Raises Misuse when the configuration can't work, when it verifies and there is no name to verify,
        and when the name is not one.
        """
        if config.verify and not server_name:
            raise Misuse("verification needs a server_name: give one, or say verify=False")
        name = _reference_name(server_name) if server_name else None
        outgoing = ssl.MemoryBIO()
        shared = client_context(config)
        try:
            session = OpenSSLSession(
                shared.context, outgoing, server_side=False, server_name=name, judge=shared.judge
            )
        except (ValueError, TypeError, ssl.SSLError) as error:
            raise Misuse(f"server_name {server_name!r} is neither a DNS name nor an IP address") from error
        return LibraryEngine(config, outgoing, exact_alerts=False, session=session, server_name=name)

    def server(self, config: ServerConfig) -> LibraryEngine:
        """A server session. Raises Misuse when the configuration can't work."""
        contexts = server_contexts(config)
        outgoing = ssl.MemoryBIO()

        def open_session(offer: Offer) -> OpenSSLSession:
            shared = contexts.for_name(offer.server_name)
            return OpenSSLSession(
                shared.context, outgoing, server_side=True, server_name=None, judge=shared.judge
            )

        return LibraryEngine(
            config, outgoing, exact_alerts=False, alpn=frozenset(contexts.alpn), open_session=open_session
        )


def _reference_name(name: str) -> str:
    """The name as OpenSSL takes it. Raises Misuse for what is neither a DNS name nor an address, of which the
    library itself takes some."""
    # RFC 6874: a zone names an interface of this machine; it is no part of the address.
    plain = name.partition("%")[0] if ":" in name else name
    reference_identity(plain)
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        # RFC 6066 section 3: the name is sent without a trailing dot.
        return plain.removesuffix(".")


OPENSSL = OpenSSLFactory()
