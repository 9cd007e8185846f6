"""What a server must know of a ClientHello before its library sees it: the name and the protocols asked for.

The libraries' own callbacks for it run Python inside the handshake, and differ: that of `ssl` prints a
traceback when the peer sends a name that is not ASCII, and can't refuse ALPN without overlap (RFC 7301
section 3.2). So the first message, which is never encrypted, is read here; then the engine picks the context
that suits it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import unpack_from

from mungos.errors import Malformed, PeerMisbehaved
from mungos.tls.alerts import AlertDescription
from mungos.tls.bounds import MAX_CLIENT_HELLO, MAX_FRAGMENTS, MAX_KEY_SHARES
from mungos.tls.contract import Failed
from mungos.tls.engines.foreign.joining import in_few_records
from mungos.tls.engines.foreign.records import HANDSHAKE, HEADER

__all__ = ["FirstMessage", "Offer", "parse_client_hello"]

_CLIENT_HELLO = 1  # RFC 8446 section 4: HandshakeType

_SERVER_NAME = 0  # RFC 6066 section 3
_ALPN = 16  # RFC 7301 section 3.1
_SUPPORTED_VERSIONS = 43  # RFC 8446 section 4.2.1
_KEY_SHARE = 51  # RFC 8446 section 4.2.8
_READ = frozenset({_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS, _KEY_SHARE})

_HOST_NAME = 0  # RFC 6066 section 3: NameType
_MAX_NAME = 255  # bytes; RFC 1035 section 2.3.4


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client asks for.

    Attributes:
        server_name: the DNS name (RFC 6066 section 3), in lower case, or None.
        alpn: the protocols offered, in the client's order; None when it sent no such extension.
        versions: those of TLS that it lists (RFC 8446 section 4.2.1); None when it sent no such extension.
        shares: how many key shares it sent (RFC 8446 section 4.2.8), counted as far as `MAX_KEY_SHARES` + 1.
    """

    server_name: str | None = None
    alpn: tuple[bytes, ...] | None = None
    versions: tuple[int, ...] | None = None
    shares: int = field(default=0, compare=False)


class _Fields:
    """Reads length-prefixed fields, and never past the end of the enclosing one."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data = data
        self.at = start
        self.end = end

    def __bool__(self) -> bool:
        return self.at < self.end

    def skip(self, size: int) -> int:
        at = self.at
        if self.end - at < size:
            raise Malformed(f"ClientHello: field of {size} bytes, {self.end - at} bytes left")
        self.at = at + size
        return at

    def number(self, size: int) -> int:
        at = self.skip(size)
        return int.from_bytes(self.data[at : at + size], "big")

    def inner(self, length_size: int) -> _Fields:
        size = self.number(length_size)
        at = self.skip(size)
        return _Fields(self.data, at, at + size)


def parse_client_hello(message: bytes) -> Offer:
    """Read three extensions of a whole ClientHello, its 4-byte header included (RFC 8446 section 4.1.2), and
    count the shares of a fourth.

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
    shares = 0
    extensions = fields.inner(2) if fields else fields
    at, end = extensions.at, extensions.end
    # Without a call for each: there may be 16,000.
    while at < end:
        start = at + 4
        stop = start + (message[at + 2] << 8 | message[at + 3]) if start <= end else end + 1
        if stop > end:
            raise Malformed(f"ClientHello: an extension of which {end - at} bytes are there")
        kind = message[at] << 8 | message[at + 1]
        at = stop
        if kind in _READ:
            body = _Fields(message, start, stop)
            if kind == _SERVER_NAME:
                name = _host_name(body)
            elif kind == _ALPN:
                alpn = _protocols(body)
            elif kind == _KEY_SHARE:
                shares = _count_shares(body)
            else:
                versions = _versions(body)
    return Offer(name, alpn, versions, shares)


