"""A UDP socket as a connection: datagrams in and out, and errors that end nothing."""

from __future__ import annotations

import errno
import logging
from collections import deque
from typing import TYPE_CHECKING

from mungos import checking
from mungos.core.events import Closed as ClosedEvent
from mungos.core.events import Datagram, DatagramError, Opened, Writable
from mungos.core.holdings import LEAST_COUNTED
from mungos.core.ledger import Origin
from mungos.core.limits import Limits
from mungos.core.opening import addresses_of
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.resolving import Resolving
from mungos.core.states import PHASES, Phase, step
from mungos.core.timers import NEVER
from mungos.errors import Broken, Closed, Misuse, MungosError, TimedOut
from mungos.protocol import Buffer
from mungos.url import URL
from mungos.wires.contract import READABLE, WRITABLE, Address, DatagramEndpoint

if TYPE_CHECKING:
    from mungos.core.connection import Handler
    from mungos.core.manager import Manager

__all__ = ["DatagramConnection"]

log = logging.getLogger("mungos.connection")

MAX_DATAGRAM = 65507
"""Octets of payload that fit a UDP datagram over IPv4 (RFC 768; RFC 791 section 3.1)."""


_LOOK = 4  # datagrams between two looks at the clock
_EACH = 256  # bytes that each queued datagram counts beside its own, in the sum and in a turn
_ANY = frozenset({"0.0.0.0", "::"})


