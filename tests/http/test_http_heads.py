"""Heads against RFC 9112 sections 2 to 5: what is accepted and what is refused, known by hand."""

from __future__ import annotations

import pytest

from mungos.errors import Malformed, Misuse, PeerIncompatible, PeerMisbehaved
from mungos.http import (
    RULES,
    SERVER_LIMITS,
    Headers,
    HTTPError,
    HTTPLimits,
    Request,
    Rule,
    parse_head,
    parse_status_head,
)
from mungos.http.heads import RequestHead

HOST = b"Host: example.com\r\n"


def request(line: bytes, fields: bytes = HOST, limits: HTTPLimits = SERVER_LIMITS) -> RequestHead | None:
    return parse_head(line + b"\r\n" + fields + b"\r\n", 0, limits)


def refusal(data: bytes, limits: HTTPLimits = SERVER_LIMITS) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        parse_head(data, 0, limits)
    return caught.value


def test_rfc9112_3_known_head() -> None:
    data = b"xxGET /a?b=c HTTP/1.1\r\nHost: h:8\r\nAccept:  a, b \t\r\nEmpty:\r\nX-\xe9mpty: no\r\n\r\nrest"
    with pytest.raises(HTTPError):
        parse_head(data, 2, SERVER_LIMITS)
    data = data.replace(b"X-\xe9mpty: no", b"X-Latin: caf\xe9")
    end, method, target, minor, fields, table = parse_head(data, 2, SERVER_LIMITS) or pytest.fail("None")
    assert data[end:] == b"rest"
    assert (method, target, minor) == ("GET", "/a?b=c", 1)
    assert fields == [("Host", "h:8"), ("Accept", "a, b"), ("Empty", ""), ("X-Latin", "café")]
    assert table == {"host": "h:8", "accept": "a, b", "empty": "", "x-latin": "café"}


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"GET / HTTP/1.1", "/"),
        (b"GET //double//slash HTTP/1.1", "//double//slash"),
        (b"GET /%41?q=%zz|^`{}' HTTP/1.1", "/%41?q=%zz|^`{}'"),
        (b"M-SEARCH * HTTP/1.1", None),
        (b"OPTIONS * HTTP/1.1", "*"),
        (b"CONNECT example.com:443 HTTP/1.1", "example.com:443"),
        (b"CONNECT [::1]:443 HTTP/1.1", "[::1]:443"),
        (b"CONNECT example.com HTTP/1.1", None),
        (b"CONNECT / HTTP/1.1", None),
        (b"CONNECT http://example.com:80/ HTTP/1.1", None),
        (b"GET http://example.com HTTP/1.1", "http://example.com"),
        (b"GET http://[2001:db8::1]:8080/a?b HTTP/1.1", "http://[2001:db8::1]:8080/a?b"),
        (b"GET http:///path HTTP/1.1", None),
        (b"GET http://:80/ HTTP/1.1", None),
        (b"GET http://user@example.com/ HTTP/1.1", None),
        (b"GET example.com HTTP/1.1", None),
        (b"GET example.com:80 HTTP/1.1", None),
        (b"GET * HTTP/1.1", None),
        (b"GET ?q HTTP/1.1", None),
        (b"GET /a#fragment HTTP/1.1", None),
        (b'GET /"quoted" HTTP/1.1', None),
        (b"GET /<tag> HTTP/1.1", None),
        (b"GET /caf\xc3\xa9 HTTP/1.1", None),
        (b"GET /\x7f HTTP/1.1", None),
        (b"GET /\x00 HTTP/1.1", None),
        (b"GET /a\tb HTTP/1.1", None),
    ],
)
def test_rfc9112_3_2_target_forms(line: bytes, target: str | None) -> None:
    if target is None:
        assert refusal(line + b"\r\n" + HOST + b"\r\n").status == 400
    else:
        head = request(line)
        assert head is not None
        assert head[2] == target


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/1.1\x0b",
        b"GET /",
        b"GET",
        b"GET / ",
        b"GET / http/1.1",
        b"GET / HTTP/1",
        b"GET / HTTP/11.1",
        b"GET / HTTP/1.10",
        b"GET / HTTP/1,1",
        b"GET / HTTP/ 1.1",
        b"GET / HTTPS/1.1",
        b"GE(T / HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"{} / HTTP/1.1",
        b"/ HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_rfc9112_3_request_line_refused(line: bytes) -> None:
    error = refusal(line + b"\r\n" + HOST + b"\r\n")
    assert error.status == 400
    assert isinstance(error, Malformed)