class FirstMessage:
    """Collects a server's first message, which may be spread over records (RFC 8446 section 5.1).

    Attributes:
        records: the records as they came, for the library.
        refusal: why the session ends here, where the library would not see to it.
    """

    __slots__ = ("_count", "_message", "records", "refusal")

    def __init__(self) -> None:
        self.records = bytearray()
        self.refusal: Failed | None = None
        self._message = bytearray()
        self._count = 0

    def add(self, record: bytes) -> Offer | None:
        """Add one record. Returns the offer when the message is whole; an empty one as soon as it shows that
        it is none: the library will judge it, and knows the alert, unless there is a `refusal`."""
        self.refusal = self._refused(record)
        self.records += record
        self._message += record[HEADER:]
        message = self._message
        if record[0] != HANDSHAKE or len(record) <= HEADER or self.refusal is not None:
            return Offer()
        if len(message) < 4:
            return None
        size = 4 + int.from_bytes(message[1:4], "big")
        if message[0] != _CLIENT_HELLO:
            return Offer()
        if size > MAX_CLIENT_HELLO:
            words = f"a ClientHello of {size} bytes; the limit is {MAX_CLIENT_HELLO} bytes"
            self.refusal = Failed(Malformed(words), AlertDescription.decode_error)
            return Offer()
        if len(message) < size:
            return None
        try:
            offer = parse_client_hello(bytes(message[:size]))
        except Malformed:
            return Offer()
        if offer.shares > MAX_KEY_SHARES:
            error = PeerMisbehaved(f"ClientHello: over {MAX_KEY_SHARES} key shares")
            self.refusal = Failed(error, AlertDescription.illegal_parameter)
        return offer

    def _refused(self, record: bytes) -> Failed | None:
        """What no record may be, before the library has seen one. Not every library minds."""
        if record[0] != HANDSHAKE:
            # RFC 8446 section 5: an unexpected record type; section 5.1: "Handshake messages MUST NOT be
            # interleaved with other record types".
            where = "inside" if self.records else "before"
            error: Malformed | PeerMisbehaved = PeerMisbehaved(
                f"a record of type {record[0]} {where} the ClientHello"
            )
        elif len(record) == HEADER:
            # Section 5.1: "Implementations MUST NOT send zero-length fragments of Handshake types".
            error = Malformed("a handshake record of 0 bytes")
        elif self._count >= MAX_FRAGMENTS:
            error = Malformed(f"a ClientHello over more than {MAX_FRAGMENTS} records")
            return Failed(error, AlertDescription.decode_error)
        else:
            self._count += 1
            return None
        return Failed(error, AlertDescription.unexpected_message)

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
        name = entries.inner(2)
        # RFC 6066 section 3: host_name(0), ASCII, an A-label where the name is international.
        if kind == _HOST_NAME:
            value = name.data[name.at : name.end]
            return value.decode("ascii").lower() if len(value) <= _MAX_NAME and value.isascii() else None
    return None


def _protocols(body: _Fields) -> tuple[bytes, ...]:
    names = body.inner(2)
    data, at, end = names.data, names.at, names.end
    found: list[bytes] = []
    while at < end:
        start = at + 1
        at = start + data[at]
        if at > end:
            raise Malformed(f"ClientHello: a protocol's name of {at - start} bytes, {end - start} bytes left")
        found += (data[start:at],)
    return tuple(found)


def _versions(body: _Fields) -> tuple[int, ...]:
    listed = body.inner(1)
    size = listed.end - listed.at
    if size & 1:
        raise Malformed(f"ClientHello: {size} bytes are no list of versions")
    return unpack_from(f"!{size // 2}H", listed.data, listed.at)


def _count_shares(body: _Fields) -> int:
    """As far as they are well formed, and no further than is needed."""
    shares = body.inner(2)
    data, at, end = shares.data, shares.at, shares.end
    count = 0
    while at + 4 <= end and count <= MAX_KEY_SHARES:
        at += 4 + (data[at + 2] << 8 | data[at + 3])
        count += 1
    return count
