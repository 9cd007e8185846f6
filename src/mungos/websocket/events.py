"""What a WebSocket session hands out."""

from __future__ import annotations

from dataclasses import dataclass

from mungos.http.headers import Headers
from mungos.printable import quoted
from mungos.protocol import Failed

__all__ = ["CloseReceived", "CloseStatus", "Established", "Event", "Message", "Ping", "Pong"]


@dataclass(slots=True, repr=False)
class Established:
    """The opening handshake is through: messages may flow in both directions.

    Attributes:
        subprotocol: the one agreed on, or None.
        headers: for a server those of the request, for a client those of the response.
        path: the request's target, path and query, as the client wrote it.
    """

    subprotocol: str | None
    headers: Headers
    path: str

    def __repr__(self) -> str:
        return f"Established({self.subprotocol!r}, {self.headers!r}, {quoted(self.path)})"


@dataclass(slots=True, repr=False)
class Message:
    """A whole message.

    Attributes:
        data: `str` for a text message, `bytes` for a binary one.
    """

    data: str | bytes

    def __repr__(self) -> str:
        return f"Message({quoted(self.data)})"


@dataclass(slots=True)
class Ping:
    """The peer sent a Ping; the Pong is queued already."""

    data: bytes


@dataclass(slots=True)
class Pong:
    """The peer sent a Pong: the answer to a `ping()` of the application, or one that nobody asked for."""

    data: bytes


@dataclass(slots=True)
class CloseReceived:
    """The peer sent its Close frame: nothing more will come.

    Attributes:
        code: the status code, 1005 when the frame had none.
        reason: the peer's words, often "".
    """

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class CloseStatus:
    """How the session ended, as seen from this side (RFC 6455 sections 7.1.4 to 7.1.6).

    Attributes:
        code: what the peer's Close frame said; 1005 when it said nothing; 1006 when none came; 1015 when TLS
            failed.
        reason: the peer's words.
        clean: whether both sides sent a Close frame.
    """

    code: int
    reason: str
    clean: bool


Event = Established | Message | Ping | Pong | CloseReceived | Failed
