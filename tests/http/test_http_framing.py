"""Where bodies end: RFC 9112 sections 6 and 7, and the ways in which requests are smuggled."""

from __future__ import annotations

import pytest

from mungos.errors import Misuse
from mungos.http import SERVER_LIMITS, HTTPError, HTTPLimits, IncompleteMessage, Rule
from mungos.http.framing import (
    ChunkedBody,
    Framing,
    LengthBody,
    StreamBody,
    chunk,
    last_chunk,
    request_framing,
    response_framing,
)
from tests.http.http_peers import Server, pieces, silent


def decoded(data: bytes, size: int, limits: HTTPLimits = SERVER_LIMITS) -> tuple[bytes, int, ChunkedBody]:
    """Decode in pieces, keeping what a step leaves, as a session does."""
    body = ChunkedBody(limits)
    result = b""
    kept = b""
    used = 0
    for piece in pieces(data, size):
        kept += piece
        while not body.ended:
            out, at = body.decode(kept, 0)
            used += at
            kept = kept[at:]
            if not out:
                break
            result += out
    return result, used, body


WIKI = b"4\r\nWiki\r\n5;a=b\r\npedia\r\nE ; c\r\n in \r\n\r\nchunks\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\nGET"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_rfc9112_7_1_known_chunked_body(size: int) -> None:
    data, used, body = decoded(WIKI, size)
    assert data == b"Wikipedia in \r\n\r\nchunks"
    assert body.ended
    assert body.trailers.fields == [("X-Sum", "1"), ("Y", "")]
    assert used == len(WIKI) - 3


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\n",
        b"1\rx",
        b"1;a\n",
        b"1;\x00\r\n",
        b"1,2\r\n",
        b"1 2\r\n",
        b";a\r\n",
        b"1234567890abcdef\r\n",
        b"00000000000000001\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na\r\r",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\nX: 1\n\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\n\n",
        b"\xb2\r\n",
        b"1" * 2000,
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_rfc9112_7_1_malformed_chunks(data: bytes, size: int) -> None:
    with pytest.raises(HTTPError) as caught:
        decoded(data, size)
    assert caught.value.status == 400


def test_rfc9112_7_1_1_extensions_are_bounded_in_total() -> None:
    limits = HTTPLimits(max_chunk_extensions=20, max_chunk_line=16)
    assert decoded(b"1;aaaa\r\nx\r\n" * 4, 1000, limits)[0] == b"xxxx"
    with pytest.raises(HTTPError) as caught:
        decoded(b"1;aaaa\r\nx\r\n" * 5, 10, limits)
    assert caught.value.rule is Rule.CHUNK_EXTENSIONS_TOO_LONG
    with pytest.raises(HTTPError) as caught:
        decoded(b"1;aaaaaaaaaaaaaaa\r\nx\r\n", 1000, limits)
    assert "16 bytes" in str(caught.value)


def test_rfc9112_7_1_2_trailers_are_bounded() -> None:
    limits = HTTPLimits(max_trailers=30, max_headers=3)
    assert decoded(b"0\r\nA: " + b"a" * 23 + b"\r\n\r\n", 1, limits)[2].ended
    for size in (1, 1000):
        with pytest.raises(HTTPError) as caught:
            decoded(b"0\r\nA: " + b"a" * 24 + b"\r\n\r\n", size, limits)
        assert (caught.value.rule, caught.value.status) == (Rule.TRAILERS_TOO_LONG, 431)
        with pytest.raises(HTTPError) as caught:
            decoded(b"0\r\n" + b"A:\r\n" * 4 + b"\r\n", size, limits)
        assert caught.value.rule is Rule.FIELDS_TOO_MANY


@pytest.mark.parametrize("size", [1, 1000])
def test_chunked_body_over_the_limit_gives_what_was_good_first(size: int) -> None:
    body = ChunkedBody(HTTPLimits(max_body=5))
    assert body.decode(b"3\r\nabc\r\n3\r\n", 0) == (b"abc", 8)
    with pytest.raises(HTTPError) as caught:
        body.decode(b"", 0)
    assert (caught.value.rule, caught.value.status) == (Rule.BODY_TOO_LONG, 413)


def test_h07_chunked_body_cut_at_every_byte_is_incomplete() -> None:
    whole = WIKI[:-3]
    for cut in range(len(whole)):
        for size in (1, 1000):
            body = decoded(whole[:cut], size)[2]
            assert not body.ended
            with pytest.raises(IncompleteMessage):
                body.finish()


def test_length_and_stream_bodies() -> None:
    body = LengthBody(5)
    assert body.decode(b"xxabc", 2) == (b"abc", 5)
    assert body.remaining == 2
    with pytest.raises(IncompleteMessage):
        body.finish()
    assert body.decode(b"defg", 0) == (b"de", 2)
    assert body.ended
    body.finish()
    whole = b"12345"
    assert LengthBody(9).decode(whole, 0)[0] is whole
    stream = StreamBody(HTTPLimits(max_body=4))
    assert stream.decode(b"abc", 1) == (b"bc", 3)
    assert stream.decode(b"def", 0) == (b"de", 2)
    with pytest.raises(HTTPError):
        stream.decode(b"f", 0)
    stream.finish()
    assert stream.ended


