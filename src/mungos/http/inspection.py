"""Heads and trailer sections that come in pieces: each byte is looked at once, however they are cut.

An inspection remembers in which part of which line the last look ended, and goes on there. It refuses what is
wrong with the byte that shows it, and names the first rule that the bytes break in the order of the stream.
"""

from __future__ import annotations

import re
from typing import Final

from mungos.http.errors import HTTPError, Rule, violation
from mungos.http.limits import HTTPLimits

__all__ = ["TARGET", "TCHAR", "TEXT", "Inspection"]

TCHAR: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""A character of a token (RFC 9110 section 5.6.2), as an expression."""

TEXT: Final = r"[\t -~\x80-\xff]"
"""A character of a field's value (RFC 9110 section 5.5), blanks around it included."""

# Visible ASCII without `"`, `#`, `<` and `>`, which no URI has and no browser leaves unescaped
# (RFC 3986 appendix A); the stricter set of RFC 3986 would refuse `|` and `^` in real queries.
TARGET: Final = r"[!$-;=?-~]"
"""A character of a request target."""

_VERSION: Final = r"(?:H(?:T(?:T(?:P(?:/(?:[0-9](?:\.[0-9]?)?)?)?)?)?)?)?"
_STATUS: Final = rf"HTTP/[0-9]\.[0-9](?: (?:[1-9](?:[0-9](?:[0-9](?:( ){TEXT}*+)?)?)?)?)?|{_VERSION}"

# The parts of a line, each line's in the order in which they come.
_METHOD_BEGINS, _METHOD, _TARGET_BEGINS, _IN_TARGET, _IN_VERSION = range(5)
_IN_STATUS, _IN_REASON = range(5, 7)
_NAME_BEGINS, _NAME, _VALUE = range(7, 10)

# What may follow within a line, from each part on. Groups mark which parts were reached: the number of the
# last one is that of the part, counted within its line.
_REST: Final = tuple(
    re.compile(expression.encode("latin-1"))
    for expression in (
        rf"(?:{TCHAR}++()(?: ()(?:{TARGET}++()(?:( ){_VERSION})?)?)?)?",
        rf"{TCHAR}*+()(?: ()(?:{TARGET}++()(?:( ){_VERSION})?)?)?",
        rf"()()(?:{TARGET}++()(?:( ){_VERSION})?)?",
        rf"()(){TARGET}*+()(?:( ){_VERSION})?",
        rf"()()()( ){_VERSION}",
        _STATUS,
        rf"(){TEXT}*+",
        rf"(?:{TCHAR}++()(?::(){TEXT}*+)?)?",
        rf"{TCHAR}*+()(?::(){TEXT}*+)?",
        rf"()(){TEXT}*+",
    )
)
_FIRST: Final = (_METHOD_BEGINS,) * 5 + (_IN_STATUS,) * 2 + (_NAME_BEGINS,) * 3


