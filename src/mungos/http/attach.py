"""HTTP on a manager: the module that joins the sans-I/O sessions to `mungos.core`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

from mungos import checking
from mungos.addresses import AccessList
from mungos.core import Connection, DatagramConnection, Limits, Listener, Manager
from mungos.core.options import judge_alpn
from mungos.errors import Misuse
from mungos.http.client_session import ClientSession
from mungos.http.dates import format_date
from mungos.http.limits import CLIENT_LIMITS, SERVER_LIMITS, HTTPLimits
from mungos.http.outgoing import Closable
from mungos.http.server_session import ServerSession
from mungos.tls import ClientConfig, ServerConfig
from mungos.url import URL, as_url

__all__ = [
    "DEFAULT_CLIENT",
    "SPOKEN",
    "ClientConnection",
    "DateClock",
    "ServerConnection",
    "connect",
    "for_http",
    "listen",
    "with_alpn",
]

Config = TypeVar("Config", ClientConfig, ServerConfig)

_ALPN = ("http/1.1",)
SPOKEN = ("http/1.1", "http/1.0")
"""What may stand in ALPN (RFC 7301 section 6) where HTTP or WebSocket is spoken."""

_configured: weakref.WeakKeyDictionary[ClientConfig | ServerConfig, ClientConfig | ServerConfig] = (
    weakref.WeakKeyDictionary()
)
DEFAULT_CLIENT = ClientConfig(alpn=_ALPN)
"""For clients of HTTP and WebSocket that name no configuration: one for all, so that engines share it."""


class DateClock:
    """The value of the Date field, made once a second (RFC 9110 section 6.6.1).

    Args:
        manager: whose clock it is.
    """

    __slots__ = ("_manager", "_second", "_value")

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._second = -1
        self._value = b""

    def __call__(self) -> bytes:
        second = int(self._manager.now)
        if second != self._second:
            self._second = second
            self._value = format_date(self._manager.wire.wall()).encode("ascii")
        return self._value


class ServerConnection(ServerSession):
    """A server's session on a connection: what handlers of `listen` are called with.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("_held", "connection", "user")

    def __init__(self, connection: Connection, limits: HTTPLimits, date: Callable[[], bytes]) -> None:
        self._held: Closable | None = None
        super().__init__(limits=limits, date=date)
        self.connection = connection
        self.user: object = None

    @property
    def stream(self) -> Closable | None:
        """As `ServerSession.stream`; it counts as a descriptor of the manager's while it stands here."""
        return self._held

    @stream.setter
    def stream(self, stream: Closable | None) -> None:
        before, self._held = self._held, stream
        if before is not stream:
            descriptors = self.connection.manager.descriptors
            if stream is not None:
                descriptors.files += 1
            if before is not None:
                descriptors.file_ended()

    @property
    def room_for_stream(self) -> bool:
        """Whether the manager may take a descriptor for a `stream`; see `Limits.reserved_descriptors`."""
        return self.connection.manager.descriptors.for_file


class ClientConnection(ClientSession):
    """A client's session on a connection: what handlers of `connect` are called with.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("connection", "user")

    def __init__(self, connection: Connection, host: str, limits: HTTPLimits) -> None:
        super().__init__(host=host, limits=limits)
        self.connection = connection
        self.user: object = None


def listen(
    manager: Manager,
    url: str | URL,
    handler: Callable[[ServerConnection, object], None],
    *,
    tls: ServerConfig | None = None,
    engine: str = "auto",
    http_limits: HTTPLimits = SERVER_LIMITS,
    limits: Limits | None = None,
    max_connections: int | None = None,
    access: AccessList | None = None,
    user: object = None,
) -> Listener:
    """Serve HTTP/1.1.

    Args:
        manager: where.
        url: http, https, or unix; without a path, since all of them are served.
        handler: called with the connection's session and an event: `Opened`, `Request`, `Data`,
            `EndOfMessage`, `Writable`, `Closed`.
        tls: certificates; required for https. ALPN is answered with http/1.1; http/1.0 may stand in the
            configuration, too, and nothing else.
        engine, limits, max_connections, access, user: as for `Manager.listen`.
        http_limits: of each session.

    Raises:
        As `Manager.listen`.
    """
    checking.instance("http_limits", http_limits, HTTPLimits, write="HTTPLimits(...)")
    target = _checked(as_url(url, for_listening=True))
    if target.scheme != "unix" and target.target != "/":
        raise Misuse(
            f"{target} has a path, and HTTP is served at every path: write "
            f"{replace(target, path='/', query=None)}, and look at Request.path"
        )
    date = DateClock(manager)
    listener = manager.listen(
        target,
        handler,
        protocol=lambda connection: ServerConnection(connection, http_limits, date),
        tls=None if tls is None else with_alpn(tls),
        engine=engine,
        limits=limits,
        max_connections=max_connections,
        access=access,
        user=user,
    )
    return for_http(listener)


def connect(
    manager: Manager,
    url: str | URL,
    handler: Callable[[ClientConnection, object], None],
    *,
    tls: ClientConfig | None = None,
    server_name: str | None = None,
    engine: str = "auto",
    http_limits: HTTPLimits = CLIENT_LIMITS,
    limits: Limits | None = None,
    user: object = None,
) -> Connection:
    """Connect to an HTTP/1.1 server; the handler sends its first request at `Opened`.

    Args:
        manager: where.
        url: http or https; its target is not asked for by itself.
        handler: called with the connection's session and an event: `Opened`, `InformationalResponse`,
            `Response`, `Data`, `EndOfMessage`, `Writable`, `Closed`.
        tls, server_name, engine, limits, user: as for `Manager.connect`.
        http_limits: of the session.

    Raises:
        As `Manager.connect`.
    """
    checking.instance("http_limits", http_limits, HTTPLimits, write="HTTPLimits(...)")
    target = _checked(as_url(url))
    if target.secure:
        tls = DEFAULT_CLIENT if tls is None else with_alpn(tls)
    connection = manager.connect(
        target,
        handler,
        protocol=lambda connection: ClientConnection(connection, target.host_header, http_limits),
        tls=tls,
        server_name=server_name,
        engine=engine,
        limits=limits,
        user=user,
    )
    return cast("Connection", connection)


def with_alpn(config: Config) -> Config:
    """The configuration with ALPN's "http/1.1" (RFC 7301 section 6) where it names no protocol.

    There is one result for each configuration, so that engines share what they derive from it.

    Raises:
        Misuse: ALPN has another protocol than HTTP/1.1 and 1.0.
    """
    checking.instance(
        "tls", config, (ClientConfig, ServerConfig), write="ServerConfig(...) or ClientConfig(...)"
    )
    judge_alpn(config, SPOKEN)
    if config.alpn:
        return config
    known = _configured.get(config)
    if known is None:
        known = _configured[config] = replace(config, alpn=_ALPN)
    return cast("Config", known)


def for_http(listener: Listener | DatagramConnection) -> Listener:
    """The listener, whose later TLS configurations may name no other protocol for ALPN either."""
    made = cast("Listener", listener)
    made.alpn = SPOKEN
    return made


def _checked(url: URL) -> URL:
    if url.scheme not in {"http", "https", "unix"}:
        raise Misuse(f"{url} is no http or https URL")
    return url
