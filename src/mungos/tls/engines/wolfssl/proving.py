"""wolfSSL_CTX_check_private_key lets some wrong keys pass, so a handshake is tried with each credential."""

from __future__ import annotations

import ctypes

from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.proving import prove
from mungos.tls.engines.wolfssl.context import VERIFY_NONE, VERIFY_PEER, Context
from mungos.tls.engines.wolfssl.session import WolfSSLSession

__all__ = ["prove_credential"]


def prove_credential(library: ctypes.CDLL, credential: Credential) -> None:
    """Raises Misuse where no handshake succeeds with the credential."""
    asking, showing = (
        Context(library, ClientConfig(), server=False),
        Context(library, ServerConfig(), server=True),
    )
    asking.verify(VERIFY_PEER, None)
    showing.verify(VERIFY_NONE, None)
    showing.load(credential)
    outboxes = Outbox(), Outbox()
    client = WolfSSLSession(library, asking, outboxes[0], server=False, judge=None, must_show=True)
    server = WolfSSLSession(library, showing, outboxes[1], server=True, judge=None, must_show=False)
    prove(client, server, outboxes)
