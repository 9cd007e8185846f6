"""How large the library's structures are, and where in a certificate its bytes and its successor stand.

Mbed TLS leaves the memory of its structures to the caller, whose compiler knows their sizes. Without one, and
since they differ with version, processor and build, they are measured once, at load:

- an init function clears the whole structure, so the last byte that it changes in a buffer full of a pattern
  is the structure's last. Every structure then gets twice that, cleared, and never less than 1 KiB, which
  covers the small ones whose init function sets some members only;
- the places in a certificate are found by parsing a known one: where its length stands, with behind it a
  pointer to its bytes; and the one word that is zero while it is alone and not zero when another follows.

Whatever is not found so means that the library is not used.
"""

from __future__ import annotations

import ctypes
from base64 import b64decode
from dataclasses import dataclass

from mungos.tls.engines.foreign.libraries import Absent

__all__ = ["Layout", "Memory", "measure"]

_LARGEST = 32 * 1024
_LEAST = 1024
_PATTERN = b"\xa5"
_WORD = ctypes.sizeof(ctypes.c_size_t)
_MOST_CERTIFICATES = 32

# A self-signed certificate for "layout", of no other use; it expired in 2000.
_CERTIFICATE = b64decode(
    "MIIBDzCBtaADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBmxheW91dDAeFw0wMDAxMDEwMDAwMDBaFw0w"
    "MDAxMDIwMDAwMDBaMBExDzANBgNVBAMMBmxheW91dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABL4vfIqFS5aP"
    "37q93LTcToYDQwIDVQUJQdg5pV4SyYkOi7gHeNrLmWTnFLyVwLu4esF9mTPbiwdVHAciIG0of7IwCgYIKoZIzj0E"
    "AwIDSQAwRgIhAJWAhFwERiJP6WZZSaaCFvquXaDNia3evBCb4WIhG9BFAiEA5E6UP7AtoqSlDWo7LGINRMLvSD+A"
    "rQbZVv+CD9uTkD8="
)

Memory = ctypes.Array[ctypes.c_uint64]
"""Cleared and aligned memory for a structure."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes in bytes of what each init function clears, by its name without "mbedtls_" and "_init", and
    offsets in a certificate."""

    sizes: dict[str, int]
    raw_length: int
    next_certificate: int

    def allocate(self, kind: str) -> Memory:
        """Memory for one structure."""
        return _allocate(max(2 * self.sizes[kind], _LEAST))

    def chain(self, certificate: int) -> list[bytes]:
        """The DER of the certificate at this address, and of those that follow it."""
        found: list[bytes] = []
        while certificate and len(found) < _MOST_CERTIFICATES:
            found.append(_raw(certificate + self.raw_length))
            certificate = _word(certificate + self.next_certificate)
        return found


def _allocate(size: int) -> Memory:
    return (ctypes.c_uint64 * -(-size // 8))()


def _word(address: int) -> int:
    return ctypes.c_size_t.from_address(address).value


def _raw(address: int) -> bytes:
    """Of a length and a pointer (mbedtls_asn1_buf), the bytes."""
    return ctypes.string_at(_word(address + _WORD), _word(address))


def _size(library: ctypes.CDLL, kind: str) -> int:
    memory = ctypes.create_string_buffer(_PATTERN * _LARGEST, _LARGEST)
    getattr(library, f"mbedtls_{kind}_init")(memory)
    size = len(memory.raw.rstrip(_PATTERN))
    if size > _LARGEST // 2:
        raise Absent(f"mbedtls_{kind}_init clears {size} bytes (limit {_LARGEST // 2} bytes)")
    return size


def measure(library: ctypes.CDLL) -> Layout:
    """Measure this library. Raises Absent where something does not fit what is known."""
    kinds = ("ssl", "ssl_config", "ssl_ticket", "x509_crt", "pk")
    sizes = {kind: _size(library, kind) for kind in kinds}
    size = sizes["x509_crt"]
    alone, followed = _allocate(2 * size), _allocate(2 * size)
    for memory in (alone, followed):
        library.mbedtls_x509_crt_init(memory)
    try:
        for memory in (alone, followed, followed):
            if library.mbedtls_x509_crt_parse(memory, _CERTIFICATE, len(_CERTIFICATE)):
                raise Absent("mbedtls_x509_crt_parse can't read a certificate of the curve secp256r1")
        return _layout(sizes, ctypes.addressof(alone), ctypes.addressof(followed))
    finally:
        for memory in (alone, followed):
            library.mbedtls_x509_crt_free(memory)


def _layout(sizes: dict[str, int], alone: int, followed: int) -> Layout:
    places = range(0, sizes["x509_crt"] - _WORD + 1, _WORD)
    lengths = [at for at in places if _word(alone + at) == len(_CERTIFICATE)]
    successors = [at for at in places if _word(alone + at) == 0 != _word(followed + at)]
    if not lengths or len(successors) != 1:
        raise Absent(f"an mbedtls_x509_crt of {sizes['x509_crt']} bytes has an unknown shape")
    layout = Layout(sizes, lengths[0], successors[0])
    if layout.chain(followed) != [_CERTIFICATE, _CERTIFICATE]:
        raise Absent("the bytes of a certificate are not where they were expected")
    return layout
