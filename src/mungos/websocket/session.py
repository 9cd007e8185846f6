"""A WebSocket from its opening to its end: what client and server have in common. Sans-I/O.

What a role adds is the handshake (`client_session`, `server_session`), who masks, and who ends the stream
first.
"""

from __future__ import annotations

from collections.abc import Callable

from mungos.checking import as_bytes, function, instance
from mungos.errors import Broken, Closed, Misuse, PeerMisbehaved, ProtocolError, TimedOut
from mungos.http.inspection import Inspection
from mungos.http.pacing import Pace
from mungos.protocol import MORE, Buffer, Failed, More
from mungos.websocket.assembly import Assembly, invalid_text
from mungos.websocket.close_codes import CloseCode, SlowMessage, close_code, encode_close, parse_close
from mungos.websocket.events import CloseReceived, CloseStatus, Event, Message, Ping, Pong
from mungos.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_PAYLOAD,
    PING,
    TEXT,
    FrameHeader,
    next_look,
    scan_frame,
)
from mungos.websocket.masking import mask
from mungos.websocket.options import SessionOptions
from mungos.websocket.outgoing import Outgoing
from mungos.websocket.states import TRANSITIONS, State

__all__ = ["LEAST_RATE", "MAX_UNREAD", "Session"]

MAX_UNREAD = 256 * 1024
"""Bytes received that may wait for `next_event`; `receive` takes no more."""

LEAST_RATE = 1024
"""Bytes a second that a frame must grow by while a Pong is awaited behind it."""

_MOST_FRAMES = 64
"""Frames without an event that one call of `next_event` goes through."""

_MOST_LAST_LOOKS = 16
"""How many times as many are gone through for the peer's Close when its deadline has passed."""

_HANDSHAKE = State.AWAITING_HANDSHAKE
_OPEN = State.OPEN
_AWAITING_CLOSE = State.AWAITING_CLOSE
_AWAITING_STREAM_END = State.AWAITING_STREAM_END
_CLOSED = State.CLOSED


