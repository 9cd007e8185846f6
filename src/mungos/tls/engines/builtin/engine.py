"""One session of the built-in TLS 1.3: records, alerts and closing (RFC 8446 sections 5 and 6).

Records are opened as they are received, straight from the caller's buffer; only a part of a record is ever
kept. What they hold is queued as events. The handshake (`client`, `server`) is an object that is dropped
when it is through.
"""

from __future__ import annotations

from collections import deque

from mungos.crypto.contract import BadTag
from mungos.errors import Broken, Misuse, PeerMisbehaved, ProtocolError, TimedOut
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import (
    Data,
    Established,
    Event,
    Failed,
    Negotiated,
    PeerClosed,
    ReadSide,
    WriteSide,
)
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.established import After, TicketKeeper, check_allowed
from mungos.tls.engines.builtin.faults import DecodeError, UnexpectedMessage, alert_for, received
from mungos.tls.engines.builtin.handshake import Outcome
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.messages import HandshakeType, KeyUpdate, NewSessionTicket
from mungos.tls.engines.builtin.messages.extensions import parse_uint32
from mungos.tls.engines.builtin.messages.registry import ExtensionType
from mungos.tls.engines.builtin.preparation import PreparedClient, PreparedServer
from mungos.tls.engines.builtin.records import (
    HEADER_LENGTH,
    MAX_CIPHERTEXT,
    MAX_PLAINTEXT,
    OVERHEAD,
    ContentType,
    Opener,
    check_header,
    split_inner,
)
from mungos.tls.engines.builtin.server import ServerHandshake, ServerState
from mungos.tls.engines.builtin.suites import Suite
from mungos.tls.engines.builtin.writing import WritingHalf

__all__ = [
    "MAX_HANDSHAKE_MESSAGE",
    "MAX_QUIET",
    "BuiltinEngine",
]

MAX_HANDSHAKE_MESSAGE = 131_072
"""Bytes of one handshake message; a certificate chain is the only one that comes near."""

MAX_QUIET = 64
"""Empty records, change_cipher_spec records, warnings, tickets and KeyUpdates that may come in a row, without
data between them."""

_CHANGE_CIPHER_SPEC = b"\x01"
_APPLICATION_DATA = int(ContentType.application_data)
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


