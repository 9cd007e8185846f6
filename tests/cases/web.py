"""HTTP and WebSocket in a world: our ends, bare peers in plain text or over TLS, and what each case owes."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable

import trustme

from mungos import Closed, CloseReason, Connection, Limits, Listener, Manager, Opened, http, websocket
from mungos.tls import ClientConfig, Credential, ServerConfig
from tests.cases.web_peers import SecureSpeaker, Speaker
from tests.cases.world import RawListener, RawPeer, World
from tests.websocket.driver import response_to

ENGINE = "openssl"

Answer = Callable[..., object]


class Watch:
    """A handler that keeps each connection's events apart, and answers as told.

    Args:
        answers: by the name of an event's type, what to call with the session and the event.

    Attributes:
        told: the events of each session, in order.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.told: dict[object, list[object]] = {}

    def __call__(self, session: object, event: object) -> None:
        self.told.setdefault(session, []).append(event)
        answer = self.answers.get(type(event).__name__)
        if answer is not None:
            answer(session, event)

    @property
    def sessions(self) -> list[object]:
        """All sessions, in the order of their first events."""
        return list(self.told)

    def connection(self, number: int = 0) -> Connection:
        """One session's connection."""
        found = getattr(self.sessions[number], "connection", None)
        assert isinstance(found, Connection)
        return found

    @property
    def server(self) -> http.ServerConnection:
        """The first session, an HTTP server's."""
        found = self.sessions[0]
        assert isinstance(found, http.ServerConnection)
        return found

    @property
    def client(self) -> http.ClientConnection:
        """The first session, an HTTP client's."""
        found = self.sessions[0]
        assert isinstance(found, http.ClientConnection)
        return found

    @property
    def socket(self) -> websocket.ServerConnection | websocket.ClientConnection:
        """The first session, a WebSocket."""
        found = self.sessions[0]
        assert isinstance(found, websocket.ServerConnection | websocket.ClientConnection)
        return found

    @property
    def events(self) -> list[object]:
        """Every session's events, one session after the other."""
        return [event for events in self.told.values() for event in events]

    def of(self, name: str) -> list[object]:
        """The events whose type has this name."""
        return [event for event in self.events if type(event).__name__ == name]

    def count(self, name: str) -> int:
        """How many events have this name."""
        return len(self.of(name))

    def names(self, number: int = 0) -> list[str]:
        """The types' names of one session's events; pieces of data in a row count as one."""
        found: list[str] = []
        for event in self.told[self.sessions[number]]:
            name = type(event).__name__
            if name != "Data" or found[-1:] != ["Data"]:
                found.append(name)
        return found

    @property
    def body(self) -> bytes:
        """All bytes of all bodies."""
        return b"".join(event.data for event in self.events if isinstance(event, http.Data))

    @property
    def messages(self) -> list[str | bytes]:
        """All WebSocket messages."""
        return [event.data for event in self.events if isinstance(event, websocket.Message)]

    @property
    def statuses(self) -> list[int]:
        """The statuses of final responses."""
        return [event.status for event in self.events if isinstance(event, http.Response)]

    @property
    def closed(self) -> bool:
        """Whether there was a session, and all have ended."""
        return bool(self.told) and all(isinstance(events[-1], Closed) for events in self.told.values())

    def end(self, number: int = 0) -> Closed:
        """One session's last event."""
        last = self.told[self.sessions[number]][-1]
        assert isinstance(last, Closed), last
        return last

    def reason(self, number: int = 0) -> CloseReason:
        """Why one session ended."""
        return self.end(number).reason

    def detail(self, number: int = 0) -> websocket.CloseStatus:
        """How one WebSocket ended."""
        found = self.end(number).detail
        assert isinstance(found, websocket.CloseStatus)
        return found

    def check(self) -> None:
        """What every connection owes: one Closed, the last of its events; Opened at most once, the first."""
        for session, events in self.told.items():
            closed = [event for event in events if isinstance(event, Closed)]
            assert len(closed) == 1, (session, events)
            assert events[-1] is closed[0], (session, events)
            opened = [number for number, event in enumerate(events) if isinstance(event, Opened)]
            assert opened in ([], [0]), (session, events)


