"""What a function of Mbed TLS that sets something up returned: it must be 0."""

from __future__ import annotations

from mungos.errors import Misuse
from mungos.tls.engines.mbedtls.callbacks import raise_trouble
from mungos.tls.engines.mbedtls.library import MbedTLS

__all__ = ["must"]

# MBEDTLS_ERR_SSL_ALLOC_FAILED, and those of PK, X509 and PEM.
_NO_MEMORY = frozenset({-0x7F00, -0x3F80, -0x2880, -0x1180})


def must(library: MbedTLS, what: str, result: int) -> None:
    """See that the library took something.

    Args:
        library: whose words explain an error.
        what: was handed in.
        result: 0; an error; or, positive, how many certificates could not be read.

    Raises what was raised while the library asked for randomness; MemoryError where it got none; else Misuse.
    """
    if result:
        raise_trouble()
        words = library.words(result) if result < 0 else f"{result} certificates can't be read"
        kind = MemoryError if result in _NO_MEMORY else Misuse
        raise kind(f"Mbed TLS does not take {what}: {words}")
