"""The URLs that name where to connect and where to listen (RFC 3986; RFC 6455 section 3 for WebSocket)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from mungos import checking
from mungos.addresses import address_text, literal
from mungos.dns.names import check_host
from mungos.errors import Misuse
from mungos.printable import quoted

__all__ = [
    "MAX_SOCKET_PATH_OCTETS",
    "MAX_URL_CHARACTERS",
    "SCHEMES",
    "URL",
    "Scheme",
    "Transport",
    "as_url",
    "parse",
]

Transport = Literal["tcp", "udp", "unix"]

MAX_URL_CHARACTERS = 65_536
"""Characters of a URL that is read."""

MAX_SOCKET_PATH_OCTETS = 107
"""Linux keeps 108 octets, one of which ends a path or begins an abstract name."""

_MAX_PORT = 65_535
_AUTHORITY = re.compile(r"//([^/?#]*)")
_PORT = re.compile(r"[0-9]{1,5}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# RFC 3986 sections 3.3 and 3.4; the brackets, which browsers leave alone, in the query only.
_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*")
_PATH_SAFE = "-._~!$&'()*+,;=:@/%"
_QUERY_SAFE = _PATH_SAFE + "?[]"


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a scheme means: below it, whether TLS is in between, its port, and whether a path follows the
    port."""

    transport: Transport
    secure: bool = False
    default_port: int | None = None
    has_path: bool = False


SCHEMES: dict[str, Scheme] = {
    "tcp": Scheme("tcp"),
    "udp": Scheme("udp"),
    "unix": Scheme("unix"),
    "tls": Scheme("tcp", secure=True),
    "http": Scheme("tcp", default_port=80, has_path=True),
    "https": Scheme("tcp", secure=True, default_port=443, has_path=True),
    "ws": Scheme("tcp", default_port=80, has_path=True),
    "wss": Scheme("tcp", secure=True, default_port=443, has_path=True),
}


