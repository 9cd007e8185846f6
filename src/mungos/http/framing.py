"""Where a body ends: lengths, the chunked coding, and the end of the stream (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, Protocol

from mungos.errors import Misuse
from mungos.http.errors import HTTPError, Rule, violation
from mungos.http.headers import NO_HEADERS, FieldLines, Headers, encode_fields
from mungos.http.heads import parse_fields
from mungos.http.inspection import TEXT, Inspection
from mungos.http.limits import HTTPLimits
from mungos.http.statuses import BODILESS
from mungos.printable import quoted

__all__ = [
    "BodyDecoder",
    "ChunkedBody",
    "Framing",
    "LengthBody",
    "StreamBody",
    "chunk",
    "last_chunk",
    "request_framing",
    "response_framing",
]

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*+;[\t -~\x80-\xff]*+)?)\r\n")

# What may follow within a chunk's size line, from each part on: the size, the blanks behind it, extensions.
# As in `inspection`, the number of the last group is that of the part that was reached.
_IN_SIZE, _IN_BLANKS, _IN_EXTENSIONS = range(3)
_BLANK: Final = r"[ \t]"
_REST_OF_CHUNK_LINE: Final = tuple(
    re.compile(expression.encode("latin-1"))
    for expression in (
        rf"([0-9A-Fa-f]*+)(?:{_BLANK}++())?(?:;(){TEXT}*+)?",
        rf"(){_BLANK}*+()(?:;(){TEXT}*+)?",
        rf"()()(){TEXT}*+",
    )
)
_MOST_DIGITS: Final = 15  # of a chunk's size

_MOST_PIECES: Final = 64
"""Chunks, or parts of them, that one call of `decode` puts together: its work is bounded."""


class Framing(Enum):
    """The ways in which the end of a body is marked, apart from a length in bytes."""

    CHUNKED = "chunked"
    END_OF_STREAM = "end of stream"


class BodyDecoder(Protocol):
    """What the three decoders have in common."""

    ended: bool
    """True once the last byte of the body, trailers included, was decoded."""

    trailers: Headers
    """The fields after the body, complete when `ended`."""

    @property
    def remaining(self) -> int | None:
        """Bytes that are still to come, None where nobody can know."""

    def decode(self, buffer: bytes | bytearray, start: int) -> tuple[bytes, int]:
        """Decode from `start`: the piece of the body (empty: more bytes are needed, or it has ended) and the
        index after what was used. What was not used has to be there again at the next call, unchanged, where
        it begins with it: what was looked at is not looked at again. Raises `HTTPError` for a rule broken."""

    def finish(self) -> None:
        """The stream has ended: raises `HTTPError` unless this is how the body ends."""


class LengthBody:
    """A body of a known length (RFC 9112 section 6.2)."""

    __slots__ = ("ended", "remaining", "trailers")

    def __init__(self, length: int) -> None:
        self.remaining: int = length
        self.ended = length == 0
        self.trailers = NO_HEADERS

    def decode(self, buffer: bytes | bytearray, start: int) -> tuple[bytes, int]:
        end = min(start + self.remaining, len(buffer))
        self.remaining -= end - start
        self.ended = self.remaining == 0
        # The slice of a whole `bytes` is that object itself: nothing is copied.
        piece = buffer[start:end]
        return (piece if type(piece) is bytes else bytes(piece)), end

    def finish(self) -> None:
        if not self.ended:  # RFC 9112 section 8
            raise violation(
                Rule.INCOMPLETE, f"the stream ended {self.remaining} bytes before the body's length"
            )


class StreamBody:
    """A response's body that only the end of the stream ends (RFC 9112 section 6.3, rule 8)."""

    __slots__ = ("_left", "_limits", "ended", "trailers")

    def __init__(self, limits: HTTPLimits) -> None:
        self._limits = limits
        self._left = limits.max_body
        self.ended = False
        self.trailers = NO_HEADERS

    @property
    def remaining(self) -> int | None:
        return None

    def decode(self, buffer: bytes | bytearray, start: int) -> tuple[bytes, int]:
        left = self._left
        if left is None:
            return bytes(buffer[start:]), len(buffer)
        # What is good before the fault is handed out first, however the bytes were cut.
        if not left and start < len(buffer):
            raise violation(Rule.BODY_TOO_LONG, f"body over the limit of {self._limits.max_body} bytes")
        end = min(start + left, len(buffer))
        self._left = left - (end - start)
        return bytes(buffer[start:end]), end

    def finish(self) -> None:
        self.ended = True


class _Waiting(Enum):
    """What a chunked body waits for."""

    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILERS = "trailers"