def test_chunked_encoder() -> None:
    assert chunk(b"") == b""
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
    assert last_chunk() == b"0\r\n\r\n"
    assert last_chunk([("X-Sum", "1")]) == b"0\r\nX-Sum: 1\r\n\r\n"
    for field in (("Content-Length", "1"), ("X", "a\r\nb"), ("X\r\n", "a"), ("", "")):
        with pytest.raises(Misuse):
            last_chunk([field])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, 0),
        ({"content-length": "0"}, 0),
        ({"content-length": "007"}, 7),
        ({"content-length": "16777216"}, 16777216),
        ({"content-length": "16777217"}, 413),
        ({"content-length": "999999999999999999"}, 413),
        ({"content-length": "1" * 30}, 400),
        ({"content-length": ""}, 400),
        ({"content-length": "+1"}, 400),
        ({"content-length": "-1"}, 400),
        ({"content-length": "1_0"}, 400),
        ({"content-length": "0x1"}, 400),
        ({"content-length": "1.0"}, 400),
        ({"content-length": "1 0"}, 400),
        ({"content-length": "\xb2"}, 400),
        ({"content-length": "5, 5"}, 400),
        ({"content-length": "5, 6"}, 400),
        ({"content-length": "5,"}, 400),
        ({"transfer-encoding": "chunked"}, Framing.CHUNKED),
        ({"transfer-encoding": "Chunked"}, Framing.CHUNKED),
        ({"transfer-encoding": "gzip, chunked"}, 501),
        ({"transfer-encoding": "gzip;q=1 , chunked"}, 501),
        ({"transfer-encoding": "gzip"}, 400),
        ({"transfer-encoding": "identity"}, 400),
        ({"transfer-encoding": "xchunked"}, 400),
        ({"transfer-encoding": "chunked, identity"}, 400),
        ({"transfer-encoding": "chunked, chunked"}, 400),
        ({"transfer-encoding": "chunked,"}, 400),
        ({"transfer-encoding": ",chunked"}, 400),
        ({"transfer-encoding": '"chunked"'}, 400),
        ({"transfer-encoding": "chunked;a=b"}, 400),
        ({"transfer-encoding": "chunk\xe9d"}, 400),
        ({"transfer-encoding": ""}, 400),
        ({"transfer-encoding": "chunked", "content-length": "5"}, 400),
        ({"transfer-encoding": "chunked", "content-length": "0"}, 400),
        ({"transfer-encoding": "", "content-length": "5"}, 400),
    ],
)
def test_rfc9112_6_3_length_of_requests(table: dict[str, str], expected: int | Framing) -> None:
    if isinstance(expected, Framing) or expected not in (400, 413, 501):
        assert request_framing(1, table, SERVER_LIMITS) == expected
        return
    with pytest.raises(HTTPError) as caught:
        request_framing(1, table, SERVER_LIMITS)
    assert caught.value.status == expected


def test_rfc9112_6_1_transfer_encoding_in_http_1_0() -> None:
    with pytest.raises(HTTPError) as caught:
        request_framing(0, {"transfer-encoding": "chunked"}, SERVER_LIMITS)
    assert (caught.value.rule, caught.value.status) == (Rule.CODING_IN_HTTP_1_0, 400)


def test_rfc9112_6_3_length_of_responses() -> None:
    def framing(method: str, status: int, **table: str) -> int | Framing:
        return response_framing(
            method, status, 1, {name.replace("_", "-"): value for name, value in table.items()}, SERVER_LIMITS
        )

    assert framing("HEAD", 200, content_length="5") == 0
    assert framing("GET", 204, content_length="5") == 0
    assert framing("GET", 304, transfer_encoding="chunked") == 0
    assert framing("CONNECT", 200, content_length="5") == 0
    assert framing("CONNECT", 400, content_length="5") == 5
    assert framing("GET", 200) is Framing.END_OF_STREAM
    assert framing("GET", 200, transfer_encoding="chunked") is Framing.CHUNKED
    with pytest.raises(HTTPError):
        framing("GET", 200, transfer_encoding="chunked", content_length="5")


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 35\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 35\r\n",
        b"Content-Length: 35\r\nContent-Length: 0\r\n",
        b"Content-Length: 0\r\nContent-Length: 0\r\n",
        b"Content-Length: 0, 35\r\n",
        b"Content-Length : 35\r\n",
        b"Content-Length\t: 35\r\n",
        b" Content-Length: 35\r\n",
        b"Content-Length:\x0b35\r\n",
        b"Content-Length: 35\n",
        b"Content-Length: \r\n 35\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\x0b\r\n",
        b"Transfer-Encoding:\x0cchunked\r\n",
        b"Transfer-Encoding: \x00chunked\r\n",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"X: y\nTransfer-Encoding: chunked\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding\r\n : chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
    ],
)
def test_rfc9112_11_2_smuggling_is_refused_and_the_connection_ends(fields: bytes) -> None:
    server = Server(silent)
    server.feed(b"POST / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert server.kinds == ["failed"]
    assert server.statuses[0] in (400, 501)
    assert b"Connection: close\r\n" in server.sent
    assert server.session.ended
    assert server.session.leftover() == b""


def test_rfc9112_11_2_lone_transfer_encoding_with_odd_case_is_one_message() -> None:
    server = Server()
    server.feed(b"POST / HTTP/1.1\r\nHost: h\r\ntRANSFER-eNCODING:\tcHuNkEd \r\n\r\n0\r\n\r\n" + SMUGGLED)
    assert [each[2] for each in server.notes if each[0] == "request"] == ["/", "/smuggled"]