class BuiltinEngine(WritingHalf):
    """A session, made by `BUILTIN.client` or `BUILTIN.server`; see `mungos.tls.contract.Engine`.

    A cap on unread or unsent bytes below one record counts as one record. A record is taken when
    its size on the wire fits below the cap on unread bytes.
    """

    __slots__ = (
        "_after",
        "_closed_there",
        "_deaf",
        "_events",
        "_exporter",
        "_foreign",
        "_foreign_lost",
        "_handshake",
        "_handshake_timeout",
        "_incoming",
        "_max_unread",
        "_messages",
        "_opener",
        "_prepared",
        "_quiet",
        "_read_secret",
        "_reader",
        "_released",
        "_server_name",
        "_skip",
        "_tickets",
        "_truncated",
        "deadline",
        "ending",
        "exact_alerts",
        "negotiated",
        "read_side",
        "unread",
    )

    def __init__(
        self,
        prepared: PreparedClient | PreparedServer,
        server_name: str | None = None,
        sni: str | None = None,
    ) -> None:
        super().__init__(prepared.provider, prepared.max_unsent)
        self.exact_alerts = True
        self.unread = 0
        self.deadline: float | None = None
        self.read_side = ReadSide.OPEN
        self.negotiated: Negotiated | None = None
        self.ending: Failed | None = None
        self._prepared = prepared
        self._handshake_timeout = prepared.handshake_timeout
        self._max_unread = max(prepared.max_unread, _LEAST_UNREAD)
        self._server_name = server_name
        self._handshake: ClientHandshake | ServerHandshake | None
        if isinstance(prepared, PreparedClient):
            self._after = After.CLIENT
            self._handshake = ClientHandshake(prepared, self, server_name, sni)
        else:
            self._after = After.SERVER
            self._handshake = ServerHandshake(prepared, self)
        self._events: deque[Event] = deque()
        self._incoming = bytearray()  # the beginning of a record
        self._messages = bytearray()  # the beginning of a handshake message
        self._opener: Opener | None = None
        self._reader: Opener | None = None  # the opener, while nothing but application data is expected
        self._read_secret = self._exporter = b""
        self._tickets: TicketKeeper | None = None
        self._closed_there = False  # the peer's close_notify came
        self._deaf = False  # the peer's direction is over: what still comes is not looked at
        self._skip = 0  # bytes of refused 0-RTT that may still be passed over
        self._quiet = 0
        self._foreign = bytearray()  # what followed the peer's close_notify
        self._foreign_lost = False
        self._released = False
        self._truncated = False  # the stream ended without close_notify

    def __repr__(self) -> str:
        return (
            f"<BuiltinEngine {self._after.value}, read side {self.read_side.value}, "
            f"write side {self.write_side.value}, {self.unread} bytes unread, {self.unsent} bytes unsent>"
        )

    # The contract; `write` and `take` are in `WritingHalf`

    def start(self, now: float) -> None:
        """Begin: a client queues its ClientHello. The handshake's deadline is `now` plus its timeout."""
        if self._handshake is None or self.deadline is not None:
            raise Misuse("start is called once, before anything else")
        self.deadline = now + self._handshake_timeout
        self._handshake.start()
        # Section 5.1: the first ClientHello's record may say 0x0301, for servers of old.
        self.flush(0x0301)

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
            if (
                size <= _COPIED
                and size > OVERHEAD
                and data[3] << 8 | data[4] == size - HEADER_LENGTH
                and data[0] == _APPLICATION_DATA
                and self.unread + size <= self._max_unread
            ):
                sequence = reader.sequence
                plain = reader.decrypt((reader.iv ^ sequence).to_bytes(12, "big"), data[5:], data[:5])
                reader.sequence = sequence + 1
                if plain[-1] == _APPLICATION_DATA:
                    self._events.append(Data(plain[:-1]))
                    self.unread += size - OVERHEAD
                    self._quiet = 0
                else:
                    self._inner(plain)
                return size
            while size - at > HEADER_LENGTH:
                length = data[at + 3] << 8 | data[at + 4]
                body = at + HEADER_LENGTH
                end = body + length
                if (
                    end > size
                    or data[at] != _APPLICATION_DATA
                    or length > MAX_CIPHERTEXT
                    or self.unread + length > self._max_unread
                ):
                    break
                view = memoryview(data)
                plain = reader.open(view[at:body], view[body:end])
                at = end
                length -= _INNER_OVERHEAD
                if not 0 < length <= MAX_PLAINTEXT or plain[length] != _APPLICATION_DATA:
                    self._inner(plain)
                    break
                self._events.append(Data(plain[:length] if length <= _COPIED else memoryview(plain)[:length]))
                self.unread += length
                self._quiet = 0
        except ProtocolError as error:
            self._fault(error)
        return at if at == size else self._receive(data, at)

    def receive_eof(self, now: float) -> None:
        """The stream ended; without a close_notify before it, that is a truncation (section 6.1)."""
        if self._deaf:
            return
        if self.negotiated is None:
            self._die(Failed(Broken("the stream ended before the handshake was complete")))
            return
        self._truncated = True
        self._stop_reading()
        if not self._events:
            self.read_side = ReadSide.TRUNCATED

    def next_event(self) -> Event | None:
        """The next event, or None. There is one Data for each record that holds any. `read_side` follows what
        was handed out: it is final once this returned None."""
        if not self._events:
            if self._truncated and self.read_side is ReadSide.OPEN:
                self.read_side = ReadSide.TRUNCATED
            return None
        event = self._events.popleft()
        if type(event) is Data:
            self.unread -= len(event.data)
            return event
        self.unread -= 1
        if type(event) is Established:
            self.deadline = None
        elif type(event) is PeerClosed:
            self.read_side = ReadSide.ENDED
        return event

    def close_write(self) -> None:
        """Queue close_notify. Idempotent. Before the handshake is complete it cancels: user_canceled and
        close_notify are queued, and nothing more is handed out."""
        if self._closed_here:
            return
        self._closed_here = True
        if self.write_side is not WriteSide.OPEN:
            return
        if self.negotiated is None:
            # Section 6.1: user_canceled is followed by a close_notify.
            self.queue_alert(AlertDescription.user_canceled)
            self.queue_alert(AlertDescription.close_notify)
            self.read_side = ReadSide.FAILED
            self._stop_reading()
        else:
            self.queue_alert(AlertDescription.close_notify)
        self.end_writing()

    def fail(self, alert: AlertDescription) -> None:
        """Queue a fatal alert of the caller's choice and end the session as failed."""
        if self.ending is not None or self.read_side is ReadSide.FAILED or self._released:
            return
        error = PeerMisbehaved(f"this side ended the session with the alert {alert.name}")
        sent = self._say(alert)
        self._closed_here = True
        self._die(Failed(error, alert if sent else None))

    def expire(self, now: float) -> None:
        """Fail the handshake with `TimedOut("securing")` if its deadline has passed."""
        if self.deadline is not None and now >= self.deadline:
            # Whatever is complete but was not handed out is too late.
            self._events.clear()
            self.unread = 0
            self.negotiated = None
            self._die(Failed(TimedOut("securing", limit=self._handshake_timeout)))

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

    def release(self) -> None:
        """Drop keys and buffers. Idempotent."""
        self._released = True
        self.deadline = None
        self.end_writing()
        self.drop_output()
        self._stop_reading()
        self._events.clear()
        self.unread = 0
        self._foreign = bytearray()
        self._foreign_lost = True
        self._exporter = b""

    def export(self, label: bytes, context: bytes, length: int) -> bytes:
        """Keying material that both sides can derive (section 7.5).

        Args:
            label: from the registry of exporter labels, or beginning with "EXPERIMENTAL".
            context: what distinguishes several uses of one label.
            length: bytes wanted.

        Raises Misuse before the handshake is complete, after a failure and after `release`.
        """
        if self._kdf is None or not self._exporter:
            raise Misuse("nothing can be exported before the handshake is complete, or after the end")
        return self._kdf.export(self._exporter, label, context, length)

    def channel_binding(self) -> bytes:
        """The "tls-exporter" binding, 32 bytes (RFC 9266 section 4.1). Raises as `export`."""
        return self.export(b"EXPORTER-Channel-Binding", b"", 32)

    # What the handshake asks for (`handshake.Channel`); the rest is in `WritingHalf`

    def read_with(self, suite: Suite, kdf: Kdf, secret: bytes) -> None:
        """A new key for the peer's direction."""
        key, iv = kdf.traffic_keys(secret, suite.key_length)
        self._opener = Opener(self._provider.aead(suite.aead, key), iv)

    def skip_early_data(self, limit: int) -> None:
        """Pass over up to `limit` bytes that can't be opened."""
        self._skip = limit

    def complete(self, outcome: Outcome) -> None:
        """The handshake is through: keep what the open session needs, drop the rest."""
        self.flush()
        self._suite = outcome.suite
        self._kdf = outcome.kdf
        self._read_secret = outcome.read_secret
        self._exporter = outcome.exporter
        self.open_writing(outcome.write_secret)
        if isinstance(self._prepared, PreparedClient):
            self._tickets = TicketKeeper.of(self._prepared, self._server_name, outcome)
        self._handshake = None
        self._skip = self._quiet = 0
        self.negotiated = outcome.negotiated
        self._push(Established(outcome.negotiated))

    # Records

    def _receive(self, data: Buffer, at: int) -> int:
        """`receive` from `at` on, for whatever may come. Returns the bytes of `data` taken."""
        view = memoryview(data)
        deaf = self._deaf
        if deaf:
            self._keep_foreign(view[at:])
            return len(view)
        try:
            if self._incoming:
                at = self._finish_record(view, at)
                if self._incoming:
                    return at  # either `view` is used up, or there is no room for the record
            while not self._deaf and len(view) - at >= HEADER_LENGTH:
                body = at + HEADER_LENGTH
                end = body + check_header(view[at:body])
                if self.unread + end - body > self._max_unread:
                    return at
                if end > len(view):
                    break
                self._record(view[at:body], view[body:end])
                at = end
            if self._deaf:
                self._keep_foreign(view[at:])
            else:
                self._incoming += view[at:]
        except ProtocolError as error:
            self._fault(error)
        return len(view)

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
        if kind == ContentType.application_data:
            self._open_record(header, body)
        elif kind == ContentType.change_cipher_spec:
            self._change_cipher_spec(bytes(body))
        elif self._opener is not None and not self._is_despair(kind):
            raise UnexpectedMessage(f"unprotected record of type {kind} after keys are on")
        elif kind == ContentType.alert:
            self._alert(bytes(body))
        else:
            self._fragment(bytes(body))

    def _is_despair(self, kind: int) -> bool:
        """A client that can't use our ServerHello has no key to say so under: until it has shown that it has
        one, an alert in the clear is believed. The session fails by it, and is never closed cleanly."""
        return (
            kind == ContentType.alert
            and isinstance(self._handshake, ServerHandshake)
            and self._opener is not None
            and self._opener.sequence == 0
        )

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
        # Section 4.2.10: refused 0-RTT is passed over, up to a limit.
        if len(body) > self._skip:
            raise error
        self._skip -= len(body)

    def _inner(self, plain: bytes) -> None:
        """The TLSInnerPlaintext of a record (section 5.2)."""
        kind, content = split_inner(plain)
        if kind == ContentType.handshake:
            self._fragment(content)
        elif kind == ContentType.alert:
            self._alert(content)
        elif kind == ContentType.application_data:
            self._data(content)
        else:
            # Section 5: a protected change_cipher_spec, as any unknown type: unexpected_message.
            raise UnexpectedMessage(f"protected record of type {kind}")

    def _data(self, content: bytes) -> None:
        if self.negotiated is None:
            raise UnexpectedMessage("application data before the handshake is complete")
        self._check_no_fragment()
        if content:
            self._quiet = 0
            self._events.append(Data(content))
            self.unread += len(content)
        else:
            # Section 5.1: "Zero-length fragments of Application Data MAY be sent".
            self._count_quiet()

    def _count_quiet(self) -> None:
        self._quiet += 1
        if self._quiet > MAX_QUIET:
            raise UnexpectedMessage(f"more than {MAX_QUIET} messages in a row that bring no data")

    def _change_cipher_spec(self, content: bytes) -> None:
        # Section 5 and appendix D.4: the value 1, after the first ClientHello and before the peer's Finished,
        # is dropped; anything else: unexpected_message.
        handshake = self._handshake
        early = isinstance(handshake, ServerHandshake) and handshake.state is ServerState.AWAIT_CLIENT_HELLO
        if handshake is None or early or content != _CHANGE_CIPHER_SPEC:
            raise UnexpectedMessage(f"change_cipher_spec out of place, or of {len(content)} bytes")
        self._check_no_fragment()
        self._count_quiet()

    def _check_no_fragment(self) -> None:
        # Section 5.1: "Handshake messages MUST NOT be interleaved with other record types."
        if self._messages:
            raise UnexpectedMessage("another record inside a fragmented handshake message")

    # Alerts (section 6)

    def _alert(self, content: bytes) -> None:
        if not content:
            raise UnexpectedMessage("empty alert")  # section 5.4
        if len(content) != 2:
            # Section 5.1: alerts are neither fragmented nor coalesced.
            raise DecodeError(f"alert of {len(content)} bytes, must be 2 bytes")
        # Section 6: the level is ignored; all but close_notify and user_canceled are fatal.
        code = content[1]
        if code == AlertDescription.close_notify:
            self._check_no_fragment()
            if self.negotiated is None:
                error = Broken("the peer closed the session before the handshake was complete")
                self._die(Failed(error, AlertDescription.close_notify, sent_by_peer=True))
                return
            self._closed_there = True
            self._stop_reading()
            self._push(PeerClosed())
        elif code == AlertDescription.user_canceled:
            self._count_quiet()
        else:
            known = AlertDescription(code) if code in _KNOWN_ALERTS else None
            # Section 6.2: nothing more is sent after a fatal alert.
            self.drop_output()
            self._die(Failed(received(code, known.name if known else "unknown"), known, sent_by_peer=True))

    # Handshake messages (section 4)

    def _fragment(self, fragment: bytes) -> None:
        if not fragment:
            raise UnexpectedMessage("handshake record without content")  # sections 5.1 and 5.4
        messages = self._messages
        messages += fragment
        self._split(messages)
        # A message that has only begun must be finished before anything else comes.
        self._reader = self._opener if self.negotiated is not None and not messages else None

    def _split(self, messages: bytearray) -> None:
        while len(messages) >= 4 and not self._deaf:
            length = 4 + int.from_bytes(messages[1:4], "big")
            if length > MAX_HANDSHAKE_MESSAGE:
                raise DecodeError(
                    f"handshake message of {length} bytes; the limit is {MAX_HANDSHAKE_MESSAGE} bytes"
                )
            self._check_expected(messages[0])
            if len(messages) < length:
                return
            message = bytes(messages[:length])
            del messages[:length]
            if messages and message[0] in _ALIGNED:
                raise UnexpectedMessage(f"handshake message of type {message[0]} does not end its record")
            self._message(message[0], message)

    def _check_expected(self, kind: int) -> None:
        """Refuse by its header what may not come, before it is collected."""
        handshake = self._handshake
        if handshake is None:
            check_allowed(self._after, kind)
        elif not handshake.expects(kind):
            raise UnexpectedMessage(f"handshake message of type {kind} in state {handshake.state.value}")

    def _message(self, kind: int, message: bytes) -> None:
        if self._handshake is not None:
            self._handshake.handle(kind, message)
            self.flush()
            return
        self._count_quiet()
        if kind == HandshakeType.key_update:
            self._key_update(KeyUpdate.parse(message[4:]))
            return
        ticket = NewSessionTicket.parse(message[4:])
        if ExtensionType.early_data in ticket.extensions:
            parse_uint32(ticket.extensions[ExtensionType.early_data], "early_data")
        if self._tickets is not None:
            self._tickets.keep(ticket)

    def _key_update(self, update: KeyUpdate) -> None:
        if self._suite is None or self._kdf is None:
            raise Misuse("KeyUpdate before the handshake is complete")
        self._read_secret = self._kdf.next_generation(self._read_secret)
        self.read_with(self._suite, self._kdf, self._read_secret)
        if update.requested:
            self.answer_key_update()

    # Ends

    def _push(self, event: Event) -> None:
        self._events.append(event)
        self.unread += 1

    def _fault(self, error: ProtocolError) -> None:
        """The peer broke a rule: say which, then end."""
        # The frames of the traceback hold views of the caller's buffer.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        alert = alert_for(error)
        self._die(Failed(error, alert if self._say(alert) else None))

    def _say(self, alert: AlertDescription) -> bool:
        """Queue a fatal alert, unless our close_notify went before it."""
        if self.write_side is not WriteSide.OPEN:
            return False
        self._flight.clear()
        self.queue_alert(alert)
        return True

    def _die(self, verdict: Failed) -> None:
        self.ending = verdict
        self.deadline = None
        if self._tickets is not None:
            self._tickets.forget()
        self.read_side = ReadSide.FAILED
        self._stop_reading()
        self.stop_writing()
        self._exporter = b""
        self._push(verdict)

    def _stop_reading(self) -> None:
        """Forget the keys of the peer's direction, and what is half received."""
        self._deaf = True
        self._opener = self._reader = None
        self._handshake = None
        self._tickets = None
        self._read_secret = b""
        self._incoming = bytearray()
        self._messages = bytearray()
        if self.negotiated is None:
            self.deadline = None

    def _keep_foreign(self, data: Buffer) -> None:
        """What follows the peer's close_notify is not for TLS: it is kept for `unwrap`, up to the cap."""
        if not self._closed_there or self._foreign_lost:
            return
        if len(self._foreign) + len(data) > self._max_unread:
            self._foreign = bytearray()
            self._foreign_lost = True
        else:
            self._foreign += data


_KNOWN_ALERTS = frozenset(AlertDescription)
