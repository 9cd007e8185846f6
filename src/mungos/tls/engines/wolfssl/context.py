"""A WOLFSSL_CTX: what the sessions of a configuration share."""

from __future__ import annotations

import ctypes
import os
import weakref

from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.foreign.suites import groups, suites
from mungos.tls.engines.foreign.verification import Verifier
from mungos.tls.engines.wolfssl.callbacks import check_certificate, receive, send
from mungos.tls.engines.wolfssl.checking import OK, made, must
from mungos.tls.engines.wolfssl.library import FILE_DER, FILE_PEM
from mungos.tls.sessions import TicketKeys

__all__ = ["VERIFY_NONE", "VERIFY_PEER", "VERIFY_REQUIRED", "Context"]

VERIFY_NONE, VERIFY_PEER, VERIFY_REQUIRED = 0, 1, 3
"""Whether the peer is asked for a certificate, and must show one."""

_TLS_1_2 = 3  # WOLFSSL_TLSV1_2
_CACHE_OFF = 0

# Seconds. The library seals with keys that live an hour, and refuses to promise more than they have left.
_LONGEST_TICKET = 300

_CREDENTIAL = "the credential (PEM, leaf first, unencrypted key of that leaf)"

_SUITES_13 = {
    0x1301: "TLS13-AES128-GCM-SHA256",
    0x1302: "TLS13-AES256-GCM-SHA384",
    0x1303: "TLS13-CHACHA20-POLY1305-SHA256",
}

# RFC 9325 section 4.2: forward secrecy and authenticated encryption only.
_SUITES_12 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


class Context:
    """A WOLFSSL_CTX, freed once, when nothing refers to it any more. The library itself counts the sessions
    that use it.

    Attributes:
        pointer: the library's.
        pid: the process that made it: what a fork copies is never used or freed in the child, which makes its
            own (two processes would seal tickets with the same keys and nonces).
    """

    __slots__ = ("__weakref__", "_library", "pid", "pointer")

    def __init__(self, library: ctypes.CDLL, config: ClientConfig | ServerConfig, *, server: bool) -> None:
        self._library = library
        self.pid = os.getpid()
        only_13 = config.minimum_version == "TLSv1.3"
        method = ("wolfTLSv1_3_" if only_13 else "wolfTLS_") + ("server" if server else "client") + "_method"
        self.pointer = made("wolfSSL_CTX_new", library.wolfSSL_CTX_new(getattr(library, method)()))
        weakref.finalize(self, _free, library, self.pointer, self.pid).atexit = False
        if not only_13:
            self._must("minimum_version", "SetMinVersion", _TLS_1_2)
        names = [_SUITES_13[code] for code in suites(config.suites)] + ([] if only_13 else [*_SUITES_12])
        self._must(f"the suites {names}", "set_cipher_list", ":".join(names).encode("ascii"))
        numbers = groups(config.groups)
        wanted = (ctypes.c_int * len(numbers))(*numbers)
        self._must(f"groups {config.groups}", "set_groups", wanted, len(numbers))
        self._must("a session cache that is off", "set_session_cache_mode", _CACHE_OFF)
        library.wolfSSL_CTX_SetIORecv(self.pointer, receive)
        library.wolfSSL_CTX_SetIOSend(self.pointer, send)

    def _must(self, what: str, function: str, *arguments: object, good: int = OK) -> None:
        result = getattr(self._library, f"wolfSSL_CTX_{function}")(self.pointer, *arguments)
        must(self._library, what, result, good)

    def seal(self, tickets: TicketKeys | None) -> None:
        """Send session tickets, sealed with keys of the context's own, which live as long as it does; none
        where `tickets` is None."""
        if tickets is None:
            self._must("no tickets", "no_ticket_TLSv13", good=0)
            self._must("no tickets", "NoTicketTLSv12")
        else:
            self._must("tickets", "set_num_tickets", tickets.count)
            self._must("tickets", "set_TicketHint", min(tickets.lifetime, _LONGEST_TICKET))

    def load(self, credential: Credential) -> None:
        """Take a certificate chain and its key. Raises Misuse where they can't be used."""
        chain, key = credential.chain, credential.key
        self._must(_CREDENTIAL, "use_certificate_chain_buffer", chain, len(chain))
        self._must(_CREDENTIAL, "use_PrivateKey_buffer", key, len(key), FILE_PEM)
        self._must(_CREDENTIAL, "check_private_key")

    def verify(self, mode: int, verifier: Verifier | None) -> None:
        """Have certificates checked by us. The roots are given to the library besides, only so that it sends
        the right alert where both refuse; what it does not take is passed over: the verdict is ours."""
        library, pointer = self._library, self.pointer
        library.wolfSSL_CTX_set_verify(pointer, mode, check_certificate)
        if verifier is not None:
            for der in verifier.roots:
                library.wolfSSL_CTX_load_verify_buffer(pointer, der, len(der), FILE_DER)
            library.wolfSSL_ERR_clear_error()


def _free(library: ctypes.CDLL, pointer: int, pid: int) -> None:
    if os.getpid() == pid:
        library.wolfSSL_CTX_free(pointer)
