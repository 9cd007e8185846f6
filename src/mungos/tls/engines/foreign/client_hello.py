"""What a server must know of a ClientHello before its library sees it: the name and the protocols asked for.

The libraries' own callbacks for it run Python inside the handshake, and differ: that of `ssl` prints a
traceback when the peer sends a name that is not ASCII, and can't refuse ALPN without overlap (RFC 7301
section 3.2). So the first message, which is never encrypted, is read here; then the engine picks the context
that suits it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mungos.errors import Malformed
from mungos.tls.engines.foreign.joining import in_few_records
from mungos.tls.engines.foreign.records import HANDSHAKE, HEADER

__all__ = ["FirstMessage", "Offer", "parse_client_hello"]

_CLIENT_HELLO = 1  # RFC 8446 section 4: HandshakeType

# Bytes. A larger one is handed to the library unread, with the first credential and no check of ALPN.
_MAX_CLIENT_HELLO = 64 * 1024

_SERVER_NAME = 0  # RFC 6066 section 3
_ALPN = 16  # RFC 7301 section 3.1
_SUPPORTED_VERSIONS = 43  # RFC 8446 section 4.2.1


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client asks for.

    Attributes:
        server_name: the DNS name (RFC 6066 section 3), in lower case, or None.
        alpn: the protocols offered, in the client's order; None when it sent no such extension.
        versions: those of TLS that it lists (RFC 8446 section 4.2.1); None when it sent no such extension.
    """

    server_name: str | None = None
    alpn: tuple[bytes, ...] | None = None
    versions: tuple[int, ...] | None = None


class _Fields:
    """Reads length-prefixed fields, and never past the end of the enclosing one."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._at = start
        self._end = end

    def __bool__(self) -> bool:
        return self._at < self._end

    def skip(self, size: int) -> int:
        at = self._at
        if self._end - at < size:
            raise Malformed(f"ClientHello: field of {size} bytes, {self._end - at} bytes left")
        self._at = at + size
        return at

    def number(self, size: int) -> int:
        at = self.skip(size)
        return int.from_bytes(self._data[at : at + size], "big")

    def inner(self, length_size: int) -> _Fields:
        size = self.number(length_size)
        at = self.skip(size)
        return _Fields(self._data, at, at + size)

    def rest(self) -> bytes:
        return self._data[self._at : self._end]


def parse_client_hello(message: bytes) -> Offer:
    """Read three extensions of a whole ClientHello, its 4-byte header included (RFC 8446 section 4.1.2).

    Raises Malformed where a length does not fit. Everything else is left for the library to judge.
    """
    fields = _Fields(message, 4, len(message))
    fields.skip(2 + 32)  # legacy_version, random
    fields.inner(1)  # legacy_session_id
    fields.inner(2)  # cipher_suites
    fields.inner(1)  # legacy_compression_methods
    name: str | None = None
    alpn: tuple[bytes, ...] | None = None
    versions: tuple[int, ...] | None = None
    extensions = fields.inner(2) if fields else fields
    while extensions:
        kind = extensions.number(2)
        body = extensions.inner(2)
        if kind == _SERVER_NAME:
            name = _host_name(body)
        elif kind == _ALPN:
            names = body.inner(2)
            offered = []
            while names:
                offered.append(names.inner(1).rest())
            alpn = tuple(offered)
        elif kind == _SUPPORTED_VERSIONS:
            listed = body.inner(1)
            numbers = []
            while listed:
                numbers.append(listed.number(2))
            versions = tuple(numbers)
    return Offer(name, alpn, versions)


class FirstMessage:
    """Collects a server's first message, which may be spread over records (RFC 8446 section 5.1).

    Attributes:
        records: the records as they came, for the library.
    """

    __slots__ = ("_message", "records")

    def __init__(self) -> None:
        self.records = bytearray()
        self._message = bytearray()

    def add(self, record: bytes) -> Offer | None:
        """Add one record. Returns the offer when the message is whole; an empty one as soon as it shows that
        it is none, or is too large: the library will judge it, and knows the alert."""
        self.records += record
        self._message += record[HEADER:]
        message = self._message
        if record[0] != HANDSHAKE or len(record) <= HEADER or len(self.records) > HEADER * _MAX_CLIENT_HELLO:
            return Offer()
        if len(message) < 4:
            return None
        size = 4 + int.from_bytes(message[1:4], "big")
        if message[0] != _CLIENT_HELLO or size > _MAX_CLIENT_HELLO:
            return Offer()
        if len(message) < size:
            return None
        try:
            return parse_client_hello(bytes(message[:size]))
        except Malformed:
            return Offer()

    def whole(self) -> bytes:
        """What the library is given: the records as they came; or of a message in several records as few as
        hold it, since not every library puts small pieces together. The handshake's hash covers messages, not
        records (RFC 8446 section 4.4.1)."""
        records, message = self.records, self._message
        if len(records) == HEADER + len(message) or records[0] != HANDSHAKE:
            return bytes(records)
        return in_few_records(bytes(records[:3]), bytes(message))


def _host_name(body: _Fields) -> str | None:
    entries = body.inner(2)
    while entries:
        kind = entries.number(1)
        value = entries.inner(2).rest()
        # RFC 6066 section 3: host_name(0), ASCII, an A-label where the name is international.
        if kind == 0 and value.isascii():
            return value.decode("ascii").lower()
    return None
