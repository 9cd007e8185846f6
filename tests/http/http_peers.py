"""The other end of a session in these tests: feeds bytes, cut as a test likes, and notes what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mungos.http import (
    CLIENT_LIMITS,
    SERVER_LIMITS,
    ClientSession,
    Data,
    EndOfMessage,
    Failed,
    HTTPError,
    HTTPLimits,
    InformationalResponse,
    Request,
    Response,
    ServerSession,
)
from mungos.protocol import MORE, Protocol

Note = tuple[object, ...]
Handler = Callable[[ServerSession, object], None]


def note(event: object) -> Note:
    """An event as a tuple that compares."""
    match event:
        case Request():
            return ("request", event.method, event.target, event.version, tuple(event.headers.items()))
        case Response():
            return ("response", event.status, event.reason, tuple(event.headers.items()))
        case InformationalResponse():
            return ("informational", event.status)
        case Data():
            return ("data", event.data)
        case EndOfMessage():
            return ("end", tuple(event.trailers.items()))
        case Failed():
            error = event.error
            return ("failed", error.rule.name if isinstance(error, HTTPError) else type(error).__name__)
    raise AssertionError(f"unknown event {event!r}")


def merged(notes: Iterable[Note]) -> list[Note]:
    """The notes with neighbouring pieces of data joined."""
    result: list[Note] = []
    for each in notes:
        if each[0] == "data" and result and result[-1][0] == "data":
            before, piece = result[-1][1], each[1]
            assert isinstance(before, bytes)
            assert isinstance(piece, bytes)
            result[-1] = ("data", before + piece)
        else:
            result.append(each)
    return result


def ok(session: ServerSession, event: object) -> None:
    """Answers every request at once."""
    if isinstance(event, Request):
        session.respond(200, b"ok")


def ok_at_end(session: ServerSession, event: object) -> None:
    """Answers when the request is complete."""
    if isinstance(event, EndOfMessage):
        session.respond(200, b"ok")


def silent(session: ServerSession, event: object) -> None:
    """Never answers."""


def drain(session: Protocol) -> bytes:
    """What the session has queued."""
    return b"".join(bytes(buffer) for buffer in session.take(1 << 30))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def over(peer: Server | Client) -> bool:
    """Whether the peer's session has ended; asked by a call, since type checkers remember attributes."""
    return peer.session.ended


def due(peer: Server | Client) -> float | None:
    """The deadline of the peer's session; a call for the same reason."""
    return peer.session.deadline


class Server:
    """A server's session under observation."""

    def __init__(
        self, handler: Handler = ok, limits: HTTPLimits = SERVER_LIMITS, session: ServerSession | None = None
    ) -> None:
        self.session = session or ServerSession(limits=limits)
        self.handler = handler
        self.notes: list[Note] = []
        self.sent = b""
        self.events: list[object] = []
        self.session.start(0.0)

    def feed(self, data: bytes, now: float = 0.0) -> Server:
        """Give it bytes, all of them, and pull."""
        view = memoryview(data)
        while view:
            taken = self.session.receive(view, now)
            view = view[taken:]
            if not self.pull() and not taken:
                break
        return self

    def pull(self) -> int:
        count = 0
        while (event := self.session.next_event()) is not None:
            count += 1
            if event is MORE:
                continue
            self.events.append(event)
            self.notes.append(note(event))
            self.handler(self.session, event)
        self.sent += drain(self.session)
        return count

    def eof(self, now: float = 0.0, truncated: bool = False) -> Server:
        self.session.receive_eof(now, truncated)
        self.pull()
        return self

    def expire(self, now: float) -> Server:
        self.session.expire(now)
        self.pull()
        return self

    @property
    def statuses(self) -> list[int]:
        """The status codes sent so far, bodies without status lines given."""
        return [int(part[:3]) for part in self.sent.split(b"HTTP/1.1 ")[1:]]

    @property
    def kinds(self) -> list[object]:
        return [each[0] for each in merged(self.notes)]


class Client:
    """A client's session under observation."""

    def __init__(self, limits: HTTPLimits = CLIENT_LIMITS, max_pipelined: int = 1) -> None:
        self.session = ClientSession(host="example.com", limits=limits, max_pipelined=max_pipelined)
        self.notes: list[Note] = []
        self.sent = b""
        self.events: list[object] = []
        self.session.start(0.0)

    def get(self, target: str = "/", method: str = "GET") -> Client:
        self.session.request(method, target)
        self.pull()
        return self

    def feed(self, data: bytes, now: float = 0.0) -> Client:
        view = memoryview(data)
        while view:
            taken = self.session.receive(view, now)
            view = view[taken:]
            if not self.pull() and not taken:
                break
        return self

    def pull(self) -> int:
        count = 0
        while (event := self.session.next_event()) is not None:
            count += 1
            self.events.append(event)
            self.notes.append(note(event))
        self.sent += drain(self.session)
        return count

    def eof(self, now: float = 0.0, truncated: bool = False) -> Client:
        self.session.receive_eof(now, truncated)
        self.pull()
        return self

    def expire(self, now: float) -> Client:
        self.session.expire(now)
        self.pull()
        return self

    @property
    def kinds(self) -> list[object]:
        return [each[0] for each in merged(self.notes)]
