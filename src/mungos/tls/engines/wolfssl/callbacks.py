"""The three functions by which wolfSSL calls back, one of each for the whole process, never freed."""

from __future__ import annotations

import ctypes

from mungos.tls.engines.foreign.pipe import Pipe
from mungos.tls.engines.wolfssl.library import CHECK, RECEIVE, SEND, wolfssl

__all__ = ["check_certificate", "pipes", "receive", "send"]

pipes: dict[int, Pipe] = {}
"""By the library's session. What is not in here any more gets errors."""

_GENERAL_ERROR = -1  # WOLFSSL_CBIO_ERR_GENERAL
_WANT_READ = -2  # WOLFSSL_CBIO_ERR_WANT_READ

_LEAF = 0


def _receive(session: int, buffer: int, size: int, _context: int) -> int:
    """Bytes for the library."""
    pipe = pipes.get(session)
    if pipe is None:
        return _GENERAL_ERROR
    return pipe.pull(buffer, size) or _WANT_READ


def _send(session: int, buffer: int, size: int, _context: int) -> int:
    """Bytes of the library."""
    pipe = pipes.get(session)
    return _GENERAL_ERROR if pipe is None else pipe.push(buffer, size)


def _check_certificate(believed: int, looked_at: int) -> int:
    """Called for each certificate from the top down, whatever the library thinks of it. The leaf decides,
    with the whole chain."""
    library = wolfssl()
    if library.wolfSSL_X509_STORE_CTX_get_error_depth(looked_at) != _LEAF:
        return 1
    pipe = pipes.get(library.wolfSSL_X509_STORE_CTX_get_ex_data(looked_at, 0))
    return int(pipe is not None and pipe.judge(lambda: _chain(looked_at), bool(believed)))


receive = RECEIVE(_receive)
send = SEND(_send)
check_certificate = CHECK(_check_certificate)


def _der(certificate: int) -> bytes:
    size = ctypes.c_int()
    address = wolfssl().wolfSSL_X509_get_der(certificate, ctypes.byref(size))
    return ctypes.string_at(address, size.value) if address and size.value > 0 else b""


def _chain(looked_at: int) -> list[bytes]:
    """All that the peer sent, leaf first, whichever way round the library's list is; nothing where the peer
    sent none."""
    library = wolfssl()
    leaf = _der(library.wolfSSL_X509_STORE_CTX_get_current_cert(looked_at))
    if not leaf:
        return []
    stack = library.wolfSSL_X509_STORE_GetCerts(looked_at)
    if not stack:
        return [leaf]
    try:
        count = library.wolfSSL_sk_X509_num(stack)
        found = [_der(library.wolfSSL_sk_X509_value(stack, at)) for at in range(count)]
    finally:
        library.wolfSSL_sk_X509_pop_free(stack, None)
    if found and found[-1] == leaf and found[0] != leaf:
        found.reverse()
    return found if found and found[0] == leaf else [leaf]