def test_rfc9112_3_whatever_cant_become_a_request_line_is_refused_at_once() -> None:
    for begun in (
        b"\x16\x03\x01",
        b"GET / X",
        b"GET / HTTP/1.1x",
        b"GET /\x00",
        b"\n",
        b"GET / HTTP/1.1\n",
        b"\rG",
    ):
        assert refusal(begun).status == 400


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"3.0", b"9.9"])
def test_rfc9110_2_5_other_major_versions_are_505(version: bytes) -> None:
    error = refusal(b"GET / HTTP/%b\r\n%b\r\n" % (version, HOST))
    assert error.status == 505
    assert isinstance(error, PeerIncompatible)


def test_rfc9110_2_5_higher_minor_versions_are_taken() -> None:
    head = request(b"GET / HTTP/1.7")
    assert head is not None
    assert head[3] == 7


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (b"Host: a\nX: b\r\n", Rule.LINE_END),
        (b"Host: a\rX: b\r\n", Rule.LINE_END),
        (b"Host: a\r\r\n", Rule.LINE_END),
        (b"Host: a\r\nX: b\r\n c\r\n", Rule.FIELD_FOLDED),
        (b"Host: a\r\nX: b\r\n\tc\r\n", Rule.FIELD_FOLDED),
        (b" Host: a\r\n", Rule.FIELD_FOLDED),
        (b"Host : a\r\n", Rule.FIELD_LINE),
        (b"Host\t: a\r\n", Rule.FIELD_LINE),
        (b"Host a\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\n: x\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX(Y: x\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX\xe9: x\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX: a\x00b\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX: a\x0bb\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX: a\x7fb\r\n", Rule.FIELD_LINE),
        (b"Host: a\r\nX: \x1b[31m\r\n", Rule.FIELD_LINE),
    ],
)
def test_rfc9112_5_field_lines_refused(fields: bytes, rule: Rule) -> None:
    error = refusal(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    assert (error.status, error.rule) == (400, rule)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (b"", Rule.HOST_MISSING),
        (b"X: y\r\n", Rule.HOST_MISSING),
        (HOST + HOST, Rule.HOST_REPEATED),
        (b"Host: a\r\nhOST: b\r\n", Rule.HOST_REPEATED),
        (b"Host: a\r\nHost:\r\n", Rule.HOST_REPEATED),
        (b"Host: a b\r\n", Rule.HOST_INVALID),
        (b"Host: a/b\r\n", Rule.HOST_INVALID),
        (b"Host: a@b\r\n", Rule.HOST_INVALID),
        (b"Host: a:b\r\n", Rule.HOST_INVALID),
        (b"Host: a:123456\r\n", Rule.HOST_INVALID),
        (b"Host: [::1\r\n", Rule.HOST_INVALID),
        (b"Host: ::1\r\n", Rule.HOST_INVALID),
        (b"Host: a%2\r\n", Rule.HOST_INVALID),
        (b"Host: a, b\r\n", Rule.HOST_INVALID),
    ],
)
def test_rfc9112_3_2_host_refused(fields: bytes, rule: Rule) -> None:
    error = refusal(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    assert (error.status, error.rule) == (400, rule)


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a:", b"a:80", b"127.0.0.1:1", b"[::1]", b"[::ffff:1.2.3.4]:80", b"x_y.~-", b"%41:1"]
)
def test_rfc9110_7_2_host_accepted(host: bytes) -> None:
    assert request(b"GET / HTTP/1.1", b"Host: %b\r\n" % host) is not None


def test_rfc9112_3_2_http_1_0_needs_no_host() -> None:
    assert request(b"GET / HTTP/1.0", b"") is not None


