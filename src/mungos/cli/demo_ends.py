"""The two ends of each WebSocket in the demo: what each was told, and the server's echo."""

from __future__ import annotations

import logging
from collections import deque

from mungos.cli.demo_payloads import sized
from mungos.core import Closed, Connection, Manager
from mungos.tls.contract import Negotiated
from mungos.websocket import CloseReceived, CloseStatus, Established, Message, Ping, Pong, Session
from mungos.websocket.attach import ClientConnection, ServerConnection

__all__ = ["EchoServer", "End", "describe"]

log = logging.getLogger("mungos.demo")


class End:
    """One side of one WebSocket.

    Attributes:
        role: "client" or "server".
        path: which connection it is: both ends bear the same.
        session: what sends; None until the handshake is through.
        negotiated: what TLS agreed on.
        messages, pongs: received and not looked at yet.
        pings: how many Pings arrived.
        closed: the last event.
    """

    __slots__ = ("closed", "messages", "negotiated", "path", "pings", "pongs", "role", "session")

    def __init__(self, role: str, path: str) -> None:
        self.role = role
        self.path = path
        self.session: ClientConnection | ServerConnection | None = None
        self.negotiated: Negotiated | None = None
        self.messages: deque[str | bytes] = deque()
        self.pongs: deque[bytes] = deque()
        self.pings = 0
        self.closed: Closed | None = None

    def on_event(self, session: ClientConnection | ServerConnection, event: object) -> None:
        """The handler: remember what came."""
        connection = session.connection
        match event:
            case Established():
                self.session = session
                self.negotiated = connection.negotiated
                log.info("%s established as %s of %s", connection, self.role, self.path)
            case Message(data):
                self.messages.append(data)
                log.debug("%s ← %s", connection, sized(data))
            case Ping(data):
                self.pings += 1
                log.debug("%s ← ping of %d bytes, pong queued", connection, len(data))
            case Pong(data):
                self.pongs.append(data)
                log.debug("%s ← pong of %d bytes", connection, len(data))
            case CloseReceived(code, reason):
                log.info("%s ← close %d %s", connection, code, reason)
            case Closed():
                self.closed = event
                log.info("%s ended: %s, told %s", connection, event.reason, self.close_code)

    @property
    def close_code(self) -> int | None:
        """The status code that the peer's Close frame brought; None before the end."""
        detail = None if self.closed is None else self.closed.detail
        return detail.code if isinstance(detail, CloseStatus) else None


class EchoServer:
    """Sends every message back. Its ends are found by the path that their client asked for."""

    def __init__(self) -> None:
        self.ends: dict[str, End] = {}

    def __call__(self, session: ServerConnection, event: object) -> None:
        """The handler of all its connections."""
        if isinstance(event, Established):
            session.user = self.ends[event.path] = End("server", event.path)
        end = session.user
        if isinstance(end, End):
            end.on_event(session, event)
            if isinstance(event, Message):
                end.messages.clear()
                self.answer(session, event.data)

    def answer(self, session: ServerConnection, data: str | bytes) -> None:
        """A message came."""
        session.send(data)
        log.debug("%s → %s", session.connection, sized(data))


def describe(manager: Manager) -> tuple[str, ...]:
    """A line on each connection that is alive: who, in which phase, since when, with what in its buffers."""
    now = manager.wire.now()
    lines = []
    for connection in manager.connections.values():
        line = f"c{connection.id} {'client' if connection.is_client else 'server'}"
        if isinstance(connection, Connection):
            line += f" {connection.local} ↔ {connection.remote}: {connection.phase.value}"
            line += f" for {now - connection.since:.3f} s"
            line += f" (read {connection.read_side.value}, write {connection.write_side.value})"
            if isinstance(connection.protocol, Session):
                line += f", WebSocket {connection.protocol.state.name.lower().replace('_', ' ')}"
            line += f", {connection.unsent:,} bytes unsent, {connection.unread:,} unread"
        lines.append(f"{line}, made at {connection.origin}")
    return tuple(lines)
