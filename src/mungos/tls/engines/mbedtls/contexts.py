"""One context for each configuration (and credential), built at its first use, then shared."""

from __future__ import annotations

import os
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.foreign.contexts import ServerContexts
from mungos.tls.engines.foreign.credentials import names_of
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.proving import prove
from mungos.tls.engines.foreign.refusals import alpn_names, refuse_what_is_lacking
from mungos.tls.engines.foreign.verification import Verifier, client_verifier, server_verifier
from mungos.tls.engines.mbedtls.context import VERIFY_NONE, VERIFY_OPTIONAL, VERIFY_REQUIRED, Context
from mungos.tls.engines.mbedtls.library import MbedTLS
from mungos.tls.engines.mbedtls.session import MbedTLSSession

__all__ = ["ClientContext", "client_context", "server_contexts"]

_CLIENT_AUTH = {"none": VERIFY_NONE, "optional": VERIFY_OPTIONAL, "required": VERIFY_REQUIRED}

# What a configuration may ask of this engine.
_HAS = frozenset({"groups", "tickets", "wall"})
_HAS_13 = _HAS | {"TLSv1.3", "suites"}


@dataclass(frozen=True, slots=True)
class ClientContext:
    """A client's, and who checks the server."""

    context: Context
    verifier: Verifier | None


_clients: WeakKeyDictionary[ClientConfig, ClientContext] = WeakKeyDictionary()
_servers: WeakKeyDictionary[ServerConfig, ServerContexts[Context]] = WeakKeyDictionary()


def client_context(library: MbedTLS, config: ClientConfig) -> ClientContext:
    """The context of a client's configuration. Raises Misuse where it can't work."""
    made = _clients.get(config)
    if made is not None and made.context.pid == os.getpid():
        return made
    refuse_what_is_lacking("mbedtls", config, _HAS_13 if library.speaks_13 else _HAS)
    verifier = client_verifier(config)
    context = Context(library, config, server=False)
    # Without a verifier the chain is still looked at: it is shown in Negotiated.
    context.verify(VERIFY_REQUIRED if config.verify else VERIFY_OPTIONAL)
    context.speak(alpn_names(config.alpn))
    if config.credential is not None:
        context.load(config.credential)
        _prove(library, config.credential)
    made = _clients[config] = ClientContext(context, verifier)
    return made


def server_contexts(library: MbedTLS, config: ServerConfig) -> ServerContexts[Context]:
    """The contexts of a server's configuration. Raises Misuse where it can't work."""
    made = _servers.get(config)
    if made is not None and made.contexts[0].pid == os.getpid():
        return made
    refuse_what_is_lacking("mbedtls", config, _HAS_13 if library.speaks_13 else _HAS)
    alpn = alpn_names(config.alpn)
    verifier = server_verifier(config)
    contexts = []
    for credential in config.credentials:
        context = Context(library, config, server=True)
        context.verify(_CLIENT_AUTH[config.client_auth])
        context.speak(alpn)
        if config.tickets is not None and config.tickets.count and verifier is None:
            # A client that resumes shows no certificate, so who must show one gets no tickets.
            context.seal(config.tickets)
        context.load(credential)
        _prove(library, credential)
        contexts.append(context)
    names = tuple(names_of(credential) for credential in config.credentials)
    made = _servers[config] = ServerContexts(
        tuple(contexts), names, alpn, verifier, config.client_auth == "required"
    )
    return made


def _prove(library: MbedTLS, credential: Credential) -> None:
    """Raises Misuse where no handshake succeeds with the credential."""
    asking = Context(library, ClientConfig(), server=False)
    showing = Context(library, ServerConfig(), server=True)
    asking.verify(VERIFY_OPTIONAL)
    showing.verify(VERIFY_NONE)
    showing.load(credential)
    outboxes = Outbox(), Outbox()
    client = MbedTLSSession(library, asking, outboxes[0], server=False, judge=None, must_show=True)
    server = MbedTLSSession(library, showing, outboxes[1], server=True, judge=None, must_show=False)
    prove(client, server, outboxes)
