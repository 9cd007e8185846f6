"""What holds for any bytes: cutting changes nothing, faults are typed, and no state is left behind."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mungos.errors import ProtocolError
from mungos.http import Failed, HTTPError, HTTPLimits, Rule, parse_head, path_components, status_of
from mungos.http.framing import ChunkedBody, chunk, last_chunk
from tests.http.http_peers import Client, Handler, Note, Server, merged, ok, ok_at_end, pieces, silent

MANY = settings(max_examples=150, deadline=None)
SMALL = HTTPLimits(
    max_head=300, max_line=100, max_headers=6, max_body=60, max_chunk_line=20, max_chunk_extensions=30,
    max_trailers=80, max_receive=400, max_discard=20,
)  # fmt: skip

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nHEAD /a?b HTTP/1.1\r\nHost: h\r\nA: b \r\nA:\tc\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nto the end",
]
NASTY = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"\xff",
    b"HTTP/1.1",
    b"\r\n ",
    b"Content-Length: 3\r\n",
]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One to four messages, with up to four places changed."""
    data = b"".join(draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        put = draw(st.one_of(st.just(b""), st.sampled_from(NASTY), st.binary(max_size=3)))
        data = data[:at] + put * draw(st.sampled_from([1, 1, 1, 30])) + data[at + gone :]
    return data


def refuse_connect(handler: Handler) -> Handler:
    def answer(session, event):  # type: ignore[no-untyped-def]
        if getattr(event, "method", "") == "CONNECT":
            session.respond(405)
        elif not session.response_started and session.request is not None:
            handler(session, event)

    return answer


def through_server(data: bytes, size: int, handler: Handler) -> tuple[list[Note], list[int], Server]:
    server = Server(refuse_connect(handler), SMALL)
    for piece in pieces(data, size):
        server.feed(piece)
    server.eof()
    # Whether 100 was sent depends on when the body came: not a part of what has to be equal.
    return merged(server.notes), [status for status in server.statuses if status != 100], server


def consistent(server: Server) -> None:
    session = server.session
    assert session.ended
    assert session.deadline is None
    assert session.unsent == 0
    assert session.next_event() is None
    assert session.leftover() == b""
    assert session._body is None
    kinds = server.kinds
    assert "failed" not in kinds[:-1]
    # Every message is a head, its data, and one end.
    pattern = "(request (data )?end )*((request (data )?)?(failed )?)?"
    assert re.fullmatch(pattern, "".join(f"{kind} " for kind in kinds)), kinds
    for event in server.events:
        if isinstance(event, Failed):
            assert isinstance(event.error, ProtocolError)
            if server.statuses and server.statuses[-1] >= 400 and server.statuses[-1] != 405:
                assert server.statuses[-1] == status_of(event.error)


@MANY
@given(mutated(REQUESTS), st.sampled_from([1, 2, 3, 7, 50]), st.sampled_from([ok_at_end, silent]))
@example(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 6 + b"\r\n", 1, ok_at_end)
@example(b"GET /" + b"a" * 100 + b" HTTP/9.1\r\n\r\n", 1, ok_at_end)
@example(
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" * 5,
    1,
    ok_at_end,
)
def test_cutting_changes_nothing_for_a_server(data: bytes, size: int, handler: Handler) -> None:
    notes, statuses, whole = through_server(data, 1 << 20, handler)
    cut_notes, cut_statuses, cut = through_server(data, size, handler)
    assert cut_notes == notes
    assert cut_statuses == statuses
    if handler is not silent:
        consistent(whole)
        consistent(cut)


@MANY
@given(mutated(REQUESTS), st.sampled_from([1, 5, 1 << 20]))
def test_any_bytes_end_in_a_consistent_state(data: bytes, size: int) -> None:
    consistent(through_server(data, size, ok)[2])
    consistent(through_server(data, size, ok_at_end)[2])


@MANY
@given(st.binary(max_size=400))
def test_noise_is_answered_with_an_error_or_not_at_all(data: bytes) -> None:
    _, statuses, server = through_server(data, 1 << 20, ok)
    consistent(server)
    errors = [status for status in statuses if status not in {200, 405}]
    # Noise may happen to be a request: those, and only those, are answered as one.
    assert len(statuses) - len(errors) <= server.kinds.count("request")
    assert all(status in {400, 414, 431, 501, 505} for status in errors)


def through_client(data: bytes, size: int, truncated: bool) -> tuple[list[Note], Client]:
    client = Client(SMALL, max_pipelined=4)
    for _ in range(4):
        client.get()
    for piece in pieces(data, size):
        client.feed(piece)
    client.eof(truncated=truncated)
    return merged(client.notes), client


@MANY
@given(mutated(RESPONSES), st.sampled_from([1, 2, 3, 7, 50]), st.booleans())
def test_cutting_changes_nothing_for_a_client(data: bytes, size: int, truncated: bool) -> None:
    notes, whole = through_client(data, 1 << 20, truncated)
    cut_notes, cut = through_client(data, size, truncated)
    assert cut_notes == notes
    for client in (whole, cut):
        assert client.session.ended
        assert client.session.deadline is None
        assert client.session._body is None
        assert "failed" not in client.kinds[:-1]
        # What has no end of message is told as unanswered.
        assert client.kinds.count("end") + len(client.session.unanswered) == 4


@MANY
@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 60))
def test_chunked_coding_round_trip(parts: list[bytes], size: int) -> None:
    data = b"".join(map(chunk, parts)) + last_chunk([("T", "u")])
    body = ChunkedBody(HTTPLimits())
    result = kept = b""
    for piece in pieces(data, size):
        kept += piece
        out, at = body.decode(kept, 0)
        result += out
        kept = kept[at:]
    assert (result, body.ended, kept) == (b"".join(parts), True, b"")


TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
)
FIELDS = st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() != "host"), VALUES), max_size=20)


@MANY
@given(TOKENS.filter(lambda method: method != "CONNECT"), FIELDS, st.booleans())
def test_heads_round_trip(method: str, fields: list[tuple[str, str]], padded: bool) -> None:
    blank = "\t " if padded else ""
    text = f"{method} /x HTTP/1.1\r\nHost: h\r\n" + "".join(
        f"{name}:{blank}{value}{blank}\r\n" for name, value in fields
    )
    data = text.encode("latin-1") + b"\r\n"
    head = parse_head(data, 0, HTTPLimits())
    assert head is not None
    assert head[1] == method
    assert head[4] == [("Host", "h"), *((name, value.strip(" \t")) for name, value in fields)]


@MANY
@given(st.text("/.%2fFeE5c\\a\0", max_size=30))
def test_paths_never_lead_upwards(path: str) -> None:
    broken: Rule | None = None
    components: tuple[str, ...] = ("",)
    try:
        components = path_components("/" + path)
    except HTTPError as error:
        broken = error.rule
    assert broken in (None, Rule.PATH)
    assert all(name not in ("", ".", "..") for name in components[:-1])
    assert components[-1] != ".."
    assert not any("/" in name or "\0" in name for name in components)
