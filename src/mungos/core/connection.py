"""A connection: one stream, the protocol it speaks, its deadlines, and its one way out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mungos.core.events import Closed as ClosedEvent
from mungos.core.events import Opened, Writable
from mungos.core.ledger import Origin
from mungos.core.limits import Limits
from mungos.core.plain import PlainProtocol
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.securing import Securing
from mungos.core.states import PHASES, READ_SIDES, WRITE_SIDES, Phase, ReadSide, WriteSide, step
from mungos.core.timers import NEVER
from mungos.errors import Closed, Misuse, PeerMisbehaved, ProtocolError, TimedOut
from mungos.protocol import Buffer, Failed, Protocol
from mungos.tls import contract as tls
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.url import URL
from mungos.wires.contract import READABLE, WRITABLE, Address, StreamEndpoint

if TYPE_CHECKING:
    from mungos.core.listener import Listener
    from mungos.core.manager import Manager
    from mungos.core.opening import Opening

__all__ = ["Connection", "Handler"]

Handler = Callable[..., None]
"""Called as `handler(face, event)`: the face is the connection, or the protocol's session on it."""

log = logging.getLogger("mungos.connection")

_RESOLVING, _CONNECTING, _SECURING = Phase.RESOLVING, Phase.CONNECTING, Phase.SECURING
_OPEN, _CLOSING, _CLOSED = Phase.OPEN, Phase.CLOSING, Phase.CLOSED
_OPENED = Opened()
_WRITABLE = Writable()
_CHUNK = 256 * 1024
_JOIN = 64 * 1024
_RESETS = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


