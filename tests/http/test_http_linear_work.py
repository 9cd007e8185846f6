"""What a peer sends is looked at a bounded number of times, however it is cut: counted, not timed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.http import (
    ClientSession,
    Data,
    EndOfMessage,
    Failed,
    HTTPLimits,
    Request,
    Response,
    ServerSession,
    client_session,
    framing,
    heads,
    inspection,
    server_session,
)
from tests.work_counted import counted, counted_calls, cut

MODULES = [heads, framing, inspection, server_session, client_session]
KIB = 1024
SIZES = [1 * KIB, 4 * KIB, 16 * KIB]
CUTS = [1, 2, 7, 100, 1 << 20, -1]
ROOMY = HTTPLimits(
    max_head=20 * KIB,
    max_line=18 * KIB,
    max_headers=10_000,
    max_trailers=20 * KIB,
    max_chunk_line=18 * KIB,
    max_chunk_extensions=20 * KIB,
)
MOST_LOOKS = 4
MOST_MOVES = 6
MOST_CALLS = 12

Session = ServerSession | ClientSession
Input = Callable[[int], tuple[Callable[[], Session], bytes, type]]


def server() -> ServerSession:
    session = ServerSession(limits=ROOMY)
    session.start(0.0)
    return session


def client() -> ClientSession:
    session = ClientSession(host="h", limits=ROOMY)
    session.start(0.0)
    session.request("GET", "/")
    return session


def uploading() -> ServerSession:
    session = server()
    session.receive(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 0.0)
    assert isinstance(session.next_event(), Request)
    return session


def filled(start: bytes, filling: bytes, end: bytes, size: int) -> bytes:
    return start + (filling * size)[: size - len(start) - len(end)] + end


def lines(start: bytes, line: bytes, end: bytes, size: int) -> bytes:
    return start + line * ((size - len(start) - len(end)) // len(line)) + end


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
INPUTS: dict[str, Input] = {
    "request, one long value": lambda n: (server, filled(GET + b"A: ", b"v", b"\r\n\r\n", n), Request),
    "request, one long run of blanks": lambda n: (
        server,
        filled(GET + b"A:", b" \t", b"v\r\n\r\n", n),
        Request,
    ),
    "request, one long name": lambda n: (server, filled(GET, b"n", b":\r\n\r\n", n), Request),
    "request, long target": lambda n: (
        server,
        filled(b"GET /", b"t", b" HTTP/1.1\r\nHost: h\r\n\r\n", n),
        Request,
    ),
    "request, long method": lambda n: (
        server,
        filled(b"", b"M", b" / HTTP/1.1\r\nHost: h\r\n\r\n", n),
        Request,
    ),
    "request, usual lines": lambda n: (
        server,
        lines(GET, b"X-Some-Name: a value of usual length\r\n", b"\r\n", n),
        Request,
    ),
    "request, many short lines": lambda n: (server, lines(GET, b"a:\r\n", b"\r\n", n), Request),
    "response, one long value": lambda n: (client, filled(OK + b"A: ", b"v", b"\r\n\r\n", n), Response),
    "response, long reason": lambda n: (
        client,
        filled(b"HTTP/1.1 200 ", b"r", b"\r\nContent-Length: 0\r\n\r\n", n),
        Response,
    ),
    "response, many short lines": lambda n: (client, lines(OK, b"a:\r\n", b"\r\n", n), Response),
    "trailers, one long value": lambda n: (
        uploading,
        filled(b"0\r\nA: ", b"v", b"\r\n\r\n", n),
        EndOfMessage,
    ),
    "trailers, many short lines": lambda n: (uploading, lines(b"0\r\n", b"a:\r\n", b"\r\n", n), EndOfMessage),
    "a chunk's long extension": lambda n: (uploading, filled(b"1;", b"e", b"\r\na\r\n", n), Data),
    "a chunk's long extension, many of them": lambda n: (
        uploading,
        lines(b"", b"1" + b";extension" * 20 + b"\r\na\r\n", b"", n),
        Data,
    ),
    "a chunk's many blanks": lambda n: (uploading, filled(b"1", b" ", b";\r\na\r\n", n), Data),
    "chunks of one byte": lambda n: (uploading, lines(b"", b"1\r\na\r\n", b"", n), Data),
    "chunks of one byte, many digits": lambda n: (
        uploading,
        lines(b"", b"000000000000001\r\na\r\n", b"", n),
        Data,
    ),
}


def feed(session: Session, piece: bytes) -> list[object]:
    """One piece: received, and all its events pulled."""
    assert session.receive(piece, 0.0) == len(piece)
    events: list[object] = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


def size_of_pieces(cutting: int, data: bytes) -> int:
    return len(data) - 1 if cutting < 0 else cutting


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("cutting", CUTS)
def test_bytes_are_looked_at_four_times_at_most_however_they_are_cut(name: str, cutting: int) -> None:
    for size in SIZES:
        with counted(*MODULES) as work:
            make, data, expected = INPUTS[name](size)
            session = make()
            work.looked = work.moved = 0
            events = []
            for piece in cut(data, size_of_pieces(cutting, data)):
                events += feed(session, piece)
            assert work.looked <= MOST_LOOKS * len(data), f"{size} bytes: each was looked at too often"
            assert work.moved <= MOST_MOVES * len(data), f"{size} bytes: each was moved too often"
        assert isinstance(events[0], expected)
        assert not any(isinstance(event, Failed) for event in events)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("cutting", [1, 2, 7])
def test_a_piece_costs_twelve_calls_at_most(name: str, cutting: int) -> None:
    for size in SIZES:
        make, data, _ = INPUTS[name](size)
        session = make()
        pieces = cut(data, cutting)
        with counted_calls() as calls:
            for piece in pieces:
                feed(session, piece)
        # `feed` itself is not the session's.
        assert calls[0] - len(pieces) <= MOST_CALLS * len(pieces)
