"""The peer's direction of a session: its bytes, records and messages, up to close_notify.

Records are opened as they are received, straight from the caller's buffer; only a part of a record is ever
kept. What they hold is queued as events.
"""

from __future__ import annotations

from collections import deque

from mungos.crypto.contract import BadTag
from mungos.errors import Misuse, ProtocolError
from mungos.protocol import Buffer
from mungos.tls.bounds import MAX_CLIENT_HELLO, MAX_FRAGMENTS, MAX_QUIET
from mungos.tls.contract import (
    Data,
    EarlyData,
    Established,
    Event,
    Negotiated,
    PeerClosed,
    ReadSide,
    WriteSide,
)
from mungos.tls.engines.builtin.faults import DecodeError, UnexpectedMessage
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.messages import HandshakeType
from mungos.tls.engines.builtin.preparation import Prepared
from mungos.tls.engines.builtin.records import (
    HEADER_LENGTH,
    MAX_CIPHERTEXT,
    MAX_INNER,
    OVERHEAD,
    SMALL,
    SMALL_HEADERS,
    ContentType,
    Opener,
    check_header,
    split_inner,
)
from mungos.tls.engines.builtin.suites import Suite
from mungos.tls.engines.builtin.writing import WritingHalf

__all__ = ["MAX_EVENTS", "MAX_HANDSHAKE_MESSAGE", "MAX_QUIET", "ReadingHalf"]

MAX_HANDSHAKE_MESSAGE = 131_072
"""Bytes of one handshake message; a certificate chain is the only one that comes near."""

MAX_EVENTS = 1_024
"""Events that wait to be handed out, at which no more records are opened: each takes memory, however little
it brings."""

_CHANGE_CIPHER_SPEC = b"\x01"
_CLIENT_HELLO = int(HandshakeType.client_hello)
_APPLICATION_DATA = int(ContentType.application_data)
_HANDSHAKE = int(ContentType.handshake)
_ALERT = int(ContentType.alert)
_CHANGE = int(ContentType.change_cipher_spec)
_INNER_OVERHEAD = OVERHEAD - HEADER_LENGTH
_LEAST_UNREAD = HEADER_LENGTH + MAX_CIPHERTEXT + 64  # with less room than a record, nothing would move
_COPIED = 2048  # bytes up to which a copy is cheaper than a view

# Section 5.1: these can stand right before a key change, and end with their record. A HelloRetryRequest
# changes no key, but nothing may follow it either.
_ALIGNED = frozenset(
    {
        HandshakeType.client_hello,
        HandshakeType.server_hello,
        HandshakeType.end_of_early_data,
        HandshakeType.finished,
        HandshakeType.key_update,
    }
)


