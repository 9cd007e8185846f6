"""From a URL to a connected stream: resolve, try the addresses beside each other, hand over (RFC 8305)."""

from __future__ import annotations

import errno
import logging
from collections import deque
from typing import TYPE_CHECKING

from mungos.addresses import literal, order_for_connecting
from mungos.core.limits import Limits
from mungos.core.reasons import CloseKind
from mungos.core.resolving import Resolving
from mungos.core.states import Phase
from mungos.core.timers import NEVER
from mungos.errors import Broken, MungosError, TimedOut
from mungos.url import URL
from mungos.wires.contract import WRITABLE, Address, StreamEndpoint

if TYPE_CHECKING:
    from mungos.core.stream import Stream

__all__ = ["Attempt", "Opening", "addresses_of", "unix_address"]

log = logging.getLogger("mungos.connection")

LEAST_DELAY = 0.01
"""Seconds from one attempt to the next beside it, at the least (RFC 8305 section 8)."""
LEAST_TRIAL = 2.0
"""Seconds that an attempt has before it makes room for another, if there is time for that many: TCP sends its
first segment a second time after one (RFC 6298 section 2)."""

_NO_ANSWER = "no answer in time"
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EHOSTDOWN}


def unix_address(url: URL) -> Address:
    """The Unix domain's address of a URL; an abstract name begins with NUL for the kernel."""
    path = url.path
    return Address("\0" + path[1:] if path.startswith("@") else path, 0, 0)


def addresses_of(literals: tuple[str, ...], port: int) -> list[Address]:
    """IP literals as addresses."""
    return [Address(text, port, 6 if ":" in text else 4) for text in literals]


class Attempt:
    """One address that is being connected to, for a connection."""

    __slots__ = ("_opening", "begun", "connection", "endpoint", "entry")

    def __init__(self, opening: Opening, connection: Stream, endpoint: StreamEndpoint) -> None:
        manager = connection.manager
        self._opening = opening
        self.connection = connection
        self.endpoint = endpoint
        self.begun = manager.now
        self.entry = manager.own(
            endpoint,
            self,
            WRITABLE,
            f"{connection} stream {endpoint.local} ↔ {endpoint.remote}",
            connection.origin,
            endpoint.close,
        )

    def on_io(self, mask: int, now: float) -> None:
        """It has an answer."""
        self._opening.answered(self)

    def release(self) -> None:
        """Nobody wants it any more."""
        manager, endpoint = self.connection.manager, self.endpoint
        manager.unwatch(endpoint.fd, WRITABLE)
        if _to_itself(endpoint):
            # An end in order would keep its port occupied for a minute.
            endpoint.reset()
        else:
            endpoint.close()
        manager.ledger.strike(self.entry)


def _to_itself(endpoint: StreamEndpoint) -> bool:
    return endpoint.local == endpoint.remote and endpoint.remote.family != 0


