"""WebSocket on a manager: the module that joins the sans-I/O sessions to `mungos.core`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypedDict, Unpack, cast

from mungos.addresses import AccessList
from mungos.core import Connection, Limits, Listener, Manager
from mungos.errors import Misuse
from mungos.http.attach import DEFAULT_CLIENT, with_alpn
from mungos.http.attach import ServerConnection as HTTPServerConnection
from mungos.http.events import Request
from mungos.tls import ClientConfig, ServerConfig
from mungos.url import URL, parse
from mungos.websocket.client_session import ClientSession
from mungos.websocket.handshake import Rejection
from mungos.websocket.server_session import ServerSession

__all__ = ["ClientConnection", "ServerConnection", "connect", "listen", "upgrade"]


class _Session(TypedDict, total=False):
    """Options that both roles have; defaults as in `Session`."""

    max_message: int
    high_watermark: int
    max_unsent: int
    handshake_timeout: float
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float


class _Server(_Session, total=False):
    """A server's options."""

    subprotocols: Sequence[str]
    origins: Collection[str] | None
    authorize: Callable[[Request], Rejection | None] | None
    headers: Sequence[tuple[str, str]]


class _Client(_Session, total=False):
    """A client's options."""

    subprotocols: Sequence[str]
    origin: str | None
    headers: Iterable[tuple[str, str]]


class ServerConnection(ServerSession):
    """A server's session on a connection.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("connection", "user")

    def __init__(self, connection: Connection, request: Request | None, options: _Server) -> None:
        super().__init__(request=request, **options)
        self.connection = connection
        self.user: object = None


class ClientConnection(ClientSession):
    """A client's session on a connection.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("connection", "user")

    def __init__(self, connection: Connection, url: URL, options: _Client) -> None:
        super().__init__(
            random=connection.manager.wire.random, host=url.host_header, target=url.target or "/", **options
        )
        self.connection = connection
        self.user: object = None


def listen(
    manager: Manager,
    url: str | URL,
    handler: Callable[[ServerConnection, object], None],
    *,
    tls: ServerConfig | None = None,
    engine: str = "auto",
    limits: Limits | None = None,
    max_connections: int | None = None,
    access: AccessList | None = None,
    user: object = None,
    **options: Unpack[_Server],
) -> Listener:
    """Serve WebSockets, and nothing else, at every path.

    Args:
        manager: where.
        url: ws, wss or unix. A path in it is the only one served (404 for the others); "/" means any.
        handler: called with the connection's session and an event: `Opened`, `Established`, `Message`,
            `Ping`, `Pong`, `CloseReceived`, `Writable`, `Closed` (whose detail is the `CloseStatus`).
        tls, engine, limits, max_connections, access, user: as for `Manager.listen`.
        options: of each `ServerSession` (subprotocols, origins, authorize, max_message, ping_interval, ...).

    Raises:
        As `Manager.listen`.
    """
    target = _checked(parse(url, for_listening=True) if isinstance(url, str) else url)
    only = target.path
    if target.scheme != "unix" and only != "/":
        asked = options.get("authorize")

        def authorize(request: Request) -> Rejection | None:
            if request.path != only:
                return Rejection(404)
            return None if asked is None else asked(request)

        options["authorize"] = authorize
    listener = manager.listen(
        target,
        handler,
        protocol=lambda connection: ServerConnection(connection, None, options),
        tls=None if tls is None else with_alpn(tls),
        engine=engine,
        limits=limits,
        max_connections=max_connections,
        access=access,
        user=user,
    )
    return cast("Listener", listener)


def connect(
    manager: Manager,
    url: str | URL,
    handler: Callable[[ClientConnection, object], None],
    *,
    tls: ClientConfig | None = None,
    server_name: str | None = None,
    engine: str = "auto",
    limits: Limits | None = None,
    user: object = None,
    **options: Unpack[_Client],
) -> Connection:
    """Open a WebSocket.

    Args:
        manager: where.
        url: ws or wss.
        handler: as for `listen`; `Established` tells that messages may be sent.
        tls, server_name, engine, limits, user: as for `Manager.connect`.
        options: of the `ClientSession` (subprotocols, origin, headers, max_message, ping_interval, ...).

    Raises:
        As `Manager.connect`.
    """
    target = _checked(parse(url) if isinstance(url, str) else url)
    if target.secure:
        tls = DEFAULT_CLIENT if tls is None else with_alpn(tls)
    connection = manager.connect(
        target,
        handler,
        protocol=lambda connection: ClientConnection(connection, target, options),
        tls=tls,
        server_name=server_name,
        engine=engine,
        limits=limits,
        user=user,
    )
    return cast("Connection", connection)


def upgrade(
    session: HTTPServerConnection,
    handler: Callable[[ServerConnection, object], None],
    **options: Unpack[_Server],
) -> ServerConnection:
    """Turn the request that an HTTP session is to answer into a WebSocket.

    Args:
        session: its current request asks for the upgrade; one that does not is refused as RFC 6455 section
            4.2.2 says, by the WebSocket session.
        handler: called from here on with the new session.
        options: as for `listen`.

    Raises:
        Misuse: no request waits for its answer, or its body was not pulled.
    """
    request = session.request
    if request is None:
        raise Misuse("no request waits for an answer that could be an upgrade")
    session.detach()
    upgraded = ServerConnection(session.connection, request, options)
    session.connection.upgrade(upgraded, handler)
    return upgraded


def _checked(url: URL) -> URL:
    if url.scheme not in {"ws", "wss", "unix"}:
        raise Misuse(f"{url} is no ws or wss URL")
    return url
