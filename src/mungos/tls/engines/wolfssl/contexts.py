"""One WOLFSSL_CTX for each configuration (and credential), built at its first use, then shared."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines.foreign.contexts import ServerContexts
from mungos.tls.engines.foreign.credentials import names_of
from mungos.tls.engines.foreign.refusals import alpn_names, refuse_what_is_lacking
from mungos.tls.engines.foreign.verification import Verifier, client_verifier, server_verifier
from mungos.tls.engines.wolfssl.context import VERIFY_NONE, VERIFY_PEER, VERIFY_REQUIRED, Context
from mungos.tls.engines.wolfssl.proving import prove_credential

__all__ = ["ClientContext", "client_context", "server_contexts"]

_CLIENT_AUTH = {"none": VERIFY_NONE, "optional": VERIFY_PEER, "required": VERIFY_REQUIRED}

# What a configuration may ask of this engine.
_HAS = frozenset({"TLSv1.3", "groups", "suites", "tickets", "wall"})


@dataclass(frozen=True, slots=True)
class ClientContext:
    """A client's: what it offers, and who checks the server."""

    context: Context
    alpn: bytes
    verifier: Verifier | None


_clients: WeakKeyDictionary[ClientConfig, ClientContext] = WeakKeyDictionary()
_servers: WeakKeyDictionary[ServerConfig, ServerContexts[Context]] = WeakKeyDictionary()


def client_context(library: ctypes.CDLL, config: ClientConfig) -> ClientContext:
    """The context of a client's configuration. Raises Misuse where it can't work."""
    made = _clients.get(config)
    if made is not None and made.context.pid == os.getpid():
        return made
    refuse_what_is_lacking("wolfssl", config, _HAS)
    alpn = alpn_names(config.alpn, ",")
    context = Context(library, config, server=False)
    verifier = client_verifier(config)
    # Without a verifier the chain is still looked at: it is shown in Negotiated.
    context.verify(VERIFY_PEER, verifier)
    if config.credential is not None:
        context.load(config.credential)
        prove_credential(library, config.credential)
    made = _clients[config] = ClientContext(context, b",".join(alpn), verifier)
    return made


def server_contexts(library: ctypes.CDLL, config: ServerConfig) -> ServerContexts[Context]:
    """The contexts of a server's configuration. Raises Misuse where it can't work."""
    made = _servers.get(config)
    if made is not None and made.contexts[0].pid == os.getpid():
        return made
    refuse_what_is_lacking("wolfssl", config, _HAS)
    alpn = alpn_names(config.alpn, ",")
    verifier = server_verifier(config)
    contexts = []
    for credential in config.credentials:
        context = Context(library, config, server=True)
        context.verify(_CLIENT_AUTH[config.client_auth], verifier)
        tickets = config.tickets
        # A client that resumes shows no certificate, so who must show one gets no tickets.
        context.seal(tickets if tickets is not None and tickets.count and verifier is None else None)
        context.load(credential)
        prove_credential(library, credential)
        contexts.append(context)
    names = tuple(names_of(credential) for credential in config.credentials)
    made = _servers[config] = ServerContexts(
        tuple(contexts), names, alpn, verifier, config.client_auth == "required"
    )
    return made
