"""The bounds of HTTP/1.1: how long, how many, how slow. Every one has a name and a unit."""

from __future__ import annotations

from dataclasses import dataclass

from mungos import checking
from mungos.errors import Misuse

__all__ = ["CLIENT_LIMITS", "SERVER_LIMITS", "HTTPLimits"]

KIB = 1024
MIB = 1024 * KIB

_MAY_BE_ZERO = (
    "continue_timeout",
    "keep_alive_timeout",
    "max_body",
    "max_chunk_extensions",
    "max_discard",
    "max_informational",
    "max_trailers",
)


@dataclass(frozen=True, slots=True)
class HTTPLimits:
    """What a session believes, keeps and waits for at most.

    Attributes:
        max_head: bytes of a whole head, its empty line included.
        max_line: bytes of one line of a head, request line or field, without its line end.
        max_headers: fields in a head, and in a trailer section.
        max_body: bytes of a decoded body; None: unlimited.
        max_chunk_line: bytes of one chunk's size line, extensions included.
        max_chunk_extensions: bytes of all chunk extensions of one body together.
        max_trailers: bytes of a trailer section.
        max_receive: bytes kept before events are pulled; more is left to the caller.
        max_discard: bytes of an unread request body that are skipped to keep the connection.
        high_watermark: bytes unsent above which `send_body` answers False and no new request is read.
        max_unsent: bytes unsent above which `send_body` raises.
        max_informational: 1xx responses to one request.
        max_requests: requests that a server takes on one connection: the response to the last says
            `Connection: close`; None: any number.
        head_timeout: seconds, total, from a head's first byte; for the first head, from the start.
        keep_alive_timeout: seconds of silence between two messages.
        body_rate: bytes a second that a body has to bring at least, over every window.
        body_window: seconds, the window of that rate.
        body_timeout: seconds, total, for one body; None: only the rate counts.
        response_timeout: seconds a client waits for the final head, from the end of its request.
        continue_timeout: seconds a client waits for 100 (Continue) before it sends the body.

    Raises:
        Misuse: a value is of another kind, out of range, or not in order with the others.
    """

    max_head: int = 16 * KIB
    max_line: int = 8 * KIB
    max_headers: int = 100
    max_body: int | None = 16 * MIB
    max_chunk_line: int = 1 * KIB
    max_chunk_extensions: int = 16 * KIB
    max_trailers: int = 8 * KIB
    max_receive: int = 128 * KIB
    max_discard: int = 64 * KIB
    high_watermark: int = 256 * KIB
    max_unsent: int = 16 * MIB
    max_informational: int = 16
    max_requests: int | None = 10_000
    head_timeout: float = 10.0
    keep_alive_timeout: float = 75.0
    body_rate: int = 1 * KIB
    body_window: float = 30.0
    body_timeout: float | None = None
    response_timeout: float = 60.0
    continue_timeout: float = 1.0

    def __post_init__(self) -> None:
        checking.numbers(self, zero=_MAY_BE_ZERO)
        if not 16 <= self.max_line <= self.max_head:
            raise Misuse(
                f"max_line is {self.max_line} bytes: it has to lie in 16..max_head ({self.max_head} bytes)"
            )
        # A head, or a trailer section, has to fit the buffer that it is found in.
        floor = max(self.max_head, self.max_chunk_line, self.max_trailers) + 4
        if self.max_receive < floor:
            raise Misuse(f"max_receive is {self.max_receive} bytes: these limits need at least {floor} bytes")
        if self.high_watermark > self.max_unsent:
            raise Misuse(
                f"high_watermark ({self.high_watermark} bytes) lies over max_unsent ({self.max_unsent} bytes)"
            )


SERVER_LIMITS = HTTPLimits()
"""A server's defaults."""

CLIENT_LIMITS = HTTPLimits(max_body=None)
"""A client's defaults: a response is streamed to whoever asked for it, so its length is not bounded."""