class Opening:
    """One connection's way to its transport.

    The first address is tried as soon as it is known; the next one when the last fails, or after
    `attempt_delay` beside it, or sooner where there are so many that the time would not do. Whichever
    connects first is the transport, and the others are released.
    """

    __slots__ = (
        "_attempts",
        "_connection",
        "_errors",
        "_kind",
        "_limits",
        "_next_at",
        "_resolving",
        "_started",
        "_tried",
        "_until",
        "_url",
        "_waiting",
    )

    def __init__(self, connection: Stream, url: URL, limits: Limits) -> None:
        self._connection = connection
        self._url = url
        self._limits = limits
        self._resolving: Resolving | None = None
        self._waiting: deque[Address] = deque()
        # In the order in which they were begun.
        self._attempts: dict[Attempt, None] = {}
        self._tried: dict[Address, None] = {}
        self._errors: list[str] = []
        self._kind = CloseKind.UNREACHABLE
        self._started = 0.0
        self._until = NEVER
        self._next_at = NEVER

    @property
    def deadline(self) -> float:
        """When `on_timer` wants to be called; a lookup looks after itself."""
        return min(self._until, self._next_at)

    def begin(self) -> None:
        """Start; failures end the connection, they are not raised."""
        url = self._url
        if url.transport == "unix":
            self._try([unix_address(url)])
        elif literal(url.host) is not None:
            self._try(addresses_of((url.host,), url.port))
        else:
            self._resolving = Resolving(
                self._connection.manager,
                url.host,
                self._limits.resolve_within,
                self._connection.origin,
                self._resolved,
                self._found,
            )
            self._resolving.begin()

    def _found(self, addresses: tuple[str, ...]) -> None:
        """Some addresses are known, and more may come."""
        self._join(addresses)

    def _resolved(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        self._resolving = None
        connection = self._connection
        if connection.phase is Phase.CLOSED:
            return
        if error is not None:
            timed_out = isinstance(error, TimedOut)
            connection.finish(CloseKind.TIMED_OUT if timed_out else CloseKind.NOT_RESOLVED, error)
        else:
            self._join(addresses)

    def _join(self, addresses: tuple[str, ...]) -> None:
        if self._tried:
            # RFC 8305 section 5: what comes late is sorted in among what was not tried yet, families in turn.
            tried = {address.host for address in self._tried}
            last = next(reversed(self._tried))
            addresses = order_for_connecting(
                (text for text in addresses if text not in tried),
                first_family=4 if last.family == 6 else 6,
            )
        self._try(addresses_of(addresses, self._url.port))

    def _try(self, addresses: list[Address]) -> None:
        connection = self._connection
        if connection.phase is Phase.RESOLVING:
            connection.enter_connecting()
            self._until = connection.manager.now + self._limits.connect_within
        self._waiting = deque(addresses)
        if self._attempts:
            self._arrange()
        else:
            self._next()

    def _next(self) -> None:
        """Try the next address; with nothing left to wait for, the connection ends."""
        connection, manager = self._connection, self._connection.manager
        while self._waiting:
            address = self._waiting.popleft()
            self._tried[address] = None
            try:
                endpoint = manager.wire.connect(address)
                attempt = Attempt(self, connection, endpoint)
            except OSError as error:
                self._failed(address, error)
                continue
            self._attempts[attempt] = None
            if len(self._attempts) > 1:
                manager.descriptors.beside += 1
            connection.local, connection.remote = endpoint.local, endpoint.remote
            self._started = manager.now
            break
        if self._attempts or self._resolving is not None:
            self._arrange()
        else:
            connection.finish(self._kind, Broken("; ".join(self._errors)))

    def _arrange(self) -> None:
        """When the next address is to be tried if nothing happens before."""
        self._next_at = NEVER
        if self._waiting:
            delay = self._limits.attempt_delay
            if len(self._attempts) >= self._most_attempts():
                oldest = next(iter(self._attempts))
                delay = max(delay, oldest.begun + LEAST_TRIAL - self._started)
            share = (self._until - self._started) / (len(self._waiting) + 1)
            self._next_at = self._started + max(LEAST_DELAY, min(delay, share))
        self._connection.manager.schedule(self._connection, self.deadline)

    def _failed(self, address: Address, error: OSError) -> None:
        self._errors.append(f"{address}: {error.strerror or error}")
        log.debug("%s attempt at %s failed: %s", self._connection, address, error)
        if error.errno in _UNREACHABLE:
            return  # says less than what any other address has to say
        if error.errno == errno.ECONNREFUSED or isinstance(error, FileNotFoundError):
            self._kind = CloseKind.REFUSED
        else:
            # A reset: accepted and reset before we had looked.
            reset = isinstance(error, ConnectionResetError)
            self._kind = CloseKind.PEER_RESET if reset else CloseKind.BROKEN

    def answered(self, attempt: Attempt) -> None:
        """An attempt under way has an answer."""
        endpoint = attempt.endpoint
        error = endpoint.connected()
        if error is None:
            if not _to_itself(endpoint):
                self._won(attempt)
                return
            # RFC 9293 section 3.5: two opens that cross make a connection, even of one socket with itself.
            error = ConnectionRefusedError(
                errno.ECONNREFUSED, "nobody listens there, the connection would have been to itself"
            )
        elif error.errno == errno.ENOTCONN:
            return  # a stale hint: the answer has not come yet
        self._release(attempt)
        self._failed(endpoint.remote, error)
        self._next()

    def _won(self, attempt: Attempt) -> None:
        self._leave(attempt)
        self.cancel()
        connection = self._connection
        connection.attach(attempt.endpoint, WRITABLE, attempt.entry)
        connection.transport_ready()

    def on_timer(self, now: float) -> None:
        """The deadline, or the time for another address."""
        limits, connection = self._limits, self._connection
        for attempt in list(self._attempts):
            connection.manager.scheduler.fetch(attempt.endpoint.fd)
        if connection.phase is not Phase.CONNECTING:
            return  # an answer had come
        if now >= self._until:
            told = [f"{attempt.endpoint.remote}: {_NO_ANSWER}" for attempt in self._attempts]
            told += [f"{address}: not tried" for address in self._waiting]
            text = "; ".join(self._errors + told)
            within = limits.connect_within
            error = TimedOut(
                "connecting", f"timed out while connecting (limit {within:g} s): {text}", limit=within
            )
            connection.finish(CloseKind.TIMED_OUT, error)
        elif now >= self._next_at:
            if len(self._attempts) >= self._most_attempts():
                oldest = next(iter(self._attempts))
                self._errors.append(f"{oldest.endpoint.remote}: {_NO_ANSWER}")
                self._release(oldest)
            self._next()

    def _release(self, attempt: Attempt) -> None:
        self._leave(attempt)
        attempt.release()

    def _leave(self, attempt: Attempt) -> None:
        del self._attempts[attempt]
        if self._attempts:
            self._connection.manager.descriptors.attempt_ended()

    def _most_attempts(self) -> int:
        return self._limits.max_attempts if self._connection.manager.descriptors.for_attempt else 1

    def cancel(self) -> None:
        """No more attempts, and no more addresses: the connection has its transport, or ends."""
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._waiting.clear()
        for attempt in list(self._attempts):
            self._release(attempt)
