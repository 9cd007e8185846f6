"""The server's side of a WebSocket. Sans-I/O."""

from __future__ import annotations

from typing import Unpack

from mungos.checking import as_bytes, instance, known_options
from mungos.errors import Malformed, Misuse, ProtocolError, TimedOut
from mungos.http.events import Request
from mungos.http.framing import request_framing
from mungos.http.heads import parse_head
from mungos.http.inspection import Inspection
from mungos.protocol import Buffer, Failed
from mungos.websocket.events import Established
from mungos.websocket.handshake import (
    HandshakeRefused,
    build_rejection,
    build_response,
    check_request,
    rejection_of,
)
from mungos.websocket.options import ServerOptions, ServerSessionKeywords
from mungos.websocket.session import Session

__all__ = ["ServerSession"]


class ServerSession(Session):
    """Awaits a client's handshake, answers it, and exchanges messages.

    Args:
        request: the head of the client's request, where an HTTP session has read it already; None: it is
            awaited.
        leftover: what that session had received behind the head.
        options: judged once, for many sessions; made of the keywords when None.
        keywords: the fields of `ServerOptions`, each by its name.

    Raises:
        Misuse: as `ServerOptions`.
    """

    __slots__ = ("_authorize", "_headers", "_limits", "_origins", "_request", "_subprotocols")

    def __init__(
        self,
        *,
        request: Request | None = None,
        leftover: Buffer = b"",
        options: ServerOptions | None = None,
        **keywords: Unpack[ServerSessionKeywords],
    ) -> None:
        if options is None:
            known_options("a server's WebSocket session", keywords, ServerSessionKeywords.__annotations__)
            options = ServerOptions(**keywords)
        elif keywords:
            raise Misuse("options and keywords exclude each other")
        super().__init__(options, is_server=True, random=None)
        instance("request", request, Request, write="a Request", none=True)
        self._request = request
        self._buffer += as_bytes("leftover", leftover)
        self._subprotocols = options.subprotocols
        self._origins = options.origins
        self._authorize = options.authorize
        self._headers = options.headers
        self._limits = options.limits

    def _shake_hands(self) -> Established | Failed | None:
        try:
            request = self._request
            if request is None:
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
        buffer, inspection = self._buffer, self._inspection
        if inspection is None and buffer.find(b"\r\n\r\n", self._start) < 0:
            if not buffer:
                return None
            self._inspection = inspection = Inspection.of_request(self._limits)
        head = parse_head(buffer, self._start, self._limits, inspection)
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
