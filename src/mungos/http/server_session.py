"""A server's side of one connection: requests out of bytes, and responses into bytes (RFC 9112).

Two small machines, one for each direction. What the reading side waits for is in the table `_STEPS`, which
`next_event` follows; what the writing side may do is checked by each sender. A request is handed out when the
response before it is complete and its own predecessor's body was consumed, so responses are in order by
construction (section 9.3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, NoReturn

from mungos.checking import as_bytes, count, function, instance, text, wrong
from mungos.errors import Closed, Misuse, ProtocolError, TimedOut
from mungos.http.errors import HTTPError, Rule, status_of, violation
from mungos.http.events import END_OF_MESSAGE, Data, EndOfMessage, Request
from mungos.http.framing import (
    BodyDecoder,
    ChunkedBody,
    Framing,
    LengthBody,
    chunk,
    last_chunk,
    request_framing,
)
from mungos.http.headers import NO_FIELDS, FieldLines, encode_fields, list_of_tokens
from mungos.http.heads import parse_head, read_fields, scan_head
from mungos.http.inspection import Inspection
from mungos.http.limits import SERVER_LIMITS, HTTPLimits
from mungos.http.outgoing import Closable, Outgoing
from mungos.http.pacing import Pace
from mungos.http.statuses import BODILESS, reason_of, status_line
from mungos.printable import quoted
from mungos.protocol import MORE, Buffer, Failed, More

__all__ = ["RequestSide", "ResponseSide", "ServerEvent", "ServerSession"]

ServerEvent = Request | Data | EndOfMessage | Failed

_Step = ServerEvent | More | None


class RequestSide(IntEnum):
    """What the reading side waits for."""

    HEAD = 0
    BODY = 1
    END = 2  # the message is complete, its end not handed out yet
    RESPONSE = 3  # the message's end was handed out, the response is not complete
    UPGRADED = 4  # whatever comes belongs to the next protocol
    FAILURE = 5  # a failure is to be handed out
    NOTHING = 6


class ResponseSide(IntEnum):
    """What the writing side waits for."""

    REQUEST = 0
    HEAD = 1
    BODY = 2
    NEXT = 3  # the response is complete, the request is not


_HEAD, _BODY, _END, _RESPONSE, _UPGRADED, _FAILURE, _NOTHING = (side.value for side in RequestSide)
_W_REQUEST, _W_HEAD, _W_BODY, _W_NEXT = (side.value for side in ResponseSide)

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_PLAIN: Final = frozenset(range(200, 600)) - BODILESS
_FINAL: Final = "a final status, 200 to 599"
_KEEPS: Final = {"keep-alive": True, "Keep-Alive": True, "close": False}  # nearly all Connection fields
_JOIN_BELOW: Final = 16 * 1024  # bytes of a body that are cheaper to copy than to send apart


class _Sending(Enum):
    """How the end of the response under way is marked."""

    LENGTH = "length"
    CHUNKS = "chunks"
    STREAM = "end of stream"
    NOTHING = "nothing is sent"


class ServerSession(Outgoing):
    """HTTP/1.1 as a server speaks it. Follows `mungos.protocol.Protocol`.

    Events: `Request`, then `Data` for each piece of its body, then `EndOfMessage`; or `Failed`, last of all.
    A response may begin as soon as its request was handed out. Where it is complete before the request's body
    is, the rest of the body is skipped up to a bound, and `EndOfMessage` marks its end; where it can't be
    skipped, the session ends without one.

    Attributes:
        deadline: when `expire` wants to be called, on the caller's clock, or None.
        wake: called when output or events may be waiting.
        ended: True once nothing more will be queued.
        unsent: bytes that `take` has not handed out.
        limits: the bounds of this session.
        request: the request that is being answered, or None.
        stream: for whoever streams a response over several turns: an object with `close()`, which the
            connection calls when it ends first.
    """

    __slots__ = (
        "_at",
        "_body",
        "_buffer",
        "_date",
        "_failure",
        "_hungry",
        "_idle",
        "_input_ended",
        "_inspection",
        "_keep",
        "_left",
        "_now",
        "_owes_continue",
        "_pace",
        "_read",
        "_requests_left",
        "_sending",
        "_skip",
        "_stale",
        "_write",
        "deadline",
        "ended",
        "limits",
        "request",
        "stream",
    )

    def __init__(
        self, *, limits: HTTPLimits = SERVER_LIMITS, date: Callable[[], bytes] | None = None
    ) -> None:
        """Make a session for a connection that opens at `start`.

        Args:
            limits: its bounds.
            date: gives the value of the Date field (RFC 9110 section 6.6.1), made once a second by whoever
                has a clock; None: responses have no Date.
        """
        instance("limits", limits, HTTPLimits, write="HTTPLimits(...)")
        function("date", date, write="a function that makes a Date field's value", none=True)
        super().__init__(limits.high_watermark)
        self.limits = limits
        self.deadline: float | None = None
        self.ended = False
        self.request: Request | None = None
        self.stream: Closable | None = None
        self._date = date
        # Undelivered bytes, from index `_at`; empty, with `_at` 0, when all were used. A bytearray where a
        # piece was added to others: so many small ones cost no more than a large one.
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._inspection: Inspection | None = None  # of the head that is not complete yet
        self._read = _HEAD
        self._write = _W_REQUEST
        self._now = 0.0
        self._stale = False  # True: `_now` may be older than the event that is to be timed
        self._idle = False  # True: the deadline is that of silence between messages
        self._input_ended = False
        self._requests_left = -1 if limits.max_requests is None else limits.max_requests
        self._keep = True
        self._body: BodyDecoder | None = None
        self._pace: Pace | None = None
        self._hungry = True  # True: the last pull found too few bytes
        self._skip = 0
        self._owes_continue = False
        self._sending: _Sending = _Sending.LENGTH
        self._left = 0
        self._failure: Failed | None = None

    # Bytes in

    def start(self, now: float) -> None:
        """The stream is open: the first head has `head_timeout` seconds from here."""
        self._now = now
        self.deadline = now + self.limits.head_timeout

    def receive(self, data: Buffer, now: float) -> int:
        """Store bytes; see `mungos.protocol.Protocol.receive`."""
        self._now = now
        self._stale = False
        size = len(data)
        read = self._read
        if read == _HEAD and not self._buffer and 0 < size <= self.limits.max_receive:
            self._buffer = bytes(data)
            self._hungry = False
            if self._idle:
                self._idle = False
                self.deadline = now + self.limits.head_timeout
            return size
        if read >= _FAILURE or not size:
            return size
        buffer = self._buffer
        room = self.limits.max_receive - len(buffer) + self._at
        if size > room:
            data = data[:room]
            size = room
        if not buffer:
            self._buffer = bytes(data)
        else:
            if isinstance(buffer, bytes):
                self._buffer = buffer = bytearray(buffer[self._at :])
            elif self._at:
                del buffer[: self._at]
            self._at = 0
            buffer += data
        if read == _HEAD:
            self._hungry = False
            if self._idle:
                self._idle = False
                self.deadline = now + self.limits.head_timeout
        elif read == _BODY and self._pace is not None:
            if not self._hungry:
                self._pace.restart(now)
                self.deadline = self._pace.deadline
            self._pace.count += size
            self._hungry = False
        return size

    def receive_eof(self, now: float, truncated: bool) -> None:
        """The client sends no more. A request that is complete is answered, then the session ends; one that
        is not has failed. `truncated` makes no difference: a request marks its own end."""
        self._now = now
        self._stale = False
        if self._input_ended or self._read >= _UPGRADED:
            return
        self._input_ended = True
        if self._at == len(self._buffer):
            if self._read == _HEAD:
                self._finish()
            elif self._read != _BODY:
                self._keep = False
        self._wake()

    # Events out

    def next_event(self) -> _Step:
        """The next event, or None when more bytes, time, room for output or a response is needed."""
        read = self._read
        if read == _HEAD and not self._buffer:
            self._hungry = True
            return None
        return _STEPS[read](self)

    def _next_head(self) -> ServerEvent | None:
        buffer = self._buffer
        if self.unsent > self._high:
            # Whoever asks without reading the answers is not asked for more.
            self._pull_when_low = True
            return None
        limits = self.limits
        method = ""
        inspection = self._inspection
        try:
            scanned = scan_head(buffer, self._at, limits) if inspection is None else None
            fields: list[tuple[str, str]] | None = None
            table: dict[str, str] | None = None
            text = ""
            if scanned is not None:
                end, method, target, minor, text, connection, decisive = scanned
                if decisive:
                    fields, table = read_fields(text)
            else:
                if inspection is None:
                    self._inspection = inspection = Inspection.of_request(limits)
                head = parse_head(buffer, self._at, limits, inspection)
                if head is None:
                    return self._next_head_incomplete()
                self._inspection = None
                end, method, target, minor, fields, table = head
                connection = table.get("connection", "")
            length: int | Framing = 0
            keep = minor > 0
            expects = False
            if connection:
                # RFC 9112 section 9.3
                known = _KEEPS.get(connection)
                if known is None or table is not None:
                    options = list_of_tokens(connection if table is None else table["connection"])
                    keep = "close" not in options and (keep or "keep-alive" in options)
                else:
                    keep = known
            if table is not None:
                if "content-length" in table or "transfer-encoding" in table:
                    length = request_framing(minor, table, limits)
                if "expect" in table and minor:  # RFC 9110 section 10.1.1
                    if table["expect"].lower() != "100-continue":
                        raise violation(
                            Rule.EXPECTATION, f"expectation unknown here: {quoted(table['expect'])}"
                        )
                    expects = length != 0
        except HTTPError as error:
            return self._fail(error, method)
        if end == len(buffer):
            self._buffer = b""
            self._at = 0
            if self._input_ended and length == 0:
                keep = False
        else:
            self._at = end
        request = Request(method, target, minor, fields, table, keep, expects, length != 0, text)
        self.request = request
        self._requests_left = left = self._requests_left - 1
        self._keep = keep and left != 0
        self._idle = False
        self._write = _W_HEAD
        self._owes_continue = expects
        if length == 0:
            self._read = _END
            self.deadline = None
            return request
        self._read = _BODY
        self._body = LengthBody(length) if isinstance(length, int) else ChunkedBody(limits)
        self._pace = Pace("body", limits.body_rate, limits.body_window, limits.body_timeout, self._now)
        self._hungry = False
        self.deadline = self._pace.deadline
        return request

    def _next_head_incomplete(self) -> Failed | None:
        self._hungry = True
        if not self._input_ended:
            if self.deadline is None:
                self.deadline = self._now + self.limits.head_timeout
            return None
        if self._buffer[self._at :] in (b"\r", b"\r\n"):  # nothing but the empty line that may be skipped
            self._finish()
            return None
        return self._fail(violation(Rule.INCOMPLETE, "the stream ended inside a request's head"))

    def _next_of_body(self) -> _Step:
        body = self._body
        buffer = self._buffer
        if body is None:
            return None
        try:
            data, at = body.decode(buffer, self._at)
            if at == len(buffer):
                self._buffer = b""
                self._at = 0
            else:
                self._at = at
            if data:
                self._owes_continue = False
                if self._write != _W_NEXT:
                    self._hungry = False
                    if body.ended:
                        self._read = _END
                        self.deadline = None
                    return Data(data)
                self._skip -= len(data)
                if self._skip < 0:
                    self._finish()
                    return None
                if self._buffer and not body.ended:
                    return MORE
            if body.ended:
                return self._next_end()
            if self._input_ended:
                body.finish()
        except HTTPError as error:
            return self._fail(error)
        self._hungry = True
        if self._owes_continue and self._write == _W_HEAD and not self._buffer:
            self.send_continue()
        return None

    def _next_end(self) -> EndOfMessage:
        body = self._body
        event = END_OF_MESSAGE
        if body is not None:
            self._body = self._pace = None
            if body.trailers.fields:
                event = EndOfMessage(body.trailers)
            if self._input_ended and not self._buffer:
                self._keep = False
        if self._write == _W_NEXT:
            self._next_message()
        else:
            self._read = _RESPONSE
            self.deadline = None
        return event

    def _wait_for_response(self) -> None:
        # The response will come from outside this turn, and no argument tells that moment.
        self._stale = True

    def _wait(self) -> None:
        return

    def _next_failure(self) -> Failed | None:
        self._read = _NOTHING
        failure, self._failure = self._failure, None
        return failure

    # Bytes out: responses

    def respond(
        self,
        status: int,
        body: Buffer = b"",
        headers: FieldLines = NO_FIELDS,
        *,
        content_type: str | None = None,
    ) -> None:
        """Answer the current request, whole. Content-Length, Date and Connection are written here.

        Args:
            status: 200 to 599.
            body: not sent, only measured, when the request is HEAD; empty for 204 and 304.
            headers: further fields; a Content-Length is allowed where no body is sent.
            content_type: the value of Content-Type.

        Raises:
            Misuse: no request waits for a response, or a field can't be sent.
            Closed: the session has ended.
        """
        if self._write != _W_HEAD or self._read >= _UPGRADED:
            self._refuse("respond")
        given: object = status
        if not isinstance(given, int):
            raise wrong("status", status, _FINAL)
        if type(body) is not bytes:
            body = as_bytes("body", body)
        size = len(body)
        if status in BODILESS and size:
            raise Misuse(f"a {status} response has no body ({size} bytes given)")
        if (
            headers is NO_FIELDS
            and self._keep
            and self._read != _BODY
            and status in _PLAIN
            and size <= _JOIN_BELOW
        ):
            request = self.request
            if request is not None and request.is_plain:
                # The usual answer to the usual request: nothing to decide.
                answer = b"".join(
                    (
                        status_line(status),
                        b"" if self._date is None else b"Date: %b\r\n" % self._date(),
                        b"" if content_type is None else _content_type_line(content_type),
                        b"Content-Length: %d\r\n\r\n" % size,
                        body,
                    )
                )
                self._out.append(answer)
                self.unsent += len(answer)
                self._complete()
                return
        head = self._head(status, headers, content_type, size, whole=True)
        if not size or self.request.method == "HEAD":  # type: ignore[union-attr]
            self._out.append(head)
            self.unsent += len(head)
        elif size <= _JOIN_BELOW:
            head += body
            self._out.append(head)
            self.unsent += len(head)
        else:
            self._out += (head, body)
            self.unsent += len(head) + size
        self._complete()

    def start_response(self, status: int, headers: FieldLines = NO_FIELDS, length: int | None = None) -> None:
        """Begin a response whose body follows by `send_body`, to `end_response`.

        Args:
            status: 200 to 599.
            headers: its fields, without those that this session writes.
            length: bytes of the body, exact; None: chunked, or to the end of the stream for HTTP/1.0.

        Raises:
            Misuse: no request waits for a response, or a field can't be sent.
            Closed: the session has ended.
        """
        if self._write != _W_HEAD or self._read >= _UPGRADED:
            self._refuse("start_response")
        request = self.request
        if request is None:
            self._refuse("start_response")
        given: object = status
        if not isinstance(given, int):
            raise wrong("status", status, _FINAL)
        if length is not None:
            count("length", length)
        keep = self._keep
        sending = _Sending.LENGTH
        if request.method == "HEAD":
            sending = _Sending.NOTHING
        elif status in BODILESS:
            if length:
                raise Misuse(f"a {status} response has no body ({length} bytes announced)")
            length = 0
        elif length is None:
            sending = _Sending.CHUNKS
            if request.version == (1, 0):
                sending = _Sending.STREAM
                self._keep = False
        try:
            head = self._head(status, headers, None, length, whole=False)
        except Misuse:
            self._keep = keep
            raise
        self._sending = sending
        self._left = length or 0
        self._write = _W_BODY
        self._push(head)
        self._wake()

    def send_body(self, data: Buffer) -> bool:
        """Send a piece of the body.

        Returns:
            Whether more may follow at once; False: wait until the queue is down (the connection's Writable).

        Raises:
            Misuse: no response is under way, more than the announced length, or `max_unsent` is passed by
                going on after False.
            Closed: the session has ended.
        """
        if self._write != _W_BODY or self._read >= _UPGRADED:
            self._refuse("send_body")
        piece = data if type(data) is bytes else as_bytes("data", data)
        size = len(piece)
        sending = self._sending
        if sending is not _Sending.NOTHING and size:
            if sending is _Sending.LENGTH and size > self._left:
                raise Misuse(
                    f"{size} bytes of body, only {self._left} bytes are left of the announced length"
                )
            if self.unsent and self.unsent + size > self.limits.max_unsent:
                raise Misuse(
                    f"{self.unsent} bytes unsent and {size} more: "
                    f"over the limit of {self.limits.max_unsent} bytes"
                )
            if sending is _Sending.LENGTH:
                self._left -= size
            elif sending is _Sending.CHUNKS:
                if size > _JOIN_BELOW:
                    self._push(b"%x\r\n" % size)
                    self._push(piece)
                    piece = b"\r\n"
                else:
                    piece = chunk(piece)
            self._push(piece)
            self._wake()
        return self.unsent <= self._high

    def end_response(self, trailers: FieldLines = NO_FIELDS) -> None:
        """End the response that `start_response` began.

        Args:
            trailers: fields after the body; only where it is chunked, dropped where nothing is sent.

        Raises:
            Misuse: bytes of the announced length are missing, or trailers can't be sent here.
            Closed: the session has ended.
        """
        if self._write != _W_BODY or self._read >= _UPGRADED:
            self._refuse("end_response")
        if self._sending is _Sending.CHUNKS:
            self._push(last_chunk(trailers))
        elif self._sending is _Sending.LENGTH:
            if self._left:
                raise Misuse(f"{self._left} bytes of the announced length were not sent")
            if tuple(trailers):
                raise Misuse("trailers need a chunked response, and this one has a length")
        self._complete()

    def send_continue(self) -> None:
        """Ask for the body that a client holds back (RFC 9110 section 10.1.1). Done without being called when
        the body is pulled before a response begins; without effect when nobody waits for it."""
        if self._write != _W_HEAD or self._read >= _UPGRADED:
            self._refuse("send_continue")
        if self._owes_continue:
            self._owes_continue = False
            self._push(_CONTINUE)
            self._wake()

    def informational(self, status: int, headers: FieldLines = NO_FIELDS) -> None:
        """Send a 1xx response before the final one; nothing is sent to HTTP/1.0 (RFC 9110 section 15.2).

        Raises:
            Misuse: not a 1xx status, or 101 (see `upgrade`), or the final response has begun.
            Closed: the session has ended.
        """
        if self._write != _W_HEAD or self._read >= _UPGRADED or self.request is None:
            self._refuse("informational")
        given: object = status
        if not isinstance(given, int) or not 100 <= status < 200 or status == 101:
            raise Misuse(f"informational() sends 100 and 102 to 199, not {status}")
        fields, managed = encode_fields(headers)
        if managed:
            raise Misuse(f"not allowed in a 1xx response: {', '.join(managed)}")
        if self.request.version == (1, 0):
            return
        if status == 100:
            self._owes_continue = False
        self._push(status_line(status) + fields + b"\r\n")
        self._wake()

    def upgrade(self, headers: FieldLines = NO_FIELDS, *, protocol: str | None = None) -> None:
        """Leave HTTP: answer 101 to a request with Upgrade, or 200 to CONNECT. What comes after the request
        is kept for `leftover`.

        Args:
            headers: further fields of the answer.
            protocol: the protocol changed to; the first one offered when None.

        Raises:
            Misuse: the request asked for no upgrade, its body was not pulled, or it was answered.
            Closed: the session has ended.
        """
        if self._write != _W_HEAD or self._read >= _UPGRADED or self.request is None:
            self._refuse("upgrade")
        fields, managed = encode_fields(headers)
        if managed:
            raise Misuse(f"not allowed in the answer to an upgrade: {', '.join(managed)}")
        if self.request.method == "CONNECT":
            head = status_line(200)
        else:
            offered = self.request.upgrade
            text("protocol", protocol, write='one of those that the client offers: "websocket"', none=True)
            chosen = offered[0] if protocol is None and offered else protocol
            if chosen is None or chosen.lower() not in offered:
                raise Misuse(f"the client offers {offered or 'no protocol'}, not {chosen}")
            head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n"
            head %= chosen.encode("latin-1")
        self.detach()
        self._push(head + fields + b"\r\n")
        self._wake()

    def detach(self) -> None:
        """Leave HTTP without a word: the next protocol answers the request itself.

        Raises:
            Misuse: the request's body was not pulled, or it was answered.
            Closed: the session has ended.
        """
        if self._write != _W_HEAD or self._read >= _UPGRADED:
            self._refuse("upgrade")
        if self._read == _BODY:  # RFC 9110 section 7.8: the request is read to its end in HTTP
            raise Misuse("the request's body has to be pulled to its end before the upgrade")
        self._read = _UPGRADED
        self.deadline = None

    # Time and ends

    def expire(self, now: float) -> None:
        """Act on the deadline: an idle connection ends without a word, a slow head or body fails with 408."""
        if self.deadline is None or now < self.deadline:
            return
        self._now = now
        if self._read == _HEAD:
            self._expire_head(now)
        elif self._read == _BODY and self._pace is not None:
            late = self._pace.check(now, self._hungry)
            if late is None:
                self.deadline = self._pace.deadline
            else:
                self._fail_later(late)
        else:
            self.deadline = None

    def _expire_head(self, now: float) -> None:
        limits = self.limits
        if self._stale and self._idle:
            # The response ended between two turns; the silence is counted from the first of them that tells
            # the time.
            self._stale = False
            self.deadline = now + limits.keep_alive_timeout
        elif self._at == len(self._buffer):
            self._finish()
        elif not self._hungry or self._pull_when_low:
            self.deadline = None  # it is not the client who is waited for
        else:
            self._fail_later(TimedOut("head", limit=limits.head_timeout))

    def close(self, now: float) -> None:
        """End soon: at once between requests, else after the current response, which says `Connection: close`
        where it can. Requests behind it are not processed (RFC 9112 section 9.6)."""
        if self.ended or self._read >= _UPGRADED:
            return
        self._now = now
        if self._write in (_W_REQUEST, _W_NEXT):
            self._finish()
        else:
            self._keep = False

    def release(self) -> None:
        """The connection is gone: the response under way is given up, and every sender raises Closed."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()
        self._finish()
        self._read = _NOTHING
        self._drop_output()

    def leftover(self) -> bytes:
        """Bytes received behind the request that left HTTP; they are handed out once."""
        rest = bytes(self._buffer[self._at :])
        self._buffer = b""
        self._at = 0
        return rest

    @property
    def held(self) -> int:
        """Bytes received that were not handed out."""
        return len(self._buffer) - self._at

    @property
    def room_for_stream(self) -> bool:
        """Whether there is a descriptor for a `stream`: always here, where nobody counts them."""
        return True

    @property
    def response_started(self) -> bool:
        """Whether the current request's final response has begun."""
        return self._write in (_W_BODY, _W_NEXT)

    @property
    def request_side(self) -> RequestSide:
        """What the reading side waits for."""
        return RequestSide(self._read)

    @property
    def response_side(self) -> ResponseSide:
        """What the writing side waits for."""
        return ResponseSide(self._write)

    # The machinery

    def _head(
        self, status: int, headers: FieldLines, content_type: str | None, length: int | None, *, whole: bool
    ) -> bytes:
        """A final response's head; decides whether the connection stays open."""
        request = self.request
        if request is None or not 200 <= status <= 599:
            raise wrong("status", status, _FINAL)
        if request.method == "CONNECT" and status < 300:  # RFC 9110 section 9.3.6
            raise Misuse(f"{status} to CONNECT opens a tunnel: that is upgrade()")
        parts = [status_line(status)]
        keep = self._keep
        date: bytes | None = None if self._date is None else self._date()
        options = b""
        if headers is not NO_FIELDS:
            fields, managed = encode_fields(headers)
            parts.append(fields)
            if managed:
                bodiless = request.method == "HEAD" or status == 304
                keep, date, options, length = _apply_managed(managed, keep, date, length, bodiless)
        if date is not None:
            parts += (b"Date: ", date, b"\r\n")
        if content_type is not None:
            parts.append(_content_type_line(content_type))
        if status in BODILESS:
            # RFC 9110 section 8.6: never with 204; with 304 only the length that a 200 would have had.
            if status == 304 and length:
                parts.append(b"Content-Length: %d\r\n" % length)
        elif length is not None:
            parts.append(b"Content-Length: %d\r\n" % length)
        elif request.version != (1, 0) and request.method != "HEAD":
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if keep and self._read == _BODY and not self._can_skip(whole):
            keep = False
        if not keep:
            parts.append(b"Connection: close\r\n" if not options else b"Connection: %b, close\r\n" % options)
        elif options:
            parts.append(b"Connection: %b\r\n" % options)
        elif request.version == (1, 0):
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        self._keep = keep
        return b"".join(parts)

    def _can_skip(self, whole: bool) -> bool:
        """Whether the connection can outlive the part of the request's body that is still to come."""
        body = self._body
        if body is None or body.ended:
            return True
        here = len(self._buffer) - self._at
        left = body.remaining
        if left is not None and left <= here:
            return True
        if self._owes_continue and not here:
            # RFC 9110 section 10.1.1: nobody can tell whether the body or the next request comes now.
            return False
        # A response in pieces may still read the body to its end; one of unknown length is tried.
        return not whole or left is None or left <= self.limits.max_discard

    def _complete(self) -> None:
        self._write = _W_NEXT
        self._owes_continue = False
        read = self._read
        if read == _RESPONSE:
            self._next_message()
        elif not self._keep:
            self._finish()
        elif read == _BODY:
            self._skip = self.limits.max_discard
            if not self._can_skip(whole=True):
                self._finish()
        if self.wake is not None:
            self.wake()

    def _next_message(self) -> None:
        if not self._keep:
            self._finish()
            self._read = _NOTHING
            return
        self._read = _HEAD
        self._write = _W_REQUEST
        self.request = None
        if self._buffer:
            self.deadline = self._now + self.limits.head_timeout
            self._hungry = False
        elif self._input_ended:
            self._finish()
        else:
            self._idle = True
            self.deadline = self._now if self._stale else self._now + self.limits.keep_alive_timeout

    def _finish(self) -> None:
        """Nothing more is queued or processed (RFC 9112 section 9.6); an end of message may still be due."""
        self.ended = True
        self.deadline = None
        self._keep = False
        self._buffer = b""
        self._at = 0
        if self._read not in (_END, _FAILURE):
            self._read = _NOTHING
            self._body = self._pace = None
        self._wake()

    def _fail(self, error: ProtocolError | TimedOut, method: str = "") -> Failed:
        """Queue the answer that `error` deserves, unless one is under way; end."""
        error.__traceback__ = None  # its frames hold this session, and whoever pulls it
        if self._write in (_W_REQUEST, _W_HEAD):
            status = status_of(error)
            text = f"{status} {reason_of(status)}\n".encode("ascii")
            self._keep = False
            parts = [status_line(status)]
            if self._date is not None:
                parts += (b"Date: ", self._date(), b"\r\n")
            parts.append(
                b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(text)
            )
            if self.request is not None:
                method = self.request.method
            if method != "HEAD":
                parts.append(text)
            self._push(b"".join(parts))
        self._write = _W_NEXT
        self._read = _NOTHING
        self._finish()
        return Failed(error)

    def _fail_later(self, error: ProtocolError | TimedOut) -> None:
        self._failure = self._fail(error)
        self._read = _FAILURE
        self._wake()

    def _refuse(self, call: str) -> NoReturn:
        if self.ended:
            raise Closed(f"{call}: the session has ended")
        raise Misuse(
            f"{call}: the request side waits for {RequestSide(self._read).name}, "
            f"the response side for {ResponseSide(self._write).name}"
        )


def _apply_managed(
    managed: dict[str, str], keep: bool, date: bytes | None, length: int | None, bodiless: bool
) -> tuple[bool, bytes | None, bytes, int | None]:
    """The application's say in the fields that the session writes: keep, date, connection options, length."""
    options: list[str] = []
    for name, value in managed.items():
        if name == "connection":
            options = list_of_tokens(value)
            keep = keep and "close" not in options
            options = [option for option in options if option not in ("close", "keep-alive")]
        elif name == "date":
            date = value.encode("latin-1")
        elif name == "content-length":
            if not (value.isascii() and value.isdigit()):
                raise Misuse(f"not a Content-Length: {quoted(value)}")
            if bodiless:
                length = int(value)
            elif length != int(value):
                raise Misuse(f"Content-Length {value} contradicts the body ({length} bytes)")
        else:
            raise Misuse(f"{name} is written by the session")
    return keep, date, ", ".join(options).encode("latin-1"), length


# Media types sent, once checked; an application has a handful of them, and the bound stands if not.
_content_types: dict[str, bytes] = {}
_MOST_CONTENT_TYPES: Final = 256


def _content_type_line(value: str) -> bytes:
    given: object = value
    line = _content_types.get(value) if isinstance(given, str) else None
    if line is None:
        line, _ = encode_fields((("Content-Type", value),))
        if isinstance(given, str) and len(_content_types) < _MOST_CONTENT_TYPES:
            _content_types[value] = line
    return line


_STEPS: Final[tuple[Callable[[ServerSession], _Step], ...]] = (
    ServerSession._next_head,
    ServerSession._next_of_body,
    ServerSession._next_end,
    ServerSession._wait_for_response,
    ServerSession._wait,
    ServerSession._next_failure,
    ServerSession._wait,
)
"""What `next_event` does for each thing that the reading side can wait for, in the order of `RequestSide`."""
