"""A listener: accepts, counts, and backs off when the system has no descriptor left."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from mungos import checking
from mungos.addresses import AccessList
from mungos.core.ledger import Origin
from mungos.core.limits import Limits
from mungos.core.options import judge_alpn
from mungos.core.securing import server_tls_session
from mungos.core.states import PHASES, Phase, step
from mungos.core.timers import NEVER
from mungos.errors import Closed, Misuse
from mungos.protocol import Protocol
from mungos.tls.config import ServerConfig
from mungos.tls.engines import select
from mungos.url import URL
from mungos.wires.contract import READABLE, Address, ListeningEndpoint, StreamEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from mungos.core.connection import Connection, Handler
    from mungos.core.manager import Manager
    from mungos.tls.contract import EngineFactory

__all__ = ["Listener"]

log = logging.getLogger("mungos.listener")

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}  # of accept(2)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Listener:
    """Made by `Manager.listen`.

    Attributes:
        id: a number, as a connection's.
        url: what is listened at, with the real port.
        address: the same as an address.
        alpn: the only names that its TLS configurations may have for ALPN; empty: any. HTTP and
            WebSocket set it.
        phase: `Phase.LISTENING`, then `Phase.CLOSED`.
        accepted, denied: connections so far; those that the access list turned away.
        open_connections: those accepted here that have not ended.
    """

    __slots__ = (
        "_access",
        "_endpoint",
        "_engine",
        "_entry",
        "_handler",
        "_limits",
        "_max_connections",
        "_pause",
        "_protocol",
        "_tls",
        "_watching",
        "accepted",
        "address",
        "alpn",
        "denied",
        "id",
        "manager",
        "open_connections",
        "origin",
        "phase",
        "timer_at",
        "url",
        "user",
    )

    def __init__(
        self,
        manager: Manager,
        number: int,
        endpoint: ListeningEndpoint,
        url: URL,
        handler: Handler,
        *,
        protocol: Callable[[Connection], Protocol] | None,
        tls: tuple[EngineFactory, ServerConfig] | None,
        engine: str,
        limits: Limits,
        max_connections: int | None,
        access: AccessList | None,
        origin: Origin,
        user: object,
    ) -> None:
        self.manager = manager
        self.id = number
        self.url = url
        self.address: Address = endpoint.local
        self.alpn: tuple[str, ...] = ()
        self.phase = Phase.LISTENING
        self.origin = origin
        self.accepted = 0
        self.denied = 0
        self.open_connections = 0
        self.timer_at = NEVER
        self.user = user
        self._endpoint = endpoint
        self._handler = handler
        self._protocol = protocol
        self._tls = tls
        self._engine = engine
        self._limits = limits
        self._max_connections = max_connections
        self._access = access
        self._pause = 0.0
        self._watching = True
        self._entry = manager.own(endpoint, self, READABLE, f"listener {url}", origin, endpoint.close)
        log.info("listening at %s", url)

    def close(self) -> None:
        """Accept no more; connections accepted before live on. Idempotent, legal from any thread."""
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.close)
            return
        if self.phase is Phase.CLOSED:
            return
        self.phase = step(PHASES, self.phase, Phase.CLOSED)
        manager.unwatch(self._endpoint.fd, READABLE if self._watching else 0)
        self._watching = False
        self.timer_at = NEVER
        self._endpoint.close()
        manager.ledger.strike(self._entry)
        manager.forget_listener(self)
        log.info("no longer listening at %s", self.url)

    def use_tls(self, config: ServerConfig) -> None:
        """Secure the connections accepted from now on by another configuration, as when a certificate is
        renewed; those accepted before go on with theirs.

        Args:
            config: in place of the one given to `Manager.listen`. Where it names no protocol for ALPN, those
                of the one before stay: HTTP and WebSocket put them in.

        Raises:
            Misuse: the listener is for plain text, the configuration can't work (the one before stays), or
                the thread is wrong.
            Closed: the listener is closed.
        """
        self.manager.check_owner()
        if self.phase is Phase.CLOSED:
            raise Closed(f"{self} no longer listens at {self.url}")
        if self._tls is None:
            raise Misuse(f"{self} listens at {self.url}, which is plain text")
        checking.instance("config", config, ServerConfig, write="ServerConfig((credential,))")
        if self.alpn:
            judge_alpn(config, self.alpn)
        factory = select(self._engine, config.provider)
        _, before = self._tls
        if not config.alpn and before.alpn:
            config = replace(config, alpn=before.alpn)
        factory.server(config).release()
        self._tls = factory, config
        log.info("%s uses another TLS configuration from now on", self)

    def __str__(self) -> str:
        return f"l{self.id}"

    def __repr__(self) -> str:
        return f"<Listener {self.id} {self.phase.value} {self.url}>"

    # Called by the manager and by connections.

    def on_io(self, mask: int, now: float) -> None:
        """Somebody is at the door."""
        for _ in range(self._limits.accepts_per_turn):
            if self.phase is Phase.CLOSED:
                return  # by a handler, in this turn
            if self._full():
                self._watch(False)
                return
            try:
                endpoint = self._endpoint.accept()
            except (OSError, MemoryError) as error:
                self._accept_failed(error, now)
                return
            if endpoint is None:
                return
            self._pause = 0.0
            if self._access is not None and not self._admits(endpoint):
                continue
            self._welcome(endpoint)
            if self.manager.refresh() >= self.manager.scheduler.until:
                return

    def _admits(self, endpoint: StreamEndpoint) -> bool:
        """Whether the access list lets the peer in; else it is reset. What it can't judge, it denies."""
        access = self._access
        trouble: BaseException | None = None
        try:
            if access is None or access.allows(endpoint.remote.host):
                return True
        except BaseException as error:  # noqa: BLE001 - as in _welcome
            trouble = error
            if not isinstance(error, Exception):
                self.manager.raise_later(error)
        self.denied += 1
        endpoint.reset()
        if trouble is None:
            log.info("%s denied %s by its access list", self, endpoint.remote)
        else:
            log.error("%s denied %s: its access list failed", self, endpoint.remote, exc_info=trouble)
        return False

    def _welcome(self, endpoint: StreamEndpoint) -> None:
        """Make a connection of what was accepted. Whatever fails here ends it, and nothing else."""
        self.accepted += 1
        self.open_connections += 1
        manager = self.manager
        connection: Connection | None = None
        try:
            # A client that is to be served over TLS gets a connection only together with its TLS session.
            tls_session = None if self._tls is None else server_tls_session(*self._tls)
            connection = manager.new_connection(
                self._handler,
                phase=Phase.CONNECTING,
                is_client=False,
                limits=self._limits,
                origin=self.origin,
                url=self.url,
                listener=self,
                tls_session=tls_session,
                user=self.user,
            )
            connection.attach(endpoint, READABLE)
            if self._protocol is not None:
                session = self._protocol(connection)
                connection.set_protocol(session, session)
        except BaseException as error:  # noqa: BLE001 - there is no event yet by which it would be looked at
            self._not_welcome(endpoint, connection, error)
        else:
            connection.transport_ready()

    def _not_welcome(
        self, endpoint: StreamEndpoint, connection: Connection | None, error: BaseException
    ) -> None:
        if connection is None:
            endpoint.reset()
            self.connection_ended()
        else:
            connection.never_began(error)
            endpoint.reset()  # idempotent; for one that was not attached yet
        if not isinstance(error, Exception):
            self.manager.raise_later(error)
        log.error("%s could not serve %s, reset", self, endpoint.remote, exc_info=error)

    def _full(self) -> bool:
        own = self._max_connections is not None and self.open_connections >= self._max_connections
        return own or self.manager.is_full

    def connection_ended(self) -> None:
        """There is room again."""
        self.open_connections -= 1
        self.look_again()

    def look_again(self) -> None:
        """Accept again if nothing stands against it."""
        if self.phase is Phase.LISTENING and self.timer_at is NEVER and not self._full():
            self._watch(True)

    def _accept_failed(self, error: OSError | MemoryError, now: float) -> None:
        if isinstance(error, OSError) and error.errno not in _EXHAUSTED:
            log.warning("%s could not accept: %s", self, error)
            return
        self._rest(error, now)

    def _rest(self, error: OSError | MemoryError, now: float) -> None:
        """Accept nothing for a while."""
        if not self._pause:
            log.warning(
                "%s can't accept, the system is exhausted (%s): trying again from %g s on, up to every %g s",
                self,
                error,
                _FIRST_PAUSE,
                _LONGEST_PAUSE,
            )
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._watch(False)
        self.manager.schedule(self, now + self._pause)

    def on_timer(self, now: float) -> None:
        """The pause after exhaustion is over."""
        self.look_again()

    def _watch(self, wanted: bool) -> None:
        if wanted is not self._watching:
            try:
                self.manager.change_interest(
                    self._endpoint.fd, self, 0 if wanted else READABLE, READABLE if wanted else 0
                )
            except OSError as error:
                if not wanted:
                    raise
                self._rest(error, self.manager.refresh())  # the poller has no room for it now
            else:
                self._watching = wanted