def test_rfc9112_2_2_one_empty_line_is_skipped() -> None:
    data = b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n"
    head = parse_head(data, 0, SERVER_LIMITS)
    assert head is not None
    assert head[0] == len(data)
    assert parse_head(b"\r\n", 0, SERVER_LIMITS) is None
    assert refusal(b"\r\n\r\n").status == 400


LIMITS = HTTPLimits(max_head=200, max_line=64, max_headers=4)


def test_limit_of_the_request_line() -> None:
    longest = b"GET /%b HTTP/1.1" % (b"a" * 50)
    assert len(longest) == 64
    assert request(longest, limits=LIMITS) is not None
    assert refusal(longest.replace(b"/a", b"/aa", 1) + b"\r\n" + HOST + b"\r\n", LIMITS).status == 414
    assert parse_head(longest + b"\r", 0, LIMITS) is None
    assert refusal(b"G" * 65, LIMITS).status == 414


def test_a_line_of_the_limit_is_not_awaited_behind_a_bare_cr() -> None:
    longest = b"GET /%b HTTP/1.1" % (b"a" * 50)
    assert refusal(longest + b"\rX", LIMITS).rule is Rule.TARGET_TOO_LONG
    assert refusal(b"GET / HTTP/1.1\r\n" + b"A" * 64 + b"\rX", LIMITS).rule is Rule.FIELD_TOO_LONG


def test_limit_of_a_field_line() -> None:
    fields = b"X: %b\r\n" % (b"a" * 61)
    assert request(b"GET / HTTP/1.1", HOST + fields, LIMITS) is not None
    error = refusal(b"GET / HTTP/1.1\r\n" + HOST + b"X" + fields + b"\r\n", LIMITS)
    assert (error.status, error.rule) == (431, Rule.FIELD_TOO_LONG)
    assert isinstance(error, PeerMisbehaved)


def test_limit_of_the_number_of_fields() -> None:
    assert request(b"GET / HTTP/1.1", HOST + b"X:\r\n" * 3, LIMITS) is not None
    error = refusal(b"GET / HTTP/1.1\r\n" + HOST + b"X:\r\n" * 4 + b"\r\n", LIMITS)
    assert (error.status, error.rule) == (431, Rule.FIELDS_TOO_MANY)


def test_limit_of_the_whole_head() -> None:
    start = b"GET / HTTP/1.1\r\nHost: h\r\n"
    rest = 200 - len(start) - 2
    fields = [b"A: " + b"a" * 57 + b"\r\n", b"B: " + b"b" * 57 + b"\r\n"]
    fields.append(b"C: " + b"c" * (rest - sum(map(len, fields)) - 5) + b"\r\n")
    whole = start + b"".join(fields) + b"\r\n"
    assert len(whole) == 200
    assert parse_head(whole, 0, LIMITS) is not None
    longer = whole.replace(b"c\r\n", b"cc\r\n")
    error = refusal(longer, LIMITS)
    assert (error.status, error.rule) == (431, Rule.HEAD_TOO_LONG)
    assert "200 bytes" in str(error)


def test_a_head_cut_anywhere_is_incomplete_and_nothing_else() -> None:
    data = b"POST http://h/a?b HTTP/1.1\r\nHost: h\r\nX-Long-Name: \xff\t value \r\nY:\r\n\r\n"
    for end in range(len(data)):
        assert parse_head(data[:end], 0, SERVER_LIMITS) is None, data[:end]
        assert parse_head(bytearray(data[:end]), 0, SERVER_LIMITS) is None
    assert parse_head(data, 0, SERVER_LIMITS) is not None


def test_a_long_run_of_blanks_costs_one_pass() -> None:
    fields = HOST + b"X: " + b" " * 8000 + b"\x00\r\n"
    assert refusal(b"GET / HTTP/1.1\r\n" + fields + b"\r\n").status == 400
    padded = HOST + b"X:" + b" \t" * 4000 + b"\r\n"
    head = request(b"GET / HTTP/1.1", padded)
    assert head is not None
    assert head[5]["x"] == ""


