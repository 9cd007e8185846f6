"""What a connection holds, and its one way out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from mungos.core.events import Closed as ClosedEvent
from mungos.core.holdings import LEAST_COUNTED
from mungos.core.ledger import Origin
from mungos.core.limits import Limits
from mungos.core.plain import PlainProtocol
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.securing import Securing, TLSSession
from mungos.core.states import PHASES, Phase, ReadSide, WriteSide, step
from mungos.core.timers import NEVER
from mungos.errors import Misuse, TimedOut
from mungos.protocol import Buffer, Protocol
from mungos.url import URL
from mungos.wires.contract import READABLE, WRITABLE, Address, StreamEndpoint

if TYPE_CHECKING:
    from mungos.core.listener import Listener
    from mungos.core.manager import Manager
    from mungos.core.opening import Opening
    from mungos.core.stream import Stream

__all__ = ["Handler", "Lifecycle", "not_connected"]

Handler = Callable[..., None]
"""Called as `handler(face, event)`: the face is the connection, or the protocol's session on it."""

log = logging.getLogger("mungos.connection")

_RESOLVING, _CONNECTING, _SECURING = Phase.RESOLVING, Phase.CONNECTING, Phase.SECURING
_OPEN, _CLOSED = Phase.OPEN, Phase.CLOSED


def not_connected(_buffer: Buffer) -> int:
    """Stands where the transport's calls are while there is none."""
    raise BlockingIOError


def _nothing(_face: object, _event: object) -> None:
    """Stands where the handler was."""


