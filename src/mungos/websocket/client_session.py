"""The client's side of a WebSocket. Sans-I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from mungos.checking import known_options
from mungos.errors import Malformed, Misuse, ProtocolError, TimedOut
from mungos.http.errors import Rule, violation
from mungos.http.framing import BodyDecoder, ChunkedBody, Framing, LengthBody, StreamBody, response_framing
from mungos.http.headers import Headers
from mungos.http.heads import parse_status_head
from mungos.http.inspection import Inspection
from mungos.protocol import Failed
from mungos.websocket.events import Established
from mungos.websocket.handshake import (
    MAX_REJECTION_BODY,
    HandshakeRejected,
    build_request,
    check_response,
    new_key,
)
from mungos.websocket.options import ClientOptions, ClientSessionKeywords
from mungos.websocket.session import Session

__all__ = ["ClientSession"]


class ClientSession(Session):
    """Asks a server for a WebSocket, and exchanges messages.

    Args:
        random: called with a number of bytes, returns as many that nobody can predict: for the handshake's
            key and for the masking keys.
        host: for the Host field: the server's name or address, and the port where it is not the scheme's own.
        target: path and query.
        options: judged once, for many sessions; made of the keywords when None.
        keywords: the fields of `ClientOptions`, each by its name.

    Raises:
        Misuse: as `ClientOptions`; the host or the target can't stand in a request.
    """

    __slots__ = (
        "_body",
        "_decoder",
        "_informational",
        "_key_sent",
        "_limits",
        "_rejected",
        "_request",
        "_subprotocols",
        "_target",
    )

    def __init__(
        self,
        *,
        random: Callable[[int], bytes],
        host: str,
        target: str = "/",
        options: ClientOptions | None = None,
        **keywords: Unpack[ClientSessionKeywords],
    ) -> None:
        if options is None:
            known_options("a client's WebSocket session", keywords, ClientSessionKeywords.__annotations__)
            options = ClientOptions(**keywords)
        elif keywords:
            raise Misuse("options and keywords exclude each other")
        super().__init__(options, is_server=False, random=random)
        self._key_sent = new_key(random(16))
        self._request = build_request(
            host=host,
            target=target,
            key=self._key_sent,
            subprotocols=options.subprotocols,
            origin=options.origin,
            headers=options.headers,
        )
        self._target = target
        self._subprotocols = options.subprotocols
        self._limits = options.limits
        self._informational = 0
        self._rejected: tuple[int, str, Headers] | None = None
        self._decoder: BodyDecoder | None = None
        self._body = bytearray()

    def _open_stream(self) -> None:
        self._queue_bytes(self._request)

    def _shake_hands(self) -> Established | Failed | None:
        try:
            while self._rejected is None:
                buffer, inspection = self._buffer, self._inspection
                if inspection is None and buffer.find(b"\r\n\r\n", self._start) < 0:
                    self._inspection = inspection = Inspection.of_response(self._limits)
                head = parse_status_head(buffer, self._start, self._limits, inspection)
                if head is None:
                    return self._await_head()
                self._start, status, reason, minor, fields, table = head
                self._inspection = None
                headers = Headers(fields, table)
                if status == 101:
                    subprotocol = check_response(headers, self._key_sent, self._subprotocols)
                    self._establish()
                    return Established(subprotocol, headers, self._target)
                if status >= 200:
                    self._rejected = status, reason, headers
                    self._decoder = self._decoder_for(
                        response_framing("GET", status, minor, table, self._limits)
                    )
                else:
                    # RFC 9110 section 15.2: a client parses interim responses, expected or not.
                    self._informational += 1
                    if self._informational > self._limits.max_informational:
                        raise violation(
                            Rule.INFORMATIONAL_TOO_MANY,
                            f"more than {self._limits.max_informational} informational responses",
                        )
            return self._read_rejection()
        except ProtocolError as error:
            return self._fail(error)

    def _await_head(self) -> Failed | None:
        if not self._eof:
            return None
        size = len(self._buffer) - self._start
        return self._fail(
            Malformed(f"the stream ended in the handshake, {size} bytes into the response's head")
        )

    def _decoder_for(self, framing: int | Framing) -> BodyDecoder:
        if isinstance(framing, int):
            return LengthBody(framing)
        return ChunkedBody(self._limits) if framing is Framing.CHUNKED else StreamBody(self._limits)

    def _read_rejection(self) -> Failed | None:
        """The body of an answer that is no 101, so far as it is short: it often says why."""
        decoder = self._decoder
        if decoder is None:
            return None
        try:
            piece, self._start = decoder.decode(self._buffer, self._start)
            while piece and len(self._body) < MAX_REJECTION_BODY:
                self._body += piece
                piece, self._start = decoder.decode(self._buffer, self._start)
        except ProtocolError:
            return self._rejection()
        if decoder.ended or self._eof or len(self._body) >= MAX_REJECTION_BODY:
            return self._rejection()
        return None

    def _rejection(self) -> Failed:
        if self._rejected is None:
            return self._fail(TimedOut("handshake", limit=self._handshake_timeout))
        status, reason, headers = self._rejected
        return self._fail(HandshakeRejected(status, reason, headers, bytes(self._body[:MAX_REJECTION_BODY])))

    def _handshake_overdue(self) -> Failed:
        self._drop_output()
        return self._rejection()
