"""A configuration of Mbed TLS: what sessions share, and all that it points to, kept and freed together."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Iterable

from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.foreign.suites import SUITES_12, groups, suites
from mungos.tls.engines.mbedtls.callbacks import debug, random
from mungos.tls.engines.mbedtls.checking import must
from mungos.tls.engines.mbedtls.layout import Memory
from mungos.tls.engines.mbedtls.library import MbedTLS
from mungos.tls.sessions import TicketKeys

__all__ = ["VERIFY_NONE", "VERIFY_OPTIONAL", "VERIFY_REQUIRED", "Context"]

VERIFY_NONE, VERIFY_OPTIONAL, VERIFY_REQUIRED = 0, 1, 2
"""Whether the peer is asked for a certificate, and must show one that is believed."""

_CLIENT, _SERVER = 0, 1
_STREAM = 0
_DEFAULT = 0
_OFF, _ON = 0, 1
_AES_256_GCM = 16  # mbedtls_cipher_type_t
_SECOND_CURVES = {0x001D: 9, 0x0017: 3, 0x0018: 4}  # mbedtls_ecp_group_id of version 2

_CREDENTIAL = "the credential (PEM, leaf first, unencrypted key of that leaf)"

_Freed = list[tuple[Callable[[Memory], None], Memory]]


class Context:
    """An mbedtls_ssl_config, its certificates, keys and ticket keys. Freed once, when neither a configuration
    nor a session refers to it any more.

    Attributes:
        memory: of the mbedtls_ssl_config.
        pid: the process that made it: what a fork copies is never used or freed in the child.
    """

    __slots__ = ("__weakref__", "_freed", "_kept", "_library", "memory", "pid")

    def __init__(self, library: MbedTLS, config: ClientConfig | ServerConfig, *, server: bool) -> None:
        self._library = library
        self.pid = os.getpid()
        self._freed: _Freed = []
        self._kept: list[object] = []
        weakref.finalize(self, _free, self._freed, self.pid).atexit = False
        functions = library.functions
        self.memory = memory = self._make("ssl_config")
        role = _SERVER if server else _CLIENT
        self._must("a configuration", functions.mbedtls_ssl_config_defaults(memory, role, _STREAM, _DEFAULT))
        functions.mbedtls_ssl_conf_rng(memory, random, None)
        functions.mbedtls_ssl_conf_dbg(memory, debug, None)
        only_13 = config.minimum_version == "TLSv1.3"
        functions.mbedtls_ssl_conf_min_version(memory, 3, 4 if only_13 else 3)
        functions.mbedtls_ssl_conf_max_version(memory, 3, 4 if library.speaks_13 else 3)
        numbers = [] if only_13 else [*SUITES_12.values()]
        if library.speaks_13:
            numbers[:0] = suites(config.suites)
        functions.mbedtls_ssl_conf_ciphersuites(memory, self._list(ctypes.c_int, numbers))
        wanted = groups(config.groups)
        if library.speaks_13:
            functions.mbedtls_ssl_conf_groups(memory, self._list(ctypes.c_uint16, wanted))
        else:
            curves = [_SECOND_CURVES[number] for number in wanted]
            functions.mbedtls_ssl_conf_curves(memory, self._list(ctypes.c_int, curves))
        if not server:
            # Sessions are not resumed, so no tickets are asked for.
            functions.mbedtls_ssl_conf_session_tickets(memory, _OFF)

    def _must(self, what: str, result: int) -> None:
        must(self._library, what, result)

    def _make(self, kind: str) -> Memory:
        functions = self._library.functions
        memory = self._library.layout.allocate(kind)
        getattr(functions, f"mbedtls_{kind}_init")(memory)
        self._freed.append((getattr(functions, f"mbedtls_{kind}_free"), memory))
        return memory

    def _list(self, kind: type[ctypes._SimpleCData[int]], numbers: Iterable[int]) -> object:
        """The library keeps the address: a list that ends in 0, kept with the context."""
        values = [*numbers, 0]
        made = (kind * len(values))(*values)
        self._kept.append(made)
        return made

    def speak(self, alpn: tuple[bytes, ...]) -> None:
        """Offer, or choose among, these protocols. Raises Misuse where the library does not take them."""
        if alpn:
            names = (ctypes.c_char_p * (len(alpn) + 1))(*alpn, None)
            self._kept.append(names)
            result = self._library.functions.mbedtls_ssl_conf_alpn_protocols(self.memory, names)
            self._must(f"alpn {alpn!r}", result)

    def verify(self, mode: int) -> None:
        """Ask for a certificate or not. It is checked by us: the library gets an empty list of roots, and
        asks about each certificate, from the session."""
        functions = self._library.functions
        functions.mbedtls_ssl_conf_authmode(self.memory, mode)
        functions.mbedtls_ssl_conf_ca_chain(self.memory, self._make("x509_crt"), None)

    def seal(self, tickets: TicketKeys) -> None:
        """Send session tickets, sealed with keys of the context's own."""
        library, functions = self._library, self._library.functions
        memory = self._make("ssl_ticket")
        result = functions.mbedtls_ssl_ticket_setup(memory, random, None, _AES_256_GCM, tickets.lifetime)
        self._must("tickets", result)
        write, parse = (
            ctypes.cast(each, ctypes.c_void_p)
            for each in (functions.mbedtls_ssl_ticket_write, functions.mbedtls_ssl_ticket_parse)
        )
        functions.mbedtls_ssl_conf_session_tickets_cb(self.memory, write, parse, memory)
        if library.speaks_13:
            functions.mbedtls_ssl_conf_new_session_tickets(self.memory, tickets.count)
        functions.mbedtls_ssl_conf_session_tickets(self.memory, _ON)

    def load(self, credential: Credential) -> None:
        """Take a certificate chain and its key. Raises Misuse where they can't be used."""
        library, functions = self._library, self._library.functions
        chain, key = self._make("x509_crt"), self._make("pk")
        # PEM is told from DER by the 0 at its end.
        text = credential.chain + b"\0"
        self._must(_CREDENTIAL, functions.mbedtls_x509_crt_parse(chain, text, len(text)))
        text = credential.key + b"\0"
        more = (random, None) if library.speaks_13 else ()
        self._must(_CREDENTIAL, functions.mbedtls_pk_parse_key(key, text, len(text), None, 0, *more))
        self._must(_CREDENTIAL, functions.mbedtls_ssl_conf_own_cert(self.memory, chain, key))


def _free(freed: _Freed, pid: int) -> None:
    if os.getpid() == pid:
        for free, memory in freed:
            free(memory)
