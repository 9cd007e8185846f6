"""The opening handshake, from both sides: built, checked, refused (RFC 6455 section 4).

Heads are read by `mungos.http.heads`; here they are judged.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from hmac import compare_digest
from typing import Final

from mungos.checking import count, instance, matches, wrong
from mungos.errors import Misuse, PeerIncompatible, PeerMisbehaved, ProtocolError, TimedOut
from mungos.http.errors import status_of
from mungos.http.events import Request
from mungos.http.headers import Headers, encode_fields
from mungos.http.statuses import status_line
from mungos.printable import MAX_QUOTED_CHARACTERS, printable, quoted

__all__ = [
    "MAX_REJECTION_BODY",
    "HandshakeRefused",
    "HandshakeRejected",
    "Rejection",
    "accept_key",
    "build_rejection",
    "build_request",
    "build_response",
    "check_origin",
    "check_request",
    "check_response",
    "check_subprotocols",
    "new_key",
    "rejection_of",
]

MAX_REJECTION_BODY = 4096
"""Bytes kept of the body of an answer that is not 101."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # base64 of 16 bytes, its unused bits zero
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_TARGET: Final = re.compile(r"/[!$-~]*")  # visible, and no fragment: RFC 6455 section 3
_HOST: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=%:\[\]]+")
_ORIGIN: Final = re.compile(r"[!-~]+")

_OURS: Final = ("upgrade", "origin")
"""Fields that only the handshake itself may write, besides Sec-WebSocket-* and those of HTTP's framing."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """How a server says no.

    Attributes:
        status: 300 to 599.
        text: the body, sent as text in UTF-8.
        headers: further fields ("WWW-Authenticate", "Location", ...).
    """

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        count("status", self.status, 300, 599)
        instance("text", self.text, str, write="a str")
        _, managed = encode_fields(self.headers)
        if managed:
            raise Misuse(f"a rejection writes these fields itself: {', '.join(managed)}")


class HandshakeRefused(PeerIncompatible):
    """This server does not take the client's request.

    Attributes:
        rejection: the answer that it gets.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"handshake refused with status {rejection.status}: {rejection.text}")
        self.rejection = rejection


class HandshakeRejected(PeerIncompatible):
    """The server answered with something else than 101 (RFC 6455 section 4.1).

    Attributes:
        status: its status code.
        headers: the fields of its answer.
        body: the first `MAX_REJECTION_BODY` bytes of its body at most.
    """

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        words = printable(reason, most=MAX_QUOTED_CHARACTERS)
        super().__init__(f"the server answered the handshake with {status} {words}".rstrip())
        self.status = status
        self.headers = headers
        self.body = body


def new_key(random_bytes: bytes) -> str:
    """The Sec-WebSocket-Key of 16 fresh random bytes (RFC 6455 section 4.1, step 7)."""
    if len(random_bytes) != 16:
        raise Misuse(f"a key takes 16 random bytes, not {len(random_bytes)}")
    return b64encode(random_bytes).decode("ascii")


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2, step 5.4)."""
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return b64encode(digest).decode("ascii")


# The client's side.


def build_request(
    *,
    host: str,
    target: str,
    key: str,
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The client's request.

    Args:
        host: for the Host field: name or address, and the port where it is not the scheme's own.
        target: path and query.
        key: from `new_key`.
        subprotocols: names offered, in order of preference.
        origin: for the Origin field, which browsers send.
        headers: further fields, such as Authorization.

    Raises:
        Misuse: a value that can't stand in a request, or a field that the handshake writes itself.

    Source: RFC 6455 section 4.1.
    """
    if not matches(host, _HOST):
        raise wrong("host", host, 'a host, and its port where it has to be told: "example.org:8080"')
    if not matches(target, _TARGET):
        raise wrong("target", target, 'a path, with an optional query, in visible ASCII: "/chat?room=1"')
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    check_subprotocols(subprotocols)
    if subprotocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}")
    if origin is not None:
        check_origin(origin)
        lines.append(f"Origin: {origin}")
    return "\r\n".join([*lines, ""]).encode("ascii") + _further_fields(headers) + b"\r\n"


def check_origin(origin: str) -> None:
    """Raises Misuse unless it can stand in an Origin field."""
    if not matches(origin, _ORIGIN):
        raise wrong("origin", origin, 'an origin in visible ASCII: "https://example.org"')


def check_subprotocols(names: Sequence[str]) -> None:
    """Raises Misuse unless the names are tokens, each there once (RFC 6455 section 4.1, step 10)."""
    if isinstance(names, str):
        raise wrong("subprotocols", names, 'a tuple of names: ("chat",)')
    for name in names:
        if not matches(name, _TOKEN):
            raise wrong("subprotocols", name, 'names that are tokens: ("chat", "v2.chat")')
    if len(set(names)) != len(names):
        raise Misuse(f"a subprotocol is named twice: {', '.join(names)}")


