"""WebSocket on a manager: the module that joins the sans-I/O sessions to `mungos.core`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Unpack, cast

from mungos import checking
from mungos.addresses import AccessList
from mungos.checking import known_options
from mungos.core import Connection, Limits, Listener, Manager
from mungos.errors import Misuse
from mungos.http.attach import DEFAULT_CLIENT, for_http, with_alpn
from mungos.http.attach import ServerConnection as HTTPServerConnection
from mungos.http.events import Request
from mungos.tls import ClientConfig, ServerConfig
from mungos.url import URL, as_url
from mungos.websocket.client_session import ClientSession
from mungos.websocket.handshake import Rejection
from mungos.websocket.options import ClientKeywords, ClientOptions, ServerKeywords, ServerOptions
from mungos.websocket.server_session import ServerSession

__all__ = ["ClientConnection", "ServerConnection", "connect", "listen", "upgrade"]


class ServerConnection(ServerSession):
    """A server's session on a connection.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("connection", "user")

    def __init__(self, connection: Connection, request: Request | None, options: ServerOptions) -> None:
        super().__init__(request=request, options=options)
        self.connection = connection
        self.user: object = None


class ClientConnection(ClientSession):
    """A client's session on a connection.

    Attributes:
        connection: what carries it.
        user: yours.
    """

    __slots__ = ("connection", "user")

    def __init__(self, connection: Connection, url: URL, options: ClientOptions) -> None:
        super().__init__(
            random=connection.manager.wire.random,
            host=url.host_header,
            target=url.target or "/",
            options=options,
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
    **options: Unpack[ServerKeywords],
) -> Listener:
    """Serve WebSockets, and nothing else, at every path.

    Args:
        manager: where.
        url: ws, wss or unix. A path in it is the only one served (404 for the others); "/" means any.
        handler: called with the connection's session and an event: `Opened`, `Established`, `Message`,
            `Ping`, `Pong`, `CloseReceived`, `Writable`, `Closed` (whose detail is the `CloseStatus`).
        tls, engine, limits, max_connections, access, user: as for `Manager.listen`.
        options: those of `ServerOptions` (subprotocols, origins, authorize, max_message, ping_interval, ...),
            judged once, here.

    Raises:
        As `Manager.listen`.
    """
    judged = _server_options("websocket.listen", options)
    target = _checked(as_url(url, for_listening=True))
    if target.query is not None:
        raise Misuse(
            f"{target} has a query, and a path is served with every query: write "
            f"{replace(target, query=None)}, and look at Request.query in authorize"
        )
    only = target.path
    if target.scheme != "unix" and only != "/":
        asked = judged.authorize

        def authorize(request: Request) -> Rejection | None:
            if request.path != only:
                return Rejection(404)
            return None if asked is None else asked(request)

        judged = replace(judged, authorize=authorize)
    listener = manager.listen(
        target,
        handler,
        protocol=lambda connection: ServerConnection(connection, None, judged),
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
    limits: Limits | None = None,
    user: object = None,
    **options: Unpack[ClientKeywords],
) -> Connection:
    """Open a WebSocket.

    Args:
        manager: where.
        url: ws or wss.
        handler: as for `listen`; `Established` tells that messages may be sent.
        tls, server_name, engine, limits, user: as for `Manager.connect`.
        options: those of `ClientOptions` (subprotocols, origin, headers, max_message, ping_interval, ...).

    Raises:
        As `Manager.connect`.
    """
    known_options("websocket.connect", options, ClientKeywords.__annotations__)
    judged = ClientOptions(**options)
    target = _checked(as_url(url))
    if target.secure:
        tls = DEFAULT_CLIENT if tls is None else with_alpn(tls)
    connection = manager.connect(
        target,
        handler,
        protocol=lambda connection: ClientConnection(connection, target, judged),
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
    **options: Unpack[ServerKeywords],
) -> ServerConnection:
    """Turn the request that an HTTP session is to answer into a WebSocket.

    Args:
        session: its current request asks for the upgrade; one that does not is refused as RFC 6455 section
            4.2.2 says, by the WebSocket session.
        handler: called from here on with the new session.
        options: as for `listen`.

    Raises:
        Misuse: no request waits for its answer, its body was not pulled, or an option is wrong.
    """
    judged = _server_options("websocket.upgrade", options)
    checking.function("handler", handler, write="a function that takes the session and an event")
    request = session.request
    if request is None:
        raise Misuse("no request waits for an answer that could be an upgrade")
    session.detach()
    upgraded = ServerConnection(session.connection, request, judged)
    session.connection.upgrade(upgraded, handler)
    return upgraded


def _server_options(call: str, given: ServerKeywords) -> ServerOptions:
    known_options(call, given, ServerKeywords.__annotations__)
    return ServerOptions(**given)


def _checked(url: URL) -> URL:
    if url.scheme not in {"ws", "wss", "unix"}:
        raise Misuse(f"{url} is no ws or wss URL")
    return url
