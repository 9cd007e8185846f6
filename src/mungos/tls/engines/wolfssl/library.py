"""The functions of wolfSSL that are called, and the three by which it calls back.

Found by SONAME: 35 is 5.5.x (Debian 12), 42 is 5.7.x (Debian 13). All objects are allocated by the library
itself; the one structure that crosses the border is four C integers, unchanged since 3.x.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_long, c_ubyte, c_uint, c_ulong, c_void_p
from functools import cache

from mungos.tls.engines.foreign.libraries import RESULT, Absent, Prototype, declare, load

__all__ = ["CHECK", "FILE_DER", "FILE_PEM", "RECEIVE", "SEND", "AlertHistory", "wolfssl"]

_NAMES = (*(f"libwolfssl.so.{number}" for number in range(44, 34, -1)), "libwolfssl.so")
_OLDEST = 0x05005004
_NEWEST = 0x06000000  # not this one

FILE_PEM = 1
FILE_DER = 2

RECEIVE = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_int, c_void_p)
"""(session, buffer, size, context) -> bytes, or a negative number."""

SEND = ctypes.CFUNCTYPE(RESULT, c_void_p, c_void_p, c_int, c_void_p)
"""As RECEIVE."""

CHECK = ctypes.CFUNCTYPE(RESULT, c_int, c_void_p)
"""(whether the library believes the certificate, what it looked at) -> whether we do."""


class AlertHistory(ctypes.Structure):
    """The last alerts: WOLFSSL_ALERT_HISTORY."""

    _fields_ = (
        ("received_code", c_int),
        ("received_level", c_int),
        ("sent_code", c_int),
        ("sent_level", c_int),
    )


_PROTOTYPES: dict[str, Prototype] = {
    "wolfSSL_Init": (c_int, ()),
    "wolfSSL_lib_version": (c_char_p, ()),
    "wolfSSL_lib_version_hex": (c_uint, ()),
    "wolfTLS_client_method": (c_void_p, ()),
    "wolfTLS_server_method": (c_void_p, ()),
    "wolfTLSv1_3_client_method": (c_void_p, ()),
    "wolfTLSv1_3_server_method": (c_void_p, ()),
    "wolfSSL_CTX_new": (c_void_p, (c_void_p,)),
    "wolfSSL_CTX_free": (None, (c_void_p,)),
    "wolfSSL_CTX_SetMinVersion": (c_int, (c_void_p, c_int)),
    "wolfSSL_CTX_set_cipher_list": (c_int, (c_void_p, c_char_p)),
    "wolfSSL_CTX_set_groups": (c_int, (c_void_p, c_void_p, c_int)),
    "wolfSSL_CTX_set_session_cache_mode": (c_long, (c_void_p, c_long)),
    "wolfSSL_CTX_no_ticket_TLSv13": (c_int, (c_void_p,)),
    "wolfSSL_CTX_NoTicketTLSv12": (c_int, (c_void_p,)),
    "wolfSSL_CTX_set_num_tickets": (c_int, (c_void_p, ctypes.c_size_t)),
    "wolfSSL_CTX_set_TicketHint": (c_int, (c_void_p, c_int)),
    "wolfSSL_CTX_set_verify": (None, (c_void_p, c_int, CHECK)),
    "wolfSSL_CTX_load_verify_buffer": (c_int, (c_void_p, c_char_p, c_long, c_int)),
    "wolfSSL_CTX_use_certificate_chain_buffer": (c_int, (c_void_p, c_char_p, c_long)),
    "wolfSSL_CTX_use_PrivateKey_buffer": (c_int, (c_void_p, c_char_p, c_long, c_int)),
    "wolfSSL_CTX_check_private_key": (c_int, (c_void_p,)),
    "wolfSSL_CTX_SetIORecv": (None, (c_void_p, RECEIVE)),
    "wolfSSL_CTX_SetIOSend": (None, (c_void_p, SEND)),
    "wolfSSL_new": (c_void_p, (c_void_p,)),
    "wolfSSL_free": (None, (c_void_p,)),
    "wolfSSL_UseSNI": (c_int, (c_void_p, c_ubyte, c_char_p, ctypes.c_ushort)),
    "wolfSSL_UseALPN": (c_int, (c_void_p, c_char_p, c_uint, c_ubyte)),
    "wolfSSL_ALPN_GetProtocol": (
        c_int,
        (c_void_p, ctypes.POINTER(c_void_p), ctypes.POINTER(ctypes.c_ushort)),
    ),
    "wolfSSL_connect": (c_int, (c_void_p,)),
    "wolfSSL_accept": (c_int, (c_void_p,)),
    "wolfSSL_read": (c_int, (c_void_p, c_void_p, c_int)),
    "wolfSSL_write": (c_int, (c_void_p, c_char_p, c_int)),
    "wolfSSL_shutdown": (c_int, (c_void_p,)),
    "wolfSSL_get_error": (c_int, (c_void_p, c_int)),
    "wolfSSL_ERR_reason_error_string": (c_char_p, (c_ulong,)),
    "wolfSSL_ERR_clear_error": (None, ()),
    "wolfSSL_get_alert_history": (c_int, (c_void_p, ctypes.POINTER(AlertHistory))),
    "wolfSSL_get_version": (c_char_p, (c_void_p,)),
    "wolfSSL_get_current_cipher_suite": (c_int, (c_void_p,)),
    "wolfSSL_get_curve_name": (c_char_p, (c_void_p,)),
    "wolfSSL_session_reused": (c_int, (c_void_p,)),
    "wolfSSL_X509_STORE_CTX_get_ex_data": (c_void_p, (c_void_p, c_int)),
    "wolfSSL_X509_STORE_CTX_get_error_depth": (c_int, (c_void_p,)),
    "wolfSSL_X509_STORE_CTX_get_current_cert": (c_void_p, (c_void_p,)),
    "wolfSSL_X509_STORE_GetCerts": (c_void_p, (c_void_p,)),
    "wolfSSL_sk_X509_num": (c_int, (c_void_p,)),
    "wolfSSL_sk_X509_value": (c_void_p, (c_void_p, c_int)),
    "wolfSSL_sk_X509_pop_free": (None, (c_void_p, c_void_p)),
    "wolfSSL_X509_get_der": (c_void_p, (c_void_p, ctypes.POINTER(c_int))),
}


@cache
def _found() -> ctypes.CDLL | Absent:
    try:
        library = load("MUNGOS_WOLFSSL", _NAMES, "libwolfssl (Debian 12: libwolfssl35, 13: libwolfssl42t64)")
        declare(library, _PROTOTYPES)
    except Absent as absent:
        return absent
    version = library.wolfSSL_lib_version_hex()
    if not _OLDEST <= version < _NEWEST:
        text = library.wolfSSL_lib_version().decode("ascii", "replace")
        return Absent(f"wolfSSL {text} is not one of 5.5.4 to 5.x, which are known here")
    if library.wolfSSL_Init() != 1:
        return Absent("wolfSSL_Init failed")
    return library


def wolfssl() -> ctypes.CDLL:
    """The library, opened at first use. Raises Absent."""
    found = _found()
    if isinstance(found, Absent):
        raise Absent(found.reason)  # its own, whose traceback would grow each time
    return found
