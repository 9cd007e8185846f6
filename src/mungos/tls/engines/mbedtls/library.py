"""The functions of Mbed TLS that are called, and those by which it calls back.

Found by SONAME: 14 is 2.28 (Debian 12; TLS 1.2 only), 21 is 3.6 (Debian 13; TLS 1.3). Between them the
interface is not the same; before 3.6 TLS 1.3 was not complete, and 4 changes the interface again.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache

from mungos.tls.engines.foreign.libraries import RESULT, Absent, Prototype, declare, load
from mungos.tls.engines.mbedtls.layout import Layout, measure

__all__ = ["CHECK", "DEBUG", "RANDOM", "RECEIVE", "SEND", "MbedTLS", "mbedtls"]

_NAMES = ("libmbedtls.so.21", "libmbedtls.so.14", "libmbedtls.so")

RECEIVE = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_size_t)
"""(context, buffer, size) -> bytes, or an error."""

SEND = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_size_t)
"""As RECEIVE."""

RANDOM = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_size_t)
"""(context, buffer, size) -> 0, or an error."""

CHECK = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_int, ctypes.POINTER(ctypes.c_uint32))
"""(context, certificate, depth, what the library found wrong, which may be changed) -> 0, or an error."""

DEBUG = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_int, c_char_p)
"""(context, level, file, line, words)."""

_POINTER_ONLY: Prototype = (None, (c_void_p,))
_NUMBER: Prototype = (None, (c_void_p, c_int))

_PROTOTYPES: dict[str, Prototype] = {
    "mbedtls_version_get_number": (c_uint, ()),
    "mbedtls_version_get_string_full": (None, (c_void_p,)),
    "mbedtls_strerror": (None, (c_int, c_void_p, c_size_t)),
    "mbedtls_debug_set_threshold": (None, (c_int,)),
    "mbedtls_ssl_config_init": _POINTER_ONLY,
    "mbedtls_ssl_config_free": _POINTER_ONLY,
    "mbedtls_ssl_config_defaults": (c_int, (c_void_p, c_int, c_int, c_int)),
    "mbedtls_ssl_conf_rng": (None, (c_void_p, RANDOM, c_void_p)),
    "mbedtls_ssl_conf_dbg": (None, (c_void_p, DEBUG, c_void_p)),
    "mbedtls_ssl_conf_authmode": _NUMBER,
    "mbedtls_ssl_conf_ca_chain": (None, (c_void_p, c_void_p, c_void_p)),
    "mbedtls_ssl_conf_own_cert": (c_int, (c_void_p, c_void_p, c_void_p)),
    "mbedtls_ssl_conf_ciphersuites": (None, (c_void_p, c_void_p)),
    "mbedtls_ssl_conf_min_version": (None, (c_void_p, c_int, c_int)),
    "mbedtls_ssl_conf_max_version": (None, (c_void_p, c_int, c_int)),
    "mbedtls_ssl_conf_alpn_protocols": (c_int, (c_void_p, c_void_p)),
    "mbedtls_ssl_conf_session_tickets": _NUMBER,
    "mbedtls_ssl_conf_session_tickets_cb": (None, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "mbedtls_ssl_ticket_init": _POINTER_ONLY,
    "mbedtls_ssl_ticket_free": _POINTER_ONLY,
    "mbedtls_ssl_ticket_setup": (c_int, (c_void_p, RANDOM, c_void_p, c_int, ctypes.c_uint32)),
    "mbedtls_ssl_ticket_write": (c_int, ()),
    "mbedtls_ssl_ticket_parse": (c_int, ()),
    "mbedtls_x509_crt_init": _POINTER_ONLY,
    "mbedtls_x509_crt_free": _POINTER_ONLY,
    "mbedtls_x509_crt_parse": (c_int, (c_void_p, c_char_p, c_size_t)),
    "mbedtls_pk_init": _POINTER_ONLY,
    "mbedtls_pk_free": _POINTER_ONLY,
    "mbedtls_ssl_init": _POINTER_ONLY,
    "mbedtls_ssl_free": _POINTER_ONLY,
    "mbedtls_ssl_setup": (c_int, (c_void_p, c_void_p)),
    "mbedtls_ssl_set_hostname": (c_int, (c_void_p, c_char_p)),
    "mbedtls_ssl_set_bio": (None, (c_void_p, c_void_p, SEND, RECEIVE, c_void_p)),
    "mbedtls_ssl_set_verify": (None, (c_void_p, CHECK, c_void_p)),
    "mbedtls_ssl_handshake": (c_int, (c_void_p,)),
    "mbedtls_ssl_read": (c_int, (c_void_p, c_void_p, c_size_t)),
    "mbedtls_ssl_write": (c_int, (c_void_p, c_char_p, c_size_t)),
    "mbedtls_ssl_close_notify": (c_int, (c_void_p,)),
    "mbedtls_ssl_send_alert_message": (c_int, (c_void_p, ctypes.c_ubyte, ctypes.c_ubyte)),
    "mbedtls_ssl_get_version": (c_char_p, (c_void_p,)),
    "mbedtls_ssl_get_ciphersuite": (c_char_p, (c_void_p,)),
    "mbedtls_ssl_get_ciphersuite_id": (c_int, (c_char_p,)),
    "mbedtls_ssl_get_alpn_protocol": (c_char_p, (c_void_p,)),
}

_PROTOTYPES_2: dict[str, Prototype] = {
    "mbedtls_pk_parse_key": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "mbedtls_ssl_conf_curves": (None, (c_void_p, c_void_p)),
}

_PROTOTYPES_3: dict[str, Prototype] = {
    "mbedtls_pk_parse_key": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, RANDOM, c_void_p)),
    "mbedtls_ssl_conf_groups": (None, (c_void_p, c_void_p)),
    "mbedtls_ssl_conf_new_session_tickets": (None, (c_void_p, ctypes.c_uint16)),
    "psa_crypto_init": (ctypes.c_int32, ()),
    "mbedtls_psa_crypto_free": (None, ()),
}

_VERSION_TEXT = 18  # bytes that mbedtls_version_get_string_full fills at most
_ERRORS_ONLY = 1  # the debug level of what ends a session


@dataclass(slots=True)
class MbedTLS:
    """The library as it was found.

    Attributes:
        functions: by their C names.
        version: its own text.
        speaks_13: whether it has TLS 1.3, and with it the interface of version 3.
        layout: sizes and places in its structures.
        pid: the process in which its process-wide state was set up.
    """

    functions: ctypes.CDLL
    version: str
    speaks_13: bool
    layout: Layout
    pid: int

    def prepare(self) -> None:
        """Once per process: after a fork the child's copy of the library's random state would repeat the
        parent's numbers. Raises Absent."""
        if self.pid != os.getpid():
            if self.speaks_13:
                self.functions.mbedtls_psa_crypto_free()
                if self.functions.psa_crypto_init():
                    raise Absent(f"psa_crypto_init of {self.version} failed after a fork")
            self.pid = os.getpid()

    def words(self, code: int) -> str:
        """The library's own text for an error."""
        text = ctypes.create_string_buffer(200)
        self.functions.mbedtls_strerror(code, text, len(text))
        return text.value.decode("ascii", "replace")