class DatagramConnection:
    """Made by `Manager.listen` and `Manager.connect` with a udp URL; one per socket, whoever the peers are.

    A datagram that claims to come from the socket's own address is dropped: it is forged, and an answer to it
    would be answered for ever.

    Attributes: as a `Connection`'s, and
        dropped: such datagrams so far.
    """

    __slots__ = (
        "_counted",
        "_deadline",
        "_endpoint",
        "_entry",
        "_handler",
        "_interest",
        "_limits",
        "_opened",
        "_paused",
        "_queue",
        "_resolving",
        "bytes_received",
        "bytes_sent",
        "dropped",
        "id",
        "is_client",
        "local",
        "manager",
        "on_ready_list",
        "origin",
        "phase",
        "reason",
        "remote",
        "since",
        "timer_at",
        "unsent",
        "url",
        "user",
    )

    def __init__(
        self,
        manager: Manager,
        number: int,
        url: URL,
        handler: Handler,
        *,
        is_client: bool,
        limits: Limits,
        origin: Origin,
        user: object,
    ) -> None:
        self.manager = manager
        self.id = number
        self.url = url
        self.is_client = is_client
        self.phase = Phase.RESOLVING
        self.local: Address | None = None
        self.remote: Address | None = None
        self.reason: CloseReason | None = None
        self.user = user
        self.origin = origin
        self.since = manager.now
        self.timer_at = NEVER
        self.on_ready_list = False
        self.unsent = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.dropped = 0
        self._handler = handler
        self._limits = limits
        self._endpoint: DatagramEndpoint | None = None
        self._entry = 0
        self._interest = 0
        self._counted = 0
        self._opened = False
        self._paused = False
        self._queue: deque[tuple[Buffer, Address | None]] = deque()
        self._resolving: Resolving | None = None
        self._deadline = NEVER

    def send(self, data: Buffer, to: Address | None = None) -> bool:
        """Send one datagram, to `to` or to the connected peer.

        Returns:
            True if the system took it or there is room to queue it; False above `send_high` unsent bytes, or
            half of `datagrams_queued`: it is queued, wait for `Writable`.

        Raises:
            Closed: after `close` or `abort`.
            Misuse: no peer is known, the datagram is larger than 65,507 bytes, or `send_hard` or
                `datagrams_queued` is passed.
        """
        self.manager.check_owner()
        if self.phase in {Phase.CLOSING, Phase.CLOSED}:
            raise Closed(f"{self} has ended: {self.reason or 'closing'}")
        if to is None and not self.is_client:
            raise Misuse(f"{self} listens: say to whom the datagram goes")
        if type(data) is not bytes:
            data = checking.as_bytes("data", data)
        size = len(data)
        if size > MAX_DATAGRAM:
            raise Misuse(f"a datagram of {size} bytes is above the limit of {MAX_DATAGRAM} bytes")
        if self.unsent + size > self._limits.send_hard:
            raise Misuse(
                f"{self.unsent} bytes wait; {size} more pass the limit of {self._limits.send_hard} bytes"
            )
        queue, most = self._queue, self._limits.datagrams_queued
        if len(queue) >= most:
            raise Misuse(f"{len(queue)} datagrams wait, the limit is {most}: send after `Writable`")
        if self._endpoint is None or queue or not self._send_now(data, to):
            queue.append((bytes(data), to))
            self.unsent += size
            self._update_interest()
            self._count()
        return self.unsent <= self._limits.send_high and len(queue) <= most // 2

    def _count(self) -> None:
        """Enter what it holds in the manager's sum."""
        held = self.unsent + _EACH * len(self._queue)
        if held >= LEAST_COUNTED or self._counted:
            self._counted = self.manager.holdings.enter(self, held)

    def _send_now(self, data: Buffer, to: Address | None) -> bool:
        if self._endpoint is None:
            return False
        try:
            if not self._endpoint.send_to(data, to):
                return False
        except OSError as error:
            # One datagram is lost; which errors may come is the world's affair, and none ends the socket.
            self.manager.call_soon(self._call, DatagramError(error, to if to is not None else self.remote))
        else:
            self.bytes_sent += len(data)
        return True

    def pause(self) -> None:
        """Read no more until `resume`; the system drops what its buffer can't hold."""
        self.manager.check_owner()
        self._paused = True
        self._update_interest()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.manager.check_owner()
        self._paused = False
        self._update_interest()

    def close(self, within: float | None = None) -> None:
        """Send what is queued, at most `within` seconds (`Limits.close_within` when None), then end.
        Idempotent, legal from any thread."""
        checking.seconds("within", within, zero=True, none=True)
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.close, within)
            return
        if self.phase is Phase.CLOSED:
            return
        if not self.unsent or self.phase is not Phase.OPEN:
            if self.phase is not Phase.CLOSING:
                self.finish(CloseKind.CLEAN if self.phase is Phase.OPEN else CloseKind.ABORTED)
            return
        self._set_phase(Phase.CLOSING)
        self._deadline = manager.refresh() + (self._limits.close_within if within is None else within)
        manager.schedule(self, self._deadline)
        self._update_interest()

    def abort(self, message: str = "") -> None:
        """End now, whatever is queued. Idempotent, legal from any thread."""
        if not self.manager.is_owner():
            self.manager.call_soon(self.abort, message)
            return
        self.finish(CloseKind.ABORTED, Closed(message) if message else None)

    def __str__(self) -> str:
        return f"c{self.id}"

    def __repr__(self) -> str:
        return f"<DatagramConnection {self.id} {self.phase.value} {self.local} ↔ {self.remote}>"

    # Set up and turns: called by the manager.

    def begin(self, local: Address | None, remotes: tuple[str, ...] | None) -> None:
        """Bind to `local`, or connect to one of `remotes`; with neither, look the URL's host up first."""
        if local is None and remotes is None:
            self._resolving = Resolving(
                self.manager,
                self.url.host,
                self._limits.resolve_within,
                self.origin,
                self._resolved,
                self._found,
            )
            self._resolving.begin()
            return
        wire = self.manager.wire
        if self.phase is Phase.RESOLVING:
            self._set_phase(Phase.CONNECTING)
        if local is not None:
            endpoint = wire.datagrams(local, None, self.url.dual_stack)
        else:
            targets = addresses_of(remotes or (), self.url.port)
            endpoint = self._connect(targets)
        what = f"{self} datagrams {endpoint.local} ↔ {endpoint.remote}"
        self._entry = self.manager.own(endpoint, self, READABLE, what, self.origin, endpoint.close)
        self._endpoint = endpoint
        self.local, self.remote = endpoint.local, endpoint.remote
        self._interest = READABLE
        self._set_phase(Phase.OPEN)
        self._update_interest()
        self.manager.call_soon(self._tell_opened)

    def _tell_opened(self) -> None:
        """Once, and before anything else."""
        if not self._opened:
            self._opened = True
            self._call(Opened())

    def _connect(self, targets: list[Address]) -> DatagramEndpoint:
        failure = OSError(errno.EADDRNOTAVAIL, "no address to connect to")
        for target in targets:
            try:
                return self.manager.wire.datagrams(None, target, False)
            except OSError as error:
                failure = error
        raise failure

    def _found(self, addresses: tuple[str, ...]) -> None:
        # Nothing answers here: the first address that the system takes is the one.
        try:
            self.begin(None, addresses)
        except OSError:
            return  # others are still to come
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None

    def _resolved(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        self._resolving = None
        if self.phase is Phase.CLOSED:
            return
        if error is not None:
            self.finish(CloseKind.TIMED_OUT if isinstance(error, TimedOut) else CloseKind.NOT_RESOLVED, error)
            return
        try:
            self.begin(None, addresses)
        except OSError as failure:
            self.finish(CloseKind.UNREACHABLE, Broken(str(failure)))

    def on_io(self, mask: int, now: float) -> None:
        """Datagrams, room, or errors."""
        if not self._opened:
            self._tell_opened()
        endpoint = self._endpoint
        if endpoint is None:
            return
        limits = self._limits
        left = limits.events_per_turn
        if self.manager.scheduler.crowded:
            left = min(left, limits.events_per_share)
        if mask & ~(READABLE | WRITABLE):
            left = self._take_errors(endpoint, left)
        if mask & WRITABLE and self._queue:
            self._flush()
        if mask & READABLE and not self._paused and self.phase is Phase.OPEN:
            self._read(left)

    def _take_errors(self, endpoint: DatagramEndpoint, most: int) -> int:
        """Tell of datagrams that did not arrive. Returns how many events are left of the share."""
        scheduler = self.manager.scheduler
        for count in range(most):
            if count % _LOOK == _LOOK - 1 and scheduler.clock() >= scheduler.until:
                return 0
            failure = endpoint.next_error()
            if failure is None:
                return most - count
            self._call(DatagramError(*failure))
            if self._endpoint is None:
                return 0
        return 0

    def _read(self, most: int) -> None:
        scheduler = self.manager.scheduler
        for count in range(most):
            if count % _LOOK == _LOOK - 1 and scheduler.clock() >= scheduler.until:
                return  # the poller will tell of the rest again
            endpoint = self._endpoint
            if endpoint is None or self._paused:
                return
            try:
                answer = endpoint.receive()
            except OSError as error:
                # Taken from the queue of errors too, where it stands with its peer: left there it would be
                # reported for ever by pollers that know reading and writing only.
                self._call(DatagramError(*(endpoint.next_error() or (error, self.remote))))
                continue
            if answer is None:
                return
            data, peer = answer
            if self._is_own(peer):
                self.dropped += 1
                continue
            self.bytes_received += len(data)
            self._call(Datagram(peer, data))

    def _is_own(self, peer: Address) -> bool:
        """Whether a datagram to `peer` would come to this socket."""
        local = self.local
        if local is None or peer.port != local.port or self.remote is not None:
            return False
        return peer.host == local.host or (local.host in _ANY and self.manager.wire.is_own(peer.host))

    def _flush(self) -> None:
        scheduler, queue = self.manager.scheduler, self._queue
        before, budget = self._above_low(), self._limits.bytes_per_turn
        while queue and self._endpoint is not None and budget > 0:
            data, to = queue[0]
            if not self._send_now(data, to):
                break
            queue.popleft()
            self.unsent -= len(data)
            budget -= len(data) + _EACH
            if len(queue) % _LOOK == 0 and scheduler.clock() >= scheduler.until:
                break  # the poller will tell of the room again
        self._update_interest()
        if self._counted:
            self._count()
        if self.phase is Phase.CLOSING and not queue:
            self.finish(CloseKind.CLEAN)
        elif before and not self._above_low():
            self._call(Writable())

    def _above_low(self) -> bool:
        limits = self._limits
        return self.unsent > limits.send_low or len(self._queue) > limits.datagrams_queued // 4

    def on_timer(self, now: float) -> None:
        """The close's deadline."""
        if self._endpoint is not None:
            self.manager.scheduler.fetch(self._endpoint.fd)
        if self._deadline <= now:
            self.overdue()

    def overdue(self) -> None:
        """The deadline has passed: it ends now."""
        self.finish(CloseKind.TIMED_OUT)

    def on_ready(self, now: float) -> None:
        """Datagrams stand in no queue."""

    def _call(self, event: object) -> None:
        if self.phase is Phase.CLOSED:
            return
        try:
            self._handler(self, event)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its own connection only
            self._handler_failed(error)
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
            self._handler_failed(error)
            self.manager.raise_later(error)

    def _handler_failed(self, error: BaseException) -> None:
        log.error("%s: the handler failed, aborting it", self, exc_info=error)
        self.finish(CloseKind.HANDLER_ERROR, error)

    def finish(self, kind: CloseKind, error: BaseException | None = None, *, reset: bool = False) -> None:
        """The one way out."""
        del reset
        if self.phase is Phase.CLOSED:
            return
        self.reason = CloseReason(kind, self.phase.value, self.unsent, 0, error)
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._set_phase(Phase.CLOSED)
        if self._endpoint is not None:
            self.manager.unwatch(self._endpoint.fd, self._interest)
            self._endpoint.close()
            self._endpoint = None
            self.manager.ledger.strike(self._entry)
        self._queue.clear()
        if self._counted:
            self.manager.holdings.leave(self)
        self.unsent = 0
        self.timer_at = NEVER
        self.manager.forget(self)

    def never_began(self, error: BaseException) -> None:
        """Its socket was not made: it ends, and the handler, which has never heard of it, does not hear of
        its end."""
        self._handler = _nothing
        self.finish(CloseKind.HANDLER_ERROR, error)

    def deliver_closed(self) -> None:
        """The last event."""
        reason = self.reason
        handler, self._handler = self._handler, _nothing
        if reason is None:
            raise Misuse(f"{self} has not ended")
        try:
            handler(self, ClosedEvent(reason))
        except Exception:
            log.exception("%s: the handler failed after the end", self)
        except BaseException as error:
            log.exception("%s: the handler failed after the end", self)
            self.manager.raise_later(error)

    def _set_phase(self, new: Phase) -> None:
        now = self.manager.now
        old, self.phase = self.phase, step(PHASES, self.phase, new)
        log.debug(
            "%s %s → %s unsent=%d after %.3f s", self, old.value, new.value, self.unsent, now - self.since
        )
        self.since = now

    def _update_interest(self) -> None:
        if self._endpoint is None:
            return
        interest = 0 if self._paused or self.phase is not Phase.OPEN else READABLE
        if self._queue:
            interest |= WRITABLE
        if interest != self._interest:
            self.manager.change_interest(self._endpoint.fd, self, self._interest, interest)
            self._interest = interest


def _nothing(_face: object, _event: object) -> None:
    """Stands where the handler was."""
