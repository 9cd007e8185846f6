"""Dates of HTTP: written as IMF-fixdate, read in all three forms (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta
from typing import Final

from mungos.errors import Misuse

__all__ = ["format_date", "parse_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS: Final = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAME: Final = "|".join(_DAYS)
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"

_FORMS: Final = (
    re.compile(rf"(?:{_DAY_NAME}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"(?:{_LONG_DAYS}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"(?:{_DAY_NAME}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
_LAST_SECOND: Final = 253402300799  # of the year 9999
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def format_date(seconds: float) -> str:
    """Write a date, as in "Sun, 06 Nov 1994 08:49:37 GMT".

    Args:
        seconds: since 1970, UTC; the fraction is dropped.

    Raises:
        Misuse: the year is before 1970 or after 9999.
    """
    if not 0 <= seconds <= _LAST_SECOND:
        raise Misuse(f"no date of HTTP: {seconds} s since 1970")
    date = _moment(seconds)
    return (
        f"{_DAYS[date.weekday()]}, {date.day:02} {_MONTHS[date.month - 1]} {date.year:04} "
        f"{date.hour:02}:{date.minute:02}:{date.second:02} GMT"
    )


def parse_date(text: str, now: float) -> int | None:
    """Read a date in any of its three forms; the name of the day is not checked against the day.

    Args:
        text: the value of a field.
        now: seconds since 1970, by which years of two digits are understood: never over 50 years ahead.

    Returns:
        Seconds since 1970, or None when it is no date: such a field is to be ignored.
    """
    match = next((match for form in _FORMS if (match := form.fullmatch(text)) is not None), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        this_year = _moment(max(0, min(now, _LAST_SECOND))).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    month = _MONTHS.index(match["month"]) + 1
    try:
        datetime(year, month, int(match["day"]), tzinfo=UTC)
    except ValueError:
        return None
    # A leap second is counted as the first second after it.
    return timegm(
        (year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), int(match["second"]))
    )


def _moment(seconds: float) -> datetime:
    # Counted: a system whose own seconds have 32 bits can't be asked for a date after 2038.
    return _EPOCH + timedelta(seconds=int(seconds))