class Lifecycle(ABC):
    """The fields of a connection, its transport, its deadlines, and its end."""

    __slots__ = (
        "_count_at",
        "_counted",
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
        "_idle_mark",
        "_idle_within",
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
        tls_session: TLSSession | None = None,
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
        self._recv: Callable[[Buffer], int] = not_connected
        self._send: Callable[[Buffer], int] = not_connected
        self._interest = 0
        self._opening: Opening | None = None
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
        self._idle_mark = 0
        self._idle_within = NEVER
        self._counted = 0
        self._count_at = LEAST_COUNTED
        self.protocol: Protocol = PlainProtocol(limits)
        self._face: object = self
        self.protocol.wake = self.wake
        # A connection that is to be secured is so from here on: there is no way round its TLS session.
        self._secure = Securing(cast("Stream", self), tls_session) if tls_session is not None else None

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

    @abstractmethod
    def on_io(self, mask: int, now: float) -> None:
        """The poller's hint."""

    @abstractmethod
    def on_ready(self, now: float) -> None:
        """It stood in the queue."""

    @abstractmethod
    def after_events(self, now: float) -> None:
        """Send what the turn's events left to send."""

    @abstractmethod
    def on_timer(self, now: float) -> None:
        """Its entry in the heap came up."""

    @abstractmethod
    def overdue(self) -> None:
        """The deadline of its phase has passed."""

    @abstractmethod
    def close(self, within: float | None = None) -> None:
        """End gracefully."""

    @property
    def paused(self) -> bool:
        """Whether events are held back until `resume`."""
        return self._paused

    def set_protocol(self, protocol: Protocol, face: object) -> None:
        """Speak `protocol`; handlers see `face`."""
        protocol.wake = self.wake
        self.protocol = protocol
        self._face = face

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

    def attach(self, endpoint: StreamEndpoint, interest: int, entry: int = 0) -> None:
        """Own a transport from here on; with `entry`, it stands in the ledger and is watched already. One
        that the system can't watch is reset."""
        manager = self.manager
        if entry:
            manager.take_over(endpoint.fd, self)
        else:
            what = f"{self} stream {endpoint.local} ↔ {endpoint.remote}"
            entry = manager.own(endpoint, self, interest, what, self.origin, endpoint.reset)
        self._endpoint = endpoint
        self._endpoint_entry = entry
        self._fd = endpoint.fd
        self.local = endpoint.local
        self.remote = endpoint.remote
        self._interest = interest

    def detach(self) -> None:
        """Give the transport up."""
        endpoint = self._endpoint
        if endpoint is not None:
            self._drop_interest()
            self._endpoint = None
            self._recv = self._send = not_connected
            endpoint.close()
            self.manager.ledger.strike(self._endpoint_entry)

    def _judge(self, kind: CloseKind, error: BaseException | None) -> None:
        if self._verdict is None:
            self._verdict = CloseReason(kind, self.phase.value, 0, 0, error)

    def finish(self, kind: CloseKind, error: BaseException | None = None, *, reset: bool = False) -> None:
        """The one way out: everything is released here, once. `Closed` follows in this turn or the next."""
        if self.phase is _CLOSED:
            return
        verdict = self._verdict
        phase = self.phase.value
        try:
            unsent = self.unsent
            discarded = self._discarded + getattr(self.protocol, "discarded", 0) + len(self._held)
        except Exception:  # noqa: BLE001 - a protocol that can't even tell this ends all the same
            unsent = discarded = 0
        if verdict is None:
            self.reason = CloseReason(kind, phase, unsent, discarded, error)
        else:
            self.reason = CloseReason(
                verdict.kind, verdict.phase, verdict.unsent + unsent, discarded, verdict.error
            )
        manager = self.manager
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._set_phase(_CLOSED)
        self._interrupt = True
        if self._counted:
            manager.holdings.leave(self)
        self.timer_at = NEVER
        try:
            if reset and self._endpoint is not None:
                self._drop_interest()
                self._endpoint.reset()
            self.detach()
            if self._secure is not None:
                self._secure.release()
            self._out.clear()
            self._out_size = 0
            self._held = b""
            self._release_protocol()
        finally:
            manager.forget(self)

    def _release_protocol(self) -> None:
        """Whatever it raises, the connection has ended, and whoever ended it has nothing to do with it."""
        try:
            release = getattr(self.protocol, "release", None)
            if release is not None:
                release()
        except BaseException as error:
            if not isinstance(error, Exception):
                self.manager.raise_later(error)
            log.exception("%s: its protocol failed to let go", self)

    def fail(self, error: BaseException, words: str, kind: CloseKind = CloseKind.BROKEN) -> None:
        """What nobody foresaw: the connection ends at once, before anything is said of it.

        Args:
            error: what was raised; one that is no Exception leaves `poll` at the end of the turn, too.
            words: what failed.
            kind: the kind of the reason.
        """
        self.finish(kind, error, reset=True)
        if not isinstance(error, Exception):
            self.manager.raise_later(error)
        log.error("%s: %s, aborted", self, words, exc_info=error)

    def never_began(self, error: BaseException) -> None:
        """What was to be its protocol was not made: it ends, and the handler, which has never heard of it,
        does not hear of its end."""
        self._handler = _nothing
        self.finish(CloseKind.HANDLER_ERROR, error, reset=True)

    def forked(self) -> None:
        """In the child after a fork: its protocol's senders are refused, too."""
        self.protocol.wake = self.manager.check_owner

    def deliver_closed(self) -> None:
        """The last event. The protocol and the handler are let go after it."""
        reason = self.reason
        if reason is None:
            raise Misuse(f"{self} has not ended")
        try:
            detail: object = getattr(self.protocol, "detail", None)
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

    def handler_failed(self, error: BaseException) -> None:
        """A handler raised: its connection alone ends."""
        if self.phase is _CLOSED:
            log.error("%s: the handler failed after the end", self, exc_info=error)
            return
        self.finish(CloseKind.HANDLER_ERROR, error, reset=True)
        log.error("%s: the handler failed, aborting it", self, exc_info=error)

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

    def wake(self) -> None:
        """Something waits in the protocol: look at it soon. Idempotent."""
        if not self._pumping:
            self._stand_ready()

    def _stand_ready(self) -> None:
        if not self.on_ready_list and self.phase is not _CLOSED:
            # Senders of sessions come by here: on another thread than the manager's they are refused.
            self.manager.check_owner()
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

    def _reschedule(self, now: float) -> None:
        if self.phase is _CLOSED:
            return
        when = min(self._deadline, self._rate_at, self._idle_at)
        if self._opening is not None:
            when = min(when, self._opening.deadline)
        if self.phase is not _SECURING and (due := self.protocol.deadline) is not None:
            when = min(when, due)
        if self._secure is not None and (due := self._secure.deadline) is not None:
            when = min(when, due)
        if when < self.timer_at and self.phase is not _CLOSED:
            self.manager.schedule(self, max(when, now))

    def _watch_idleness(self, now: float) -> None:
        """A connection that speaks a protocol has that one's deadlines; one that speaks none has this."""
        limits = self._limits
        within = limits.idle_within
        if within is None and self._listener is not None:
            within = limits.idle_accepted
        if within is None or type(self.protocol) is not PlainProtocol:
            self._idle_at = NEVER
            return
        self._idle_within = within
        self._idle_at = now + within
        self._idle_mark = self.bytes_sent
        self.manager.schedule(self, self._idle_at)

    def _check_idle(self, now: float) -> None:
        self._idle_at = NEVER
        within = self._idle_within
        if self.phase is not _OPEN or type(self.protocol) is not PlainProtocol:
            return
        if self.bytes_sent != self._idle_mark or self._paused:
            # What is received moves the deadline at once; what is sent is only looked at here. And whom we do
            # not read can't be blamed for silence.
            self._idle_mark = self.bytes_sent
            self._idle_at = now + within
            return
        log.info("%s idle for %g s, closing", self, within)
        self._judge(CloseKind.TIMED_OUT, TimedOut("idle", limit=within))
        self.close()

    def _count(self) -> None:
        """Enter what it holds in the manager's sum."""
        if self.phase is not _CLOSED:
            self._count_at = self.bytes_received + LEAST_COUNTED
            held = self.unsent + self.unread + getattr(self.protocol, "held", 0)
            if held >= LEAST_COUNTED or self._counted:
                self._counted = self.manager.holdings.enter(self, held)

    def _update_interest(self) -> None:
        if self._endpoint is None:
            return
        interest = 0
        if not (self._transport_ended or self._held) and (self._secure is None or not self._secure.full):
            interest = READABLE
        if self._out:
            interest |= WRITABLE
        if interest != self._interest:
            self.manager.change_interest(self._fd, self, self._interest, interest)
            self._interest = interest

    def _drop_interest(self) -> None:
        self.manager.unwatch(self._fd, self._interest)
        self._interest = 0