def test_rfc9110_5_3_repeated_fields() -> None:
    head = request(
        b"GET / HTTP/1.1",
        HOST + b"Accept: a\r\nACCEPT: b\r\nCookie: c=1\r\nCookie: d=2\r\nSet-Cookie: e\r\nSet-Cookie: f\r\n",
    )
    assert head is not None
    headers = Headers(head[4], head[5])
    assert headers.get("Accept") == headers["accept"] == "a, b"
    assert headers.get_all("accept") == ["a", "b"]
    assert headers.get("cookie") == "c=1; d=2"
    assert headers.get("set-cookie") == "e"
    assert headers.get_all("Set-Cookie") == ["e", "f"]
    assert headers.get("missing") is None
    assert headers.get("missing", "x") == "x"
    assert headers.get_all("missing") == []
    assert "COOKIE" in headers
    assert "missing" not in headers
    assert len(headers) == 7
    assert headers == Headers(list(headers.items()))
    assert Headers([("A", "1"), ("a", "2")])["a"] == "1, 2"
    assert Headers([("Connection", " Close, ,Upgrade")]).tokens("connection") == ["close", "upgrade"]


def test_request_properties() -> None:
    def made(method: str, target: str, minor: int = 1, **fields: str) -> Request:
        return Request(method, target, minor, list(fields.items()), dict(fields), True, False, False)

    plain = made("GET", "/a%20b?c=d?e", host="h:1")
    assert (plain.path, plain.query, plain.host, plain.version) == ("/a%20b", "c=d?e", "h:1", (1, 1))
    absolute = made("GET", "http://other:8?q", host="h")
    assert (absolute.path, absolute.query, absolute.host) == ("/", "q", "other:8")
    assert made("GET", "http://other/x/y?q").path == "/x/y"
    assert made("OPTIONS", "*", host="h").path == "*"
    tunnel = made("CONNECT", "other:443", host="h")
    assert (tunnel.path, tunnel.host) == ("", "other:443")
    assert made("GET", "/", upgrade="WebSocket, x/1", connection="keep-alive, Upgrade").upgrade == (
        "websocket",
        "x/1",
    )
    assert made("GET", "/", upgrade="websocket").upgrade == ()
    assert made("GET", "/", 0, upgrade="websocket", connection="upgrade").upgrade == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (200, "OK", 1)),
        (b"HTTP/1.0 404 Not Found \xe9", (404, "Not Found \xe9", 0)),
        (b"HTTP/1.1 200 ", (200, "", 1)),
        (b"HTTP/1.1 299", (299, "", 1)),
        (b"HTTP/1.1 999 Odd", (999, "Odd", 1)),
        (b"HTTP/1.1 099 Odd", None),
        (b"HTTP/1.1 20 OK", None),
        (b"HTTP/1.1 2000 OK", None),
        (b"HTTP/1.1 +20 OK", None),
        (b"HTTP/1.1  200 OK", None),
        (b"HTTP/1.1 200\tOK", None),
        (b"HTTP/1.1 200 O\x00K", None),
        (b"http/1.1 200 OK", None),
        (b"ICY 200 OK", None),
        (b"HTTP/2.0 200 OK", None),
        (b"\r\nHTTP/1.1 200 OK", None),
    ],
)
def test_rfc9112_4_status_lines(line: bytes, expected: tuple[int, str, int] | None) -> None:
    data = line + b"\r\nA: b \r\n\r\n"
    if expected is None:
        with pytest.raises(HTTPError):
            parse_status_head(data, 0, SERVER_LIMITS)
        return
    for cut in range(len(data)):
        assert parse_status_head(data[:cut], 0, SERVER_LIMITS) is None
    head = parse_status_head(data, 0, SERVER_LIMITS)
    assert head is not None
    assert (head[1], head[2], head[3]) == expected
    assert (head[0], head[4], head[5]) == (len(data), [("A", "b")], {"a": "b"})


def test_the_map_from_rules_to_statuses_is_total() -> None:
    assert set(RULES) == set(Rule)
    for status, kind in RULES.values():
        assert 400 <= status <= 599
        assert issubclass(kind, HTTPError)


def test_limits_that_contradict_each_other_are_misuse() -> None:
    for options in ({"max_line": 20_000}, {"max_receive": 100}, {"high_watermark": 1 << 40}, {"max_line": 1}):
        with pytest.raises(Misuse):
            HTTPLimits(**options)
