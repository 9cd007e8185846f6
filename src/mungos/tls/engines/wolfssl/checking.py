"""What a function of wolfSSL that makes or sets up something returned: a pointer, or mostly 1."""

from __future__ import annotations

import ctypes

from mungos.errors import Misuse

__all__ = ["OK", "made", "must", "words"]

OK = 1  # WOLFSSL_SUCCESS
_NO_MEMORY = -125  # MEMORY_E
_MASK = 2**64 - 1


def words(library: ctypes.CDLL, code: int) -> str:
    """The library's own text for an error, whose list of errors is emptied."""
    text: bytes = library.wolfSSL_ERR_reason_error_string(code & _MASK) or b""
    library.wolfSSL_ERR_clear_error()
    return text.decode("ascii", "replace")


def must(library: ctypes.CDLL, what: str, result: int, good: int = OK) -> None:
    """See that the library took something.

    Args:
        library: whose words explain an error.
        what: was handed in.
        result: `good`, or an error.
        good: what the function says for success.

    Raises MemoryError where the library got none, else Misuse.
    """
    if result != good:
        kind = MemoryError if result == _NO_MEMORY else Misuse
        raise kind(f"wolfSSL does not take {what}: {words(library, result)} ({result})")


def made(function: str, pointer: int | None) -> int:
    """The pointer that `function` returned. Raises MemoryError where it is NULL."""
    if not pointer:
        raise MemoryError(function)
    return pointer
