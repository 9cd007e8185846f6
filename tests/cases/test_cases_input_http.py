"""Bad input to HTTP, through the whole stack: a typed error, the right answer, nothing left, bounded time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos import CloseKind, http
from mungos.errors import ProtocolError, TimedOut
from tests.cases.web import Watch, Web, ask, get
from tests.cases.web_peers import Speaker
from tests.cases.world import World

POST = (
    b"POST /form?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nX-Note: some text\r\n\r\n"
    b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n"
)
CHECKED = http.SERVER_LIMITS
SLOWEST = CHECKED.body_window + CHECKED.keep_alive_timeout + 10.0  # seconds, the longest of the deadlines


@pytest.fixture
def web() -> Iterator[Web]:
    """Only the memory wire: its clock makes every deadline testable at once."""
    made = Web(World("memory"), secure=False)
    yield made
    made.close()


def echo_at_end(session: http.ServerConnection, _event: object) -> None:
    session.respond(200, b"done")


def server_verdict(web: Web, watch: Watch, peer: Speaker) -> None:
    """However it went, it is over in bounded time, and both sides can tell how."""
    web.run(lambda: watch.closed, within=SLOWEST)
    reason = watch.reason()
    assert reason.kind in {CloseKind.CLEAN, CloseKind.PROTOCOL_ERROR, CloseKind.TIMED_OUT}
    assert not peer.reset
    if reason.kind is CloseKind.CLEAN:
        assert reason.error is None
        assert all(status == 200 for status in peer.statuses)
        assert watch.count("Request") == watch.count("EndOfMessage") == len(peer.statuses)
    else:
        assert isinstance(reason.error, ProtocolError | TimedOut)
        assert str(reason.error)
        assert peer.statuses[-1:] == [http.status_of(reason.error)]
        assert watch.count("EndOfMessage") == len(peer.statuses) - 1


@pytest.mark.parametrize("end", ["fin", "silence"])
def test_request_cut_at_every_byte(web: Web, end: str) -> None:
    for cut in range(len(POST) + 1):
        server = web.watch(EndOfMessage=echo_at_end)
        listener = web.serve(server)
        peer = web.peer(listener)
        peer.say(POST[:cut])
        if end == "fin":
            peer.end()
        web.run(lambda peer=peer: peer.over, within=SLOWEST)  # type: ignore[misc]
        peer.end()
        server_verdict(web, server, peer)
        expected = [] if cut == 0 else [200] if cut == len(POST) else [400 if end == "fin" else 408]
        assert peer.statuses == expected, cut
        listener.close()
        peer.close()


@pytest.mark.parametrize("end", ["fin", "silence", "reset"])
def test_response_cut_at_every_byte(web: Web, end: str) -> None:
    where = web.scripted()
    for cut in range(len(ANSWER)):
        client = web.watch(Opened=ask("/"))
        web.request(where, client)
        peer = web.accept(where)
        web.run(lambda peer=peer: bool(peer.received))  # type: ignore[misc]
        peer.say(ANSWER[:cut])
        if end == "fin":
            peer.end()
        elif end == "reset":
            peer.cut()
        web.run(lambda client=client, peer=peer: client.closed or peer.over, within=SLOWEST)  # type: ignore[misc]
        peer.close()
        web.run(lambda client=client: client.closed)  # type: ignore[misc]
        reason = client.reason()
        assert b"hello world".startswith(client.body)
        assert client.count("EndOfMessage") == 0
        if end == "fin":
            assert isinstance(reason.error, http.IncompleteMessage)
        elif end == "silence":
            assert reason.kind is CloseKind.TIMED_OUT
            assert isinstance(reason.error, TimedOut)
        else:
            assert reason.kind is CloseKind.PEER_RESET
        assert client.client.unanswered == (("GET", "/"),)


OVERSIZED = {
    "target": (get("/" + "x" * 9000), 414),
    "field": (get("/", "X-Long: " + "x" * 9000), 431),
    "field name": (get("/", "X" * 9000 + ": x"), 431),
    "head": (get("/", *(f"X-{number}: {'x' * 1000}" for number in range(20))), 431),
    "number of fields": (get("/", *(f"X-{number}: x" for number in range(200))), 431),
    "line that never ends": (b"G" * 20_000, 414),
    "fields that never end": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000, 431),
    "length over the limit": (get("/", "Content-Length: 99999999999"), 413),
    "length of a thousand digits": (get("/", "Content-Length: " + "9" * 1000), None),
    "chunk over the limit": (get("/", "Transfer-Encoding: chunked") + b"FFFFFFFF\r\n", 413),
    "chunk size of a hundred digits": (get("/", "Transfer-Encoding: chunked") + b"F" * 100 + b"\r\n", None),
    "chunk extension": (get("/", "Transfer-Encoding: chunked") + b"1;" + b"x" * 5000 + b"\r\nx\r\n", 400),
    "trailers": (get("/", "Transfer-Encoding: chunked") + b"0\r\n" + b"X: yyyyyyyyyyyy\r\n" * 2000, 431),
}


@pytest.mark.parametrize("what", OVERSIZED)
def test_oversized(web: Web, what: str) -> None:
    data, status = OVERSIZED[what]
    server = web.watch(EndOfMessage=echo_at_end)
    listener = web.serve(server)
    other = web.ready(listener)
    peer = web.peer(listener)
    peer.say(data)
    web.run(lambda: peer.over, within=1.0)
    assert not peer.reset
    assert len(peer.statuses) == 1
    assert peer.statuses[0] == (status or peer.statuses[0])
    assert 400 <= peer.statuses[0] < 500
    peer.close()
    web.run(lambda: len(web.manager.connections) == 1)
    reason = server.reason(1)
    assert reason.kind is CloseKind.PROTOCOL_ERROR
    assert isinstance(reason.error, http.HTTPError)
    assert reason.error.status == peer.statuses[0]
    other.say(get("/"))
    web.run(lambda: other.statuses == [200])


# Where a byte may be forbidden.
PLACES = {
    "method": b"GE%bT / HTTP/1.1\r\nHost: a\r\n\r\n",
    "target": b"GET /a%bb HTTP/1.1\r\nHost: a\r\n\r\n",
    "version": b"GET / HTTP/1%b.1\r\nHost: a\r\n\r\n",
    "field name": b"GET / HTTP/1.1\r\nHost: a\r\nX%bY: z\r\n\r\n",
    "field value": b"GET / HTTP/1.1\r\nHost: a\r\nX: y%bz\r\n\r\n",
    "host": b"GET / HTTP/1.1\r\nHost: a%bb\r\n\r\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_forbidden_bytes(web: Web, place: str) -> None:
    """Controls are never taken, wherever they stand; what is taken is answered, everything else refused."""
    server = web.watch(EndOfMessage=echo_at_end)
    listener = web.serve(server)
    for byte in [*range(0x21), 0x22, 0x28, 0x7F, 0x80, 0xFF]:
        peer = web.peer(listener)
        peer.say(PLACES[place].replace(b"%b", bytes([byte])))
        peer.end()
        web.run(lambda peer=peer: peer.over, within=1.0)  # type: ignore[misc]
        assert not peer.reset
        assert len(peer.statuses) == 1
        if byte < 0x20 and byte != 0x09:
            assert peer.statuses[0] in {400, 505}, (place, byte)
        else:
            assert peer.statuses[0] in {200, 400, 505}, (place, byte)
    web.run(lambda: server.closed)


def test_tls_to_a_plain_port(web: Web) -> None:
    server = web.watch()
    peer = web.peer(web.serve(server))
    peer.say(bytes.fromhex("1603010200010001fc0303") + bytes(200))
    web.run(lambda: peer.over, within=15.0)
    assert peer.statuses in ([400], [408])
    peer.close()
    web.run(lambda: server.closed)


def mutated(valid: bytes) -> st.SearchStrategy[bytes]:
    """A valid message with some bytes changed, removed, doubled or put in."""
    change = st.tuples(
        st.integers(0, len(valid) - 1),
        st.sampled_from(["set", "drop", "insert", "double", "cut"]),
        st.one_of(
            st.binary(min_size=1, max_size=4), st.sampled_from([b"\r\n", b"\0", b"\n", b":", b" ", b"0"])
        ),
    )

    def apply(changes: list[tuple[int, str, bytes]]) -> bytes:
        data = bytearray(valid)
        for at, how, what in changes:
            place = min(at, len(data))
            if how == "set":
                data[place : place + len(what)] = what
            elif how == "drop":
                del data[place : place + len(what)]
            elif how == "insert":
                data[place:place] = what
            elif how == "double":
                data[place:place] = data[place : place + 20]
            else:
                del data[place:]
        return bytes(data)

    return st.lists(change, min_size=1, max_size=4).map(apply)


@settings(max_examples=150, deadline=None)
@given(data=mutated(POST), pieces=st.integers(1, 40))
def test_mutated_requests(data: bytes, pieces: int) -> None:
    web = Web(World("memory"), secure=False)
    limits = dataclasses.replace(CHECKED, keep_alive_timeout=1.0)
    server = web.watch(EndOfMessage=echo_at_end)
    peer = web.peer(web.serve(server, http_limits=limits))
    step = max(1, len(data) // pieces)
    for at in range(0, len(data), step):
        peer.say(data[at : at + step])
        web.world.turn()
    web.run(lambda: peer.over, within=SLOWEST)
    peer.end()
    web.run(lambda: server.closed)
    server_verdict(web, server, peer)
    web.close()


@settings(max_examples=150, deadline=None)
@given(data=mutated(ANSWER), end=st.booleans())
def test_mutated_responses(data: bytes, end: bool) -> None:
    web = Web(World("memory"), secure=False)
    client = web.watch(Opened=ask("/"))
    peer = web.asked(client, http_limits=dataclasses.replace(http.CLIENT_LIMITS, keep_alive_timeout=1.0))
    peer.say(data)
    if end:
        peer.end()
    web.run(lambda: client.closed or peer.over, within=SLOWEST + 60)
    peer.close()
    web.run(lambda: client.closed)
    reason = client.reason()
    if reason.kind is CloseKind.CLEAN:
        assert client.count("EndOfMessage") == 1 == client.count("Response")
    else:
        assert reason.kind in {CloseKind.PROTOCOL_ERROR, CloseKind.TIMED_OUT}
        assert isinstance(reason.error, ProtocolError | TimedOut)
    assert peer.received.count(b"GET ") == 1
    web.close()


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=300))
def test_noise_at_a_server(data: bytes) -> None:
    web = Web(World("memory"), secure=False)
    server = web.watch(EndOfMessage=echo_at_end)
    peer = web.peer(web.serve(server))
    peer.say(data)
    web.run(lambda: peer.over, within=SLOWEST)
    peer.end()
    web.run(lambda: server.closed)
    server_verdict(web, server, peer)
    web.close()