class Session(Outgoing):
    """One WebSocket connection, from either side: `mungos.protocol.Protocol` with messages.

    Args:
        options: its bounds and deadlines, judged once for all sessions that share them.
        is_server: which side this is: whether the peer's frames must be masked, and who ends the stream
            first.
        random: the source of masking keys for a client, None for a server.
    """

    __slots__ = (
        "_armed",
        "_awaited_pong",
        "_buffer",
        "_close_sent",
        "_close_timeout",
        "_closed_here",
        "_deaf",
        "_eof",
        "_error",
        "_fin",
        "_going_away",
        "_handshake_timeout",
        "_high_watermark",
        "_inspection",
        "_is_server",
        "_key",
        "_left",
        "_max_message",
        "_max_unsent",
        "_message",
        "_message_rate",
        "_message_window",
        "_need",
        "_now",
        "_pace",
        "_pending",
        "_phase",
        "_ping_at",
        "_ping_interval",
        "_ping_timeout",
        "_pings",
        "_progress",
        "_received",
        "_seen",
        "_sending",
        "_start",
        "_state",
        "_tls_failed",
        "deadline",
        "ended",
        "wake",
    )

    def __init__(
        self, options: SessionOptions, *, is_server: bool, random: Callable[[int], bytes] | None
    ) -> None:
        instance("options", options, SessionOptions, write="ServerOptions(...) or ClientOptions(...)")
        function("random", random, write="a function: os.urandom", none=is_server)
        super().__init__(random)
        self.deadline: float | None = None
        self.wake: Callable[[], None] | None = None
        self.ended = False
        self._is_server = is_server
        self._max_message = options.max_message
        self._high_watermark = options.high_watermark
        self._max_unsent = options.max_unsent
        self._handshake_timeout = options.handshake_timeout
        self._close_timeout = options.close_timeout
        self._ping_interval = options.ping_interval
        self._ping_timeout = options.ping_timeout
        self._message_rate = options.message_rate
        self._message_window = options.message_window
        self._going_away = options.going_away

        self._state = _HANDSHAKE
        self._now = 0.0
        self._armed = False
        self._pending: Event | None = None
        self._error: ProtocolError | TimedOut | None = None
        self._closed_here = False
        self._received: tuple[int, str] | None = None
        self._close_sent = False
        self._tls_failed = False

        # Incoming: bytes not used lie in _buffer from _start on, and with fewer than _need of them there is
        # nothing to do; the frame begun lacks _left bytes.
        self._buffer = bytearray()
        self._start = 0
        self._need = 1
        self._deaf = False
        self._eof = False
        self._inspection: Inspection | None = None  # of the handshake's head
        self._left = 0
        self._fin = False
        self._key = b""
        self._phase = 0
        self._seen = 0
        self._progress = 0
        self._message = Assembly(options.max_message, options.max_fragments)
        self._pace: Pace | None = None  # of the message under way

        # The opcode of the message that send_fragment has begun (0: none); this side's own Pings.
        self._sending = 0
        self._pings = 0
        self._awaited_pong: bytes | None = None
        self._ping_at: float | None = None  # when the next Ping, or the Pong, is due

    # The opening handshake: what a role fills in, and what both need.

    def _open_stream(self) -> None:
        """The stream is open: a client queues its request."""

    def _shake_hands(self) -> Event | None:
        """Go on with the opening handshake as far as the buffer allows."""
        raise NotImplementedError

    def _handshake_overdue(self) -> Failed:
        """The handshake's deadline has passed: queue the answer that this deserves, if any."""
        raise NotImplementedError

    # The contract.

    @property
    def held(self) -> int:
        """Bytes received that were not handed out, those of the message under way among them."""
        return len(self._buffer) - self._start + self._message.size

    @property
    def state(self) -> State:
        """What the session waits for."""
        return self._state

    @property
    def detail(self) -> CloseStatus:
        """How the session ended; while it goes on: how it would have ended if the stream broke now.

        Source: RFC 6455 sections 7.1.4 to 7.1.6.
        """
        if self._received is not None:
            code, reason = self._received
            return CloseStatus(int(code), reason, self._close_sent)
        return CloseStatus(int(CloseCode.TLS_FAILED if self._tls_failed else CloseCode.ABNORMAL), "", False)

    def tls_failed(self) -> None:
        """TLS failed below: `detail` says 1015 where it would say 1006 (RFC 6455 section 7.4.1)."""
        self._tls_failed = True

    def start(self, now: float) -> None:
        """The stream is open: the handshake's deadline runs, and a client queues its request."""
        if self._state is not _HANDSHAKE:
            return
        self._now = now
        self.deadline = now + self._handshake_timeout
        self._open_stream()

    def receive(self, data: Buffer, now: float) -> int:
        """Store bytes from the peer; see `mungos.protocol`. At most `MAX_UNREAD` bytes wait."""
        self._now = now
        size = len(data)
        if self._deaf:
            return size
        buffer = self._buffer
        if self._start:
            del buffer[: self._start]
            self._start = 0
        if len(buffer) + size > MAX_UNREAD:
            size = max(MAX_UNREAD - len(buffer), 0)
            data = memoryview(data)[:size]
        buffer += data
        return size

    def receive_eof(self, now: float, truncated: bool) -> None:
        """The peer's stream ended. What was received before is still handed out.

        `truncated` changes nothing: a Close frame is the only proof of a clean end (RFC 6455 section 7.1.5).
        """
        self._now = now
        self._eof = True
        if self._state is _AWAITING_STREAM_END:
            self._finish()

    def next_event(self) -> Event | More | None:
        """The next event, None when more bytes, time or a call of the application is needed, or `MORE` after
        many frames that made no event (`mungos.protocol`)."""
        if self._state is not _OPEN:
            return self._next_event_unless_open()
        if not self._left and not self._message.kind:
            # The usual case, by the shortest way: a message in one frame, all of it here.
            buffer = self._buffer
            here = len(buffer) - self._start
            if here < self._need:
                if self._eof:
                    return self._starve()
                self._seen = here
                return None
            try:
                header = scan_frame(buffer, self._start)
            except ProtocolError as error:
                return self._fail(error)
            if header is None:
                self._need = next_look(buffer, self._start)
                return self._starve()
            self._need = 1
            fin, rsv, opcode, masked, key, at, length = header
            end = at + length
            if (
                fin
                and opcode < CLOSE
                and opcode
                and end <= len(buffer)
                and masked is self._is_server
                and length <= self._max_message
                and not rsv
            ):
                data: bytes | bytearray = buffer[at:end]
                if masked:
                    data = mask(data, key, 0)
                if end == len(buffer):
                    buffer.clear()
                    self._start = 0
                else:
                    self._start = end
                if opcode == BINARY:
                    return Message(bytes(data))
                try:
                    return Message(data.decode())
                except UnicodeDecodeError as error:
                    return self._fail(invalid_text(error))
            return self._assemble(header)
        return self._assemble(None)

    def expire(self, now: float) -> None:
        """Act on `deadline`: fail a handshake, send a Ping, miss its Pong, or end an overlong closing."""
        if self.deadline is None or now < self.deadline:
            return
        self._now = now
        state = self._state
        if state is _HANDSHAKE:
            self._pending = self._handshake_overdue()
        elif state is _OPEN:
            self._check_open(now)
        elif not self._armed:
            # The close began in a call that was told no time.
            self._arm(now)
        elif state is _AWAITING_CLOSE:
            self._close_overdue()
        else:
            # RFC 6455 section 7.1.1: the server should have ended its stream first; this side does now.
            self._finish()
        if self._pending is not None and self.wake is not None:
            self.wake()

    def close(self, now: float) -> None:
        """Begin the closing handshake with the status code `going_away`, or give up the opening one."""
        self._now = now
        if self._state is _HANDSHAKE:
            self._give_up()
        elif self._state is _OPEN:
            self._send_close(encode_close(self._going_away, ""))
            self._arm(now)
            self._wake()

    def release(self) -> None:
        """The connection is gone: nothing waits any more, and every sender raises."""
        if self._state is not _CLOSED:
            self._finish()
        self._drop_output()

    def leftover(self) -> bytes:
        """Bytes received but not consumed."""
        rest = bytes(self._buffer[self._start :])
        self._drop_input()
        return rest

    # The senders.

    def send(self, data: str | bytes | bytearray | memoryview) -> bool:
        """Queue one message: text for `str`, binary for bytes.

        Returns:
            False when more than `high_watermark` bytes are unsent now: wait for `Writable` before the next
            one.

        Raises:
            Misuse: the hard limit would be passed (nothing is taken), a fragmented message is unfinished, the
                session is not established yet, or the text has lone surrogates.
            Closed: this side began to close.
            Broken: the peer has closed, or the session failed.
        """
        if self._state is not _OPEN or self._sending:
            self._refuse()
        if isinstance(data, str):
            first = FIN | TEXT
            payload: bytes | bytearray = _encode(data)
        else:
            first = FIN | BINARY
            payload = data if type(data) is bytes else as_bytes("data", data)
        if self.unsent + len(payload) > self._max_unsent:
            self._refuse_size(len(payload))
        self._queue_frame(first, payload)
        wake = self.wake
        if wake is not None:
            wake()
        return self.unsent <= self._high_watermark

    def send_fragment(self, data: str | bytes | bytearray | memoryview, fin: bool) -> bool:
        """Queue one fragment of a message; Pings may be sent between two of them, other messages not.

        Args:
            data: `str` throughout a text message, bytes throughout a binary one; it may be empty.
            fin: whether it is the last fragment.

        Returns and raises as `send` does; Misuse also when text and bytes are mixed in one message.

        Source: RFC 6455 section 5.4.
        """
        if self._state is not _OPEN:
            self._refuse()
        if isinstance(data, str):
            kind = TEXT
            payload: bytes | bytearray = _encode(data)
        else:
            kind = BINARY
            payload = data if type(data) is bytes else as_bytes("data", data)
        if self._sending and kind != self._sending:
            raise Misuse("text and bytes are mixed in the fragments of one message")
        if self.unsent + len(payload) > self._max_unsent:
            self._refuse_size(len(payload))
        opcode = CONTINUATION if self._sending else kind
        self._queue_frame((FIN if fin else 0) | opcode, payload)
        self._sending = 0 if fin else kind
        self._wake()
        return self.unsent <= self._high_watermark

    def ping(self, data: bytes = b"") -> bool:
        """Queue a Ping of up to 125 bytes; its Pong will be handed out. Returns and raises as `send` does."""
        if self._state is not _OPEN:
            self._refuse()
        if type(data) is not bytes:
            data = as_bytes("data", data)
        if len(data) > MAX_CONTROL_PAYLOAD:
            raise Misuse(f"a Ping of {len(data)} bytes, the limit is {MAX_CONTROL_PAYLOAD} bytes")
        if self.unsent + len(data) > self._max_unsent:
            self._refuse_size(len(data))
        self._queue_frame(FIN | PING, data)
        self._wake()
        return self.unsent <= self._high_watermark

    def close_with(self, code: int | None = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin the closing handshake; before the session is established: give it up, without a frame.

        What was sent before goes out first; messages that arrive from now on are discarded (RFC 6455 section
        1.4). Once either side has closed, it does nothing. `deadline` is due at once: `expire` sets the
        closing's own from its `now`.

        Args:
            code: the status code; None for a Close frame without one.
            reason: up to 123 bytes in UTF-8.

        Raises:
            Misuse: a code that may not be sent (`close_codes`), or a reason that is too long.
        """
        body = encode_close(code, reason)
        if self._state is _HANDSHAKE:
            # RFC 6455 section 7.1.7: there is no frame before the handshake is through.
            self._give_up()
        elif self._state is _OPEN:
            self._send_close(body)
            self._wake()

    # States.

    def _move(self, state: State) -> None:
        if state not in TRANSITIONS[self._state]:
            raise Misuse(f"no transition from {self._state.name} to {state.name}")
        self._state = state

    def _establish(self) -> None:
        self._move(_OPEN)
        self._inspection = None
        self.deadline = self._ping_at = (
            None if self._ping_interval is None else self._now + self._ping_interval
        )

    def _finish(self) -> None:
        """Nothing more is queued, nothing more is listened to."""
        self._move(_CLOSED)
        self.ended = True
        self.deadline = None
        self._drop_input()
        self._drop_late_pong()

    def _give_up(self) -> None:
        self._closed_here = True
        self._drop_output()
        self._finish()
        self._wake()

    def _fail(self, error: ProtocolError | TimedOut, *, tell: bool = True) -> Failed:
        """RFC 6455 section 7.1.7, "Fail the WebSocket Connection"."""
        self._error = error
        if tell and not self._close_sent and self._state is _OPEN:
            self._queue_frame(FIN | CLOSE, encode_close(close_code(error), _shorten(str(error))))
            self._close_sent = True
        self._finish()
        return Failed(error)

    def _drop_input(self) -> None:
        self._deaf = self._state is _CLOSED or self._state is _AWAITING_STREAM_END
        self._buffer.clear()
        self._start = 0
        self._need = 1
        self._left = 0
        self._message.drop()
        self._pace = None
        self._inspection = None

    def _next_event_unless_open(self) -> Event | More | None:
        if self._state is _HANDSHAKE:
            return self._shake_hands()
        if self._state is _AWAITING_CLOSE:
            return self._await_close()
        event, self._pending = self._pending, None
        return event

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()

    # Receiving.

    def _starve(self) -> Failed | None:
        """No event without more bytes."""
        self._seen = len(self._buffer) - self._start
        if not self._eof:
            if self._message.kind and self._pace is None and self._message_rate:
                self._pace = pace = Pace("message", self._message_rate, self._message_window, None, self._now)
                if self.deadline is None or pace.deadline < self.deadline:
                    self.deadline = pace.deadline
            return None
        if self._state is _AWAITING_CLOSE:
            error = "the stream ended before the peer answered the Close frame"
        else:
            error = "the stream ended without a Close frame"
        return self._fail(PeerMisbehaved(f"{error} (1006)"), tell=False)

    def _assemble(self, header: FrameHeader | None) -> Event | More | None:
        """Frames of any kind, a piece at a time, until there is an event, or they are enough for one call.

        Args:
            header: the next frame's, where it was read already.
        """
        buffer = self._buffer
        try:
            for _ in range(_MOST_FRAMES):
                if not self._left:
                    if header is None:
                        if len(buffer) - self._start < self._need:
                            return self._starve()
                        header = scan_frame(buffer, self._start)
                        if header is None:
                            self._need = next_look(buffer, self._start)
                            return self._starve()
                        self._need = 1
                    fin, rsv, opcode, masked, key, at, length = header
                    header = None
                    self._check(rsv, masked)
                    if opcode >= CLOSE:
                        end = at + length
                        if end > len(buffer):
                            self._need = end - self._start
                            return self._starve()
                        payload = mask(buffer[at:end], key, 0) if masked else bytes(buffer[at:end])
                        self._start = end
                        event = self._control(opcode, payload)
                        if event is not None:
                            return event
                        continue
                    self._message.begin(opcode, length)
                    self._start = at
                    self._left = length
                    self._fin = fin
                    self._key = key
                    self._phase = 0
                if self._left:
                    self._digest()
                    if self._left:
                        return self._starve()
                if self._fin:
                    if self._pace is not None:
                        self._pace = None
                        self.deadline = self._ping_at
                    return Message(self._message.finish())
        except ProtocolError as error:
            return self._fail(error)
        self._seen = -1
        return MORE

    def _check(self, rsv: int, masked: bool) -> None:
        # RFC 6455 section 5.2: reserved bits are 0 unless an extension is negotiated.
        if rsv:
            raise PeerMisbehaved(f"reserved bits {rsv:#x} are set and no extension is negotiated")
        # RFC 6455 section 5.1: a client masks all frames, a server none.
        if masked is not self._is_server:
            raise PeerMisbehaved("a client masks its frames, a server does not")

    def _digest(self) -> None:
        """Move what is here of the frame begun into its message."""
        buffer = self._buffer
        start = self._start
        end = min(start + self._left, len(buffer))
        if end == start:
            return
        data: bytes | bytearray = buffer[start:end]
        if self._is_server:
            data = mask(data, self._key, self._phase)
            self._phase += end - start
        self._start = end
        self._left -= end - start
        self._progress += end - start
        if self._pace is not None:
            self._pace.count += end - start
        self._message.add(data)

    def _control(self, opcode: int, payload: bytes) -> Event | None:
        if opcode == PING:
            # RFC 6455 section 5.5.2: a Pong in response, unless a Close was received.
            self._queue_pong(payload)
            return Ping(payload)
        if opcode == CLOSE:
            return self._close_arrived(payload)
        if self._awaited_pong is not None:
            # Any Pong will do: a peer may answer only the latest of several Pings (RFC 6455 section 5.5.3).
            own, self._awaited_pong = self._awaited_pong, None
            if self._ping_interval is not None:
                self._ping_at = self._now + self._ping_interval
                self._set_deadline()
            if payload == own:
                return None
        return Pong(payload)

    # Closing.

    def _send_close(self, body: bytes) -> None:
        self._queue_frame(FIN | CLOSE, body)
        self._closed_here = True
        self._close_sent = True
        self._sending = 0
        self._awaited_pong = None
        self._message.drop()
        self._pace = None
        self._move(_AWAITING_CLOSE)
        self.deadline = self._now
        self._armed = False

    def _arm(self, now: float) -> None:
        self._armed = True
        self.deadline = now + self._close_timeout

    def _close_arrived(self, payload: bytes) -> CloseReceived:
        code, reason = parse_close(payload)
        self._received = (code, reason)
        if not self._close_sent:
            # RFC 6455 section 5.5.1: a Close in response, with the status code that was received.
            self._queue_frame(FIN | CLOSE, payload[:2])
            self._close_sent = True
            self.deadline = self._now
        if self._is_server or self._eof:
            # RFC 6455 section 7.1.1: the server ends the stream first.
            self._finish()
        else:
            self._move(_AWAITING_STREAM_END)
            self._drop_input()
            self._drop_late_pong()
        return CloseReceived(int(code), reason)

    def _await_close(self) -> Event | More | None:
        """Our Close is out: of what arrives only the peer's Close counts; Pings are answered all the same."""
        buffer = self._buffer
        try:
            for _ in range(_MOST_FRAMES):
                if self._left:
                    skipped = min(self._left, len(buffer) - self._start)
                    self._left -= skipped
                    self._start += skipped
                    if self._left:
                        return self._starve()
                if len(buffer) - self._start < self._need:
                    return self._starve()
                header = scan_frame(buffer, self._start)
                if header is None:
                    self._need = next_look(buffer, self._start)
                    return self._starve()
                self._need = 1
                _, rsv, opcode, masked, key, at, length = header
                self._check(rsv, masked)
                if opcode < CLOSE:
                    self._start = at
                    self._left = length
                    continue
                end = at + length
                if end > len(buffer):
                    self._need = end - self._start
                    return self._starve()
                self._start = end
                payload = mask(buffer[at:end], key, 0) if masked else bytes(buffer[at:end])
                if opcode == CLOSE:
                    return self._close_arrived(payload)
                if opcode == PING:
                    self._queue_pong(payload)
        except ProtocolError as error:
            return self._fail(error)
        return MORE

    def _close_overdue(self) -> None:
        # The peer's Close may lie among bytes that the application has not pulled.
        event: Event | More | None = MORE
        for _ in range(_MOST_LAST_LOOKS):
            event = self._await_close()
            if event is not MORE:
                break
        if event is None or isinstance(event, More):
            event = self._fail(TimedOut("awaiting the peer's Close", limit=self._close_timeout))
        self._pending = event

    # Staying alive.

    def _set_deadline(self) -> None:
        """The earlier of the two that an open session has."""
        ping_at, pace = self._ping_at, self._pace
        if pace is None:
            self.deadline = ping_at
        else:
            self.deadline = pace.deadline if ping_at is None else min(ping_at, pace.deadline)

    def _check_open(self, now: float) -> None:
        # What is due may lie among bytes not pulled yet: then it is not the peer who is waited for.
        unseen = len(self._buffer) - self._start != self._seen
        if self._pace is not None and self._pace.deadline <= now:
            late = self._pace.check(now, not unseen)
            if late is not None:
                self._pending = self._fail(SlowMessage(late.phase, str(late), limit=late.limit))
                return
        if self._ping_at is not None and self._ping_at <= now and not self._keep_alive(now, unseen):
            self._pending = self._fail(TimedOut("keep-alive", limit=self._ping_timeout))
            return
        self._set_deadline()

    def _keep_alive(self, now: float, unseen: bool) -> bool:
        """Send a Ping, or judge the silence since: whether there is hope."""
        if self._awaited_pong is None:
            self._pings += 1
            self._awaited_pong = b"keep-alive %d" % self._pings
            self._queue_frame(FIN | PING, self._awaited_pong)
            self._wake()
        elif not unseen and not (self._left > 0 and self._progress >= LEAST_RATE * self._ping_timeout):
            # Nor does the Pong stand behind a long frame that still grows.
            return False
        self._progress = 0
        self._ping_at = now + self._ping_timeout
        return True

    # Refusals.

    def _refuse(self) -> None:
        if self._state is _OPEN:
            raise Misuse("a fragmented message is unfinished: end it with send_fragment(data, fin=True)")
        if self._state is _HANDSHAKE:
            raise Misuse("the session is not established yet")
        if self._closed_here:
            raise Closed("the session was closed on this side")
        if self._error is not None:
            raise Broken(f"the session has failed: {self._error}")
        if self._received is None:
            raise Broken(f"the connection ended without a Close frame ({self.detail.code})")
        raise Broken(f"the peer closed the session with status code {self.detail.code}")

    def _refuse_size(self, size: int) -> None:
        raise Misuse(
            f"{size} bytes on top of {self.unsent} unsent, the hard limit is {self._max_unsent} bytes"
        )


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Misuse(
            f"the text can't be written in UTF-8: {error.reason} at character {error.start}"
        ) from None


def _shorten(reason: str) -> str:
    return reason.encode()[: MAX_CONTROL_PAYLOAD - 2].decode(errors="ignore")
