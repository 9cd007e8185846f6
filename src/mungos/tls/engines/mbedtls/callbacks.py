"""The functions by which Mbed TLS calls back, one of each for the whole process, never freed."""

from __future__ import annotations

import ctypes
import re
from contextvars import ContextVar
from itertools import count

from mungos.tls.engines.foreign.outside import random_bytes
from mungos.tls.engines.foreign.pipe import Pipe
from mungos.tls.engines.mbedtls.library import CHECK, DEBUG, RANDOM, RECEIVE, SEND, mbedtls

__all__ = [
    "alert_seen",
    "check_certificate",
    "debug",
    "next_key",
    "pipes",
    "raise_trouble",
    "random",
    "receive",
    "send",
]

pipes: dict[int, Pipe] = {}
"""By the number that the library hands back. What is not in here any more gets errors."""

_keys = count(1)

WANT_READ = -0x6900
_INTERNAL_ERROR = -0x6C00
_NO_RANDOMNESS = -0x003C  # MBEDTLS_ERR_ENTROPY_SOURCE_FAILED

# What the library answers with the alert of that name (MBEDTLS_X509_BADCERT_...).
_FLAGS = {
    "bad_certificate": 0x04,
    "certificate_expired": 0x01,
    "certificate_revoked": 0x02,
    "unknown_ca": 0x08,
    "unsupported_certificate": 0x0800,
}
_OTHER = 0x0200  # certificate_unknown

_FATAL_ALERT = re.compile(rb"fatal alert message \(msg (\d+)\)")

alert_seen: ContextVar[int] = ContextVar("alert_seen", default=-1)
"""The last fatal alert that the library received in this thread; it tells nowhere else which one it was."""

_trouble: ContextVar[BaseException | None] = ContextVar("_trouble", default=None)
"""What was raised while the library asked for randomness in this thread."""


def next_key() -> int:
    """A number that no session has had."""
    return next(_keys)


def raise_trouble() -> None:
    """Raise what was kept, once."""
    kept = _trouble.get()
    if kept is not None:
        _trouble.set(None)
        raise kept


def _receive(key: int, buffer: int, size: int) -> int:
    pipe = pipes.get(key)
    if pipe is None:
        return _INTERNAL_ERROR
    taken = pipe.pull(buffer, size)
    return taken if taken > 0 else _INTERNAL_ERROR if taken else WANT_READ


def _send(key: int, buffer: int, size: int) -> int:
    pipe = pipes.get(key)
    return size if pipe is not None and pipe.push(buffer, size) >= 0 else _INTERNAL_ERROR


def _random(_context: int, buffer: int, size: int) -> int:
    """The kernel's: it is the same after a fork, and needs no structure of the library."""
    try:
        ctypes.memmove(buffer, random_bytes(size), size)
    except BaseException as error:  # noqa: BLE001  raised again by `raise_trouble`
        _trouble.set(error)
        return _NO_RANDOMNESS
    return 0


def _check_certificate(
    key: int, certificate: int, depth: int, flags: ctypes._Pointer[ctypes.c_uint32]
) -> int:
    """Called for each certificate of the path that the library found, from the top down, whatever it thinks
    of it. The leaf decides, with all that the peer sent."""
    if depth:
        flags[0] = 0
        return 0
    pipe = pipes.get(key)
    if pipe is not None and pipe.judge(lambda: mbedtls().layout.chain(certificate)):
        flags[0] = 0
    else:
        refusal = pipe.refusal if pipe is not None else None
        flags[0] = _FLAGS.get(refusal.alert, _OTHER) if refusal is not None else _OTHER
    return 0


def _debug(_context: int, _level: int, _file: bytes, _line: int, words: bytes) -> None:
    found = _FATAL_ALERT.search(words or b"")
    if found is not None:
        alert_seen.set(int(found[1]))


receive = RECEIVE(_receive)
send = SEND(_send)
random = RANDOM(_random)
check_certificate = CHECK(_check_certificate)
debug = DEBUG(_debug)