class ChunkedBody:
    """A body in the chunked coding (RFC 9112 section 7.1)."""

    __slots__ = (
        "_error",
        "_extensions",
        "_known",
        "_left",
        "_limits",
        "_part",
        "_section",
        "_seen",
        "_size",
        "_waiting",
        "ended",
        "trailers",
    )

    def __init__(self, limits: HTTPLimits) -> None:
        self._limits = limits
        self._left = limits.max_body
        self._extensions = limits.max_chunk_extensions
        self._size = 0
        self._waiting = _Waiting.SIZE
        self._part = _IN_SIZE
        self._seen = 0  # bytes of the size line under way that were looked at
        self._known = -1  # bytes that were not used at the last call: without others there is nothing to do
        self._section: Inspection | None = None
        self._error: HTTPError | None = None
        self.ended = False
        self.trailers = NO_HEADERS

    @property
    def remaining(self) -> int | None:
        return 0 if self.ended else None

    def decode(self, buffer: bytes | bytearray, start: int) -> tuple[bytes, int]:
        if self._error is not None:
            raise self._error
        pieces: list[bytes] = []
        size = len(buffer)
        at = start
        if size - at == self._known:
            return b"", at
        try:
            while not self.ended and len(pieces) < _MOST_PIECES:
                if self._waiting is _Waiting.SIZE:
                    used = self._read_size(buffer, at)
                    if used == at:
                        break
                    at = used
                if self._waiting is _Waiting.DATA:
                    end = at + self._size
                    if end + 2 <= size and buffer[end] == 0x0D and buffer[end + 1] == 0x0A:
                        # The usual chunk: all of it is here.
                        pieces.append(bytes(buffer[at:end]))
                        self._waiting = _Waiting.SIZE
                        at = end + 2
                        continue
                used = self._step(buffer, at, pieces)
                if used == at:
                    break
                at = used
        except HTTPError as error:
            if not pieces:
                raise
            # What was good before the fault is handed out first, however the bytes were cut.
            self._error = error.with_traceback(None)
        self._known = size - at if len(pieces) < _MOST_PIECES else -1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), at

    def finish(self) -> None:
        if not self.ended:  # RFC 9112 section 8: no last chunk, no complete message
            raise violation(
                Rule.INCOMPLETE, f"the stream ended inside a chunked body (waiting for {self._waiting.value})"
            )

    def _step(self, buffer: bytes | bytearray, at: int, pieces: list[bytes]) -> int:
        """Take one part of the coding: the index after it, or `at` when it isn't there yet."""
        waiting = self._waiting
        if waiting is _Waiting.DATA:
            end = min(at + self._size, len(buffer))
            if end > at:
                pieces.append(bytes(buffer[at:end]))
                self._size -= end - at
            if not self._size:
                self._waiting = _Waiting.DATA_END
            return end
        if waiting is _Waiting.DATA_END:
            tail = buffer[at : at + 2]
            if tail == b"\r\n":
                self._waiting = _Waiting.SIZE
                return at + 2
            if tail not in (b"", b"\r"):
                raise violation(Rule.CHUNK, f"a chunk's data are followed by {bytes(tail)!r} instead of CRLF")
            return at
        if self._section is None:
            if buffer.startswith(b"\r\n", at):  # the usual section: empty
                self.ended = True
                return at + 2
            self._section = Inspection.of_trailers(self._limits)
        section = parse_fields(buffer, at, self._limits, self._section)
        if section is None:
            return at
        if section[1]:
            self.trailers = Headers(section[1])
        self.ended = True
        return section[0]

    def _read_size(self, buffer: bytes | bytearray, at: int) -> int:
        """Take a chunk's size line: the index after it, or `at` when it isn't there yet."""
        most = self._limits.max_chunk_line
        # A line that has begun to come in pieces is looked at as a whole only once it is complete.
        parts = None if self._seen else _CHUNK_LINE.match(buffer, at, at + most + 2)
        if parts is None:
            if not self._inspect_size(buffer, at, most):
                return at
            parts = _CHUNK_LINE.match(buffer, at, at + most + 2)
            if parts is None:
                line = bytes(buffer[at : at + 40]).partition(b"\r\n")[0]
                raise violation(Rule.CHUNK, f"not a chunk size: {line!r}")
        self._part = _IN_SIZE
        self._seen = 0
        # RFC 9112 section 7.1.1: unknown extensions are ignored; their total is bounded.
        self._extensions -= len(parts[2])
        if self._extensions < 0:
            raise violation(
                Rule.CHUNK_EXTENSIONS_TOO_LONG,
                f"chunk extensions over the limit of {self._limits.max_chunk_extensions} bytes",
            )
        self._size = size = int(parts[1], 16)
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise violation(Rule.BODY_TOO_LONG, f"body over the limit of {self._limits.max_body} bytes")
        self._waiting = _Waiting.DATA if size else _Waiting.TRAILERS
        return parts.end()

    def _inspect_size(self, buffer: bytes | bytearray, at: int, most: int) -> bool:
        """Go on with a size line that comes in pieces: whether its end is here."""
        seen = at + self._seen
        rest = _REST_OF_CHUNK_LINE[self._part].match(buffer, seen, at + most)
        if rest is None:  # each of them takes the empty string
            return False
        if self._part == _IN_SIZE and (digits := rest.end(1) - at) > 0:
            faulty = digits > _MOST_DIGITS
        else:
            faulty = self._part == _IN_SIZE and rest.end() > at
        end = rest.end()
        tail = buffer[end : end + 2]
        if faulty or tail not in (b"", b"\r", b"\r\n"):
            if not faulty and end - at >= most:
                raise violation(Rule.CHUNK, f"chunk size line over the limit of {most} bytes")
            raise violation(Rule.CHUNK, f"not a chunk size: {bytes(buffer[at : min(end + 1, at + 40)])!r}")
        self._part = (rest.lastindex or 1) - 1
        self._seen = end - at
        return len(tail) == 2


