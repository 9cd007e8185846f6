"""Dates, conditions, ranges, paths, media types: known answers from RFC 9110."""

from __future__ import annotations

import pytest

from mungos.errors import Misuse
from mungos.http import Headers, HTTPError, format_date, media_type, parse_date, path_components
from mungos.http.conditions import if_range_holds, matches, parse_etags, precondition_status
from mungos.http.files import accepts_gzip
from mungos.http.ranges import UNSATISFIABLE, parse_range

NOW = 1_700_000_000.0  # in 2023
KNOWN = 784111777  # RFC 9110 section 5.6.7's example


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", KNOWN),
        ("Sunday, 06-Nov-94 08:49:37 GMT", KNOWN),
        ("Sun Nov  6 08:49:37 1994", KNOWN),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
        ("Tue, 31 Dec 2016 23:59:60 GMT", 1483228800),
        ("Wed, 29 Feb 2023 00:00:00 GMT", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("sun, 06 nov 1994 08:49:37 gmt", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT ", None),
        ("784111777", None),
        ("", None),
    ],
)
def test_rfc9110_5_6_7_dates(text: str, expected: int | None) -> None:
    assert parse_date(text, NOW) == expected


def test_rfc9110_5_6_7_dates_are_written_as_imf_fixdate() -> None:
    assert format_date(KNOWN + 0.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    for seconds in (0, 951782400, 253402300799):
        assert parse_date(format_date(seconds), NOW) == seconds
    for seconds in (-1, 253402300800):
        with pytest.raises(Misuse):
            format_date(seconds)


def test_rfc9110_5_6_7_two_digit_years_are_never_over_50_years_ahead() -> None:
    assert parse_date("Sunday, 06-Nov-73 00:00:00 GMT", NOW) == parse_date(
        "Mon, 06 Nov 2073 00:00:00 GMT", NOW
    )
    assert parse_date("Sunday, 06-Nov-74 00:00:00 GMT", NOW) == parse_date(
        "Mon, 06 Nov 1974 00:00:00 GMT", NOW
    )


def test_rfc9110_8_8_3_entity_tags() -> None:
    assert parse_etags('"a", W/"b",, ""') == ['"a"', 'W/"b"', '""']
    assert parse_etags('"a,b"') == ['"a,b"']
    for value in ("a", '"a" "b"', '"a', "w/", 'w/"a"', '"a b"'):
        assert parse_etags(value) is None


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_rfc9110_8_8_3_2_comparison(one: str, other: str, strong: bool, weak: bool) -> None:
    assert matches(one, other, weakly=False) is strong
    assert matches(one, other, weakly=True) is weak


BEFORE, AT, AFTER = (format_date(KNOWN + by) for by in (-1, 0, 1))


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        ("GET", {}, None),
        ("GET", {"if-none-match": '"x"'}, 304),
        ("HEAD", {"if-none-match": '"y", W/"x"'}, 304),
        ("GET", {"if-none-match": "*"}, 304),
        ("GET", {"if-none-match": '"y"'}, None),
        ("GET", {"if-none-match": "x"}, None),
        ("PUT", {"if-none-match": "*"}, 412),
        ("GET", {"if-modified-since": AT}, 304),
        ("GET", {"if-modified-since": AFTER}, 304),
        ("GET", {"if-modified-since": BEFORE}, None),
        ("GET", {"if-modified-since": "yesterday"}, None),
        ("PUT", {"if-modified-since": AT}, None),
        ("GET", {"if-none-match": '"y"', "if-modified-since": AT}, None),
        ("GET", {"if-match": '"x"'}, None),
        ("GET", {"if-match": "*"}, None),
        ("GET", {"if-match": 'W/"x"'}, 412),
        ("GET", {"if-match": '"y"'}, 412),
        ("GET", {"if-unmodified-since": AT}, None),
        ("GET", {"if-unmodified-since": BEFORE}, 412),
        ("GET", {"if-unmodified-since": "x"}, None),
        ("GET", {"if-match": '"x"', "if-unmodified-since": BEFORE}, None),
        ("GET", {"if-match": '"y"', "if-none-match": '"x"'}, 412),
    ],
)
def test_rfc9110_13_2_2_precedence(method: str, fields: dict[str, str], expected: int | None) -> None:
    assert precondition_status(method, Headers(list(fields.items())), '"x"', KNOWN, NOW) == expected


def test_rfc9110_13_1_5_if_range() -> None:
    def holds(value: str, now: float = NOW) -> bool:
        return if_range_holds(Headers([("If-Range", value)]), '"x"', KNOWN, now)

    assert if_range_holds(Headers([]), '"x"', KNOWN, NOW)
    assert holds('"x"')
    assert not holds('"y"')
    assert not holds('W/"x"')
    assert not holds("*")
    assert holds(AT)
    assert not holds(BEFORE)
    assert not holds(AFTER)
    assert not holds(AT, KNOWN + 59.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-", range(10)),
        ("bytes=2-5", range(2, 6)),
        ("Bytes= 9-99 ", range(9, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-30", range(10)),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=10-", UNSATISFIABLE),
        ("bytes=10-20", UNSATISFIABLE),
        ("bytes=5-4", None),
        ("bytes=0-0,2-3", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1 - 2", None),
        ("bytes 0-1", None),
        ("lines=0-1", None),
        ("bytes=0-" + "9" * 30, None),
    ],
)
def test_rfc9110_14_1_2_ranges(value: str, expected: range | None) -> None:
    assert parse_range(value, 10) == expected
    if expected is not None:
        assert parse_range(value, 0) == UNSATISFIABLE


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("",)),
        ("/a", ("a",)),
        ("/a/", ("a", "")),
        ("//a//b/./c/.", ("a", "b", "c", "")),
        ("/a%20b%2Fc", ("a b", "c")),
        ("/%e2%82%ac", ("\u20ac",)),
        ("/a\\..\\b", ("a\\..\\b",)),
        ("/%5c", ("\\",)),
        ("/...", ("...",)),
        ("/%252e%252e/", ("%2e%2e", "")),
        ("/..", None),
        ("/a/../b", None),
        ("/%2e%2E/a", None),
        ("/.%2e", None),
        ("/a%2f..%2fb", None),
        ("/a%00b", None),
        ("/%", None),
        ("/%2", None),
        ("/%gg", None),
        ("/%ff", None),
        ("/%c0%ae%c0%ae/", None),
        ("*", None),
        ("", None),
    ],
)
def test_paths(path: str, expected: tuple[str, ...] | None) -> None:
    if expected is None:
        with pytest.raises(HTTPError) as caught:
            path_components(path)
        assert caught.value.status == 400
    else:
        assert path_components(path) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.JS", "text/javascript; charset=utf-8"),
        ("a.tar.gz", "application/gzip"),
        ("a.json", "application/json"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("html", "application/octet-stream"),
    ],
)
def test_media_types(name: str, expected: str) -> None:
    assert media_type(name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("x-gzip", True),
        ("identity", False),
    ],
)
def test_rfc9110_12_5_3_accept_encoding(value: str | None, expected: bool) -> None:
    assert accepts_gzip(value) is expected
