"""A connection's turns: bytes up to the handler, bytes down to the wire, and what follows either end."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

from mungos.core.events import Opened, Writable
from mungos.core.lifecycle import Lifecycle, not_connected
from mungos.core.plain import PlainProtocol
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.states import READ_SIDES, WRITE_SIDES, Phase, ReadSide, WriteSide, step
from mungos.core.timers import NEVER
from mungos.errors import PeerMisbehaved, ProtocolError, TimedOut
from mungos.protocol import MORE, Buffer, Failed
from mungos.tls import contract as tls
from mungos.wires.contract import READABLE, WRITABLE

if TYPE_CHECKING:
    from mungos.core.securing import Securing

__all__ = ["Stream"]

log = logging.getLogger("mungos.connection")

_SECURING, _OPEN, _CLOSING, _CLOSED = Phase.SECURING, Phase.OPEN, Phase.CLOSING, Phase.CLOSED
_WRITE_OPEN, _WRITE_ENDED = WriteSide.OPEN, WriteSide.ENDED
_OPENED = Opened()
_WRITABLE = Writable()
_CHUNK = 256 * 1024
_JOIN = 64 * 1024
_LOOK = 4  # events between two looks at the clock
_LONG = 0.1  # seconds of a handler after which deadlines are worth setting right
_RESETS = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
_TRUNCATED = "the stream ended without close_notify: what came may not be all (RFC 8446 section 6.1)"


class Stream(Lifecycle):
    """What the manager, the poller, TLS and the protocol call."""

    __slots__ = ()

    def transport_ready(self) -> None:
        """TCP is there (or the Unix socket): go on to TLS, or open. Whatever fails ends the connection."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        try:
            self._opening = None
            self.local = endpoint.local
            self.remote = endpoint.remote
            self._recv = endpoint.recv_into
            self._send = endpoint.send
            if self._secure is not None:
                self._set_phase(_SECURING)
                self._begin_securing(self._secure, b"")
            else:
                now = self.manager.refresh()
                self._open(now)
                self._pump(now)
        except BaseException as error:  # noqa: BLE001 - no event might ever come by here again
            self.fail(error, "it can't begin")

    def _begin_securing(self, secure: Securing, early: bytes) -> None:
        now = self.manager.refresh()
        secure.begin(early, now)
        if self._transport_ended:
            secure.transport_ended(now)
        self.wake()
        self._reschedule(now)

    def _open(self, now: float) -> None:
        if self.phase is not _OPEN:
            self._set_phase(_OPEN)
        self._watch_idleness(now)
        protocol = self.protocol
        protocol.start(now)
        self._update_interest()
        self._call(_OPENED)

    def on_io(self, mask: int, now: float) -> None:
        """The poller's hint: look."""
        if mask == READABLE == self._interest and not self.on_ready_list:
            self._read(now)
            return
        interest = self._interest
        if interest & WRITABLE and mask & ~READABLE:
            self._after(now)
        if interest & READABLE and mask & ~WRITABLE and not self.on_ready_list:
            self._read(now)

    def on_ready(self, now: float) -> None:
        """It stood in the queue: events, plaintext or output are waiting."""
        if self._recv is not not_connected:
            self._pump(now)

    def on_timer(self, now: float) -> None:
        """Its entry in the heap came up: act on what is due, and sleep again."""
        self.manager.scheduler.fetch(self._fd)
        if self.phase is _CLOSED:
            return
        judged, now = now, self.manager.now
        if self._deadline <= judged:
            self.overdue()
        elif self._opening is not None:
            if self._opening.deadline <= judged:
                self._opening.on_timer(judged)
        elif self._rate_at <= judged:
            self._check_rate(now)
        elif self._idle_at <= judged:
            self._check_idle(now)
        else:
            protocol, secure = self.protocol, self._secure
            if secure is not None:
                secure.expire(judged)
            if self.phase is not _SECURING and protocol.deadline is not None and protocol.deadline <= judged:
                protocol.expire(now)
            if self._recv is not not_connected:
                self._pump(now)
        self._reschedule(now)

    def overdue(self) -> None:
        """The deadline of its phase has passed: it ends now."""
        if (
            self.phase is _CLOSING
            and self.write_side is WriteSide.ENDED
            and self.read_side is not ReadSide.OPEN
        ):
            # Both took their leave; only the peer's FIN is missing (RFC 8446 section 6.1: no need to wait).
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
                self._idle_at = now + self._idle_within
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
        scheduler = self.manager.scheduler
        if self._paused:
            # Events wait, bytes move on while there is room: a Pong, or the peer's end, is not overlooked.
            while self.phase is not _CLOSED and self._more(now):
                if scheduler.clock() >= scheduler.until:
                    self._stand_ready()
                    break
            self._after(now)
            return
        limits = self._limits
        left = limits.events_per_turn
        if scheduler.crowded:
            share = limits.events_per_share * scheduler.shares
            left = share if share < left else left
        look = step = _LOOK if left > _LOOK else left
        handler = self._handler
        face = self._face
        protocol = self.protocol
        next_event = protocol.next_event
        self._pumping = True
        try:
            while True:
                event = next_event()
                if event is None:
                    secure = self._secure
                    if not (self._held or secure is not None) or not self._more(now):
                        break
                    self._interrupt = True
                    if secure is not None and secure.held:
                        # A piece of ciphertext is more work than events are: look at the clock now.
                        step -= look - 1
                        look = 1
                elif type(event) is Failed:
                    self.protocol_failed(event)
                    break
                elif event is not MORE:
                    handler(face, event)
                if self._interrupt:
                    self._interrupt = False
                    if self.reason is not None:
                        return
                    if self.paused:
                        break
                    handler = self._handler
                    face = self._face
                    next_event = self.protocol.next_event
                look -= 1
                if look <= 0:
                    left -= step
                    if left <= 0 or scheduler.clock() >= scheduler.until:
                        if left <= 0:
                            scheduler.used_up(self._fd)
                        self._stand_ready()
                        break
                    look = step = _LOOK if left > _LOOK else left
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its own connection only
            self.handler_failed(error)
            return
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
            self.handler_failed(error)
            self.manager.raise_later(error)
            return
        finally:
            self._pumping = False
        self.manager.now = later = scheduler.clock()
        if later - now > _LONG:
            if self.protocol is protocol:
                self._postpone(later - now)
        if scheduler.gathering:
            scheduler.gathered.append(self)
        else:
            self._after(later)

    def _postpone(self, seconds: float) -> None:
        """Our handlers took so long, and the peer could do nothing about it: whatever it is to do next has so
        much more time, also where that was armed by what was received just before them."""
        protocol = self.protocol
        if protocol.deadline is not None:
            protocol.deadline += seconds

    def after_events(self, now: float) -> None:
        """What `_pump` put off."""
        if self.phase is not _CLOSED:
            self._after(now)

    def _after(self, now: float) -> None:
        """After events: send, end, and see to the next deadline."""
        protocol = self.protocol
        if self._secure is not None:
            self._flush(now)
            if protocol.ended or self._output_lost:
                self._settle(now)
            # What the protocol or the engine did not take waits here: no more may come from the wire.
            self._update_interest()
            self._reschedule(now)
            if self._counted or self._out or self.bytes_received >= self._count_at:
                self._count()
            return
        # It is not closed: `finish` interrupts `_pump`, which then returns, and `after_events` has looked.
        if self._out:
            self._flush(now)
        elif unsent := protocol.unsent:
            if unsent < self._limits.send_low and self.write_side is _WRITE_OPEN and not self._stalled:
                # The usual answer: small, and the kernel takes all of it.
                parts = protocol.take(_CHUNK)
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                try:
                    sent = self._send(data)
                except BlockingIOError:
                    sent = 0
                except OSError as error:
                    self._out_size = len(data)
                    self._send_broken(error)
                    return
                self.bytes_sent += sent
                if sent < len(data):
                    self._out.append(memoryview(data)[sent:])
                    self._out_size = len(data) - sent
                    self._flush(now)
            else:
                self._flush(now)
        if protocol.ended or self._output_lost:
            self._settle(now)
        if protocol.deadline is not None:
            deadline = protocol.deadline
            if deadline < self.timer_at and self.phase is not _CLOSED:
                self.manager.schedule(self, deadline)
        if self._counted or self._out or self.bytes_received >= self._count_at:
            self._count()

    def _flush(self, now: float) -> None:
        """Send what is queued, at most `bytes_per_turn`, as far as the wire takes it."""
        if self.write_side is _WRITE_ENDED:
            return
        protocol, secure, out = self.protocol, self._secure, self._out
        before = protocol.unsent
        if before >= self._limits.send_low:
            self._stalled = True
        budget = self._limits.bytes_per_turn
        scheduler = self.manager.scheduler
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
            if budget <= 0 or (sent >= _CHUNK and scheduler.clock() >= scheduler.until):
                budget = 0
                break
        if out or self._interest & WRITABLE:
            self._update_interest()
            if out and self._rate_at is NEVER:
                self._rate_mark = self.bytes_sent
                self._rate_at = now + self._limits.rate_window
                self.manager.schedule(self, self._rate_at)
        if budget <= 0 and not out and (protocol.unsent or secure is not None):
            self.wake()
        if self._stalled and self.unsent <= self._limits.send_low:
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
        """Our direction is to end: send the rest, take leave of TLS, end the stream, wait for the peer."""
        if self.phase is _CLOSED:
            return
        protocol = self.protocol
        if self.phase is _OPEN and not self._half_closed:
            self._set_phase(_CLOSING)
            self._set_deadline(now + self._limits.close_within)
        if self.write_side is WriteSide.OPEN:
            self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.FLUSHING)
        if self.write_side is WriteSide.FLUSHING:
            if self._out or (protocol.unsent and (self._secure is None or not self._secure.leaving)):
                return
            if self._secure is not None and not self._secure.end():
                self._flush(now)
                if self.phase is _CLOSED or self._out or not self._secure.end():
                    return
            self._end_stream(now)
        if self.write_side is not WriteSide.ENDED:
            return
        if (
            self.phase is _OPEN
            and self.read_side is not ReadSide.OPEN
            and not getattr(protocol, "pending", False)
        ):
            # Half-closed by us, then by the peer, and the handler has had everything. Over TLS the peer's FIN
            # may still be missing.
            self._set_phase(_CLOSING)
            self._set_deadline(now + self._limits.linger)
        if self.phase is _CLOSING and self._transport_ended:
            self.finish(CloseKind.CLEAN)

    def _end_stream(self, now: float) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        try:
            endpoint.shutdown_write()
        except OSError as error:
            if not self._transport_ended:
                # What was connected and is not any more was reset, and nobody has read that yet.
                reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                self._send_broken(reset if error.errno == errno.ENOTCONN else error)
                return
        self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.ENDED)
        if self.phase is _CLOSING:
            self._set_deadline(min(self._deadline, now + self._limits.linger))
            self._paused = False
            self._update_interest()

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

    def writing_ended(self) -> None:
        """TLS has ended our direction by itself: nothing more can be sent."""
        if self.write_side is WriteSide.OPEN:
            self.write_side = step(WRITE_SIDES, self.write_side, WriteSide.FLUSHING)

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
        """Sending failed. What the peer sent before is still read, and then the connection ends."""
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