def check_response(headers: Headers, key: str, offered: Collection[str]) -> str | None:
    """Judge a 101 (RFC 6455 section 4.1, the client's list of what to validate).

    Args:
        headers: the fields of the response.
        key: the Sec-WebSocket-Key that was sent.
        offered: the subprotocols that were sent.

    Returns:
        The subprotocol that the server chose, or None.

    Raises:
        PeerMisbehaved: a field is missing or wrong.
    """
    if headers.tokens("upgrade") != ["websocket"]:
        raise PeerMisbehaved(f"101 with Upgrade {quoted(headers.get('upgrade'))} instead of websocket")
    if "upgrade" not in headers.tokens("connection"):
        raise PeerMisbehaved("101 without the Connection option upgrade")
    accept = headers.get("sec-websocket-accept") or ""
    if not compare_digest(accept.encode("latin-1"), accept_key(key).encode("ascii")):
        raise PeerMisbehaved(f"Sec-WebSocket-Accept {quoted(accept)} does not answer the key that was sent")
    extensions = headers.get("sec-websocket-extensions")
    if extensions is not None:
        raise PeerMisbehaved(f"the server uses extensions that were not offered: {quoted(extensions)}")
    subprotocol = headers.get("sec-websocket-protocol")
    if subprotocol is not None and subprotocol not in offered:
        raise PeerMisbehaved(f"the server chose a subprotocol that was not offered: {quoted(subprotocol)}")
    return subprotocol


# The server's side.


def check_request(
    request: Request, *, subprotocols: Sequence[str] = (), origins: Collection[str] | None = None
) -> tuple[str, str | None]:
    """Judge a client's request (RFC 6455 sections 4.2.1 and 4.2.2).

    Args:
        request: its head, which HTTP's own rules have let through.
        subprotocols: those spoken here, in order of preference.
        origins: the origins whose pages may connect, as browsers write them ("https://example.com"). None:
            none is checked. A client that sends no Origin is no browser, and is let through (RFC 6455 section
            10.2).

    Returns:
        The Sec-WebSocket-Key, and the subprotocol chosen: ours that the client offered too, or None.

    Raises:
        PeerMisbehaved: the handshake breaks the rules: 400.
        HandshakeRefused: it asks for what there isn't: 403, 405, 426.
    """
    if isinstance(origins, str):
        origins = (origins,)  # never a substring of it
    if isinstance(subprotocols, str):
        subprotocols = (subprotocols,)
    headers = request.headers
    if request.method != "GET":
        raise HandshakeRefused(Rejection(405, "a handshake is a GET request", (("Allow", "GET"),)))
    if request.version < (1, 1):
        raise PeerMisbehaved("a handshake in HTTP/1.0")
    if "websocket" not in headers.tokens("upgrade"):
        raise HandshakeRefused(Rejection(426, "only WebSocket is spoken here", _UPGRADE))
    if "upgrade" not in headers.tokens("connection"):
        raise PeerMisbehaved("a handshake without the Connection option upgrade")
    if request.has_body:
        raise PeerMisbehaved("a handshake with a body")
    version = headers.get("sec-websocket-version")
    if version is None:
        raise PeerMisbehaved("a handshake without Sec-WebSocket-Version")
    if version != "13":
        # RFC 6455 section 4.4.
        raise HandshakeRefused(Rejection(426, "version 13 is spoken here", (*_UPGRADE, _VERSION)))
    key = headers.get("sec-websocket-key") or ""
    if _KEY.fullmatch(key) is None:
        raise PeerMisbehaved(f"Sec-WebSocket-Key {quoted(key)} is not 16 bytes in base64")
    origin = headers.get("origin")
    if origins is not None and origin is not None and origin not in origins:
        raise HandshakeRefused(Rejection(403, "this origin may not connect"))
    return key, _choose(headers, subprotocols)


_UPGRADE: Final = (("Upgrade", "websocket"),)
_VERSION: Final = ("Sec-WebSocket-Version", "13")


def _choose(headers: Headers, subprotocols: Sequence[str]) -> str | None:
    value = headers.get("sec-websocket-protocol")
    if value is None:
        return None
    # Names are compared as they are written, and each is there once (RFC 6455 section 4.1, step 10).
    offered = [name.strip(" \t") for name in value.split(",")]
    if len(set(offered)) != len(offered) or not all(map(_TOKEN.fullmatch, offered)):
        raise PeerMisbehaved(f"Sec-WebSocket-Protocol {quoted(value)} is not a list of different tokens")
    return next((name for name in subprotocols if name in offered), None)


def build_response(key: str, subprotocol: str | None, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The server's 101.

    Raises:
        Misuse: a further field that can't stand in a response, or that the handshake writes itself.

    Source: RFC 6455 section 4.2.2.
    """
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_key(key)}"]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    text = "\r\n".join([*lines, ""]).encode("ascii")
    return status_line(101) + text + _further_fields(headers) + b"\r\n"


def rejection_of(error: ProtocolError | TimedOut) -> Rejection:
    """The answer that a server owes for an error in the handshake. Total."""
    if isinstance(error, HandshakeRefused):
        return error.rejection
    return Rejection(status_of(error), str(error))


def build_rejection(rejection: Rejection) -> bytes:
    """The answer that says no, and that the stream will end."""
    body = rejection.text.encode(errors="replace")
    connection = ["close"]
    lines, _ = encode_fields(rejection.headers)
    if any(name.lower() == "upgrade" for name, _ in rejection.headers):
        connection.append("Upgrade")  # RFC 9110 section 7.8
    head = (
        f"Connection: {', '.join(connection)}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    return status_line(rejection.status) + head.encode("ascii") + lines + b"\r\n" + body


def _further_fields(headers: Iterable[tuple[str, str]]) -> bytes:
    fields = tuple(headers)
    lines, managed = encode_fields(fields)
    ours = [name for name, _ in fields if name.lower() in _OURS or name.lower().startswith("sec-websocket-")]
    if managed or ours:
        raise Misuse(f"the handshake writes these fields itself: {', '.join([*managed, *ours])}")
    return lines
