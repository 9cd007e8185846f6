"""WebSocket (RFC 6455), client and server: messages over a stream that someone else moves."""

from __future__ import annotations

from mungos.websocket.attach import ClientConnection, ServerConnection, connect, listen, upgrade
from mungos.websocket.client_session import ClientSession
from mungos.websocket.close_codes import CloseCode, FloodRefused, InvalidText, MessageTooBig, close_code
from mungos.websocket.events import CloseReceived, CloseStatus, Established, Event, Message, Ping, Pong
from mungos.websocket.handshake import HandshakeRefused, HandshakeRejected, Rejection
from mungos.websocket.options import ClientOptions, ServerOptions
from mungos.websocket.server_session import ServerSession
from mungos.websocket.session import Session
from mungos.websocket.states import State

__all__ = [
    "ClientConnection",
    "ClientOptions",
    "ClientSession",
    "CloseCode",
    "CloseReceived",
    "CloseStatus",
    "Established",
    "Event",
    "FloodRefused",
    "HandshakeRefused",
    "HandshakeRejected",
    "InvalidText",
    "Message",
    "MessageTooBig",
    "Ping",
    "Pong",
    "Rejection",
    "ServerConnection",
    "ServerOptions",
    "ServerSession",
    "Session",
    "State",
    "close_code",
    "connect",
    "listen",
    "upgrade",
]
