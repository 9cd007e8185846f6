"""What the sessions hand out: heads, pieces of bodies, and ends of messages."""

from __future__ import annotations

from typing import Final

from mungos.http.headers import NO_HEADERS, Headers, list_of_tokens
from mungos.http.heads import read_fields
from mungos.printable import quoted

__all__ = ["END_OF_MESSAGE", "Data", "EndOfMessage", "InformationalResponse", "Request", "Response"]


_SPECIAL: Final = frozenset({"HEAD", "CONNECT"})


class Request:
    """The head of a request.

    Attributes:
        method: as sent; methods are case-sensitive.
        target: as sent: "/path?query", "http://host/path", "host:port" (CONNECT) or "*" (OPTIONS).
        keep_alive: whether the client's version and Connection field leave the connection open.
        expects_continue: whether it waits for 100 (Continue) before it sends its body.
        has_body: whether its framing announces a body, an empty one excluded.
    """

    __slots__ = (
        "_fields",
        "_headers",
        "_minor",
        "_table",
        "_text",
        "expects_continue",
        "has_body",
        "keep_alive",
        "method",
        "target",
    )

    def __init__(  # noqa: PLR0917 - made for every request: by position is fastest
        self,
        method: str,
        target: str,
        minor: int,
        fields: list[tuple[str, str]] | None,
        table: dict[str, str] | None,
        keep_alive: bool,
        expects_continue: bool,
        has_body: bool,
        text: str = "",
    ) -> None:
        self.method = method
        self.target = target
        self._minor = minor
        self._fields = fields
        self._table = table
        self._text = text
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.has_body = has_body
        self._headers: Headers | None = None

    @property
    def is_plain(self) -> bool:
        """HTTP/1.1, and a method whose response is framed like any other's."""
        return self._minor == 1 and self.method not in _SPECIAL

    @property
    def headers(self) -> Headers:
        """The fields, found by name without regard to case."""
        headers = self._headers
        if headers is None:
            if self._fields is None or self._table is None:
                self._fields, self._table = read_fields(self._text)
                self._text = ""
            headers = self._headers = Headers(self._fields, self._table)
        return headers

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Pairs of name and value as sent, in order."""
        return self.headers.fields

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version."""
        return (1, self._minor)

    @property
    def path(self) -> str:
        """The target's path, percent-encoded as sent; "/" where there is none, "" for CONNECT."""
        target = self.target
        if target[0] != "/":
            if self.method == "CONNECT":
                return ""
            if target == "*":
                return target
            _, _, rest = target.partition("://")
            cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
            target = rest[cut:]
            if target[:1] != "/":
                target = "/" + target
        return target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the target's first "?", percent-encoded; empty where there is none."""
        return self.target.partition("?")[2]

    @property
    def host(self) -> str:
        """Host and port that the request is for: an absolute target's, else the Host field's
        (RFC 9112 section 3.2.2)."""
        target = self.target
        if target[0] not in "/*":
            if self.method == "CONNECT":
                return target
            rest = target.partition("://")[2]
            cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
            return rest[:cut]
        return self.headers.get("host") or ""

    @property
    def upgrade(self) -> tuple[str, ...]:
        """The protocols, in lower case, that the client offers to change to (RFC 9110 section 7.8)."""
        headers = self.headers
        offer = headers.get("upgrade")
        # Upgrade is for one hop: without the connection option, or from HTTP/1.0, it is not meant for us.
        if (
            offer is None
            or not self._minor
            or "upgrade" not in list_of_tokens(headers.get("connection") or "")
        ):
            return ()
        return tuple(list_of_tokens(offer))

    def __repr__(self) -> str:
        return f"Request({quoted(self.method)}, {quoted(self.target)}, version={self.version})"


class _ResponseHead:
    __slots__ = ("headers", "reason", "status", "version")

    def __init__(self, status: int, reason: str, headers: Headers, version: tuple[int, int]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.version = version

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {quoted(self.reason)}, version={self.version})"


class InformationalResponse(_ResponseHead):
    """A 1xx response; the final one is still to come, except after 101, which ends the session's part.

    Attributes:
        status: 100 to 199.
        reason: the server's words, not to be relied on.
        headers: its fields.
        version: major and minor version.
    """

    __slots__ = ()


class Response(_ResponseHead):
    """The head of the final response.

    Attributes:
        status: 200 to 599, or what else the server sent, of three digits.
        reason: the server's words, not to be relied on.
        headers: its fields.
        version: major and minor version.
    """

    __slots__ = ()


class Data:
    """A piece of a body, decoded, never empty.

    Attributes:
        data: the bytes; pieces say nothing about how the peer divided the body.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Data({len(self.data)} bytes)"


class EndOfMessage:
    """The message is complete; every one that was begun and didn't fail has one.

    Attributes:
        trailers: fields after a chunked body (RFC 9112 section 7.1.2); mostly empty, and never merged into
            the headers.
    """

    __slots__ = ("trailers",)

    def __init__(self, trailers: Headers = NO_HEADERS) -> None:
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"EndOfMessage({quoted(self.trailers.fields)})" if self.trailers.fields else "EndOfMessage()"


END_OF_MESSAGE: Final = EndOfMessage()
"""The end of a message without trailers, shared."""
