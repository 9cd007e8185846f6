"""Conditional requests: validators, and what a server does about them (RFC 9110 section 13)."""

from __future__ import annotations

import re
from typing import Final

from mungos.http.dates import parse_date
from mungos.http.headers import Headers

__all__ = ["if_range_holds", "matches", "parse_etags", "precondition_status"]

_TAG: Final = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')  # RFC 9110 section 8.8.3
_LIST: Final = re.compile(rf"[ \t,]*+(?:{_TAG.pattern}[ \t]*+(?:,[ \t,]*+|$))*")


def parse_etags(value: str) -> list[str] | None:
    """The entity tags of a list, or None when it is no list of them."""
    if _LIST.fullmatch(value) is None:
        return None
    return _TAG.findall(value)


def matches(value: str, etag: str | None, *, weakly: bool) -> bool:
    """Whether `etag`, the representation's (None: there is none), is among the tags of an If-Match or
    If-None-Match; "*" matches any representation (RFC 9110 section 8.8.3.2).

    Args:
        value: the field's value.
        etag: the current entity tag with its quotes.
        weakly: compare weakly, so that W/"a" equals "a".
    """
    if value.strip(" \t") == "*":
        return True
    if etag is None:
        return False
    tags = parse_etags(value) or []
    if weakly:
        return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]
    return not etag.startswith("W/") and etag in tags


def precondition_status(
    method: str, headers: Headers, etag: str | None, modified: int | None, now: float
) -> int | None:
    """Evaluate a request's preconditions in the order of RFC 9110 section 13.2.2.

    Args:
        method: the request's.
        headers: the request's.
        etag: the current entity tag, or None.
        modified: when the representation was modified, in whole seconds since 1970, or None.
        now: seconds since 1970.

    Returns:
        304 or 412, or None when the request is to be carried out.
    """
    safe = method in ("GET", "HEAD")
    if_match = headers.get("if-match")
    if if_match is not None:
        if not matches(if_match, etag, weakly=False):
            return 412
    elif (unmodified_since := headers.get("if-unmodified-since")) is not None and modified is not None:
        date = parse_date(unmodified_since, now)
        if date is not None and modified > date:
            return 412
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        if matches(if_none_match, etag, weakly=True):
            return 304 if safe else 412
    elif safe and (modified_since := headers.get("if-modified-since")) is not None and modified is not None:
        date = parse_date(modified_since, now)
        if date is not None and modified <= date:
            return 304
    return None


def if_range_holds(headers: Headers, etag: str | None, modified: int | None, now: float) -> bool:
    """Whether a Range may be applied as far as If-Range goes (RFC 9110 section 13.1.5): a tag is compared
    strongly, a date exactly, and one of the last minute is no strong validator (section 8.8.2.2)."""
    value = headers.get("if-range")
    if value is None:
        return True
    if _TAG.fullmatch(value) is not None:
        return etag is not None and matches(value, etag, weakly=False)
    date = parse_date(value, now)
    return date is not None and date == modified and now - date >= 60
