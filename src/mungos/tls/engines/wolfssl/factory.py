"""Makes sessions of the `wolfssl` engine."""

from __future__ import annotations

from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Availability
from mungos.tls.engines.foreign.client_hello import Offer
from mungos.tls.engines.foreign.engine import LibraryEngine
from mungos.tls.engines.foreign.libraries import Absent, needed
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.verification import wanted_name
from mungos.tls.engines.wolfssl.contexts import client_context, server_contexts
from mungos.tls.engines.wolfssl.library import wolfssl
from mungos.tls.engines.wolfssl.session import WolfSSLSession

__all__ = ["WOLFSSL", "WolfSSLFactory"]

_LACKS = (
    "an alert for every fault once keys are on",
    "certificate compression",
    "early data",
    "external pre-shared keys",
    "fatal alerts of the caller's choice once keys are on",
    "GREASE",
    "key log",
    "OCSP staples",
    "providers",
    "record_size_limit",
    "resumption by a client",
    "retry_cookie",
    "tickets where client certificates are asked for",
    "signature scheme in Negotiated",
    "X25519MLKEM768",
)


class WolfSSLFactory:
    """Sessions over wolfSSL's own I/O functions; see `mungos.tls.contract.EngineFactory`."""

    name = "wolfssl"

    def availability(self) -> Availability:
        """Whether the shared library is found, and speaks what is needed."""
        try:
            library = wolfssl()
        except Absent as absent:
            return absent.availability(self.name)
        version = library.wolfSSL_lib_version().decode("ascii", "replace")
        return Availability(self.name, present=True, version=f"wolfSSL {version}", lacks=_LACKS)

    def client(self, config: ClientConfig, server_name: str | None) -> LibraryEngine:
        """A client session. Raises Misuse when the configuration can't work."""
        identity, sent = wanted_name(config, server_name)
        library = needed(self.name, wolfssl)
        shared = client_context(library, config)
        outgoing = Outbox()
        judge = None
        if shared.verifier is not None and identity is not None:
            judge = shared.verifier.of_server(identity)
        session = WolfSSLSession(
            library,
            shared.context,
            outgoing,
            server=False,
            judge=judge,
            must_show=True,
            server_name=sent,
            alpn=shared.alpn,
        )
        return LibraryEngine(config, outgoing, exact_alerts=True, session=session, server_name=sent)

    def server(self, config: ServerConfig) -> LibraryEngine:
        """A server session. Raises Misuse when the configuration can't work."""
        library = needed(self.name, wolfssl)
        shared = server_contexts(library, config)
        outgoing = Outbox()

        def open_session(offer: Offer) -> WolfSSLSession:
            offered = frozenset(offer.alpn or ())
            return WolfSSLSession(
                library,
                shared.for_name(offer.server_name),
                outgoing,
                server=True,
                judge=shared.verifier.of_client if shared.verifier is not None else None,
                must_show=shared.required,
                alpn=next((name for name in shared.alpn if name in offered), b""),
            )

        return LibraryEngine(
            config, outgoing, exact_alerts=True, alpn=frozenset(shared.alpn), open_session=open_session
        )


WOLFSSL = WolfSSLFactory()
