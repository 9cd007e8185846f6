"""The bounds of HTTP/1.1: how long, how many, how slow. Every one has a name and a unit."""

from __future__ import annotations

from dataclasses import dataclass

from mungos import checking
from mungos.errors import Misuse

__all__ = ["CLIENT_LIMITS", "SERVER_LIMITS", "HTTPLimits"]

KIB = 1024
MIB = 1024 * KIB

_MAY_BE_ZERO = (
    "body_rate",
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
        max_head: bytes of a whole head, its empty line included. At it: a server answers 431, a client fails.
        max_line: bytes of one line of a head, request line or field, without its line end. At it: a server
            answers 414 or 431, a client fails.
        max_headers: fields in a head, and in a trailer section. At it: a server answers 431, a client fails.
        max_body: bytes of a decoded body; None: unlimited. At it: a server answers 413, a client fails.
        max_chunk_line: bytes of one chunk's size line, extensions included. At it: a server answers 400, a
            client fails.
        max_chunk_extensions: bytes of all chunk extensions of one body together. At it: a server answers 400,
            a client fails.
        max_trailers: bytes of a trailer section. At it: a server answers 431, a client fails.
        max_receive: bytes kept before events are pulled. At it: more is left to the caller, who must wait.
        max_discard: bytes of an unread request body that are skipped to keep the connection. At it: the
            connection ends after the response.
        high_watermark: bytes unsent up to which `send_body` answers True. At it: it answers False, and no new
            request is read.
        max_unsent: bytes unsent that no `send_body` goes beyond. At it: it raises Misuse and takes nothing.
        max_informational: responses of 1xx to one request. At it: a client fails.
        max_requests: requests that a server takes on one connection; None: any number. At it: the response to
            the last says `Connection: close`.
        head_timeout: seconds, total, from a head's first byte; for the first head, from the start. At it: 408
            when some of it came, a quiet end when nothing did.
        keep_alive_timeout: seconds of silence between two messages. At it: a quiet end, `clean`.
        body_rate: bytes a second that a body has to bring at least, over every `body_window`; 0: any rate.
            At it: a server answers 408, a client fails with `timed out`.
        body_window: seconds over which `body_rate` is measured. At it: the bytes that came are compared with
            it.
        body_timeout: seconds, total, for one body; None: only the rate counts. At it: a server answers 408, a
            client fails with `timed out`.
        response_timeout: seconds a client waits for the final head, from the end of its request. At it:
            `timed out`.
        continue_timeout: seconds a client waits for 100 (Continue) before it sends the body. At it: the body
            is sent all the same (RFC 9110 section 10.1.1).

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
