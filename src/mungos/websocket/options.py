"""What the two ends of a WebSocket are told, judged once for all the sessions that share it. Plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from mungos import checking
from mungos.errors import Misuse
from mungos.http.events import Request
from mungos.http.limits import CLIENT_LIMITS, SERVER_LIMITS, HTTPLimits
from mungos.websocket.close_codes import CloseCode, encode_close
from mungos.websocket.handshake import (
    Rejection,
    build_response,
    check_origin,
    check_subprotocols,
)

__all__ = [
    "ClientKeywords",
    "ClientOptions",
    "ClientSessionKeywords",
    "ServerKeywords",
    "ServerOptions",
    "ServerSessionKeywords",
    "SessionKeywords",
    "SessionOptions",
]

# RFC 6454 section 6.2: what browsers write. Scheme and host are in lower case.
_BROWSERS_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[a-z0-9._~!$&'()*+,;=%:\[\]-]+")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


_JUDGED_BY_ROLES: Final = {"authorize", "headers", "limits", "origin", "origins", "subprotocols"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What both roles have; bytes and seconds.

    Attributes:
        max_message: bytes of one message received, in all its fragments. At it: Close 1009.
        max_fragments: fragments of one message received. At it: Close 1008.
        message_rate: bytes a second that a message under way has to bring at least, over every
            `message_window`, while the application keeps up; 0: any rate. At it: Close 1008, `timed out`.
        message_window: seconds over which `message_rate` is measured. At it: the bytes that came are compared
            with it.
        high_watermark: bytes unsent up to which the senders return True. At it: they take everything and
            return False.
        max_unsent: bytes unsent that no sender goes beyond. At it: it raises Misuse, and takes nothing.
        handshake_timeout: seconds for the whole opening handshake. At it: a server answers 408; `timed out`.
        close_timeout: seconds for the whole closing handshake, the peer's end of the stream included; more
            traffic does not extend it. At it: the status is 1006, `timed out`.
        ping_interval: seconds from a Pong, or from the opening, to the next Ping of this side's own; None:
            none is sent. At it: a Ping is sent.
        ping_timeout: seconds that the Pong may take. At it: Close 1011, `timed out`.
        going_away: the status code that `close` sends.

    Raises:
        Misuse: a value is of another kind, out of range, or not in order with the others.
    """

    max_message: int = 4 << 20
    max_fragments: int = 16_384
    message_rate: int = 1 << 10
    message_window: float = 30.0
    high_watermark: int = 256 << 10
    max_unsent: int = 16 << 20
    handshake_timeout: float = 10.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    going_away: int = CloseCode.NORMAL

    def __post_init__(self) -> None:
        checking.numbers(
            self, zero=("high_watermark", "max_message", "message_rate"), others=_JUDGED_BY_ROLES
        )
        encode_close(self.going_away, "")
        if self.high_watermark > self.max_unsent:
            raise Misuse(
                f"high_watermark is {self.high_watermark} bytes: write at most max_unsent "
                f"({self.max_unsent} bytes)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions(SessionOptions):
    """What a server's sessions have besides.

    Attributes:
        subprotocols: those spoken here, in order of preference; one str is one.
        origins: the origins whose pages may connect, as browsers write them ("https://example.org"); one str
            is one, None: any. See `handshake.check_request`.
        authorize: asked last, with the request that the rules let through; returns None to accept, or the
            answer that refuses (401, 404, ...). What it raises is raised by `next_event`.
        headers: further fields for the 101.
        limits: for the request's head.

    Raises:
        Misuse: as `SessionOptions`; a name, an origin or a field can't be what it is to be.
    """

    subprotocols: Sequence[str] = ()
    origins: Collection[str] | None = None
    authorize: Callable[[Request], Rejection | None] | None = None
    headers: Iterable[tuple[str, str]] = ()
    limits: HTTPLimits = SERVER_LIMITS
    going_away: int = CloseCode.GOING_AWAY

    def __post_init__(self) -> None:
        SessionOptions.__post_init__(self)
        _judge_both(self)
        build_response("", None, self.headers)
        if self.origins is not None:
            write = 'origins as browsers write them, "https://example.org", or None to let every page in'
            origins = checking.names("origins", self.origins, write=write, ordered=False, one=True)
            for origin in origins:
                _check_as_browsers_write("origins", origin, write)
            object.__setattr__(self, "origins", frozenset(origins))
        checking.function("authorize", self.authorize, write="a function that takes a Request", none=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions(SessionOptions):
    """What a client's sessions have besides.

    Attributes:
        subprotocols: those offered, in order of preference; one str is one.
        origin: for the Origin field; None: none is sent.
        headers: further fields of the request.
        limits: for the response's head.

    Raises:
        Misuse: as `SessionOptions`; a name, the origin or a field can't stand in a request.
    """

    subprotocols: Sequence[str] = ()
    origin: str | None = None
    headers: Iterable[tuple[str, str]] = ()
    limits: HTTPLimits = CLIENT_LIMITS

    def __post_init__(self) -> None:
        SessionOptions.__post_init__(self)
        _judge_both(self)
        build_response("", None, self.headers)
        if self.origin is not None:
            check_origin(self.origin)
            _check_as_browsers_write("origin", self.origin, 'an origin as browsers do: "https://example.org"')


def _check_as_browsers_write(name: str, origin: str, write: str) -> None:
    port = _DEFAULT_PORTS.get(origin.partition(":")[0], "/")
    if _BROWSERS_ORIGIN.fullmatch(origin) is None or origin.endswith(port):
        raise checking.wrong(name, origin, write)


def _judge_both(options: ServerOptions | ClientOptions) -> None:
    """What both roles judge; their sequences become tuples."""
    write = 'a tuple of names, or one: ("chat", "superchat")'
    subprotocols = checking.names("subprotocols", options.subprotocols, write=write, one=True)
    check_subprotocols(subprotocols)
    object.__setattr__(options, "subprotocols", subprotocols)
    checking.instance("headers", options.headers, Iterable, write='pairs: (("X-Name", "value"),)')
    object.__setattr__(options, "headers", tuple(options.headers))
    checking.instance("limits", options.limits, HTTPLimits, write="HTTPLimits(...)")


class SessionKeywords(TypedDict, total=False):
    """The fields of `SessionOptions` as keywords of `listen`, `connect` and `upgrade`."""

    max_message: int
    max_fragments: int
    message_rate: int
    message_window: float
    high_watermark: int
    max_unsent: int
    handshake_timeout: float
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float


class ServerKeywords(SessionKeywords, total=False):
    """Those of `ServerOptions`."""

    subprotocols: Sequence[str]
    origins: Collection[str] | None
    authorize: Callable[[Request], Rejection | None] | None
    headers: Iterable[tuple[str, str]]


class ClientKeywords(SessionKeywords, total=False):
    """Those of `ClientOptions`."""

    subprotocols: Sequence[str]
    origin: str | None
    headers: Iterable[tuple[str, str]]


class ServerSessionKeywords(ServerKeywords, total=False):
    """Those of a `ServerSession` that is made by hand."""

    limits: HTTPLimits
    going_away: int


class ClientSessionKeywords(ClientKeywords, total=False):
    """Those of a `ClientSession` that is made by hand."""

    limits: HTTPLimits
    going_away: int
