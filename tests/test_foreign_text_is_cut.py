"""Whatever a peer sends is cut where it is repeated: in errors, in reprs of events, in lines of a log."""

from __future__ import annotations

import importlib
import pkgutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import mungos
from mungos.errors import ProtocolError
from mungos.http import (
    ClientSession,
    EndOfMessage,
    Failed,
    Headers,
    HTTPError,
    HTTPLimits,
    InformationalResponse,
    Request,
    Response,
    Rule,
    ServerSession,
)
from mungos.http.errors import violation
from mungos.printable import (
    MAX_LINE_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    MAX_QUOTED_CHARACTERS,
    printable,
    quoted,
)
from mungos.websocket import CloseReceived, Established, Message, Ping, Pong
from mungos.websocket.handshake import HandshakeRefused, HandshakeRejected, Rejection
from tests.cli.programs import server as serving
from tests.websocket import driver

LONG = 1_000_000
SHORT = MAX_MESSAGE_CHARACTERS + 50
ROOMY = HTTPLimits(max_head=64 << 10, max_line=60 << 10, max_chunk_line=60 << 10)


def kinds_of_error() -> Iterator[type[ProtocolError]]:
    for found in pkgutil.walk_packages(mungos.__path__, "mungos."):
        if found.name.split(".")[1] in {"crypto", "dns", "errors", "http", "tls", "websocket", "x509"}:
            try:
                module = importlib.import_module(found.name)
            except ImportError:
                continue  # a library that is not here
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, ProtocolError):
                    yield value


def test_no_error_about_a_peer_is_longer_than_its_bound() -> None:
    kinds = set(kinds_of_error())
    assert len(kinds) > 20
    headers = Headers([("A", "b" * LONG)])
    for kind in kinds:
        if kind is HandshakeRefused:
            error: ProtocolError = kind(Rejection(400, "x" * LONG))
        elif kind is HandshakeRejected:
            error = kind(400, "x" * LONG, headers, b"x" * 4096)
        elif issubclass(kind, HTTPError):
            error = kind(Rule.FIELD_LINE, "x" * LONG)
        else:
            error = kind("x" * LONG)
        assert len(str(error)) <= SHORT, kind
        assert len(repr(error)) <= SHORT + 50, kind
        assert len(repr(Failed(error))) <= SHORT + 100, kind
        if kind is not HandshakeRejected:
            assert "characters" in str(error)


def test_reprs_of_events_are_short() -> None:
    long = "x" * LONG
    fields = [(f"{i}" + "A" * 1000, long) for i in range(20)]
    request = Request("M" * LONG, "/" + long, 1, fields, dict(fields), True, False, False)
    headers = Headers(fields)
    events = [
        request,
        headers,
        Response(200, long, headers, (1, 1)),
        InformationalResponse(100, long, headers, (1, 1)),
        EndOfMessage(headers),
        Established(None, headers, long),
        Message(long),
        Message(long.encode()),
        Ping(bytes(125)),
        Pong(bytes(125)),
        CloseReceived(1000, "\x1b" * 123),
        request.headers,
    ]
    for event in events:
        assert len(repr(event)) <= 1000, type(event)


HOSTILE = [
    b"G" * 50_000 + b"\x00",
    b"GET /" + b"a" * 50_000 + b"\x00",
    b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"M" * 50_000 + b" * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET ftp:" + b"a" * 50_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    b"CONNECT " + b"a" * 50_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b"/" * 50_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nExpect: " + b"e" * 50_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"1" * 50_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + b"t" * 50_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"n" * 50_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1 " + b" " * 50_000 + b"\r\n",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_what_an_http_server_says_of_a_long_value_is_short(data: bytes) -> None:
    session = ServerSession(limits=ROOMY)
    session.start(0.0)
    session.receive(data, 0.0)
    event = session.next_event()
    while isinstance(event, Request):
        event = session.next_event()
    assert isinstance(event, Failed)
    assert len(str(event.error)) <= 400


def test_what_a_websocket_client_says_of_a_long_answer_is_short_and_harmless() -> None:
    session = driver.make("client", limits=ROOMY)
    session.start(0.0)
    driver.output(session)
    reason = b"\x9b31m" * 5000
    session.receive(b"HTTP/1.1 403 " + reason + b"\r\nContent-Length: 0\r\n\r\n", 0.0)
    event = session.next_event()
    assert isinstance(event, Failed)
    assert len(str(event.error)) <= 400
    assert str(event.error).isprintable()
    session = driver.make("client", limits=ROOMY)
    session.start(0.0)
    answer = driver.response_to(driver.output(session)).replace(b"websocket", b"w" * 50_000)
    session.receive(answer, 0.0)
    event = session.next_event()
    assert isinstance(event, Failed)
    assert len(str(event.error)) <= 400


def test_what_an_http_client_says_of_a_long_answer_is_short() -> None:
    for data in (
        b"HTTP/1.1 20" + b"0" * 50_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 50_000 + b"\r\n\r\n",
    ):
        session = ClientSession(host="h", limits=ROOMY)
        session.start(0.0)
        session.request("GET", "/")
        session.receive(data, 0.0)
        event = session.next_event()
        assert isinstance(event, Failed)
        assert len(str(event.error)) <= 400


def test_a_long_target_leaves_a_short_line_in_the_access_log(tmp_path: Path) -> None:
    with serving("serve", tmp_path, "--listen", "http://127.0.0.1:0") as running:
        with socket.create_connection(("127.0.0.1", running.port("http")), timeout=8) as connection:
            connection.sendall(b"GET /%b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % (b"a" * 8000))
            while connection.recv(65536):
                pass
        running.signal()
        assert running.ended() == 0
        (line,) = [line for line in running.errors().splitlines() if "GET /aaa" in line]
        assert len(line) <= MAX_LINE_CHARACTERS
        assert "(8001 characters) 404 " in line


def test_violation_keeps_what_fits() -> None:
    assert str(violation(Rule.PATH, "x" * MAX_MESSAGE_CHARACTERS)) == "x" * MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        (None, "None"),
        (b"\xff" * 130, repr(b"\xff" * 120) + "... (130 bytes)"),
        ("é" * 121, repr("é" * 120) + "... (121 characters)"),
        ([b"http/1.1", b"h2"], "[b'http/1.1', b'h2']"),
        ((("a", "b"),), "(('a', 'b'))"),
    ],
)
def test_quoted(value: str | bytes | list[object] | None, shown: str) -> None:
    assert quoted(value) == shown


def test_quoted_looks_at_a_bounded_part_of_a_long_list() -> None:
    shown = quoted([b"n%d" % i for i in range(32_000)])
    assert shown.endswith("... (32000 of them)]")
    assert len(shown) <= 3 * MAX_QUOTED_CHARACTERS
    assert len(quoted([""] * LONG)) <= 3 * MAX_QUOTED_CHARACTERS
    assert len(quoted([["x" * LONG] * LONG] * LONG)) <= 5 * MAX_QUOTED_CHARACTERS


def test_printable_with_a_bound() -> None:
    assert printable("abc", most=3) == "abc"
    assert printable("x" * 2000, most=100) == "x" * 79 + "... (2000 characters)"
    assert len(printable("\x1b" * 99, most=100)) == 100
    assert printable("a" * LONG, most=50).isprintable()