def request_framing(minor: int, table: dict[str, str], limits: HTTPLimits) -> int | Framing:
    """The length of a request's body (RFC 9112 section 6.3): bytes, or `CHUNKED`.

    Args:
        minor: the minor version of the request.
        table: values by lower-case name, repeated ones joined by commas.
        limits: `max_body` counts here.

    Raises:
        HTTPError: the framing is faulty, ambiguous, or unknown; the connection can't go on after it.
    """
    coding = table.get("transfer-encoding")
    length = table.get("content-length")
    if coding is not None:
        if length is not None:  # section 6.1: it "might indicate an attempt to perform request smuggling"
            raise violation(Rule.LENGTH_WITH_CODING, "both Content-Length and Transfer-Encoding")
        _check_coding(minor, coding)
        return Framing.CHUNKED
    return 0 if length is None else _read_length(length, limits)


def response_framing(
    method: str, status: int, minor: int, table: dict[str, str], limits: HTTPLimits
) -> int | Framing:
    """The length of a response's body (RFC 9112 section 6.3): bytes, `CHUNKED` or `END_OF_STREAM`.

    Args:
        method: the method of the request that it answers.
        status: the final status.
        minor: the minor version of the response.
        table: values by lower-case name, repeated ones joined by commas.
        limits: `max_body` counts here.

    Raises:
        HTTPError: the framing is faulty, ambiguous, or unknown.
    """
    # Rules 1 and 2: these end with their head, whatever their fields say.
    if method == "HEAD" or status in BODILESS or (method == "CONNECT" and 200 <= status < 300):
        return 0
    coding = table.get("transfer-encoding")
    length = table.get("content-length")
    if coding is not None:
        if length is not None:  # rule 3: "ought to be handled as an error"
            raise violation(Rule.LENGTH_WITH_CODING, "both Content-Length and Transfer-Encoding")
        _check_coding(minor, coding)
        return Framing.CHUNKED
    return Framing.END_OF_STREAM if length is None else _read_length(length, limits)


def chunk(data: bytes) -> bytes:
    """One chunk of `data`; empty for no data, since a chunk of length zero ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: FieldLines = ()) -> bytes:
    """The end of a chunked body, with its trailer section.

    Raises:
        Misuse: a trailer is malformed, or one that decides about framing or the connection.
    """
    lines, managed = encode_fields(trailers)
    if managed:  # RFC 9110 section 6.5.1
        raise Misuse(f"not allowed in trailers: {', '.join(managed)}")
    return b"0\r\n" + lines + b"\r\n"


def _read_length(value: str, limits: HTTPLimits) -> int:
    """RFC 9112 section 6.3, rule 5. Repeated and listed values are refused even where they agree."""
    if _DIGITS.fullmatch(value) is None:
        raise violation(Rule.CONTENT_LENGTH, f"not a Content-Length: {quoted(value)}")
    length = int(value)
    if limits.max_body is not None and length > limits.max_body:
        raise violation(
            Rule.BODY_TOO_LONG, f"body of {length} bytes over the limit of {limits.max_body} bytes"
        )
    return length


def _check_coding(minor: int, value: str) -> None:
    """RFC 9112 section 6.1: chunked, and nothing before or after it, is spoken here."""
    if not minor:
        raise violation(Rule.CODING_IN_HTTP_1_0, "Transfer-Encoding in HTTP/1.0")
    if value.lower() == "chunked":
        return
    codings = [coding.strip(" \t") for coding in value.lower().split(",")]
    # Section 6.3, rule 4: chunked is not the final coding, so nobody can tell where the body ends.
    if codings[-1] != "chunked" or codings.count("chunked") > 1 or "" in codings:
        raise violation(
            Rule.CODING_NOT_CHUNKED_LAST, f"chunked is not the last coding, once: {quoted(value)}"
        )
    raise violation(Rule.CODING_UNKNOWN, f"transfer coding not spoken here: {quoted(value)}")
