"""The manager: one turn after another, and everything that lives in them."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self, TypeVar

from mungos import checking
from mungos.addresses import AccessList, literal
from mungos.core.closing import CloseReport, Closing
from mungos.core.connection import Connection, Handler
from mungos.core.datagrams import DatagramConnection
from mungos.core.descriptors import Descriptors
from mungos.core.holdings import Holdings
from mungos.core.host import Host
from mungos.core.ledger import Ledger, Origin, calling_place
from mungos.core.lifecycle import Lifecycle
from mungos.core.limits import Limits
from mungos.core.listener import Listener
from mungos.core.names import Names
from mungos.core.opening import Attempt, Opening, unix_address
from mungos.core.options import (
    judge_fitting,
    judge_listening,
    judge_opening,
    judge_security,
    judge_signals,
    judge_surroundings,
    judge_tls,
)
from mungos.core.reasons import CloseKind
from mungos.core.scheduler import Scheduler, Watcher
from mungos.core.securing import TLSSession, open_tls_session
from mungos.core.states import Phase
from mungos.core.timers import NEVER, Sleeper, Timer
from mungos.dns import Cache, Hosts, ResolverConfig
from mungos.errors import Closed, Misuse
from mungos.protocol import Protocol
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines import select
from mungos.url import URL, as_url
from mungos.wires.contract import Address, DatagramEndpoint, ListeningEndpoint, StreamEndpoint, Wire
from mungos.wires.kernel import KernelWire

__all__ = ["Manager"]

log = logging.getLogger("mungos.manager")

READ_SIZE = 65536
"""One read of at most this much a turn: a larger buffer would be mapped afresh at each call."""

Arguments = TypeVar("Arguments")


class _Waker:
    """Where the wire's own descriptor leads: another thread, or a signal, wants a turn."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def on_io(self, mask: int, now: float) -> None:
        """Whatever it was stands in the queue of calls by now."""
        self._wire.drain()


_managers: weakref.WeakSet[Manager] = weakref.WeakSet()


def _after_fork() -> None:
    for manager in list(_managers):
        manager.forked()


os.register_at_fork(after_in_child=_after_fork)


