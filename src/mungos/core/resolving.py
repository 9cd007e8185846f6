"""A name lookup on the manager's wire: sockets for the sans-I/O resolver of `mungos.dns`."""

from __future__ import annotations

from collections.abc import Callable
from math import nextafter
from typing import TYPE_CHECKING

from mungos.core.ledger import Origin
from mungos.core.timers import NEVER
from mungos.dns import CloseExchange, Found, Lookup, NameNotFound, OpenStream, Resolved, SendDatagram
from mungos.dns import Failed as LookupFailed
from mungos.errors import MungosError, TimedOut
from mungos.wires.contract import READABLE, WRITABLE, Address, DatagramEndpoint, StreamEndpoint

if TYPE_CHECKING:
    from mungos.core.manager import Manager

__all__ = ["Asking", "Resolving"]

Done = Callable[[tuple[str, ...], MungosError | None], None]
Some = Callable[[tuple[str, ...]], None]

_LEAST = 1e-3
"""Seconds, for a lookup whose turn comes when its time is over: it ends as one that timed out."""


class Resolving:
    """Somebody's wish for a name's addresses. `done` is called once, with addresses or an error; before it
    perhaps `found`, with those that are known while others are still to come. Neither is called after
    `cancel`."""

    __slots__ = (
        "_asking",
        "_done",
        "_entry",
        "_found",
        "_host",
        "began",
        "manager",
        "origin",
        "timer_at",
        "until",
        "within",
    )

    def __init__(
        self,
        manager: Manager,
        host: str,
        within: float,
        origin: Origin,
        done: Done,
        found: Some | None = None,
    ) -> None:
        self.manager = manager
        self.origin = origin
        self.began = manager.now
        self.within = within
        self.until = manager.now + within
        self._host = host
        self._done = done
        self._found = found
        self._asking: Asking | None = None
        self._entry = manager.ledger.enter("lookup", host, origin, manager.now)
        self.timer_at = NEVER

    def begin(self) -> None:
        """Ask, or wait with those who have asked."""
        table, key = self.manager.names.asking, self._host.lower()
        asking = self._asking = table.get(key)
        if asking is not None:
            asking.join(self)
        else:
            asking = self._asking = table[key] = Asking(self.manager, key, self._host, self)
            asking.begin()
        if self._asking is not None and self._asking.ends != self.until:
            self.manager.schedule(self, self.until)

    def on_timer(self, now: float) -> None:
        """The own deadline, where it is not the lookup's."""
        if self._asking is not None:
            self._asking.fetch()
        asking = self._asking
        if asking is None or asking.ends == self.until:
            return
        if now < self.until:
            self.manager.schedule(self, self.until)
            return
        asking.leave(self)
        self._end(asking.addresses, None if asking.addresses else self._timed_out())

    def cancel(self) -> None:
        """Nobody wants the answer any more: what was opened for it alone is released now."""
        if self._asking is not None:
            asking, self._asking = self._asking, None
            asking.leave(self)
        self._release()

    def found(self, addresses: tuple[str, ...]) -> None:
        """For the lookup."""
        if self._found is not None:
            self._found(addresses)

    def ended(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        """For the lookup."""
        if isinstance(error, TimedOut) and error.limit != self.within:
            if self.manager.now < self.until:
                self.begin()  # it had begun for somebody with less time
                return
            error = self._timed_out()
        self._end(addresses, error)

    def _timed_out(self) -> TimedOut:
        return TimedOut(
            "resolving",
            f"timed out while resolving {self._host!r} (limit {self.within:g} s): no usable answer in time",
            limit=self.within,
        )

    def _end(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        self._asking = None
        self._release()
        self._done(addresses, error)

    def _release(self) -> None:
        self.timer_at = NEVER
        if self._entry:
            self.manager.ledger.strike(self._entry)
            self._entry = 0


class Asking:
    """One lookup, for all who want the same name at the same time: one question under way, one answer (a
    question that stands many times is answered by a guess so much sooner: RFC 5452 section 5).

    Attributes:
        addresses: what is known so far.
        ends: its deadline; NEVER while it waits for its turn.
    """

    def __init__(self, manager: Manager, key: str, host: str, first: Resolving) -> None:
        self.manager = manager
        self.origin = first.origin
        self.addresses: tuple[str, ...] = ()
        self.ends = NEVER
        self._key = key
        self._host = host
        self._wanted: dict[Resolving, None] = {first: None}
        self._lookup: Lookup | None = None
        self._entered = False
        self._exchanges: dict[int, _DatagramExchange | _StreamExchange] = {}
        self.timer_at = NEVER

    def begin(self) -> None:
        """Ask, if the others leave something to ask with."""
        manager = self.manager
        config, hosts = manager.resolver()
        longest = max(self._wanted, key=lambda one: one.until)
        left = longest.within if longest.began == manager.now else longest.until - manager.now
        try:
            lookup = Lookup(
                self._host,
                config=config,
                hosts=hosts,
                cache=manager.names.cache(manager.now),
                random=manager.wire.random,
                now=manager.now,
                within=max(left, _LEAST),
            )
        except MungosError as error:
            self._end((), NameNotFound(self._host, str(error), exists=False))
            return
        if not lookup.finished:
            if not manager.names.enter(self):
                return
            self._entered = True
        self._lookup = lookup
        self.ends = longest.until
        self._act()

    def join(self, resolving: Resolving) -> None:
        """Somebody else wants it."""
        self._wanted[resolving] = None
        if self.addresses:
            resolving.found(self.addresses)

    def leave(self, resolving: Resolving) -> None:
        """Somebody does not want it any more; with the last one it is over."""
        self._wanted.pop(resolving, None)
        if not self._wanted:
            if self._lookup is not None:
                self._lookup.cancel()
            self.manager.names.forget(self)
            self._release()

    def fetch(self) -> None:
        """What has come counts as of now."""
        for exchange in list(self._exchanges.values()):
            self.manager.scheduler.fetch(exchange.fd)

    def on_timer(self, now: float) -> None:
        """The lookup's deadline."""
        self.fetch()
        if self._lookup is not None:
            self._lookup.expire(now)
            self._act()

    def datagram(self, exchange: int, data: bytes) -> None:
        """A datagram came."""
        if self._lookup is not None:
            self._lookup.receive_datagram(exchange, data, self._time())
            self._act()

    def stream(self, exchange: int, data: bytes) -> None:
        """Bytes came on a stream."""
        if self._lookup is not None:
            self._lookup.receive_stream(exchange, data, self._time())
            self._act()

    def _time(self) -> float:
        """For what is received: as long as a deadline was not judged, that came before it."""
        now, deadline = self.manager.now, self._lookup.deadline if self._lookup is not None else None
        return now if deadline is None or now < deadline else nextafter(deadline, 0.0)

    def broken(self, exchange: int, reason: str) -> None:
        """An exchange's socket failed."""
        if self._lookup is not None:
            self._lookup.exchange_failed(exchange, reason, self._time())
            self._act()

    def _act(self) -> None:
        while self._lookup is not None and (event := self._lookup.next_event()) is not None:
            if isinstance(event, SendDatagram | OpenStream):
                self._begin_exchange(event)
            elif isinstance(event, CloseExchange):
                exchange = self._exchanges.pop(event.exchange_id, None)
                if exchange is not None:
                    exchange.close()
            elif isinstance(event, Found):
                self.addresses = event.addresses
                self._tell(lambda one: one.found(self.addresses))
            elif isinstance(event, Resolved):
                self._end(event.addresses, None)
            elif isinstance(event, LookupFailed):
                self._end((), event.error)
        if self._lookup is not None and self._lookup.deadline is not None:
            self.manager.schedule(self, self._lookup.deadline)

    def _begin_exchange(self, event: SendDatagram | OpenStream) -> None:
        host = event.server.host
        server = Address(host, event.server.port, 6 if ":" in host else 4)
        manager, number = self.manager, event.exchange_id
        try:
            if isinstance(event, SendDatagram):
                self._exchanges[number] = _DatagramExchange(
                    self, number, manager.wire.datagrams(None, server, False), event.payload
                )
            else:
                self._exchanges[number] = _StreamExchange(
                    self, number, manager.wire.connect(server), event.payload
                )
        except OSError as error:
            if self._lookup is not None:
                self._lookup.exchange_failed(number, str(error.strerror or error), manager.now)

    def _end(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        self._release()
        self._tell(lambda one: one.ended(addresses, error))

    def _tell(self, call: Callable[[Resolving], None]) -> None:
        """All, whatever happens at one of them."""
        failure: BaseException | None = None
        for one in list(self._wanted):
            if one not in self._wanted:
                continue
            try:
                call(one)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure = failure or error
        if failure is not None:
            raise failure

    def _release(self) -> None:
        self._lookup = None
        self.timer_at = NEVER
        names = self.manager.names
        if names.asking.get(self._key) is self:
            del names.asking[self._key]
        for exchange in self._exchanges.values():
            exchange.close()
        self._exchanges.clear()
        if self._entered:
            self._entered = False
            names.leave()


class _DatagramExchange:
    """One query over UDP, from a socket and a random port of its own."""

    def __init__(self, resolving: Asking, number: int, endpoint: DatagramEndpoint, payload: bytes) -> None:
        self._resolving = resolving
        self._number = number
        self._endpoint = endpoint
        self.fd = endpoint.fd
        self._payload = payload
        manager = resolving.manager
        self._entry = manager.own(
            endpoint,
            self,
            READABLE | WRITABLE,
            f"DNS query to {endpoint.remote}",
            resolving.origin,
            endpoint.close,
        )

    def on_io(self, mask: int, now: float) -> None:
        """The socket can take the query, or has an answer or an error."""
        resolving, manager = self._resolving, self._resolving.manager
        try:
            if self._payload and mask & WRITABLE and self._endpoint.send_to(self._payload, None):
                self._payload = b""
                manager.change_interest(self._endpoint.fd, self, READABLE | WRITABLE, READABLE)
            if mask & ~WRITABLE:
                failure = self._endpoint.next_error() if mask & ~READABLE & ~WRITABLE else None
                if failure is not None:
                    raise failure[0]
                answer = self._endpoint.receive()
                if answer is not None:
                    resolving.datagram(self._number, answer[0])
        except OSError as error:
            resolving.broken(self._number, str(error.strerror or error))

    def close(self) -> None:
        """Release the socket."""
        manager = self._resolving.manager
        manager.unwatch(self._endpoint.fd, READABLE)
        self._endpoint.close()
        manager.ledger.strike(self._entry)


class _StreamExchange:
    """One query over TCP (RFC 7766)."""

    def __init__(self, resolving: Asking, number: int, endpoint: StreamEndpoint, payload: bytes) -> None:
        self._resolving = resolving
        self._number = number
        self._endpoint = endpoint
        self.fd = endpoint.fd
        self._payload: memoryview | None = memoryview(payload)
        self._connected = False
        manager = resolving.manager
        self._entry = manager.own(
            endpoint,
            self,
            READABLE | WRITABLE,
            f"DNS query to {endpoint.remote}",
            resolving.origin,
            endpoint.close,
        )

    def on_io(self, mask: int, now: float) -> None:
        """Connected, writable or readable."""
        resolving, manager = self._resolving, self._resolving.manager
        try:
            if not self._connected:
                failure = self._endpoint.connected()
                if failure is not None:
                    raise failure
                self._connected = True
            if self._payload is not None and mask & WRITABLE:
                self._payload = self._payload[self._endpoint.send(self._payload) :]
                if not self._payload:
                    self._payload = None
                    manager.change_interest(self._endpoint.fd, self, READABLE | WRITABLE, READABLE)
            if mask & ~WRITABLE:
                count = self._endpoint.recv_into(manager.buffer)
                if count:
                    resolving.stream(self._number, bytes(manager.view[:count]))
                else:
                    resolving.broken(self._number, "the server ended the stream")
        except BlockingIOError:
            return
        except OSError as error:
            resolving.broken(self._number, str(error.strerror or error))

    def close(self) -> None:
        """Release the socket."""
        manager = self._resolving.manager
        manager.unwatch(self._endpoint.fd, READABLE)
        self._endpoint.close()
        manager.ledger.strike(self._entry)
