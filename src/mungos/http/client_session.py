"""A client's side of one connection: requests into bytes, and responses out of them (RFC 9112).

What the reading side waits for is in the table `_STEPS`, which `next_event` follows. Bytes that nobody asked
for are never taken for a response (section 9.2), and an end of the stream completes a message only where
that is how the message ends (section 8).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple, NoReturn

from mungos.checking import as_bytes, count, flag, instance, matches, wrong
from mungos.errors import Closed, Misuse, ProtocolError, TimedOut
from mungos.http.errors import HTTPError, Rule, violation
from mungos.http.events import END_OF_MESSAGE, Data, EndOfMessage, InformationalResponse, Response
from mungos.http.framing import (
    BodyDecoder,
    ChunkedBody,
    Framing,
    LengthBody,
    StreamBody,
    chunk,
    last_chunk,
    response_framing,
)
from mungos.http.headers import NO_FIELDS, FieldLines, Headers, encode_fields, list_of_tokens
from mungos.http.heads import ResponseHead, is_host, parse_status_head, scan_status_head
from mungos.http.inspection import Inspection
from mungos.http.limits import CLIENT_LIMITS, HTTPLimits
from mungos.http.outgoing import Outgoing
from mungos.http.pacing import Pace
from mungos.protocol import Buffer, Failed

__all__ = ["ClientEvent", "ClientSession", "SendingSide", "WaitingSide"]

ClientEvent = InformationalResponse | Response | Data | EndOfMessage | Failed


class WaitingSide(IntEnum):
    """What the reading side waits for."""

    REQUEST = 0  # ours: nothing may come
    HEAD = 1
    BODY = 2
    END = 3  # the message is complete, its end not handed out yet
    UPGRADED = 4  # whatever comes belongs to the next protocol
    FAILURE = 5  # a failure is to be handed out
    NOTHING = 6


class SendingSide(IntEnum):
    """What the writing side waits for."""

    REQUEST = 0
    CONTINUE = 1  # 100 (Continue), before the body is sent
    BODY = 2
    REFUSED = 3  # the final response came before the body was asked for: it is dropped


_REQUEST, _HEAD, _BODY, _END, _UPGRADED, _FAILURE, _NOTHING = (side.value for side in WaitingSide)
_S_REQUEST, _S_CONTINUE, _S_BODY, _S_REFUSED = (side.value for side in SendingSide)

_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(r"[!$-;=?-~]+")
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 section 9.2.2
_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})


class _Asked(NamedTuple):
    """A request that waits for its response."""

    method: str
    target: str
    upgrade: bool


class ClientSession(Outgoing):
    """HTTP/1.1 as a client speaks it. Follows `mungos.protocol.Protocol`.

    Events, for each request: `InformationalResponse`s, `Response`, `Data` for each piece of its body, then
    `EndOfMessage`; or `Failed`, last of all. After 101, or 2xx to CONNECT, there are no more events, and what
    comes is kept for `leftover`.

    Attributes:
        deadline: when `expire` wants to be called, on the caller's clock, or None.
        wake: called when output or events may be waiting.
        ended: True once nothing more will be queued.
        unsent: bytes that `take` has not handed out.
        limits: the bounds of this session.
    """

    __slots__ = (
        "_accepting",
        "_arm",
        "_asked",
        "_at",
        "_body",
        "_buffer",
        "_chunked",
        "_failure",
        "_held",
        "_held_size",
        "_host",
        "_hungry",
        "_informational",
        "_input_ended",
        "_inspection",
        "_last",
        "_left",
        "_max_pipelined",
        "_now",
        "_pace",
        "_read",
        "_truncated",
        "_write",
        "deadline",
        "ended",
        "limits",
    )

    def __init__(self, *, host: str = "", limits: HTTPLimits = CLIENT_LIMITS, max_pipelined: int = 1) -> None:
        """Make a session for a connection that opens at `start`.

        Args:
            host: host, and port where it is not the scheme's own, for the Host field (RFC 9110 section 7.2).
            limits: its bounds.
            max_pipelined: requests that may wait for their responses at once.

        Raises:
            Misuse: a value is of another kind, or the host can't stand in a request.
        """
        instance("limits", limits, HTTPLimits, write="HTTPLimits(...)")
        count("max_pipelined", max_pipelined, 1)
        _check_host(host)
        super().__init__(limits.high_watermark)
        self.limits = limits
        self.deadline: float | None = None
        self.ended = False
        self._host = host
        self._max_pipelined = max_pipelined
        self._asked: deque[_Asked] = deque()
        self._buffer: bytes | bytearray = b""  # a bytearray where a piece was added to others
        self._at = 0
        self._inspection: Inspection | None = None  # of the head that is not complete yet
        self._read = _REQUEST
        self._write = _S_REQUEST
        self._now = 0.0
        self._arm: float | None = None  # seconds: the deadline begins when `expire` next tells the time
        self._input_ended = False
        self._truncated = False
        self._accepting = True  # False: no request may follow, by our own word
        self._last = False  # True: the server sends nothing after this response
        self._body: BodyDecoder | None = None
        self._pace: Pace | None = None
        self._hungry = True
        self._informational = 0
        self._chunked = False
        self._left = 0
        self._held: list[bytes] = []  # the body, or what was given of it, until 100 (Continue)
        self._held_size = 0
        self._failure: Failed | None = None

    # Requests

    @property
    def ready(self) -> bool:
        """Whether `request` may be called now."""
        return (
            not self.ended
            and self._accepting
            and not self._last
            and not self._input_ended
            and self._read < _UPGRADED
            and self._write == _S_REQUEST
            and not (self._read == _REQUEST and self._buffer)
            and len(self._asked) < self._max_pipelined
            and (not self._asked or self._asked[-1].method in _IDEMPOTENT)
        )

    @property
    def unanswered(self) -> tuple[tuple[str, str], ...]:
        """Method and target of requests without a complete response, in order (RFC 9112 section 9.3.2)."""
        return tuple((asked.method, asked.target) for asked in self._asked)

    @property
    def waiting_side(self) -> WaitingSide:
        """What the reading side waits for."""
        return WaitingSide(self._read)

    @property
    def sending_side(self) -> SendingSide:
        """What the writing side waits for."""
        return SendingSide(self._write)

    def request(
        self,
        method: str,
        target: str,
        headers: FieldLines = NO_FIELDS,
        body: Buffer | None = None,
        *,
        length: int | None = None,
        chunked: bool = False,
    ) -> None:
        """Send a request. Host, Content-Length, Transfer-Encoding and Connection are written here.

        With neither `body`, `length` nor `chunked` there is no body. With `Expect: 100-continue` among the
        fields, the body is held back until the server asks for it, or for `continue_timeout` seconds.

        Args:
            method: a token, case-sensitive.
            target: the request target as it goes on the wire: percent-encoded.
            headers: further fields; Host may be among them, and Connection with its options.
            body: the whole body.
            length: bytes of a body that follows by `send_body`, exact.
            chunked: a body of unknown length follows by `send_body`.

        Raises:
            Misuse: an argument can't be sent, a request is under way, or more wait than `max_pipelined`, or
                one behind a method that is not idempotent.
            Closed: the session has ended, or is about to.
        """
        if not self.ready:
            self._refuse("request")
        try:
            usual = _METHOD.fullmatch(method) is not None and _TARGET.fullmatch(target) is not None
        except TypeError:
            usual = False
        if not usual:
            raise _bad_request_line(method, target)
        given: object = chunked
        if type(given) is not bool:
            flag("chunked", chunked)
        if (body is not None) + (length is not None) + chunked > 1:
            raise Misuse("body, length and chunked exclude each other")
        if length is not None:
            count("length", length)
        lines, managed = encode_fields(headers)
        host = managed.pop("host", None)
        if host is None:
            host = self._host
        else:
            _check_host(host)
        options = list_of_tokens(managed.pop("connection", ""))
        expects = managed.pop("expect", None)
        date = managed.pop("date", None)
        data = b"" if body is None else body if type(body) is bytes else as_bytes("body", body)
        size = len(data) if body is not None else length
        if size is None and not chunked and method in _WITH_CONTENT:
            size = 0  # RFC 9110 section 8.6
        announced = managed.pop("content-length", None)
        if announced is not None and announced != str(size):
            raise Misuse(f"Content-Length {announced[:40]} contradicts the body ({size} bytes)")
        if managed:
            raise Misuse(f"written by the session: {', '.join(managed)}")
        parts = [f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode("latin-1"), lines]
        if date is not None:
            parts.append(f"Date: {date}\r\n".encode("latin-1"))
        if options:
            parts.append(f"Connection: {', '.join(options)}\r\n".encode("latin-1"))
        if chunked:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        elif size is not None:
            parts.append(b"Content-Length: %d\r\n" % size)
        holds = expects is not None and (chunked or bool(size))
        if holds and self._asked:
            raise Misuse("an expectation can't stand behind a request that waits for its response")
        if holds:
            parts.append(f"Expect: {expects}\r\n".encode("latin-1"))
        parts.append(b"\r\n")
        if "close" in options:
            self._accepting = False
        self._asked.append(_Asked(method, target, "upgrade" in options))
        if self._read == _REQUEST:
            self._read = _HEAD
            self._informational = 0
            self.deadline = None
        if data and not holds:
            parts.append(data)
        self._push(b"".join(parts))
        self._chunked = chunked
        self._left = (size or 0) - len(data)
        if holds:
            self._write = _S_CONTINUE
            self._held = [data] if data else []
            self._held_size = len(data)
            self._arm_deadline(self.limits.continue_timeout)
        elif chunked or self._left:
            self._write = _S_BODY
        else:
            self._end_of_request()
        self._wake()

    def send_body(self, data: Buffer) -> bool:
        """Send a piece of the body of the request that was begun with `length` or `chunked`. Dropped when the
        server has refused it: its response came instead of 100 (Continue).

        Returns:
            Whether more may follow at once; False: wait until the queue is down (the connection's Writable).

        Raises:
            Misuse: no body is under way, more than the announced length, or `max_unsent` is passed by going
                on after False.
            Closed: the session has ended.
        """
        if self._write == _S_REFUSED:
            return True
        if self.ended or self._write not in (_S_CONTINUE, _S_BODY):
            self._refuse("send_body")
        piece = data if type(data) is bytes else as_bytes("data", data)
        size = len(piece)
        if not self._chunked and size > self._left:
            raise Misuse(f"{size} bytes of body, only {self._left} bytes are left of the announced length")
        queued = self.unsent + self._held_size
        if queued and queued + size > self.limits.max_unsent:
            raise Misuse(
                f"{queued} bytes unsent and {size} more: over the limit of {self.limits.max_unsent} bytes"
            )
        if self._chunked:
            piece = chunk(piece)
        else:
            self._left -= size
        if self._write == _S_CONTINUE:
            self._held.append(piece)
            self._held_size += len(piece)
        elif piece:
            self._push(piece)
            self._wake()
        return self.unsent + self._held_size <= self._high

    def end_request(self, trailers: FieldLines = NO_FIELDS) -> None:
        """End the body of the request.

        Args:
            trailers: fields after a chunked body.

        Raises:
            Misuse: bytes of the announced length are missing, or trailers can't be sent here.
            Closed: the session has ended.
        """
        if self._write == _S_REFUSED:
            return
        if self.ended or self._write not in (_S_CONTINUE, _S_BODY):
            self._refuse("end_request")
        end = b""
        if self._chunked:
            end = last_chunk(trailers)
            self._chunked = False
        elif self._left:
            raise Misuse(f"{self._left} bytes of the announced length were not sent")
        elif tuple(trailers):
            raise Misuse("trailers need a chunked request, and this one has a length")
        if self._write == _S_CONTINUE:
            self._held.append(end)
            self._held_size += len(end)
        else:
            if end:
                self._push(end)
            self._end_of_request()
        self._wake()

    def _send_held(self) -> None:
        """100 (Continue) came, or not within its limit (RFC 9110 section 10.1.1)."""
        self._write = _S_BODY
        self._arm = None
        self.deadline = None
        for piece in self._held:
            if piece:
                self._push(piece)
        self._held = []
        self._held_size = 0
        if not self._chunked and not self._left:
            self._end_of_request()
        self._wake()

    def _end_of_request(self) -> None:
        self._write = _S_REQUEST
        if len(self._asked) == 1 and self._read == _HEAD:
            self._arm_deadline(self.limits.response_timeout)

    def _arm_deadline(self, seconds: float) -> None:
        # Senders have no clock: `expire`, wanted at once, begins the count.
        self._arm = seconds
        self.deadline = self._now

    # Bytes in

    def start(self, now: float) -> None:
        """The stream is open. A request may have been queued before."""
        self._now = now
        if self._arm is not None:
            self.deadline = now

    def receive(self, data: Buffer, now: float) -> int:
        """Store bytes; see `mungos.protocol.Protocol.receive`."""
        self._now = now
        size = len(data)
        read = self._read
        if read >= _FAILURE or self.ended or not size:
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
        if read == _BODY and self._pace is not None:
            if not self._hungry:
                self._pace.restart(now)
                self.deadline = self._pace.deadline
            self._pace.count += size
            self._hungry = False
        return size

    def receive_eof(self, now: float, truncated: bool) -> None:
        """The server sends no more. Between messages that is an end; a response that only the stream's end
        marks is complete, unless it was `truncated` (RFC 9112 section 9.8); any other is not."""
        self._now = now
        if self._input_ended or self._read >= _UPGRADED:
            return
        self._input_ended = True
        self._truncated = truncated
        if self._read == _REQUEST and not self._buffer:
            self._finish()
        self._wake()

    # Events out

    def next_event(self) -> ClientEvent | None:
        """The next event, or None when more bytes, time or a request is needed."""
        return _STEPS[self._read](self)

    def _next_unasked(self) -> Failed | None:
        if self._buffer:
            return self._fail(self._unasked())
        return None

    def _next_head(self) -> ClientEvent | None:
        try:
            head = None
            if self._buffer:
                if self._inspection is None:
                    head = scan_status_head(self._buffer, self._at, self.limits)
                if head is None:
                    head = self._inspect_head()
            if head is None:
                if self._input_ended:
                    where = "inside a head" if self._buffer else "before a response"
                    left = len(self._asked)
                    return self._fail(
                        violation(Rule.INCOMPLETE, f"the stream ended {where}: {left} requests unanswered")
                    )
                return None
            end, status, reason, minor, fields, table = head
            self._use(end)
            headers = Headers(fields, table)
            asked = self._asked[0]
            if status < 200:
                return self._take_informational(InformationalResponse(status, reason, headers, (1, minor)))
            length = response_framing(asked.method, status, minor, table, self.limits)
        except HTTPError as error:
            return self._fail(error)
        if minor == 0 or "connection" in table:  # RFC 9112 section 9.3
            options = list_of_tokens(table.get("connection", ""))
            if "close" in options or (minor == 0 and "keep-alive" not in options):
                self._last = True
        if self._write == _S_CONTINUE:
            # The body that the head announced won't follow: only an end of the connection is left.
            self._write = _S_REFUSED
            self._held = []
            self._held_size = 0
            self._last = True
        self._arm = None
        self.deadline = None
        response = Response(status, reason, headers, (1, minor))
        if asked.method == "CONNECT" and status < 300:  # RFC 9110 section 9.3.6
            self._asked.popleft()
            self._read = _UPGRADED
        elif length == 0:
            self._read = _END
        else:
            self._read = _BODY
            if length is Framing.END_OF_STREAM:
                self._last = True
                self._body = StreamBody(self.limits)
            else:
                self._body = LengthBody(length) if isinstance(length, int) else ChunkedBody(self.limits)
            limits = self.limits
            self._pace = Pace("body", limits.body_rate, limits.body_window, limits.body_timeout, self._now)
            self._hungry = False
            self.deadline = self._pace.deadline
        return response

    def _inspect_head(self) -> ResponseHead | None:
        """An unusual head, a bad one, or not all of it."""
        inspection = self._inspection
        if inspection is None:
            self._inspection = inspection = Inspection.of_response(self.limits)
        head = parse_status_head(self._buffer, self._at, self.limits, inspection)
        if head is not None:
            self._inspection = None
        return head

    def _take_informational(self, response: InformationalResponse) -> ClientEvent:
        self._informational += 1
        if self._informational > self.limits.max_informational:
            raise violation(
                Rule.INFORMATIONAL_TOO_MANY,
                f"more than {self.limits.max_informational} informational responses",
            )
        if response.status == 101:  # RFC 9110 section 15.2.2
            if not self._asked[0].upgrade or self._write != _S_REQUEST:
                raise violation(Rule.UPGRADE_UNASKED, "101 (Switching Protocols) that was not asked for")
            self._asked.popleft()
            self._read = _UPGRADED
            self._arm = None
            self.deadline = None
        elif response.status == 100 and self._write == _S_CONTINUE:
            self._send_held()
        return response

    def _next_of_body(self) -> ClientEvent | None:
        body = self._body
        if body is None:
            return None
        try:
            data, at = body.decode(self._buffer, self._at)
            self._use(at)
            if data:
                self._hungry = False
                if body.ended:
                    self._read = _END
                    self.deadline = None
                return Data(data)
            if not body.ended and self._input_ended:
                if self._truncated:
                    raise violation(Rule.INCOMPLETE, "the stream ended inside a body, without close_notify")
                body.finish()
        except HTTPError as error:
            return self._fail(error)
        if body.ended:
            return self._next_end()
        self._hungry = True
        return None

    def _next_end(self) -> EndOfMessage:
        body = self._body
        event = END_OF_MESSAGE if body is None or not body.trailers.fields else EndOfMessage(body.trailers)
        self._body = self._pace = None
        if self._asked:
            self._asked.popleft()
        self._informational = 0
        self.deadline = None
        # A response that outran its request ends the session: nobody reads the rest of the request's body.
        outran = self._write != _S_REQUEST and not self._asked
        if self.ended or outran or (self._last and not self._asked):
            self._finish()
            self._read = _NOTHING
        elif self._last:
            left = len(self._asked)
            self._fail_later(violation(Rule.INCOMPLETE, f"the server closes: {left} requests unanswered"))
        elif self._asked:
            self._read = _HEAD
            if self._write == _S_REQUEST:
                self.deadline = self._now + self.limits.response_timeout
        elif not self._accepting or (self._input_ended and not self._buffer):
            self._finish()
            self._read = _NOTHING
        elif self._buffer:
            # RFC 9112 section 9.2: a request made now, at this event, must not get them for its response.
            self._fail_later(self._unasked())
        else:
            self._read = _REQUEST
            self.deadline = self._now + self.limits.keep_alive_timeout
        return event

    def _unasked(self) -> HTTPError:
        size = len(self._buffer) - self._at
        return violation(Rule.UNASKED_BYTES, f"{size} bytes that answer no request")

    def _wait(self) -> None:
        return

    def _next_failure(self) -> Failed | None:
        self._read = _NOTHING
        failure, self._failure = self._failure, None
        return failure

    # Time and ends

    def expire(self, now: float) -> None:
        """Act on the deadline: an idle connection ends without a word, a body that was held back is sent, and
        a response that is late or slow has failed."""
        if self.deadline is None or now < self.deadline:
            return
        self._now = now
        if self._arm is not None:
            self.deadline = now + self._arm
            self._arm = None
        elif self._write == _S_CONTINUE:
            self._send_held()
        elif self._read == _HEAD:
            self._fail_later(TimedOut("response", limit=self.limits.response_timeout))
        elif self._read == _BODY and self._pace is not None:
            late = self._pace.check(now, self._hungry)
            if late is None:
                self.deadline = self._pace.deadline
            else:
                self._fail_later(late)
        elif self._read == _REQUEST:
            self._finish()
        else:
            self.deadline = None

    def close(self, now: float) -> None:
        """End soon: at once where no response is due, else after the last one that is."""
        self._now = now
        self._accepting = False
        if not self.ended and self._read == _REQUEST:
            self._finish()

    def release(self) -> None:
        """The connection is gone: every sender raises Closed. `unanswered` still tells what was asked."""
        self._finish()
        self._read = _NOTHING
        self._drop_output()

    @property
    def held(self) -> int:
        """Bytes received that were not handed out."""
        return len(self._buffer) - self._at

    def leftover(self) -> bytes:
        """Bytes received behind the response that left HTTP; they are handed out once."""
        rest = bytes(self._buffer[self._at :])
        self._buffer = b""
        self._at = 0
        return rest

    # The machinery

    def _use(self, end: int) -> None:
        if end == len(self._buffer):
            self._buffer = b""
            self._at = 0
        else:
            self._at = end

    def _finish(self) -> None:
        self.ended = True
        self.deadline = None
        self._arm = None
        self._buffer = b""
        self._at = 0
        self._held = []
        self._held_size = 0
        if self._read not in (_END, _FAILURE):
            self._read = _NOTHING
            self._body = self._pace = None
        self._wake()

    def _fail(self, error: ProtocolError | TimedOut) -> Failed:
        error.__traceback__ = None  # its frames hold this session, and whoever pulls it
        self._read = _NOTHING
        self._finish()
        return Failed(error)

    def _fail_later(self, error: ProtocolError | TimedOut) -> None:
        self._failure = self._fail(error)
        self._read = _FAILURE
        self._wake()

    def _refuse(self, call: str) -> NoReturn:
        unasked = self._read == _REQUEST and self._buffer
        if self.ended or not self._accepting or self._last or self._input_ended or unasked:
            raise Closed(f"{call}: the session has ended, or is about to")
        raise Misuse(
            f"{call}: the reading side waits for {WaitingSide(self._read).name}, the sending side for "
            f"{SendingSide(self._write).name}, {len(self._asked)} requests for their responses"
        )


def _bad_request_line(method: object, target: object) -> Misuse:
    if not matches(method, _METHOD):
        return wrong("method", method, 'a method: "GET"')
    return wrong("target", target, 'a request target, percent-encoded: "/path?query"')


def _check_host(host: object) -> None:
    """RFC 9110 section 7.2; empty where the target has no authority."""
    if not isinstance(host, str) or (host and not is_host(host)):
        raise wrong(
            "host", host, 'a host, and its port where it is not the scheme\'s own: "example.org:8080"'
        )


_STEPS: Final[tuple[Callable[[ClientSession], ClientEvent | None], ...]] = (
    ClientSession._next_unasked,
    ClientSession._next_head,
    ClientSession._next_of_body,
    ClientSession._next_end,
    ClientSession._wait,
    ClientSession._next_failure,
    ClientSession._wait,
)
"""What `next_event` does for each thing that the reading side can wait for, in the order of `WaitingSide`."""