class Inspection:
    """The search for the end of one head, or of one trailer section.

    Attributes:
        begin: index of the head's first byte, counted from where the search began: 2 where an empty line
            stood before it, which is not a part of it (RFC 9112 section 2.2).
    """

    __slots__ = ("_at", "_bound", "_count", "_limits", "_line", "_part", "_too_long", "begin")

    def __init__(self, limits: HTTPLimits, part: int, bound: int, too_long: Rule) -> None:
        self.begin = 0
        self._limits = limits
        self._part = part
        self._bound = bound
        self._too_long = too_long
        self._line = 0  # where the line under way begins
        self._at = 0  # what was looked at ends here; a version or status is looked at from its beginning
        self._count = 0  # fields begun

    @classmethod
    def of_request(cls, limits: HTTPLimits) -> Inspection:
        """For a request's head: `max_head`, `max_line` and `max_headers` count."""
        return cls(limits, _METHOD_BEGINS, limits.max_head, Rule.HEAD_TOO_LONG)

    @classmethod
    def of_response(cls, limits: HTTPLimits) -> Inspection:
        """For a response's head: the same limits count."""
        return cls(limits, _IN_STATUS, limits.max_head, Rule.HEAD_TOO_LONG)

    @classmethod
    def of_trailers(cls, limits: HTTPLimits) -> Inspection:
        """For a trailer section: `max_trailers`, `max_line` and `max_headers` count."""
        return cls(limits, _NAME_BEGINS, limits.max_trailers, Rule.TRAILERS_TOO_LONG)

    def look(self, buffer: bytes | bytearray, start: int) -> int | None:
        """Go on with the search.

        Args:
            buffer: what was received. The bytes that were there at the last look are not looked at again.
            start: where the search began: the index may have moved with its bytes since the last look.

        Returns:
            The index after the empty line that ends the section, or None when it has not come yet and the
            bytes at hand break no rule.

        Raises:
            HTTPError: the first rule that they break.
        """
        most = self._limits.max_line
        size = len(buffer)
        at = start + self._at
        line = start + self._line
        part = self._part
        seen = size  # what lies beyond the bound is not looked at
        if part >= _NAME_BEGINS:
            seen = min(size, start + self.begin + self._bound)
        while at < seen:
            if part == _NAME_BEGINS:
                rest = buffer[at : min(at + 2, seen)]
                if rest == b"\r\n":
                    return at + 2
                if rest == b"\r":
                    break
                self._count += 1
                if self._count > self._limits.max_headers:
                    raise violation(Rule.FIELDS_TOO_MANY, f"more than {self._limits.max_headers} fields")
            match = _REST[part].match(buffer, at, min(line + most, seen))
            if match is None:  # each of them takes the empty string
                break
            end = match.end()
            if match.lastindex is not None:
                part = _FIRST[part] + match.lastindex
            if part == _IN_VERSION:
                at = match.start(4)
            elif part != _IN_STATUS:
                at = end
            if end == seen:
                break
            rest = buffer[end : min(end + 2, seen)]
            if rest == b"\r":
                break
            if rest != b"\r\n":
                raise self._refusal(buffer, line, end, part)
            if part == _METHOD_BEGINS and not self.begin:
                self.begin = 2
            else:
                self._check_line(buffer, line, end, part, at)
                part = _NAME_BEGINS
                seen = min(size, start + self.begin + self._bound)
            at = line = end + 2
        if part >= _NAME_BEGINS and size >= start + self.begin + self._bound:
            name = "head" if self._too_long is Rule.HEAD_TOO_LONG else "trailer section"
            raise violation(self._too_long, f"{name} over the limit of {self._bound} bytes")
        self._at = at - start
        self._line = line - start
        self._part = part
        return None

    def _check_line(self, buffer: bytes | bytearray, line: int, end: int, part: int, at: int) -> None:
        """The line is over: is it whole?"""
        if part == _VALUE:
            return
        if part >= _NAME_BEGINS:
            text = bytes(buffer[line : min(end, line + 40)])
            raise violation(Rule.FIELD_LINE, f"field line without a colon: {text!r}")
        if part <= _IN_VERSION:
            whole = part == _IN_VERSION and end - at == 9
            version = at + 6
        else:
            whole = part == _IN_REASON or end - line == 12
            version = line + 5
        if not whole:
            text = bytes(buffer[line : min(end, line + 40)])
            rule = Rule.REQUEST_LINE if part <= _IN_VERSION else Rule.STATUS_LINE
            raise violation(rule, f"first line of the head is cut short: {text!r}")
        if buffer[version] != 0x31:  # RFC 9110 section 2.5
            spoken = buffer[version : version + 3].decode("ascii")
            raise violation(Rule.VERSION, f"HTTP/{spoken} is not spoken here, HTTP/1.1 is")

    def _refusal(self, buffer: bytes | bytearray, line: int, end: int, part: int) -> HTTPError:
        """The line goes on at `end` with what it can't go on with."""
        most = self._limits.max_line
        if end - line >= most:
            if part >= _NAME_BEGINS:
                return violation(Rule.FIELD_TOO_LONG, f"field line over the limit of {most} bytes")
            rule = Rule.TARGET_TOO_LONG if part <= _IN_VERSION else Rule.FIELD_TOO_LONG
            return violation(rule, f"first line of the head is over the limit of {most} bytes")
        name = _bare_line_end(buffer, end)
        if name is not None:  # RFC 9112 section 2.2
            return violation(
                Rule.LINE_END, f"bare {name} in a head: lines end with CRLF (RFC 9112 section 2.2)"
            )
        if part == _NAME_BEGINS and buffer[end] in b" \t":  # RFC 9112 section 5.2
            return violation(Rule.FIELD_FOLDED, "a field line begins with a blank: folding is obsolete")
        text = bytes(buffer[line : line + 40]).partition(b"\r\n")[0]
        if part >= _NAME_BEGINS:
            return violation(Rule.FIELD_LINE, f"not a field line: {text!r}")
        if part <= _IN_VERSION:
            return violation(Rule.REQUEST_LINE, f"not a request line: {text!r}")
        return violation(Rule.STATUS_LINE, f"not a status line: {text!r}")


def _bare_line_end(buffer: bytes | bytearray, at: int) -> str | None:
    """The name of a CR or LF that stands alone (RFC 9112 section 2.2)."""
    return {0x0D: "CR", 0x0A: "LF"}.get(buffer[at])