class ReadingHalf(WritingHalf):
    """The half of an engine that reads; what alerts and messages mean is left to the whole."""

    __slots__ = (
        "_closed_there",
        "_deaf",
        "_early_left",
        "_events",
        "_foreign",
        "_foreign_lost",
        "_fragments",
        "_incoming",
        "_max_inner",
        "_max_unread",
        "_messages",
        "_opener",
        "_quiet",
        "_read_secret",
        "_reader",
        "_skip",
        "_small",
        "_truncated",
        "deadline",
        "negotiated",
        "read_side",
        "unread",
    )

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared.provider, prepared.max_unsent)
        self.unread = 0
        self.deadline: float | None = None
        self.read_side = ReadSide.OPEN
        self.negotiated: Negotiated | None = None
        self._max_unread = max(prepared.max_unread, _LEAST_UNREAD)
        self._events: deque[Event] = deque()
        self._incoming = bytearray()  # the beginning of a record
        self._messages = bytearray()  # the beginning of a handshake message
        self._fragments = 0  # records over which it is spread so far
        self._opener: Opener | None = None
        self._reader: Opener | None = None  # the opener, while nothing but application data is expected
        self._read_secret = b""
        self._closed_there = False  # the peer's close_notify came
        self._truncated = False  # the stream ended without it
        self._deaf = False  # the peer's direction is over: what still comes is not looked at
        self._max_inner = MAX_INNER  # bytes of a record's content, its type and padding
        self._small = SMALL + OVERHEAD  # bytes of a record that is opened without further ado
        self._early_left: int | None = None  # bytes of 0-RTT data that may still come, while they may
        self._skip = 0  # bytes of refused 0-RTT that may still be passed over
        self._quiet = 0
        self._foreign = bytearray()  # what followed the peer's close_notify
        self._foreign_lost = False

    # What the whole makes of it

    def _alert(self, content: bytes) -> None:
        raise NotImplementedError

    def _check_expected(self, kind: int) -> None:
        raise NotImplementedError

    def _message(self, kind: int, message: bytes) -> None:
        raise NotImplementedError

    def _may_despair(self) -> bool:
        raise NotImplementedError

    def _may_change_cipher_spec(self) -> bool:
        raise NotImplementedError

    def _fault(self, error: ProtocolError) -> None:
        raise NotImplementedError

    # The contract

    def receive(self, data: Buffer, now: float) -> int:
        """Open the records in `data`. Returns bytes taken: fewer than given when `max_unread` is reached."""
        reader = self._reader
        if reader is None or self._incoming:
            return self._receive(data, 0)
        # The common cases, spelled out because this is the hot path: one small record of data, or several of
        # any size. Whatever else comes is left to `_receive`.
        size = len(data)
        at = 0
        try:
            if OVERHEAD < size <= self._small:
                header = data[:HEADER_LENGTH]
                if header == SMALL_HEADERS[size - OVERHEAD] and self.unread + size <= self._max_unread:
                    sequence = reader.sequence
                    nonce = (reader.iv ^ sequence).to_bytes(12, "big")
                    plain = reader.decrypt(nonce, data[HEADER_LENGTH:], header)
                    reader.sequence = sequence + 1
                    if plain[-1] == _APPLICATION_DATA:
                        self._events.append(Data(plain[:-1]))
                        self.unread += size - OVERHEAD
                        self._quiet = 0
                    else:
                        self._inner(plain)
                    return size
            if len(self._events) > MAX_EVENTS:
                return 0
            view = memoryview(data)
            room = self._max_unread - self.unread
            while size - at > HEADER_LENGTH:
                length = data[at + 3] << 8 | data[at + 4]
                body = at + HEADER_LENGTH
                end = body + length
                if end > size or data[at] != _APPLICATION_DATA or length > MAX_CIPHERTEXT or length > room:
                    break
                sequence = reader.sequence
                nonce = (reader.iv ^ sequence).to_bytes(12, "big")
                plain = reader.decrypt(nonce, view[body:end], view[at:body])
                reader.sequence = sequence + 1
                at = end
                length -= _INNER_OVERHEAD
                if not 0 < length < self._max_inner or plain[length] != _APPLICATION_DATA:
                    self._inner(plain)
                    break
                self._events.append(Data(plain[:length] if length <= _COPIED else memoryview(plain)[:length]))
                self.unread += length
                room -= length
                self._quiet = 0
        except reader.fault:
            self._fault(reader.refused())
        except ProtocolError as error:
            self._fault(error)
        return at if at == size else self._receive(data, at)

    def next_event(self) -> Event | None:
        """The next event, or None. There is one Data for each record that holds any. `read_side` follows what
        was handed out: it is final once this returned None."""
        if not self._events:
            if self._truncated and self.read_side is ReadSide.OPEN:
                self.read_side = ReadSide.TRUNCATED
            return None
        event = self._events.popleft()
        if type(event) is Data or type(event) is EarlyData:
            self.unread -= len(event.data)
            return event
        self.unread -= 1
        if type(event) is Established:
            self.deadline = None
        elif type(event) is PeerClosed:
            self.read_side = ReadSide.ENDED
        return event

    def unwrap(self) -> bytes:
        """The bytes that followed the peer's close_notify. Raises Misuse before both close_notify have
        passed, and when more than `max_unread` bytes followed."""
        if self.read_side is not ReadSide.ENDED or self.write_side is not WriteSide.ENDED:
            raise Misuse(
                f"unwrap: read side {self.read_side.value}, write side {self.write_side.value}, not ended"
            )
        if self._foreign_lost:
            raise Misuse(f"unwrap: more than {self._max_unread} bytes followed the peer's close_notify")
        rest = bytes(self._foreign)
        self._foreign = bytearray()
        return rest

    # What the handshake asks for (`handshake.Channel`)

    def read_with(self, suite: Suite, kdf: Kdf, secret: bytes) -> None:
        """A new key for the peer's direction."""
        key, iv = kdf.traffic_keys(secret, suite.key_length)
        self._opener = Opener(self._provider.aead(suite.aead, key), iv)
        self._early_left = None

    def read_early_with(self, suite: Suite, kdf: Kdf, secret: bytes, limit: int) -> None:
        """The key of the peer's 0-RTT data, of which up to `limit` bytes may come."""
        self.read_with(suite, kdf, secret)
        self._early_left = limit

    def limit_reading(self, limit: int) -> None:
        """The peer's records hold at most `limit` bytes, content type included."""
        self._max_inner = limit
        self._small = min(SMALL, limit - 1) + OVERHEAD

    def skip_early_data(self, limit: int) -> None:
        """Pass over up to `limit` bytes that can't be opened."""
        self._skip = limit

    # Records

    def _receive(self, data: Buffer, at: int) -> int:
        """`receive` from `at` on, for whatever may come. Returns the bytes of `data` taken."""
        view = memoryview(data)
        size = len(view)
        deaf = self._deaf
        if deaf:
            self._keep_foreign(view[at:])
            return size
        try:
            if self._incoming:
                at = self._finish_record(view, at)
                if self._incoming:
                    return at  # either `view` is used up, or there is no room for the record
            while size - at >= HEADER_LENGTH and not self._deaf:
                body = at + HEADER_LENGTH
                header = view[at:body]
                end = body + check_header(header)
                if self.unread + end - body > self._max_unread:
                    return at
                if end > size:
                    break
                self._record(header, view[body:end])
                at = end
            if self._deaf:
                self._keep_foreign(view[at:])
            elif at < size:
                self._incoming += view[at:]
        except ProtocolError as error:
            self._fault(error)
        return size

    def _finish_record(self, view: memoryview, at: int) -> int:
        """Complete the record that `_incoming` begins. Returns how much of `view` was used."""
        incoming = self._incoming
        if len(incoming) < HEADER_LENGTH:
            end = at + HEADER_LENGTH - len(incoming)
            incoming += view[at:end]
            if len(incoming) < HEADER_LENGTH:
                return len(view)
            at = end
        length = HEADER_LENGTH + check_header(incoming)
        end = at + length - len(incoming)
        if self.unread + length > self._max_unread:
            return at
        incoming += view[at:end]
        if len(incoming) < length:
            return len(view)
        self._incoming = bytearray()
        record = memoryview(incoming)
        self._record(record[:HEADER_LENGTH], record[HEADER_LENGTH:])
        return end

    def _record(self, header: memoryview, body: memoryview) -> None:
        kind = header[0]
        if kind == _APPLICATION_DATA:
            self._open_record(header, body)
        elif kind == _CHANGE:
            self._change_cipher_spec(bytes(body))
        elif self._opener is not None and not (kind == _ALERT and self._may_despair()):
            raise UnexpectedMessage(f"unprotected record of type {kind} after keys are on")
        elif kind == _ALERT:
            self._alert(bytes(body))
        else:
            self._fragment(bytes(body))

    def _open_record(self, header: memoryview, body: memoryview) -> None:
        error: ProtocolError
        if self._opener is None:
            error = UnexpectedMessage("application data before any key is agreed on")
        else:
            try:
                plain = self._opener.open(header, body)
            except BadTag as bad:
                error = bad
            else:
                self._skip = 0
                self._inner(plain)
                return
        # Section 4.2.10: refused 0-RTT is passed over, up to a limit; what has no room for a content type and
        # a tag (section 5.2) is none, nor does it come within a message (section 5.1).
        if not _INNER_OVERHEAD <= len(body) <= self._skip or self._messages:
            raise error
        self._skip -= len(body)

    def _inner(self, plain: bytes) -> None:
        """The TLSInnerPlaintext of a record (section 5.2)."""
        kind, content = split_inner(plain, self._max_inner)
        if kind == _HANDSHAKE:
            self._fragment(content)
        elif kind == _ALERT:
            self._alert(content)
        elif kind == _APPLICATION_DATA:
            self._data(content)
        else:
            # Section 5: a protected change_cipher_spec, as any unknown type: unexpected_message.
            raise UnexpectedMessage(f"protected record of type {kind}")

    def _data(self, content: bytes) -> None:
        if self.negotiated is None and self._early_left is None:
            raise UnexpectedMessage("application data before the handshake is complete")
        self._check_no_fragment()
        if content:
            self._quiet = 0
            self._events.append(Data(content) if self._early_left is None else self._early(content))
            self.unread += len(content)
        else:
            # Section 5.1: "Zero-length fragments of Application Data MAY be sent".
            self._count_quiet()

    def _early(self, content: bytes) -> EarlyData:
        left = self._early_left or 0
        # Section 4.2.10: more than max_early_data_size: unexpected_message.
        if len(content) > left:
            raise UnexpectedMessage(f"{len(content)} bytes of early data where {left} bytes may still come")
        self._early_left = left - len(content)
        return EarlyData(content)

    def _count_quiet(self) -> None:
        self._quiet += 1
        if self._quiet > MAX_QUIET:
            raise UnexpectedMessage(f"more than {MAX_QUIET} messages in a row that bring no data")

    def _change_cipher_spec(self, content: bytes) -> None:
        # Section 5 and appendix D.4: the value 1, after the first ClientHello and before the peer's Finished,
        # is dropped; anything else: unexpected_message.
        if content != _CHANGE_CIPHER_SPEC or not self._may_change_cipher_spec():
            raise UnexpectedMessage(f"change_cipher_spec out of place, or of {len(content)} bytes")
        self._check_no_fragment()
        self._count_quiet()

    def _check_no_fragment(self) -> None:
        # Section 5.1: "Handshake messages MUST NOT be interleaved with other record types."
        if self._messages:
            raise UnexpectedMessage("another record inside a fragmented handshake message")

    def _fragment(self, fragment: bytes) -> None:
        if not fragment:
            raise UnexpectedMessage("handshake record without content")  # sections 5.1 and 5.4
        begun = self._messages
        if begun:
            self._fragments += 1
            if self._fragments > MAX_FRAGMENTS:
                raise DecodeError(f"handshake message over more than {MAX_FRAGMENTS} records")
            begun += fragment
            used = self._split(begun)
            if used:
                del begun[:used]
                self._fragments = 1
        else:
            self._fragments = 1
            used = self._split(fragment)
            if used < len(fragment):
                begun += fragment[used:]
        # A message that has only begun must be finished before anything else comes.
        self._reader = self._opener if self.negotiated is not None and not self._messages else None

    def _split(self, messages: bytes | bytearray) -> int:
        """Handle the whole messages at the beginning. Returns their bytes."""
        at, size = 0, len(messages)
        while size - at >= 4 and not self._deaf:
            # HandshakeType, uint24 length.
            head = int.from_bytes(messages[at : at + 4], "big")
            kind, length = head >> 24, 4 + (head & 0xFFFFFF)
            limit = MAX_CLIENT_HELLO if kind == _CLIENT_HELLO else MAX_HANDSHAKE_MESSAGE
            if length > limit:
                raise DecodeError(f"handshake message of {length} bytes; the limit is {limit} bytes")
            end = at + length
            if end > size:
                self._check_expected(kind)
                break
            message = bytes(messages[at:end])
            at = end
            if at < size and kind in _ALIGNED:
                raise UnexpectedMessage(f"handshake message of type {kind} does not end its record")
            self._message(kind, message)
        return at

    # Ends

    def _push(self, event: Event) -> None:
        self._events.append(event)
        self.unread += 1

    def _stop_reading(self) -> None:
        """Forget the keys of the peer's direction, and what is half received."""
        self._deaf = True
        self._opener = self._reader = None
        self._read_secret = b""
        self._incoming = bytearray()
        self._messages = bytearray()

    def _keep_foreign(self, data: Buffer) -> None:
        """What follows the peer's close_notify is not for TLS: it is kept for `unwrap`, up to the cap."""
        if not self._closed_there or self._foreign_lost:
            return
        if len(self._foreign) + len(data) > self._max_unread:
            self._foreign = bytearray()
            self._foreign_lost = True
        else:
            self._foreign += data
