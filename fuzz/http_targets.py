"""HTTP/1.1: heads, chunked bodies, and whole sessions of both sides (RFC 9112)."""

from __future__ import annotations

from fuzz.target import Target, require, told
from mungos.errors import ProtocolError, TimedOut
from mungos.http import (
    ClientSession,
    EndOfMessage,
    Failed,
    HTTPError,
    HTTPLimits,
    Request,
    ServerSession,
    parse_head,
    parse_status_head,
    status_of,
)
from mungos.http.framing import ChunkedBody
from mungos.protocol import MORE

__all__ = ["TARGETS"]

SMALL = HTTPLimits(
    max_head=1000, max_line=300, max_headers=20, max_body=500, max_chunk_line=20, max_chunk_extensions=30,
    max_trailers=200, max_receive=1500, max_discard=50,
)  # fmt: skip
ASKED = 4

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nHEAD /a?b HTTP/1.1\r\nHost: h:80\r\nA: b \r\nA:\tc\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n",
    b"PUT http://h/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: x/1, y\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 304 \r\nETag: x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nto the end",
]
WORDS = (
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b";", b"\r\n ", b"HTTP/1.1", b"HTTP/1.0",
    b"Content-Length: 3\r\n", b"Content-Length: 3, 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n", b"Host: a\r\n", b"100", b"204",
    b"304",
)  # fmt: skip


def request_head(data: bytes) -> str:
    try:
        head = parse_head(data, 0, SMALL)
    except HTTPError as error:
        return told(error)
    if head is None:
        return "unfinished"
    require(0 < head[0] <= len(data), f"the head ends at {head[0]} of {len(data)}")
    for end in (1, head[0] // 2, head[0] - 1):
        # What is whole can't have been wrong, or over, before its end.
        require(parse_head(data[:end], 0, SMALL) is None, f"a head before its end, at {end}")
    return f"head of HTTP/1.{head[3]}, {len(head[4])} fields"


def response_head(data: bytes) -> str:
    try:
        head = parse_status_head(data, 0, SMALL)
    except HTTPError as error:
        return told(error)
    if head is None:
        return "unfinished"
    require(0 < head[0] <= len(data), f"the head ends at {head[0]} of {len(data)}")
    require(100 <= head[1] <= 999, f"status {head[1]}")
    return f"head of HTTP/1.{head[3]}, status {head[1] // 100}, {len(head[4])} fields"


def decoded(data: bytes, cut: int) -> tuple[bytes, bool, str, int]:
    body = ChunkedBody(SMALL)
    result = kept = b""
    used = 0
    try:
        for at in range(0, len(data), cut):
            kept += data[at : at + cut]
            while not body.ended:
                piece, end = body.decode(kept, 0)
                require(0 <= end <= len(kept), f"{end} of {len(kept)} used")
                result += piece
                used += end
                kept = kept[end:]
                if not piece and not end:
                    break
        body.finish()
    except HTTPError as error:
        return result, body.ended, error.rule.name, used
    return result, body.ended, "", used


def chunked_body(data: bytes) -> str:
    whole = decoded(data, 1 << 20)
    cut = decoded(data, 7)
    require(whole[:3] == cut[:3], f"cut otherwise, it means something else: {whole} {cut}")
    return f"{whole[1]} {whole[2]} {len(whole[0]).bit_length()}"


def through_server(data: bytes, cut: int) -> list[str]:
    """The kinds of the events, and how it failed."""
    session = ServerSession(limits=SMALL)
    session.start(0.0)
    notes: list[str] = []

    def pull() -> None:
        while (event := session.next_event()) is not None:
            require(not notes or not notes[-1].startswith("failed"), f"{event!r} after a failure")
            if event is MORE:
                continue
            if isinstance(event, Failed):
                require(isinstance(event.error, ProtocolError | TimedOut), f"failed with {event.error!r}")
                require(400 <= status_of(event.error) <= 599, "no status for the failure")
                rule = event.error.rule.name if isinstance(event.error, HTTPError) else told(event.error)
                notes.append(f"failed {rule}")
            else:
                name = type(event).__name__
                if name != "Data" or notes[-1:] != ["Data"]:
                    notes.append(name)
            # Answered at the end: what an early answer does to a body depends on how much of it is there.
            if isinstance(event, Request) and event.method == "CONNECT":
                session.respond(405)
            elif (
                isinstance(event, EndOfMessage)
                and session.request is not None
                and not session.response_started
            ):
                session.respond(200, b"ok")

    for at in range(0, len(data), cut):
        piece = data[at : at + cut]
        while piece:
            taken = session.receive(piece, 0.0)
            piece = piece[taken:]
            before = len(notes)
            pull()
            require(taken > 0 or len(notes) > before or not piece, "nothing taken, nothing handed out")
        session.take(1 << 30)
    session.receive_eof(0.0, truncated=False)
    pull()
    session.take(1 << 30)
    require(session.ended and session.unsent == 0, "the session goes on after the stream's end")
    require(session.deadline is None, "a deadline after the end")
    session.release()
    return notes


def server(data: bytes) -> str:
    whole = through_server(data, 1 << 20)
    cut = through_server(data, 5)
    require(cut == whole, f"cut otherwise, it means something else: {whole} {cut}")
    return " ".join(whole[:6])


def client(data: bytes) -> str:
    notes: list[str] = []
    session = ClientSession(host="h", limits=SMALL, max_pipelined=ASKED)
    session.start(0.0)
    for method in ("GET", "HEAD", "GET", "GET"):
        session.request(method, "/")
    session.take(1 << 30)

    def pull() -> None:
        while (event := session.next_event()) is not None:
            require(not notes or not notes[-1].startswith("failed"), f"{event!r} after a failure")
            if isinstance(event, Failed):
                require(isinstance(event.error, ProtocolError | TimedOut), f"failed with {event.error!r}")
                notes.append(f"failed {told(event.error)}")
            else:
                notes.append(type(event).__name__)

    for at in range(0, len(data), 61):
        piece = data[at : at + 61]
        while piece:
            taken = session.receive(piece, 0.0)
            piece = piece[taken:]
            before = len(notes)
            pull()
            require(taken > 0 or len(notes) > before or not piece, "nothing taken, nothing handed out")
    session.receive_eof(0.0, truncated=False)
    pull()
    require(session.ended and session.deadline is None, "the session goes on after the stream's end")
    answered = notes.count("EndOfMessage")
    require(answered + len(session.unanswered) == ASKED, f"{answered} of {ASKED} answered, the rest not told")
    session.release()
    return " ".join(notes[:6])


TARGETS = (
    Target("http-request-head", "one request head", request_head, lambda: list(REQUESTS), WORDS),
    Target("http-response-head", "one response head", response_head, lambda: list(RESPONSES), WORDS),
    Target(
        "http-chunked-body",
        "a chunked body, whole and cut",
        chunked_body,
        lambda: [b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n"],
        WORDS,
    ),
    Target(
        "http-server",
        "a server's session, whole and cut",
        server,
        lambda: [*REQUESTS, b"".join(REQUESTS)],
        WORDS,
    ),
    Target("http-client", "a client's session", client, lambda: [*RESPONSES, b"".join(RESPONSES)], WORDS),
)