class Manager:
    """One event loop and all its connections. It belongs to the thread that makes it.

    It counts on all descriptors of the process (RLIMIT_NOFILE): where several share one, give each of them a
    `Limits.max_connections` with which they stay below it together.

    Args:
        wire: what it runs on; the kernel's sockets when None.
        limits: bounds for everything in it, unless a call gives its own.
        resolver: how names are looked up; the system's configuration, as its files have it, when None.
        host: another event loop that drives this manager by `turn`.

    Attributes:
        now: the present, seconds on the wire's clock, as of its last reading: between any two connections'
            shares of a turn, and whenever a verb sets a deadline.
        ledger: what is alive.
        scheduler: what there is to do, and for how long it may be done.
        holdings: how many bytes all connections hold.
        names: what all lookups have in common.
        descriptors: how many of them are taken, and for what.
        connections, listeners: by number.
    """

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        limits: Limits | None = None,
        resolver: tuple[ResolverConfig, Hosts] | None = None,
        host: Host | None = None,
    ) -> None:
        checking.instance("limits", limits, Limits, write="Limits(...)", none=True)
        judge_surroundings(wire, host, resolver)
        self.wire: Wire = wire if wire is not None else KernelWire()
        self.limits = limits if limits is not None else Limits()
        self.ledger = Ledger()
        self.connections: dict[int, Connection | DatagramConnection] = {}
        self.listeners: dict[int, Listener] = {}
        self.now = self.wire.now()
        self.buffer = bytearray(READ_SIZE)
        self.view = memoryview(self.buffer)
        self.origin = calling_place()
        self.names = Names(self, resolver)
        self._host = host
        self._owner = threading.get_ident()
        self.scheduler = Scheduler(self, self.limits.turn_within)
        self.holdings = Holdings(self.limits.held_per_manager)
        self.descriptors = Descriptors(self)
        self._user_timers: dict[int, Timer] = {}
        self._next_id = 0
        self._in_turn = False
        self._raise: BaseException | None = None
        self._closing: Closing | None = None
        self._closed = False
        self._forked = False
        self._stopped = False
        if self.wire.wake_fd >= 0:
            self.scheduler.table[self.wire.wake_fd] = _Waker(self.wire)
        _managers.add(self)

    # Listening and connecting.

    def listen(
        self,
        url: str | URL,
        handler: Handler,
        *,
        protocol: Callable[[Connection], Protocol] | None = None,
        tls: ServerConfig | None = None,
        engine: str = "auto",
        limits: Limits | None = None,
        max_connections: int | None = None,
        access: AccessList | None = None,
        backlog: int | None = None,
        user: object = None,
    ) -> Listener | DatagramConnection:
        """Accept connections, or receive datagrams.

        Args:
            url: tcp, tls, udp or unix; port 0 asks the system for one, readable in the result's `url`. The
                URLs of http and ws belong to `mungos.http.listen` and `mungos.websocket.listen`.
            handler: called as `handler(connection, event)`, or with the protocol's session in place of the
                connection.
            protocol: makes the session of each connection; not for udp.
            tls: certificates and the rest; required for a tls URL, may be given for unix, and is forbidden
                for the others.
            engine: which TLS engine ("auto", "builtin", "openssl", ...).
            limits: for this listener and its connections; the manager's when None. What bounds a whole
                manager can't be changed here.
            max_connections: open at once from this listener; not for udp.
            access: who may connect, by IP address; not for udp and unix.
            backlog: the kernel's queue; `Limits.backlog` when None; not for udp.
            user: the `user` of each connection.

        Raises:
            Misuse: an argument or the thread is wrong, the TLS configuration can't work with the engine, or
                `Limits.max_connections` are open and it is a udp URL; nothing was opened.
            Closed: the manager is closing.
            OSError: the address can't be used.
        """
        origin = self._check_open()
        judge_opening(handler, protocol, limits, engine, self.limits)
        judge_listening(max_connections, access, backlog)
        judge_tls(tls, server=True)
        target = as_url(url, for_listening=True)
        limits = limits if limits is not None else self.limits
        judge_security(target, tls, listening=True)
        _check_speaker(target, protocol is not None)
        judge_fitting(
            target, protocol=protocol, access=access, max_connections=max_connections, backlog=backlog
        )
        secured = None
        if tls is not None:
            secured = select(engine, tls.provider), tls
            secured[0].server(tls).release()
        if target.transport == "udp":
            self._check_room()
            return self._datagrams(target, handler, False, limits, origin, user)
        endpoint, address = None, _listening_address(target)
        try:
            endpoint = self.wire.listen(address, backlog or limits.backlog, target.dual_stack)
        except OSError as error:
            if not (target.dual_stack and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}):
                raise
            endpoint = self.wire.listen(Address("0.0.0.0", address.port, 4), backlog or limits.backlog, False)
        self._next_id += 1
        self.descriptors.look()
        listener = Listener(
            self,
            self._next_id,
            endpoint,
            _with_port(target, endpoint.local.port),
            handler,
            protocol=protocol,
            tls=secured,
            engine=engine,
            limits=limits,
            max_connections=max_connections,
            access=access,
            origin=origin,
            user=user,
        )
        self.listeners[listener.id] = listener
        return listener

    def connect(
        self,
        url: str | URL,
        handler: Handler,
        *,
        protocol: Callable[[Connection], Protocol] | None = None,
        tls: ClientConfig | None = None,
        server_name: str | None = None,
        engine: str = "auto",
        limits: Limits | None = None,
        user: object = None,
    ) -> Connection | DatagramConnection:
        """Begin a connection; everything that follows, failure too, is told to the handler.

        Args:
            url: tcp, tls, udp or unix.
            handler, protocol, engine, limits, user: as for `listen`.
            tls: roots and the rest; the system's roots, verified, when None and the URL is tls; may be given
                for unix, and is forbidden for the others.
            server_name: the name that the certificate must bear; the URL's host when None. Only with TLS.

        Raises:
            Misuse: an argument or the thread is wrong, the TLS configuration can't work with the engine, or
                `Limits.max_connections` are open.
            Closed: the manager is closing.
        """
        origin = self._check_open()
        judge_opening(handler, protocol, limits, engine, self.limits)
        judge_tls(tls, server_name, server=False)
        target = as_url(url)
        judge_security(target, tls, server_name)
        judge_fitting(target, protocol=protocol)
        limits = limits if limits is not None else self.limits
        self._check_room()
        if target.transport == "udp":
            return self._datagrams(target, handler, True, limits, origin, user)
        tls_session = None
        if target.secure or tls is not None:
            config = tls if tls is not None else _DEFAULT_TLS
            tls_session = open_tls_session(config, server_name or target.host or None, engine)
        connection = self.new_connection(
            handler,
            phase=Phase.RESOLVING,
            is_client=True,
            limits=limits,
            origin=origin,
            url=target,
            tls_session=tls_session,
            user=user,
        )
        try:
            if protocol is not None:
                speaker = protocol(connection)
                connection.set_protocol(speaker, speaker)
            opening = Opening(connection, target, limits)
            connection.set_opening(opening)
            opening.begin()
        except BaseException as error:
            connection.never_began(error)
            raise
        return connection

    def adopt(
        self,
        handle: object,
        handler: Handler,
        *,
        protocol: Callable[[Connection], Protocol] | None = None,
        tls: ClientConfig | ServerConfig | None = None,
        server_name: str | None = None,
        engine: str = "auto",
        limits: Limits | None = None,
        user: object = None,
    ) -> Connection:
        """Take over a connected stream socket (it is detached from the object given).

        Args:
            handle: a `socket.socket`.
            tls: a server's or a client's configuration decides the role; plain text when None.
            handler, protocol, server_name, engine, limits, user: as for `connect`.

        Raises:
            Misuse: it is not a connected stream socket, an argument or the thread is wrong, the TLS
                configuration can't work with the engine, or `Limits.max_connections` are open. In all of
                these cases the socket stays the caller's.
            Closed: the manager is closing.
        """
        origin = self._check_open()
        judge_opening(handler, protocol, limits, engine, self.limits)
        judge_tls(tls, server_name)
        judge_security(None, tls, server_name)
        self._check_room()
        tls_session = None
        if tls is not None:
            tls_session = open_tls_session(tls, server_name, engine)
        try:
            endpoint = self.wire.adopt(handle)
        except BaseException:
            if tls_session is not None:
                tls_session.engine.release()
            raise
        try:
            connection = self.new_connection(
                handler,
                phase=Phase.CONNECTING,
                is_client=not isinstance(tls, ServerConfig),
                limits=limits if limits is not None else self.limits,
                origin=origin,
                url=None,
                tls_session=tls_session,
                user=user,
            )
        except BaseException:
            endpoint.reset()
            raise
        try:
            connection.attach(endpoint, 1)
            if protocol is not None:
                speaker = protocol(connection)
                connection.set_protocol(speaker, speaker)
            self.call_soon(connection.transport_ready)
        except BaseException as error:
            connection.never_began(error)
            raise
        return connection

    def _datagrams(
        self, url: URL, handler: Handler, is_client: bool, limits: Limits, origin: Origin, user: object
    ) -> DatagramConnection:
        self._next_id += 1
        connection = DatagramConnection(
            self, self._next_id, url, handler, is_client=is_client, limits=limits, origin=origin, user=user
        )
        self.connections[connection.id] = connection
        try:
            if not is_client:
                connection.begin(_listening_address(url), None)
                if connection.local is not None:
                    connection.url = _with_port(url, connection.local.port)
            else:
                connection.begin(None, (url.host,) if literal(url.host) is not None else None)
        except BaseException as error:
            if not is_client or not isinstance(error, OSError):
                connection.never_began(error)
                raise
            connection.finish(CloseKind.UNREACHABLE, error)
        return connection

    def new_connection(
        self, handler: Handler, *, tls_session: TLSSession | None, **options: object
    ) -> Connection:
        """A connection with the next number, and with its TLS session if it is to be secured; for `connect`,
        `adopt` and listeners."""
        self._next_id += 1
        try:
            connection = Connection(self, self._next_id, handler, tls_session=tls_session, **options)  # type: ignore[arg-type]
        except BaseException:
            if tls_session is not None:
                tls_session.engine.release()
            raise
        self.connections[connection.id] = connection
        return connection

    @property
    def is_full(self) -> bool:
        """Whether `Limits.max_connections` are open, or as many as there are descriptors for."""
        return self.descriptors.full

    def _check_room(self) -> None:
        if self.is_full:
            raise Misuse(
                f"{len(self.connections)} connections are open, the limit is"
                f" {self.descriptors.most_connections}, less what attempts and lookups take"
            )

    # Calls for later.

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Call it in the next turn. Legal from any thread and from signal handlers; after the end it does
        nothing.

        Raises:
            Misuse: in a forked child.
        """
        if self._forked:
            raise Misuse(_FORKED)
        self.scheduler.soon.append((call, arguments))
        if threading.get_ident() != self._owner:
            self.wire.wake()
        elif not self._in_turn:
            self.wire.wake()
            self._tell_host()

    def call_later(self, delay: float, call: Callable[..., object], *arguments: object) -> Timer:
        """Call it after `delay` seconds, on this thread; the result can be cancelled. A close cancels it.

        Raises:
            Misuse: wrong thread, or a negative delay.
            Closed: the manager is closing.
        """
        origin = self._check_open()
        checking.seconds("delay", delay, zero=True)
        checking.function("call", call, write="a function")
        when = self.refresh() + delay
        entry = self.ledger.enter("timer", f"call_later({delay:g} s)", origin, self.now)

        def release() -> None:
            del self._user_timers[entry]
            self.ledger.strike(entry)

        timer = Timer(when, lambda: self.guarded(call, *arguments), release)
        self._user_timers[entry] = timer
        self.schedule(timer, when)
        return timer

    # Turning.

    def poll(self, within: float | None = None) -> None:
        """One turn: wait at most `within` seconds (None: until something happens), do what there is to do.

        Raises:
            Misuse: on another thread, inside a handler, or in a forked child.
            Closed: the manager is closed.
            BaseException: what a handler raised that is no Exception (KeyboardInterrupt), once the turn is
                complete.
        """
        self._check_pollable()
        wire = self.wire
        self._turn(wire.wait(self.wait_time(within)), wire.now())

    def turn(self, now: float | None = None) -> None:
        """One turn without waiting, for a host.

        Args:
            now: the host's idea of the present, seconds on the same clock; the wire's own when None.

        Raises:
            As `poll`.
        """
        self._check_pollable()
        if now is not None and (type(now) is not float or not 0 <= now <= _LAST_NOW):
            checking.seconds("now", now, zero=True, most=_LAST_NOW)
        events = self.wire.wait(0)
        self._turn(events, self.wire.now() if now is None else now)

    def run(
        self, *, signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM), within: float | None = None
    ) -> CloseReport:
        """Turn until the manager is closed, or `stop` is called.

        Args:
            signals: in the main thread, each of these begins the close, and a second one cuts it short. Their
                handlers are put back at the end.
            within: seconds for the close that a signal begins; `Limits.close_within` when None.

        Returns:
            The report of the close; an incomplete one after `stop`.
        """
        judge_signals(signals)
        checking.seconds("within", within, zero=True, none=True)
        self._stopped = False
        with self._signals(signals, within):
            self._check_pollable()
            wait, clock, wait_time, turn = self.wire.wait, self.wire.now, self.wait_time, self._turn
            while not self._closed and not self._stopped:
                turn(wait(wait_time(None)), clock())
        return self._closing.report if self._closing is not None else CloseReport(False, 0.0, 0.0)

    def stop(self) -> None:
        """Make `run` return after this turn, with everything left open. Legal from any thread."""
        if self._forked:
            raise Misuse(_FORKED)
        self._stopped = True
        self.wire.wake()

    @contextmanager
    def _signals(self, signals: Sequence[int], within: float | None) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        asked = False

        def on_signal(number: int, _frame: FrameType | None) -> None:
            # Only counted here: a signal may come in the middle of anything, a log line included. And the
            # second may come before the turn that begins the close which the first one asked for.
            nonlocal asked
            hurry, asked = asked or self._closing is not None, True
            self.call_soon(self._signalled, number, within, hurry)

        previous = {number: signal.signal(number, on_signal) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, within: float | None, hurry: bool) -> None:
        log.info("%s: %s", signal.Signals(number).name, "cutting the close short" if hurry else "closing")
        self.begin_close(0.0 if hurry else within)

    def _turn(self, events: list[tuple[int, int]], now: float) -> None:
        scheduler = self.scheduler
        self._in_turn = True
        try:
            scheduler.turn(events, now)
            if self._closing is not None and not self.connections:
                if not scheduler.ended and not scheduler.soon:
                    self._finish()
        except BaseException:
            scheduler.recover()
            raise
        finally:
            self._in_turn = False
            if self._host is not None:
                self._tell_host()
        if self._raise is not None:
            failure, self._raise = self._raise, None
            raise failure

    def guarded(self, call: Callable[..., object], *arguments: object) -> None:
        """For the scheduler: a call whose failure ends nothing."""
        try:
            call(*arguments)
        except Exception:
            log.exception("a function called later failed: %r", call)
        except BaseException as error:
            self.raise_later(error)
            log.exception("a function called later failed: %r", call)

    def defect(self, where: object, error: BaseException) -> None:
        """For the scheduler: a defect ends what it struck, not the loop. An interrupt leaves `poll`, too, at
        the end of the turn."""
        if not isinstance(error, Exception):
            self.raise_later(error)
        if isinstance(where, Attempt):
            where = where.connection
        if isinstance(where, Connection):
            where.fail(error, "it failed by itself")
            return
        if isinstance(where, DatagramConnection):
            where.finish(CloseKind.BROKEN, error, reset=True)
        log.error("%r failed by itself", where, exc_info=error)

    def wait_time(self, within: float | None) -> float | None:
        """How long the next `poll(within)` may wait: 0 when there is something to do, None for ever. Raises
        Misuse where `within` is no number of seconds."""
        if within is not None and (type(within) is not float or not 0 <= within <= checking.MAX_SECONDS):
            checking.seconds("within", within, zero=True)
        if self.scheduler.busy() or (self._closing is not None and not self.connections):
            return 0
        earliest = self.scheduler.timers.earliest()
        if earliest == NEVER:
            return within
        wait = earliest - self.wire.now()
        if wait <= 0:
            return 0
        return wait if within is None or wait < within else within

    # Closing.

    def begin_close(self, within: float | None = None) -> Closing:
        """Begin the end: listeners close now, connections drain at most `within` seconds
        (`Limits.close_within` when None). Whoever turns the manager goes on until the result is `done`. A
        second call can only shorten the deadline.
        """
        self.check_owner()
        checking.seconds("within", within, zero=True, none=True)
        self.refresh()
        seconds = self.limits.close_within if within is None else within
        if self._closing is None:
            self._closing = Closing(self, seconds)
            self._closing.begin()
        elif not self._closing.done:
            self._closing.shorten(seconds)
            self.schedule(self._closing, self._closing.deadline)
        self._tell_host()
        return self._closing

    def close(self, within: float | None = None) -> CloseReport:
        """End everything, at most `within` seconds, `Limits.close_within` when None.

        Returns:
            What happened and what is left. Inside a handler it only begins the close, and the report is
            incomplete: `run` or `poll` go on with it.

        Raises:
            Misuse: on another thread, or in a forked child.
            BaseException: as `poll`; calling again goes on with the close.
        """
        self.check_owner()
        closing = self.begin_close(within)
        if self._in_turn:
            return closing.report
        while not closing.done:
            self.poll()
        return closing.report

    def _finish(self) -> None:
        closing = self._closing
        if closing is not None and not closing.done:
            self.scheduler.forget_all()
            closing.finish()
            self._closed = True
            self.wire.close()

    def cancel_timers(self) -> int:
        """Cancel what `call_later` arranged; returns how many had still to fire."""
        timers = list(self._user_timers.values())
        for timer in timers:
            timer.cancel()
        return len(timers)

    @property
    def closed(self) -> bool:
        """True once a close is complete."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed and not self._forked:
            self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and not self._forked:
            warnings.warn(
                f"manager made at {self.origin} was never closed", ResourceWarning, stacklevel=2, source=self
            )

    # For connections, listeners and lookups.

    def own(
        self,
        endpoint: StreamEndpoint | ListeningEndpoint | DatagramEndpoint,
        watcher: Watcher,
        interest: int,
        what: str,
        origin: Origin,
        release: Callable[[], None],
    ) -> int:
        """Enter a descriptor in the ledger and watch it.

        Where the system can't watch one more, neither is done, the descriptor is let go by `release`, and the
        error is raised: nothing is left of it.

        Returns:
            The entry's number in the ledger.
        """
        entry = self.ledger.enter("descriptor", what, origin, self.now)
        try:
            self.scheduler.table[endpoint.fd] = watcher
            self.wire.register(endpoint.fd, interest)
        except BaseException:
            self.unwatch(endpoint.fd, 0)
            self.ledger.strike(entry)
            release()
            raise
        return entry

    def take_over(self, fd: int, watcher: Watcher) -> None:
        """Send the poller's hints for `fd`, which is watched, to another watcher."""
        self.scheduler.table[fd] = watcher

    def change_interest(self, fd: int, watcher: Watcher, old: int, new: int) -> None:
        """Without interest a descriptor leaves the poller: epoll would go on reporting hang-ups."""
        if not new:
            self.wire.unregister(fd)
        elif old:
            self.wire.modify(fd, new)
        else:
            self.scheduler.table[fd] = watcher
            self.wire.register(fd, new)

    def unwatch(self, fd: int, interest: int) -> None:
        """Before the descriptor is closed."""
        if self.scheduler.table.pop(fd, None) is not None and interest:
            self.wire.unregister(fd)
        self.scheduler.forget(fd)

    def schedule(self, sleeper: Sleeper, when: float) -> None:
        """Wake `sleeper` at `when`, or earlier."""
        if self.scheduler.timers.schedule(sleeper, when) and not self._in_turn:
            self._tell_host()

    def stand_ready(self, connection: Lifecycle) -> None:
        """The connection holds what no socket will announce."""
        self.scheduler.queue.append(connection)
        if not self._in_turn:
            self._tell_host()

    def forget(self, connection: Lifecycle | DatagramConnection) -> None:
        """The connection has ended; its handler is told in this turn, or the next."""
        if self.connections.pop(connection.id, None) is None:
            return
        self.scheduler.ended.append(connection)
        if self._closing is not None and connection.reason is not None:
            self._closing.ended(connection.id, connection.remote, connection.reason)
        self.descriptors.freed()
        if not self._in_turn:
            self._tell_host()

    def forget_listener(self, listener: Listener) -> None:
        """The listener is closed."""
        self.listeners.pop(listener.id, None)

    def raise_later(self, error: BaseException) -> None:
        """Leave `poll` with this, once the turn is complete."""
        if self._raise is None:
            self._raise = error

    def refresh(self) -> float:
        """The present, read anew from the clock: deadlines start here, however long the turn has taken."""
        self.now = now = self.wire.now()
        return now

    def resolver(self) -> tuple[ResolverConfig, Hosts]:
        """How names are looked up."""
        return self.names.configuration(self.now)

    @property
    def cache(self) -> Cache:
        """What name servers have answered, for as long as they allow: for all lookups of this manager, and
        on its thread."""
        self.check_owner()
        return self.names.cache(self.now)

    @property
    def busy(self) -> bool:
        """Whether a turn has something to do without waiting."""
        return not self._closed and self.wait_time(None) == 0

    def fileno(self) -> int:
        """A descriptor that is readable when a turn has something to do, for a host's poller."""
        return self.wire.fileno()

    def is_owner(self) -> bool:
        """Whether this thread may call what is not thread-safe. Raises Misuse in a forked child, which may
        call nothing."""
        if self._forked:
            raise Misuse(_FORKED)
        return threading.get_ident() == self._owner

    def check_owner(self) -> None:
        """Raise Misuse on another thread than the owner, or in a forked child."""
        if self._forked:
            raise Misuse(_FORKED)
        if threading.get_ident() != self._owner:
            raise Misuse(
                f"this manager belongs to thread {self._owner}; thread {threading.get_ident()} "
                f"({threading.current_thread().name}) may only use close, abort, stop and call_soon"
            )

    def forked(self) -> None:
        """In the child after a fork: release the copies of the descriptors, refuse everything else."""
        if not self._closed:
            self._forked = True
            self.wire.forked()
            for connection in self.connections.values():
                if isinstance(connection, Connection):
                    connection.forked()

    def _check_open(self) -> Origin:
        self.check_owner()
        if self._closing is not None:
            raise Closed("the manager is closing" if not self._closed else "the manager is closed")
        self.refresh()
        return calling_place()

    def _check_pollable(self) -> None:
        self.check_owner()
        if self._in_turn:
            raise Misuse("polling inside a handler: return from it, the turn goes on")
        if self._closed:
            raise Closed("the manager is closed")

    def _tell_host(self) -> None:
        if self._host is None or self._closed:
            return
        busy = self.wait_time(None) == 0
        self._host.wake_at(self.wire.now() if busy else self.scheduler.timers.earliest())


_FORKED = "this manager was made before a fork: the child's copy refuses to work"
_LAST_NOW = 1e12  # seconds: no machine's clock has come so far since it was started
_DEFAULT_TLS = ClientConfig()


def _check_speaker(url: URL, has_protocol: bool) -> None:
    if not has_protocol and url.scheme in {"http", "https", "ws", "wss"}:
        where = "mungos.http" if url.scheme.startswith("http") else "mungos.websocket"
        raise Misuse(f"{url.scheme} URLs belong to {where}.listen and {where}.connect")


def _listening_address(url: URL) -> Address:
    if url.transport == "unix":
        return unix_address(url)
    host = {"": "::", "localhost": "127.0.0.1"}.get(url.host, url.host)
    return Address(host, url.port, 6 if ":" in host else 4)


def _with_port(url: URL, port: int) -> URL:
    return url if url.transport == "unix" else URL(url.scheme, url.host, port, url.path, url.query)


def _answer_the_lab(directory: str) -> None:
    from mungos.core import account  # noqa: PLC0415 - nothing of it is read where there is no lab

    account.arm(_managers, directory)


if _lab := os.environ.get("MUNGOS_LAB"):
    _answer_the_lab(_lab)