class Connection:
    """Made by `Manager.connect`, `listen` and `adopt`; stays a valid object after it is closed.

    Attributes:
        id: a number, never used twice in a manager.
        manager: whose it is.
        url: what was connected to or listened at.
        is_client: which role it plays.
        phase, read_side, write_side: the three states (`mungos.core.states`).
        local, remote: both ends' addresses, once they are known.
        protocol: what it speaks.
        reason: how it ended; None until then.
        user: yours.
        bytes_received, bytes_sent: on the wire.
        since: when the present phase began, on the manager's clock.
    """

    __slots__ = (
        "_deadline",
        "_discarded",
        "_endpoint",
        "_endpoint_entry",
        "_face",
        "_fd",
        "_flushing",
        "_half_closed",
        "_handler",
        "_held",
        "_idle_at",
        "_interest",
        "_interrupt",
        "_limits",
        "_listener",
        "_opening",
        "_out",
        "_out_size",
        "_output_lost",
        "_paused",
        "_pumping",
        "_rate_at",
        "_rate_mark",
        "_recv",
        "_secure",
        "_send",
        "_stalled",
        "_transport_ended",
        "_verdict",
        "bytes_received",
        "bytes_sent",
        "id",
        "is_client",
        "local",
        "manager",
        "on_ready_list",
        "origin",
        "phase",
        "protocol",
        "read_side",
        "reason",
        "remote",
        "since",
        "timer_at",
        "url",
        "user",
        "write_side",
    )

    def __init__(
        self,
        manager: Manager,
        number: int,
        handler: Handler,
        *,
        phase: Phase,
        is_client: bool,
        limits: Limits,
        origin: Origin,
        url: URL | None,
        listener: Listener | None = None,
        user: object = None,
    ) -> None:
        self.manager = manager
        self.id = number
        self.url = url
        self.is_client = is_client
        self.phase = phase
        self.read_side = ReadSide.OPEN
        self.write_side = WriteSide.OPEN
        self.local: Address | None = None
        self.remote: Address | None = None
        self.reason: CloseReason | None = None
        self.user = user
        self.origin = origin
        self.since = manager.now
        self.bytes_received = 0
        self.bytes_sent = 0
        self.timer_at = NEVER
        self.on_ready_list = False
        self._handler = handler
        self._limits = limits
        self._listener = listener
        self._endpoint: StreamEndpoint | None = None
        self._endpoint_entry = 0
        self._fd = -1
        self._recv: Callable[[Buffer], int] = _not_connected
        self._send: Callable[[Buffer], int] = _not_connected
        self._interest = 0
        self._opening: Opening | None = None
        self._secure: Securing | None = None
        self._out: deque[Buffer] = deque()
        self._out_size = 0
        self._held = b""
        self._paused = False
        self._pumping = False
        self._flushing = False
        self._interrupt = False
        self._stalled = False
        self._half_closed = False
        self._transport_ended = False
        self._output_lost = False
        self._verdict: CloseReason | None = None
        self._discarded = 0
        self._deadline = NEVER
        self._rate_at = NEVER
        self._rate_mark = 0
        self._idle_at = NEVER
        self.protocol: Protocol = PlainProtocol(limits)
        self._face: object = self
        self.protocol.wake = self.wake

    # What applications call.

    def send(self, *parts: Buffer) -> bool:
        """Queue bytes to be sent, in order.

        Returns:
            True if there is room for more; False above `send_high`: everything was taken all the same, wait for
            `Writable` before the next.

        Raises:
            Closed: after `end`, `close` or `abort`, or once the connection has ended.
            Misuse: above `send_hard` (nothing was taken), or when a protocol owns the stream.
        """
        self.manager.check_owner()
        if self.phase is _CLOSED:
            raise Closed(f"{self} has ended: {self.reason}")
        protocol = self.protocol
        if type(protocol) is not PlainProtocol:
            raise Misuse(f"{self} speaks {type(protocol).__name__}: send through it, not around it")
        if self._output_lost or (not protocol.ended and self.write_side is not WriteSide.OPEN):
            raise Closed(f"{self} can't send any more: {self._verdict}")
        return protocol.send(parts)

    def end(self) -> None:
        """Half-close: our direction ends after what is queued, the peer's goes on. Idempotent."""
        self.manager.check_owner()
        protocol = self.protocol
        if self.phase is _CLOSED or protocol.ended:
            return
        if type(protocol) is not PlainProtocol:
            raise Misuse(f"{self} speaks {type(protocol).__name__}: end it through that")
        self._half_closed = True
        protocol.end()

    def close(self, within: float | None = None) -> None:
        """End gracefully: what is queued is sent, the protocol and TLS take their leave, at most `within` seconds
        (`Limits.close_within` when None); then it becomes `abort()`, and the reason says so. Idempotent, legal
        in every state and from any thread; a later call can only shorten the deadline.
        """
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.close, within)
            return
        if self.phase is _CLOSED:
            return
        now = manager.refresh()
        deadline = now + (self._limits.close_within if within is None else within)
        if self.phase is _CLOSING:
            self._set_deadline(min(self._deadline, deadline))
            self.wake()
            return
        if self.phase in {_RESOLVING, _CONNECTING, Phase.TUNNELLING}:
            self.finish(CloseKind.ABORTED)
            return
        if self.phase is _SECURING:
            self._verdict = CloseReason(CloseKind.ABORTED, "securing")
            if self._secure is not None:
                self._secure.engine.close_write()
            self.protocol.close(now)
            self.protocol.take(1 << 62)
        else:
            self.protocol.close(now)
        self._set_phase(_CLOSING)
        self._set_deadline(deadline)
        self._interrupt = True
        if not self.protocol.ended and self._paused:
            self._paused = False
        self.wake()

    def abort(self, message: str = "") -> None:
        """End now: nothing more is sent, and the peer sees a reset. Idempotent, legal from any thread."""
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.abort, message)
            return
        self.finish(CloseKind.ABORTED, Closed(message) if message else None, reset=True)

    def pause(self) -> None:
        """Hand out no more events until `resume`: nothing is read, so the peer must wait in the end."""
        self.manager.check_owner()
        self._paused = True
        self._interrupt = True
        self._update_interest()

    def resume(self) -> None:
        """Go on after `pause`; held events come from the next turn."""
        self.manager.check_owner()
        if self._paused:
            self._paused = False
            self.wake()

    def start_tls(
        self, config: ClientConfig | ServerConfig, *, server_name: str | None = None, engine: str = "auto"
    ) -> None:
        """STARTTLS: what is queued goes out in plain text, everything after is TLS. `Opened` comes again when it
        is verified. Bytes received but not yet handed out are taken for TLS: nothing can be injected.

        Raises:
            Misuse: when the connection is not open, speaks a protocol, or is secured already.
        """
        self.manager.check_owner()
        if self.phase is not _OPEN or type(self.protocol) is not PlainProtocol or self._secure is not None:
            raise Misuse(f"{self} can't start TLS now: it must be open, plain and without a protocol")
        self._move_out()
        early = self.protocol.leftover()
        self._interrupt = True
        self._set_phase(_SECURING)
        self._begin_securing(config, server_name, engine, early)

    def upgrade(self, protocol: Protocol, handler: Handler | None = None, *, face: object = None) -> None:
        """Speak another protocol from here on: what the old one queued goes out first, and what it received but
        did not consume is the new one's first input.

        Args:
            protocol: the new one.
            handler: the new handler; None keeps the old.
            face: what the handler is called with; the protocol itself when None.
        """
        self.manager.check_owner()
        if self.phase is _CLOSED:
            raise Closed(f"{self} has ended: {self.reason}")
        self._move_out()
        early = self.protocol.leftover()
        self.protocol.wake = None
        self.set_protocol(protocol, face if face is not None else protocol)
        if handler is not None:
            self._handler = handler
        self._interrupt = True
        now = self.manager.refresh()
        protocol.start(now)
        if early:
            self._offer(early, now)
        if self._transport_ended and not self._held and self._secure is None:
            protocol.receive_eof(now, False)
        self.wake()

    @property
    def negotiated(self) -> tls.Negotiated | None:
        """What TLS agreed on; None without TLS or before it is established."""
        return self._secure.engine.negotiated if self._secure is not None else None

    @property
    def unsent(self) -> int:
        """Bytes accepted from the application and its protocol that the kernel has not taken."""
        waiting = self._secure.waiting_out if self._secure is not None else 0
        return self.protocol.unsent + waiting + self._out_size

    @property
    def unread(self) -> int:
        """Bytes received that no protocol has taken yet."""
        return len(self._held) + (self._secure.waiting if self._secure is not None else 0)

    def __str__(self) -> str:
        return f"c{self.id}"

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.phase.value} {self.local} ↔ {self.remote}>"

    # Set up: called by the manager, the listener and `Opening`.

    def set_protocol(self, protocol: Protocol, face: object) -> None:
        """Speak `protocol`; handlers see `face`."""
        self.protocol = protocol
        self._face = face
        protocol.wake = self.wake

    def set_opening(self, opening: Opening | None) -> None:
        """What makes the transport; None once it is made."""
        self._opening = opening

    @property
    def endpoint(self) -> StreamEndpoint | None:
        """The transport, while there is one."""
        return self._endpoint

    def enter_connecting(self) -> None:
        """The addresses are known."""
        if self.phase is _RESOLVING:
            self._set_phase(_CONNECTING)

    def attach(self, endpoint: StreamEndpoint, interest: int) -> None:
        """Own a transport from here on."""
        manager = self.manager
        self._endpoint = endpoint
        self._endpoint_entry = manager.ledger.enter(
            "descriptor", f"{self} stream {endpoint.local} ↔ {endpoint.remote}", self.origin, manager.now
        )
        self._fd = endpoint.fd
        self.local = endpoint.local
        self.remote = endpoint.remote
        self._interest = interest
        manager.watch(endpoint.fd, self, interest)

    def detach(self) -> None:
        """Give the transport up: a failed attempt, or the end."""
        endpoint = self._endpoint
        if endpoint is not None:
            self._drop_interest()
            self._endpoint = None
            self._recv = self._send = _not_connected
            endpoint.close()
            self.manager.ledger.strike(self._endpoint_entry)

    def transport_ready(self, secure: tuple[ClientConfig | ServerConfig, str | None, str] | None) -> None:
        """TCP is there (or the Unix socket): go on to TLS, or open."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        self._opening = None
        self.local = endpoint.local
        self.remote = endpoint.remote
        self._recv = endpoint.recv_into
        self._send = endpoint.send
        if secure is not None:
            if self.phase is not _SECURING:
                self._set_phase(_SECURING)
            self._begin_securing(*secure, b"")
        else:
            self._open(self.manager.now)
            self._pump(self.manager.now)

    def _begin_securing(
        self, config: ClientConfig | ServerConfig, server_name: str | None, engine: str, early: bytes
    ) -> None:
        now = self.manager.now
        try:
            self._secure = Securing(self, config, server_name, engine)
        except Misuse as error:
            log.error("%s can't start TLS: %s", self, error)
            self.finish(CloseKind.BROKEN, error)
            return
        self._secure.engine.start(now)
        if early:
            self._secure.receive(early, now)
        self.wake()
        self._reschedule(now)

    def _open(self, now: float) -> None:
        if self.phase is not _OPEN:
            self._set_phase(_OPEN)
        if self._limits.idle_within is not None:
            self._idle_at = now + self._limits.idle_within
        protocol = self.protocol
        protocol.start(now)
        self._update_interest()
        self._call(_OPENED)

    # One turn: called by the manager.

    def on_io(self, mask: int, now: float) -> None:
        """The poller's hint: look."""
        if self._opening is not None:
            self._opening.on_io()
            return
        interest = self._interest
        if interest & WRITABLE and mask & ~READABLE:
            self._after(now)
        if interest & READABLE and mask & ~WRITABLE and not self.on_ready_list:
            self._read(now)

    def on_ready(self, now: float) -> None:
        """It stood on the ready list: events, plaintext or output are waiting."""
        if self._recv is not _not_connected:
            self._pump(now)

    def on_timer(self, now: float) -> None:
        """Its entry in the heap came up: act on what is due, and sleep again."""
        if self.phase is _CLOSED:
            return
        if self._deadline <= now:
            self._on_deadline()
        elif self._opening is not None:
            if self._opening.deadline <= now:
                self._opening.on_timer(now)
        elif self._rate_at <= now:
            self._check_rate(now)
        elif self._idle_at <= now:
            self._idle_at = NEVER
            log.info("%s idle for %s s, closing", self, self._limits.idle_within)
            self._judge(CloseKind.TIMED_OUT, TimedOut("idle", limit=self._limits.idle_within))
            self.close()
        else:
            protocol, secure = self.protocol, self._secure
            if secure is not None and secure.engine.deadline is not None and secure.engine.deadline <= now:
                secure.engine.expire(now)
            if self.phase is not _SECURING and protocol.deadline is not None and protocol.deadline <= now:
                protocol.expire(now)
            if self._recv is not _not_connected:
                self._pump(now)
        self._reschedule(now)

    def _on_deadline(self) -> None:
        if (
            self.phase is _CLOSING
            and self.write_side is WriteSide.ENDED
            and self.read_side is not ReadSide.OPEN
        ):
            # Both said goodbye; only the peer's FIN is missing (RFC 8446 section 6.1: no need to wait for it).
            self.finish(CloseKind.CLEAN)
        else:
            lingering = self.write_side is WriteSide.ENDED
            self.finish(CloseKind.TIMED_OUT, reset=not lingering)

    def _check_rate(self, now: float) -> None:
        limits = self._limits
        if not self._out_size:
            self._rate_at = NEVER
        elif self.bytes_sent - self._rate_mark < limits.least_rate * limits.rate_window:
            self._judge(
                CloseKind.TIMED_OUT,
                TimedOut(
                    "sending",
                    f"the peer took {self.bytes_sent - self._rate_mark} bytes in {limits.rate_window:g} s; "
                    f"the least rate is {limits.least_rate} bytes/s",
                ),
            )
            self.finish(CloseKind.TIMED_OUT, reset=True)
        else:
            self._rate_mark = self.bytes_sent
            self._rate_at = now + limits.rate_window

    def _read(self, now: float) -> None:
        manager = self.manager
        try:
            count = self._recv(manager.buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if count:
            self.bytes_received += count
            if self._idle_at is not NEVER:
                self._idle_at = now + (self._limits.idle_within or NEVER)
            data = manager.view[:count]
            if self._secure is not None:
                self._secure.receive(data, now)
            elif self.phase is _CLOSING and self.protocol.ended:
                self._discarded += count
                return
            else:
                taken = self.protocol.receive(data, now)
                if taken < count:
                    self._held = bytes(data[taken:])
                    self._update_interest()
        else:
            self._transport_ended = True
            if self._secure is not None:
                self._secure.transport_ended(now)
            elif not self._held:
                self.peer_ended(False, now)
            self._update_interest()
        self._pump(now)

    def receive_plaintext(self, data: Buffer, now: float) -> None:
        """What TLS decrypted."""
        if self.phase is _CLOSING and (self.protocol.ended or self._output_lost):
            self._discarded += len(data)
        else:
            self._offer(data, now)

    def _offer(self, data: Buffer, now: float) -> None:
        taken = self.protocol.receive(data, now)
        if taken < len(data):
            self._held = bytes(data[taken:]) + self._held

    def _more(self, now: float) -> bool:
        """Give the protocol more of what is held. True if it got something."""
        held = self._held
        if held:
            taken = self.protocol.receive(held, now)
            self._held = held[taken:]
            if taken and not self._held:
                self._update_interest()
                if self._transport_ended and self._secure is None:
                    self.peer_ended(False, now)
            return taken > 0
        return self._secure is not None and self._secure.pull(now)

    def _pump(self, now: float) -> None:
        """Hand out events until there are none, or it is somebody else's turn; then send."""
        if self._pumping or self.phase is _CLOSED:
            return
        if self._paused:
            self._after(now)
            return
        budget = self._limits.events_per_turn
        handler = self._handler
        face = self._face
        next_event = self.protocol.next_event
        self._pumping = True
        try:
            while True:
                event = next_event()
                if event is None:
                    if not (self._held or self._secure is not None) or not self._more(now):
                        break
                    self._interrupt = True
                elif type(event) is Failed:
                    self.protocol_failed(event)
                    break
                else:
                    handler(face, event)
                if self._interrupt:
                    self._interrupt = False
                    if self.reason is not None:
                        return
                    if self._paused:
                        break
                    handler = self._handler
                    face = self._face
                    next_event = self.protocol.next_event
                budget -= 1
                if budget <= 0:
                    self._stand_ready()
                    break
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its own connection only
            self.handler_failed(error)
            return
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
            self.handler_failed(error)
            self.manager.raise_later(error)
            return
        finally:
            self._pumping = False
        self._after(now)

    def _call(self, event: object) -> None:
        """One event from the connection itself."""
        if self.phase is _CLOSED:
            return
        try:
            self._handler(self._face, event)
        except Exception as error:  # noqa: BLE001 - as in _pump
            self.handler_failed(error)
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
            self.handler_failed(error)
            self.manager.raise_later(error)

    def _after(self, now: float) -> None:
        """After events: send, end, and see to the next deadline."""
        protocol = self.protocol
        if protocol.unsent or self._out or self._secure is not None:
            self._flush(now)
        if protocol.ended or self._output_lost:
            self._settle(now)
        if self._secure is not None:
            self._reschedule(now)
        else:
            deadline = protocol.deadline
            if deadline is not None and deadline < self.timer_at and self.phase is not _CLOSED:
                self.manager.schedule(self, deadline)

    def _flush(self, now: float) -> None:
        """Send what is queued, at most `bytes_per_turn`, as far as the wire takes it."""
        if self.write_side is WriteSide.ENDED:
            return
        protocol, secure, out = self.protocol, self._secure, self._out
        before = protocol.unsent
        if before >= self._limits.send_low:
            self._stalled = True
        budget = self._limits.bytes_per_turn
        while self.phase is not _CLOSED:
            if not out:
                if secure is not None:
                    parts = secure.take(_CHUNK)
                elif protocol.unsent:
                    parts = protocol.take(_CHUNK)
                else:
                    break
                if not parts:
                    break
                if len(parts) == 1:
                    data = parts[0]
                elif (total := sum(map(len, parts))) <= _JOIN:
                    data = b"".join(parts)
                else:
                    out.extend(parts)
                    self._out_size += total
                    continue
            else:
                data = out[0] if len(out) == 1 else b""
            try:
                if data:
                    sent = self._send(data)
                    if sent == len(data):
                        if out:
                            out.clear()
                            self._out_size = 0
                    else:
                        rest = memoryview(data)[sent:]
                        out.clear()
                        out.append(rest)
                        self._out_size = len(rest)
                elif self._endpoint is not None:
                    sent = self._endpoint.send_parts(list(out))
                    self._consume(sent)
                else:
                    break
            except BlockingIOError:
                if not out:
                    out.append(data)
                    self._out_size = len(data)
                break
            except OSError as error:
                if not out:
                    self._out_size = len(data)
                self._send_broken(error)
                return
            self.bytes_sent += sent
            budget -= sent
            if budget <= 0:
                break
        if out or self._interest & WRITABLE:
            self._update_interest()
            if out and self._rate_at is NEVER:
                self._rate_mark = self.bytes_sent
                self._rate_at = now + self._limits.rate_window
                self.manager.schedule(self, self._rate_at)
        elif budget <= 0 and (protocol.unsent or secure is not None):
            self.wake()
        if self._stalled and protocol.unsent + self._out_size <= self._limits.send_low:
            self._stalled = False
            if self.phase is _OPEN or not protocol.ended:
                self._call(_WRITABLE)
                if protocol.unsent or protocol.ended:
                    self.wake()

    def _consume(self, sent: int) -> None:
        out = self._out
        self._out_size -= sent
        while sent:
            first = out[0]
            if len(first) > sent:
                out[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            out.popleft()

    def _move_out(self) -> None:
        """Put what the protocol queued on its way before the protocol or the layer below it changes."""
        protocol = self.protocol
        if self._secure is not None:
            self._secure.queue(protocol.take(1 << 62))
        else:
            for part in protocol.take(1 << 62):
                self._out.append(part)
                self._out_size += len(part)

    def _settle(self, now: float) -> None:
        """Our direction is to end: send the last of it, take leave of TLS, end the stream, wait for the peer."""
        if self.phase is _CLOSED:
            return
        protocol = self.protocol
        if self.phase is _OPEN and not self._half_closed:
            self._set_phase(_CLOSING)
            self._set_deadline(now + self._limits.close_within)
        if self.write_side is WriteSide.OPEN:
            self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.FLUSHING)
        if self.write_side is WriteSide.FLUSHING:
            if protocol.unsent or self._out:
                return
            if self._secure is not None and not self._secure.end():
                self._flush(now)
                if self.phase is _CLOSED or self._out or not self._secure.end():
                    return
            self._end_stream(now)
        if not self._transport_ended or self.write_side is not WriteSide.ENDED:
            return
        if self.phase is _CLOSING:
            self.finish(CloseKind.CLEAN)
        elif self.read_side is not ReadSide.OPEN and not getattr(protocol, "pending", False):
            # Half-closed by us, then by the peer, and the handler has had everything.
            self._set_phase(_CLOSING)
            self.finish(CloseKind.CLEAN)

    def _end_stream(self, now: float) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        try:
            endpoint.shutdown_write()
        except OSError as error:
            if not self._transport_ended:
                self._send_broken(error)
                return
        self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.ENDED)
        if self.phase is _CLOSING:
            self._set_deadline(min(self._deadline, now + self._limits.linger))
            self._paused = False
            self._update_interest()

    # The ends.

    def peer_ended(self, truncated: bool, now: float) -> None:
        """The peer's direction has ended, and everything before its end was handed to the protocol."""
        if self.read_side is not ReadSide.OPEN:
            return
        self.read_side = step(READ_SIDES, self.read_side, ReadSide.TRUNCATED if truncated else ReadSide.ENDED)
        protocol = self.protocol
        if self.phase is _SECURING:
            return
        protocol.receive_eof(now, truncated)
        if type(protocol) is PlainProtocol:
            if truncated and self.phase is _OPEN:
                self._judge(CloseKind.TRUNCATED, PeerMisbehaved(_TRUNCATED))

    def secured(self, now: float) -> None:
        """TLS is established and verified."""
        if self.phase is _SECURING:
            self._open(now)

    def secure_failed(self, event: tls.Failed) -> None:
        """TLS is over: its alert is sent, and then the stream ends."""
        error = event.error
        if isinstance(error, TimedOut):
            kind = CloseKind.TIMED_OUT
        elif isinstance(error, ProtocolError) or event.alert is not None:
            kind = CloseKind.TLS_ALERT
        else:
            kind = CloseKind.BROKEN
        self._judge(kind, error)
        if self.read_side is ReadSide.OPEN:
            self.read_side = step(READ_SIDES, self.read_side, ReadSide.FAILED)
        lost = getattr(self.protocol, "tls_failed", None)
        if lost is not None:
            lost()
        self._give_up_output()

    def protocol_failed(self, event: Failed) -> None:
        """The protocol can't go on; what it queued as an answer is still sent."""
        error = event.error
        self._judge(CloseKind.TIMED_OUT if isinstance(error, TimedOut) else CloseKind.PROTOCOL_ERROR, error)
        if self.read_side is ReadSide.OPEN:
            self.read_side = step(READ_SIDES, self.read_side, ReadSide.FAILED)
        now = self.manager.now
        self.protocol.close(now)
        if self.phase is _OPEN:
            self._set_phase(_CLOSING)
            self._set_deadline(now + self._limits.close_within)

    def handler_failed(self, error: BaseException) -> None:
        """A handler raised: its connection alone ends."""
        if self.phase is _CLOSED:
            log.error("%s: the handler failed after the end", self, exc_info=error)
            return
        log.error("%s: the handler failed, aborting it", self, exc_info=error)
        self.finish(CloseKind.HANDLER_ERROR, error, reset=True)

    def _judge(self, kind: CloseKind, error: BaseException | None) -> None:
        if self._verdict is None:
            self._verdict = CloseReason(kind, self.phase.value, 0, 0, error)

    def _give_up_output(self) -> None:
        """Our direction is lost for the application; only an alert may still go out."""
        protocol = self.protocol
        now = self.manager.now
        verdict = self._verdict
        lost = protocol.unsent + (self._secure.waiting_out if self._secure is not None else 0)
        protocol.close(now)
        protocol.take(1 << 62)
        if self._secure is not None:
            self._secure.drop_output()
        if verdict is not None and lost:
            self._verdict = CloseReason(verdict.kind, verdict.phase, lost, 0, verdict.error)
        if self.phase is not _CLOSING:
            self._set_phase(_CLOSING)
            self._set_deadline(now + self._limits.linger)
        self._output_lost = True

    def _send_broken(self, error: OSError) -> None:
        """Sending failed. What the peer sent before may still be read: it is, and then the connection ends."""
        if self.read_side is ReadSide.ENDED and self._secure is not None and self._secure.leaving:
            # Only our close_notify was lost, after the peer's had come (RFC 8446 section 6.1).
            self._out_size = 0
            self.finish(CloseKind.CLEAN)
            return
        self._judge(CloseKind.PEER_RESET if isinstance(error, _RESETS) else CloseKind.BROKEN, error)
        if self.write_side is not WriteSide.ENDED:
            self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.ENDED)
        lost = self._out_size
        self._out.clear()
        self._out_size = 0
        if self._transport_ended or self._paused or self.phase is _CLOSING:
            self._out_size = lost
            self.finish(CloseKind.PEER_RESET)
            return
        while self.phase is not _CLOSED and not self._pumping:
            # Bounded by what the kernel's receive buffer holds: a reset admits nothing more.
            before = self.bytes_received
            self._read(self.manager.now)
            if self.bytes_received == before:
                break
        if self.phase is not _CLOSED:
            self.finish(CloseKind.PEER_RESET)

    def _broken(self, error: OSError) -> None:
        """Receiving failed."""
        if self.read_side is ReadSide.ENDED and self.phase is _CLOSING and not self.unsent:
            self.finish(CloseKind.CLEAN)
            return
        self._judge(CloseKind.PEER_RESET if isinstance(error, _RESETS) else CloseKind.BROKEN, error)
        self.finish(CloseKind.PEER_RESET)

    def finish(self, kind: CloseKind, error: BaseException | None = None, *, reset: bool = False) -> None:
        """The one way out. Everything is released here, once; the `Closed` event follows in this turn or the next."""
        if self.phase is _CLOSED:
            return
        verdict = self._verdict
        phase = self.phase.value
        discarded = self._discarded + getattr(self.protocol, "discarded", 0) + len(self._held)
        if verdict is None:
            self.reason = CloseReason(kind, phase, self.unsent, discarded, error)
        else:
            self.reason = CloseReason(
                verdict.kind, verdict.phase, verdict.unsent + self.unsent, discarded, verdict.error
            )
        manager = self.manager
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._set_phase(_CLOSED)
        self._interrupt = True
        if reset and self._endpoint is not None:
            self._drop_interest()
            self._endpoint.reset()
        self.detach()
        if self._secure is not None:
            self._secure.release()
        self._out.clear()
        self._out_size = 0
        self._held = b""
        self.timer_at = NEVER
        release = getattr(self.protocol, "release", None)
        if release is not None:
            release()
        manager.forget(self)

    def deliver_closed(self) -> None:
        """The last event. The protocol and the handler are let go after it."""
        reason = self.reason
        if reason is None:
            raise Misuse(f"{self} has not ended")
        detail: Any = getattr(self.protocol, "detail", None)
        try:
            self._handler(self._face, ClosedEvent(reason, detail))
        except Exception as error:  # noqa: BLE001 - as in _pump
            self.handler_failed(error)
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
            self.handler_failed(error)
            self.manager.raise_later(error)
        finally:
            self.protocol.wake = None
            self._handler = _nothing
            if self._listener is not None:
                self._listener.connection_ended()

    # Small things.

    def wake(self) -> None:
        """Something waits in the protocol: look at it soon. Idempotent."""
        if not self._pumping:
            self._stand_ready()

    def _stand_ready(self) -> None:
        if not self.on_ready_list and self.phase is not _CLOSED:
            self.on_ready_list = True
            self.manager.stand_ready(self)

    def _set_phase(self, new: Phase) -> None:
        old = self.phase
        self.phase = step(PHASES, old, new)
        now = self.manager.now
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s %s → %s unsent=%d unread=%d after %.3f s%s",
                self,
                old.value,
                new.value,
                self.unsent,
                self.unread,
                now - self.since,
                f" ({self.reason})" if new is _CLOSED else "",
            )
        self.since = now

    def _set_deadline(self, when: float) -> None:
        self._deadline = when
        self.manager.schedule(self, when)

    def set_deadline(self, when: float) -> None:
        """The instant at which the present phase is given up; NEVER for none."""
        self._deadline = when
        if when is not NEVER:
            self.manager.schedule(self, when)

    def _reschedule(self, now: float) -> None:
        if self.phase is _CLOSED:
            return
        when = min(self._deadline, self._rate_at, self._idle_at)
        if self._opening is not None:
            when = min(when, self._opening.deadline)
        if self.phase is not _SECURING and (due := self.protocol.deadline) is not None:
            when = min(when, due)
        if self._secure is not None and (due := self._secure.engine.deadline) is not None:
            when = min(when, due)
        if when < self.timer_at:
            self.manager.schedule(self, max(when, now))

    def _update_interest(self) -> None:
        if self._endpoint is None or self._opening is not None:
            return
        interest = 0
        if not (self._paused or self._transport_ended or self._held) and (
            self._secure is None or not self._secure.full
        ):
            interest = READABLE
        if self._out:
            interest |= WRITABLE
        if interest != self._interest:
            self.manager.change_interest(self._fd, self, self._interest, interest)
            self._interest = interest

    def _drop_interest(self) -> None:
        self.manager.unwatch(self._fd, self._interest)
        self._interest = 0


_TRUNCATED = "the stream ended without close_notify: what came may not be all (RFC 8446 section 6.1)"


def _not_connected(_buffer: Buffer) -> int:
    raise BlockingIOError


def _nothing(_face: object, _event: object) -> None:
    """Stands where the handler was."""