@cache
def _found() -> MbedTLS | Absent:
    try:
        library = load(
            "MUNGOS_MBEDTLS", _NAMES, "libmbedtls (Debian 12: libmbedtls14, Debian 13: libmbedtls21)"
        )
        declare(library, _PROTOTYPES)
        number = library.mbedtls_version_get_number()
        text = ctypes.create_string_buffer(_VERSION_TEXT + 14)
        library.mbedtls_version_get_string_full(text)
        version = text.value.decode("ascii", "replace")
        major, minor = number >> 24, number >> 16 & 0xFF
        if not ((major == 2 and minor == 28) or (major == 3 and minor >= 6)):
            return Absent(f"{version} is neither 2.28 nor 3.6 or a later 3: install one of these")
        declare(library, _PROTOTYPES_3 if major == 3 else _PROTOTYPES_2)
        if major == 3 and library.psa_crypto_init():
            return Absent(f"psa_crypto_init of {version} failed")
        layout = measure(library)
    except Absent as absent:
        return absent
    library.mbedtls_debug_set_threshold(_ERRORS_ONLY)
    return MbedTLS(library, version, major == 3, layout, os.getpid())


def mbedtls() -> MbedTLS:
    """The library, opened at first use. Raises Absent."""
    found = _found()
    if isinstance(found, Absent):
        raise Absent(found.reason)  # its own, whose traceback would grow each time
    found.prepare()
    return found
