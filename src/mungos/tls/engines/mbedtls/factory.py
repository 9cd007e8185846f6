"""Makes sessions of the `mbedtls` engine."""

from __future__ import annotations

from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Availability
from mungos.tls.engines.foreign.client_hello import Offer
from mungos.tls.engines.foreign.engine import LibraryEngine
from mungos.tls.engines.foreign.libraries import Absent, needed
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.verification import wanted_name
from mungos.tls.engines.mbedtls.contexts import client_context, server_contexts
from mungos.tls.engines.mbedtls.library import mbedtls
from mungos.tls.engines.mbedtls.session import MbedTLSSession

__all__ = ["MBEDTLS", "MbedTLSFactory"]

_TLS_1_2 = 0x0303

_LACKS = (
    "certificate compression",
    "early data",
    "exact alerts",
    "external pre-shared keys",
    "GREASE",
    "group, signature scheme and resumption in Negotiated",
    "key log",
    "OCSP staples",
    "providers",
    "record_size_limit",
    "resumption by a client",
    "retry_cookie",
    "tickets where client certificates are asked for",
    "X25519MLKEM768",
)

_LACKS_OF_12 = ("suites of TLS 1.3", "TLSv1.3")
_LACKS_OF_13 = (
    "alerts that a TLS 1.3 client can read before its own certificate is accepted",
    "key updates",
    "unknown values among a client's psk_key_exchange_modes",
)


class MbedTLSFactory:
    """Sessions over Mbed TLS's own I/O functions; see `mungos.tls.contract.EngineFactory`."""

    name = "mbedtls"

    def availability(self) -> Availability:
        """Whether the shared library is found, and has the shape that is known."""
        try:
            library = mbedtls()
        except Absent as absent:
            return absent.availability(self.name)
        lacks = _LACKS + (_LACKS_OF_13 if library.speaks_13 else _LACKS_OF_12)
        return Availability(self.name, present=True, version=library.version, lacks=lacks)

    def client(self, config: ClientConfig, server_name: str | None) -> LibraryEngine:
        """A client session. Raises Misuse when the configuration can't work."""
        identity, sent = wanted_name(config, server_name)
        library = needed(self.name, mbedtls)
        shared = client_context(library, config)
        outgoing = Outbox()
        judge = None
        if shared.verifier is not None and identity is not None:
            judge = shared.verifier.of_server(identity)
        session = MbedTLSSession(
            library,
            shared.context,
            outgoing,
            server=False,
            judge=judge,
            must_show=True,
            server_name=sent,
        )
        return LibraryEngine(config, outgoing, exact_alerts=False, session=session, server_name=sent)

    def server(self, config: ServerConfig) -> LibraryEngine:
        """A server session. Raises Misuse when the configuration can't work."""
        library = needed(self.name, mbedtls)
        shared = server_contexts(library, config)
        outgoing = Outbox()

        def open_session(offer: Offer) -> MbedTLSSession:
            return MbedTLSSession(
                library,
                shared.for_name(offer.server_name),
                outgoing,
                server=True,
                judge=shared.verifier.of_client if shared.verifier is not None else None,
                must_show=shared.required,
            )

        return LibraryEngine(
            config,
            outgoing,
            exact_alerts=False,
            alpn=frozenset(shared.alpn),
            versions=frozenset() if library.speaks_13 else frozenset({_TLS_1_2}),
            open_session=open_session,
        )


MBEDTLS = MbedTLSFactory()
