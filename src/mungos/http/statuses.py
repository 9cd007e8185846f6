"""Status codes: their lines, and what they say about a body."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from mungos.checking import count

__all__ = ["BODILESS", "reason_of", "status_line"]

BODILESS: Final = frozenset({204, 304})
"""Final statuses whose responses end with their head (RFC 9112 section 6.3)."""

_REASONS: Final = {
    **{status.value: status.phrase for status in HTTPStatus},
    413: "Content Too Large",  # RFC 9110 section 15.5.14; older Pythons have the older names
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_LINES: Final = {code: f"HTTP/1.1 {code} {reason}\r\n".encode("ascii") for code, reason in _REASONS.items()}


def reason_of(status: int) -> str:
    """The reason phrase of `status`, empty where none is registered."""
    return _REASONS.get(status, "")


def status_line(status: int) -> bytes:
    """The status line of `status`, with its line end.

    Raises:
        Misuse: not a status code (RFC 9110 section 15: 100 to 599).
    """
    line = _LINES.get(status)
    if line is None:
        count("a status", status, 100, 599)
        line = b"HTTP/1.1 %d \r\n" % status
    return line