class Web:
    """Ends for HTTP and WebSocket in one world, plain or over TLS.

    Attributes:
        world: where.
        secure: whether everything runs over TLS.
        watches: every handler made by `watch`; their connections are checked at the end.
    """

    def __init__(self, world: World, secure: bool) -> None:
        self.world = world
        self.secure = secure
        self.watches: list[Watch] = []
        self._manager: Manager | None = None

    @property
    def manager(self) -> Manager:
        """The manager of our side, where one is enough."""
        if self._manager is None:
            self._manager = self.world.manager()
        return self._manager

    def watch(self, **answers: Answer) -> Watch:
        """A handler whose connections are checked at the end."""
        made = Watch(**answers)
        self.watches.append(made)
        return made

    def run(self, until: Callable[[], bool], within: float = 5.0) -> None:
        """As `World.run`."""
        self.world.run(until, within)

    # Our ends.

    def serve(self, watch: Watch, manager: Manager | None = None, **options: object) -> Listener:
        """An HTTP server of ours."""
        secure = {"tls": server_config(), "engine": ENGINE} if self.secure else {}
        return http.listen(manager or self.manager, self._url("http"), watch, **secure, **options)  # type: ignore[arg-type]

    def serve_sockets(self, watch: Watch, manager: Manager | None = None, **options: object) -> Listener:
        """A WebSocket server of ours."""
        secure = {"tls": server_config(), "engine": ENGINE} if self.secure else {}
        return websocket.listen(manager or self.manager, self._url("ws"), watch, **secure, **options)  # type: ignore[arg-type]

    def request(
        self, where: Listener | RawListener, watch: Watch, manager: Manager | None = None, **options: object
    ) -> Connection:
        """An HTTP client of ours, to `where`."""
        secure = {"tls": client_config(), "engine": ENGINE} if self.secure else {}
        url = self._url("http", where)
        return http.connect(manager or self.manager, url, watch, **secure, **options)  # type: ignore[arg-type]

    def open_socket(
        self, where: Listener | RawListener, watch: Watch, manager: Manager | None = None, **options: object
    ) -> Connection:
        """A WebSocket client of ours, to `where`."""
        secure = {"tls": client_config(), "engine": ENGINE} if self.secure else {}
        url = self._url("ws", where)
        return websocket.connect(manager or self.manager, url, watch, **secure, **options)  # type: ignore[arg-type]

    def _url(self, scheme: str, where: Listener | RawListener | None = None) -> str:
        port = 0
        if where is not None:
            port = where.port if isinstance(where, RawListener) else where.url.port
        return f"{scheme}{'s' if self.secure else ''}://127.0.0.1:{port}/"

    # Bare ends.

    def peer(self, listener: Listener) -> Speaker:
        """A bare client, connected to a listener of ours."""
        raw = self.world.connect(f"tcp://127.0.0.1:{listener.url.port}")
        return self._speaker(raw, server=False)

    def scripted(self) -> RawListener:
        """A bare listener, for clients of ours."""
        return self.world.listener()

    def accept(self, listener: RawListener) -> Speaker:
        """A bare server's side of the next connection."""
        return self._speaker(self.world.accept(listener), server=True)

    def _speaker(self, raw: RawPeer, server: bool) -> Speaker:
        made: Speaker
        if self.secure:
            made = SecureSpeaker(raw.stream, foreign_context(server), server)
        else:
            made = Speaker(raw.stream)
        self.world.peers[self.world.peers.index(raw)] = made
        return made

    # Common beginnings.

    def ready(self, listener: Listener) -> Speaker:
        """A bare client, accepted, and over TLS secured."""
        before = listener.accepted
        peer = self.peer(listener)
        self.run(lambda: listener.accepted > before)
        if isinstance(peer, SecureSpeaker):
            self.run(lambda: peer.established)
        return peer

    def open_peer(self, listener: Listener, watch: Watch) -> Speaker:
        """A bare WebSocket client whose handshake is through."""
        peer = self.peer(listener)
        before = watch.count("Established")
        peer.say(HANDSHAKE)
        self.run(lambda: b"\r\n\r\n" in peer.received and watch.count("Established") > before)
        assert peer.statuses == [101]
        return peer

    def open_server(self, watch: Watch, glued: bytes = b"", **options: object) -> Speaker:
        """A bare WebSocket server, its handshake with a client of ours done; `glued` follows its 101."""
        where = self.scripted()
        before = watch.count("Established")
        self.open_socket(where, watch, None, **options)
        peer = self.accept(where)
        self.run(lambda: b"\r\n\r\n" in peer.received)
        peer.say(response_to(bytes(peer.received)) + glued)
        self.run(lambda: watch.count("Established") > before)
        return peer

    def asked(self, watch: Watch, **options: object) -> Speaker:
        """A bare HTTP server that a client of ours has sent its first request."""
        where = self.scripted()
        self.request(where, watch, None, **options)
        peer = self.accept(where)
        self.run(lambda: b"\r\n\r\n" in peer.received)
        return peer

    def close(self) -> None:
        """End the world, and check what every connection owes."""
        self.world.close()
        for watch in self.watches:
            watch.check()


HANDSHAKE = (
    b"GET / HTTP/1.1\r\n"
    b"Host: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def big_frame(payload: bytes, masked: bool) -> bytes:
    """A binary message of 126 to 65535 bytes, under a mask of zeros."""
    size = len(payload).to_bytes(2, "big")
    return b"\x82\xfe" + size + b"\0\0\0\0" + payload if masked else b"\x82\x7e" + size + payload


def get(target: str, *fields: str) -> bytes:
    """A GET request."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def post(size: int, *fields: str) -> bytes:
    """The head of a POST request."""
    lines = ["POST / HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {size}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def answer_target(session: http.ServerConnection, request: http.Request) -> None:
    """Answers a request with its own target."""
    session.respond(200, request.target.encode())


def ask(*targets: str) -> Answer:
    """At `Opened`, sends the first request; at each end of a message, the next."""
    left = list(targets)

    def go_on(session: http.ClientConnection, _event: object) -> None:
        if left and session.ready:
            session.request("GET", left.pop(0))

    return go_on


@functools.cache
def _authority() -> tuple[trustme.CA, trustme.LeafCert]:
    authority = trustme.CA()
    return authority, authority.issue_cert("127.0.0.1", "localhost")


@functools.cache
def server_config() -> ServerConfig:
    """A certificate for 127.0.0.1."""
    _, leaf = _authority()
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return ServerConfig((Credential(chain, leaf.private_key_pem.bytes()),))


@functools.cache
def client_config() -> ClientConfig:
    """Trust in that certificate's issuer."""
    authority, _ = _authority()
    return ClientConfig(roots=authority.cert_pem.bytes())


@functools.cache
def foreign_context(server: bool) -> ssl.SSLContext:
    """The same, for the standard library's TLS."""
    authority, leaf = _authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    if server:
        leaf.configure_cert(context)
    return context


SLOW = Limits(linger=0.2, close_within=0.5)
"""Limits under which a close that waits for its peer is soon over, on the kernel's clock too."""
