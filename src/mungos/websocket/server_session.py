"""The server's side of a WebSocket. Sans-I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mungos.errors import Malformed, ProtocolError, TimedOut
from mungos.http.events import Request
from mungos.http.framing import request_framing
from mungos.http.heads import parse_head
from mungos.http.limits import SERVER_LIMITS, HTTPLimits
from mungos.protocol import Buffer, Failed
from mungos.websocket.close_codes import CloseCode
from mungos.websocket.events import Established
from mungos.websocket.handshake import (
    HandshakeRefused,
    Rejection,
    build_rejection,
    build_response,
    check_request,
    check_subprotocols,
    rejection_of,
)
from mungos.websocket.session import Session

__all__ = ["ServerSession"]


class ServerSession(Session):
    """Awaits a client's handshake, answers it, and exchanges messages.

    Args:
        request: the head of the client's request, where an HTTP session has read it already; None: it is
            awaited.
        leftover: what that session had received behind the head.
        subprotocols: those spoken here, in order of preference.
        origins: the origins whose pages may connect; None: any. See `handshake.check_request`.
        authorize: asked last, with the request that the rules let through; returns None to accept, or the
            answer that refuses (401, 404, ...). What it raises is raised by `next_event`.
        headers: further fields for the 101.
        limits: for the request's head.

    The others are those of `Session`.
    """

    __slots__ = ("_authorize", "_headers", "_limits", "_origins", "_request", "_subprotocols")

    def __init__(
        self,
        *,
        request: Request | None = None,
        leftover: Buffer = b"",
        subprotocols: Sequence[str] = (),
        origins: Collection[str] | None = None,
        authorize: Callable[[Request], Rejection | None] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        limits: HTTPLimits = SERVER_LIMITS,
        max_message: int = 4 << 20,
        high_watermark: int = 256 << 10,
        max_unsent: int = 16 << 20,
        handshake_timeout: float = 10.0,
        close_timeout: float = 5.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        going_away: int = CloseCode.GOING_AWAY,
    ) -> None:
        super().__init__(
            is_server=True,
            random=None,
            max_message=max_message,
            high_watermark=high_watermark,
            max_unsent=max_unsent,
            handshake_timeout=handshake_timeout,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            going_away=going_away,
        )
        check_subprotocols(subprotocols)
        build_response("", None, headers)
        self._request = request
        self._buffer += leftover
        self._subprotocols = subprotocols
        self._origins = origins
        self._authorize = authorize
        self._headers = headers
        self._limits = limits

    def _shake_hands(self) -> Established | Failed | None:
        try:
            request = self._request
            if request is None:
                if not self._worth_parsing():
                    return None
                request = self._read_request()
                if request is None:
                    return self._await_head()
                self._request = request
            key, subprotocol = check_request(request, subprotocols=self._subprotocols, origins=self._origins)
            if self._authorize is not None:
                rejection = self._authorize(request)
                if rejection is not None:
                    return self._reject(HandshakeRefused(rejection))
        except ProtocolError as error:
            return self._reject(error)
        self._queue_bytes(build_response(key, subprotocol, self._headers))
        self._request = None
        self._establish()
        return Established(subprotocol, request.headers, request.target)

    def _read_request(self) -> Request | None:
        head = parse_head(self._buffer, self._start, self._limits)
        if head is None:
            return None
        self._start, method, target, minor, fields, table = head
        has_body = request_framing(minor, table, self._limits) != 0
        return Request(method, target, minor, fields, table, True, False, has_body)

    def _await_head(self) -> Failed | None:
        if not self._eof:
            return None
        size = len(self._buffer) - self._start
        error = Malformed(f"the stream ended in the handshake, {size} bytes into the request's head")
        return self._reject(error) if size else self._fail(error)

    def _handshake_overdue(self) -> Failed:
        return self._reject(TimedOut("handshake", limit=self._handshake_timeout))

    def _reject(self, error: ProtocolError | TimedOut) -> Failed:
        self._queue_bytes(build_rejection(rejection_of(error)))
        return self._fail(error)