@dataclass(frozen=True, slots=True)
class URL:
    """Where to connect or listen; made by `parse`, and written by `str` so that `parse` gives the same again.

    Attributes:
        scheme: a key of `SCHEMES`.
        host: a name in lower case or an IP address literal without brackets, its scope behind `%`
            ("fe80::1%eth0"); "" for unix, and for listening on every interface.
        port: 0 for unix, and for listening on a port that the system chooses.
        path: for http and ws the path, "/" at least; for unix the socket's path, or "@" and an abstract name.
        query: what follows "?", or None.

    Raises:
        Misuse: a part is of another kind, or the scheme is not known.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    query: str | None = None

    def __post_init__(self) -> None:
        checking.one_of("scheme", self.scheme, tuple(SCHEMES))
        for name, part in (("host", self.host), ("path", self.path), ("query", self.query)):
            checking.instance(name, part, str, write="a str", none=name == "query")
        checking.count("port", self.port, 0, _MAX_PORT)

    @property
    def transport(self) -> Transport:
        """Which kind of socket carries it."""
        return SCHEMES[self.scheme].transport

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken: tls, https, wss."""
        return SCHEMES[self.scheme].secure

    @property
    def target(self) -> str:
        """Path and query, as an HTTP request line bears them (RFC 9112 section 3.2.1)."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def host_header(self) -> str:
        """The Host field's value (RFC 9110 section 7.2): IPv6 in brackets, without a scope, which means
        nothing to the other side (RFC 6874 section 4); the port only where it is not the scheme's own. For
        unix it is localhost."""
        if self.transport == "unix":
            return "localhost"
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == SCHEMES[self.scheme].default_port else f"{host}:{self.port}"

    @property
    def dual_stack(self) -> bool:
        """Whether listening here takes both families: no host, or "::"."""
        return self.transport != "unix" and self.host in ("", "::")

    def __str__(self) -> str:
        if self.transport == "unix":
            return f"unix://{self.path}" if self.path.startswith("/") else f"unix:{self.path}"
        # RFC 6874 section 2: inside a URL the "%" before a scope is written %25.
        host = f"[{self.host.replace('%', '%25', 1)}]" if ":" in self.host else self.host
        port = "" if self.port == SCHEMES[self.scheme].default_port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


def as_url(given: str | URL, *, for_listening: bool = False) -> URL:
    """The URL that a call was given, as text or made by hand: both are judged as `parse` does.

    Raises:
        Misuse: as `parse`.
    """
    if isinstance(given, URL):
        given = str(given)
    checking.text("url", given, write='a URL: "tcp://host:port", "http://host/"')
    return parse(given, for_listening=for_listening)


def parse(text: str, *, for_listening: bool = False, schemes: Collection[str] = SCHEMES) -> URL:
    """Read a URL.

    Schemes are tcp, udp, tls (`tcp://host:port`, IPv6 in brackets), http, https, ws, wss (port 80 or 443
    unless given, then path and query) and unix (`unix:///run/x.sock`, a relative `unix:x.sock`, or
    `unix:@name` in Linux's abstract namespace; everything after the scheme is taken as it stands). A fragment
    is dropped for http, as it is never sent, and refused elsewhere. Dot segments and percent-encoding in the
    path are left alone.

    Args:
        text: the URL, 65,536 characters at most.
        for_listening: allow port 0 (the system chooses) and an empty host (every interface, both families, as
            `[::]`; `0.0.0.0` is IPv4 only), and refuse host names except localhost.
        schemes: those that the caller can use: messages name no others. A URL of another one is none the
            less read.

    Raises:
        Misuse: saying what is wrong and what to write instead; user names and passwords are refused and not
        shown.
    """
    checking.instance("url", text, str, write='a URL: "tcp://host:port", "http://host/"')
    if len(text) > MAX_URL_CHARACTERS:
        raise Misuse(f"URL has {len(text)} characters: at most {MAX_URL_CHARACTERS} are allowed")
    name, colon, rest = text.partition(":")
    if "://" not in text and (not colon or name.lower() not in SCHEMES):
        raise Misuse(f"URL {_shown(text)} has no scheme: write {_examples(schemes)}")
    scheme = name.lower()
    if not _SCHEME.fullmatch(name) or scheme not in SCHEMES:
        raise Misuse(f"URL {_shown(text)}: scheme {quoted(name)} is not known: write {', '.join(schemes)}")
    if scheme == "unix":
        return _unix(text, rest)
    match = _AUTHORITY.match(rest)
    if match is None:
        raise Misuse(f"URL {_shown(text)}: write // after {scheme}:")
    authority, after = match[1], rest[match.end() :]
    if "@" in authority:
        raise Misuse(
            f"URL {_shown(text)}: a user name or password has no place in a URL: leave out what is before"
            " '@',"
            " and send an Authorization header"
        )
    host, port = _host_and_port(text, scheme, authority, for_listening)
    path, query = _path_and_query(text, scheme, after)
    return URL(scheme, host, port, path, query)


def _examples(schemes: Collection[str]) -> str:
    """What a URL of these looks like, two of them at most."""
    first = [scheme for scheme in ("tcp", "http", *schemes) if scheme in schemes]
    return " or ".join(
        "unix:///run/x.sock"
        if scheme == "unix"
        else f"{scheme}://host/"
        if SCHEMES[scheme].has_path
        else f"{scheme}://host:port"
        for scheme in list(dict.fromkeys(first))[:2]
    )


def _shown(text: str) -> str:
    # A password must not reach a log.
    hidden = re.sub(r"//.*@", "//...@", text, flags=re.DOTALL)
    return repr(hidden if len(hidden) <= 120 else hidden[:120] + "...")


def _unix(text: str, rest: str) -> URL:
    path = rest
    if rest.startswith("//"):
        path = rest[2:]
        if not path.startswith("/"):
            raise Misuse(
                f"URL {_shown(text)}: write unix:///run/x.sock (three slashes), unix:x.sock or unix:@x"
            )
    if path in ("", "/", "@") or path.endswith("/"):
        raise Misuse(f"URL {_shown(text)} names no socket: write unix:///run/x.sock or unix:@name")
    if "\0" in path:
        raise Misuse(
            f"URL {_shown(text)}: a NUL can't stand in a socket's path: write unix:@name for an abstract one"
        )
    try:
        octets = len(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise Misuse(f"URL {_shown(text)}: the socket's path can't be encoded: {error.reason}") from None
    if octets > MAX_SOCKET_PATH_OCTETS:
        raise Misuse(
            f"URL {_shown(text)}: the socket's path has {octets} octets:"
            f" at most {MAX_SOCKET_PATH_OCTETS} are allowed"
        )
    return URL("unix", path=path)


def _host_and_port(text: str, scheme: str, authority: str, for_listening: bool) -> tuple[str, int]:
    if authority.startswith("["):
        inside, bracket, after = authority[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise Misuse(f"URL {_shown(text)}: write an IPv6 address as [2001:db8::1]:port")
        host = _ipv6(text, inside)
        port_text = after[1:] if after else None
    else:
        host, colon, written = authority.partition(":")
        if ":" in written:
            raise Misuse(
                f"URL {_shown(text)}: write an IPv6 address in brackets: {_bracketed(scheme, authority)}"
            )
        host = _host(text, scheme, host, for_listening)
        port_text = written if colon else None
    return host, _port(text, scheme, port_text, for_listening)


def _bracketed(scheme: str, authority: str) -> str:
    """What was probably meant by an IPv6 address without brackets: what is last may be its port."""
    base, _, port = authority.rpartition(":")
    if _PORT.fullmatch(port) and literal(base) is not None:
        return f"{scheme}://[{base}]:{port}"
    return f"{scheme}://[{authority[:60]}]" + ("" if SCHEMES[scheme].default_port else ":port")


def _ipv6(text: str, inside: str) -> str:
    base, percent, scope = inside.partition("%")
    # RFC 6874 section 2 writes %25 before a scope; people write a bare %.
    if scope.startswith("25") and len(scope) > 2:
        scope = scope[2:]
    address = literal(f"{base}{percent}{scope}")
    if address is None or address.version != 6:
        raise Misuse(
            f"URL {_shown(text)}: {quoted(inside)} is not an IPv6 address: only those stand in brackets"
        )
    return address_text(address)


def _host(text: str, scheme: str, host: str, for_listening: bool) -> str:
    if not host:
        if for_listening:
            return ""
        raise Misuse(f"URL {_shown(text)} has no host: write {scheme}://127.0.0.1 for this machine")
    address = literal(host)
    if address is not None:
        return address_text(address)
    try:
        name = check_host(host)
    except Misuse as error:
        raise Misuse(f"URL {_shown(text)}: {error}") from None
    if for_listening and name != "localhost":
        raise Misuse(
            f"URL {_shown(text)}: listening needs an IP address, localhost, or no host for every interface"
        )
    return name


def _port(text: str, scheme: str, port_text: str | None, for_listening: bool) -> int:
    # RFC 3986 section 3.2.3: an empty port is the scheme's own.
    if not port_text:
        default = SCHEMES[scheme].default_port
        if default is None:
            hint = ", or :0 for one that the system chooses" if for_listening else ""
            raise Misuse(f"URL {_shown(text)} has no port: write {scheme}://host:port{hint}")
        return default
    port = int(port_text) if _PORT.fullmatch(port_text) else -1
    least = 0 if for_listening else 1
    if not least <= port <= _MAX_PORT:
        raise Misuse(f"URL {_shown(text)}: port {quoted(port_text)} is no number from {least} to {_MAX_PORT}")
    return port


def _path_and_query(text: str, scheme: str, after: str) -> tuple[str, str | None]:
    if not SCHEMES[scheme].has_path:
        if after:
            raise Misuse(f"URL {_shown(text)}: {scheme} has no path: leave out {quoted(after)}")
        return "", None
    before, hash_sign, _ = after.partition("#")
    if hash_sign and scheme in ("ws", "wss"):
        # RFC 6455 section 3: fragment identifiers must not be used.
        raise Misuse(
            f"URL {_shown(text)}: a WebSocket URL has no fragment: leave out '#', or write it as %23"
        )
    path, question_mark, query = before.partition("?")
    path = path or "/"
    if not _PATH.fullmatch(path):
        raise Misuse(f"URL {_shown(text)}: write the path as {_encoded(path, _PATH_SAFE)!r}")
    if not _QUERY.fullmatch(query):
        raise Misuse(f"URL {_shown(text)}: write the query as {_encoded(query, _QUERY_SAFE)!r}")
    return path, query if question_mark else None


def _encoded(part: str, safe: str) -> str:
    escapes = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part)
    encoded = quote(escapes, safe=safe, errors="replace")
    return encoded if len(encoded) <= 120 else encoded[:120] + "..."
