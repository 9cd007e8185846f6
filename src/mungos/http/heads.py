"""The heads of messages: request lines, status lines and fields (RFC 9112 sections 2 to 5).

One compiled expression reads all fields of a head at once, and its matches have to cover every line: that
is the fast way, and it takes what nearly every peer sends. Whatever it doesn't take goes through an
`Inspection`, line by line and in the order of the stream, so that the same bytes break the same rule however
they are cut; where a head comes in pieces, its inspection goes on where the last one ended.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from mungos.http.errors import Rule, violation
from mungos.http.inspection import TARGET, TCHAR, TEXT, Inspection
from mungos.http.limits import HTTPLimits
from mungos.printable import quoted

__all__ = [
    "RequestHead",
    "ResponseHead",
    "is_host",
    "parse_fields",
    "parse_head",
    "parse_status_head",
    "read_fields",
    "scan_head",
    "scan_status_head",
]

Fields = list[tuple[str, str]]
Table = dict[str, str]

RequestHead = tuple[int, str, str, int, Fields, Table]
"""Index after the head, method, target, minor version, fields as sent, and values by lower-case name."""

ResponseHead = tuple[int, int, str, int, Fields, Table]
"""Index after the head, status, reason, minor version, fields as sent, and values by lower-case name."""

_REQUEST_LINE: Final = re.compile(rf"({TCHAR}++) ({TARGET}++) HTTP/([0-9])\.([0-9])(?=\r\n)")
# RFC 9112 section 4 wants the space after the code even without a reason; it is missed too often to insist.
_STATUS_LINE: Final = re.compile(rf"HTTP/([0-9])\.([0-9]) ([1-9][0-9][0-9])(?: ({TEXT}*+))?(?=\r\n)")
# Possessive, so a hostile line costs one pass. A value that ends with a blank is left to the slow way.
_FIELD: Final = re.compile(rf"\r\n({TCHAR}++):[ \t]*+({TEXT}*+)(?<![ \t])(?=\r\n)")

# A whole head of the usual kind: origin-form, a version that is spoken, at least one field, no folding. No
# group is possessive: in Python before 3.11.4, one that failed half-way kept what it had taken.
_USUAL_HEAD: Final = re.compile(
    rf"({TCHAR}++) (/{TARGET}*+) HTTP/1\.([01])((?:\r\n{TCHAR}++:{TEXT}*+)+)\r\n\r\n".encode("latin-1")
)

_PERCENT: Final = r"%[0-9A-Fa-f]{2}"
_NAMED: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=]*+"
_HOST_TEXT: Final = rf"(?:\[[0-9A-Fa-f:.]{{2,45}}\]|{_NAMED}(?:{_PERCENT}{_NAMED})*)"
_HOST: Final = re.compile(rf"{_HOST_TEXT}(?::[0-9]{{0,5}})?")  # RFC 9110 section 7.2
_AUTHORITY: Final = re.compile(rf"{_HOST_TEXT}:[0-9]{{1,5}}")
_ABSOLUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*)://([^/?]*)(.*)", re.DOTALL)


def parse_head(
    buffer: bytes | bytearray, start: int, limits: HTTPLimits, inspection: Inspection | None = None
) -> RequestHead | None:
    """Read a request's head.

    Args:
        buffer: what was received.
        start: where the head begins; one empty line before it is skipped (RFC 9112 section 2.2).
        limits: `max_head`, `max_line` and `max_headers` count here.
        inspection: for a head that comes in pieces: one for all the calls until it is complete, so that no
            byte is looked at again with each of them.

    Returns:
        The head, or None when more bytes are needed and those at hand break no rule.

    Raises:
        HTTPError: a rule is broken; its `status` says which answer is owed.
    """
    if inspection is None:
        end = buffer.find(b"\r\n\r\n", start)
        if 0 <= end <= start + limits.max_line - 4:
            head = buffer[start : end + 2].decode("latin-1")
            line = _REQUEST_LINE.match(head)
            if line is not None:
                method, target, major, minor = line.groups()
                fields = _FIELD.findall(head, line.end())
                count = len(fields)
                # Every match holds exactly one line end, so equal numbers mean that no byte was skipped.
                if count == head.count("\r\n") - 1 and count <= limits.max_headers and major == "1":
                    return end + 4, method, target, int(minor), fields, _judge(method, target, minor, fields)
        inspection = Inspection.of_request(limits)
    stop = inspection.look(buffer, start)
    if stop is None:
        return None
    head = buffer[start + inspection.begin : stop - 2].decode("latin-1")
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise violation(Rule.REQUEST_LINE, f"not a request line: {quoted(head)}")
    method, target, _, minor = line.groups()
    fields = _read_fields(head[line.end() :])
    return stop, method, target, int(minor), fields, _judge(method, target, minor, fields)


def scan_head(
    buffer: bytes | bytearray, start: int, limits: HTTPLimits
) -> tuple[int, str, str, int, str, str, bool] | None:
    """The way of nearly every request: one expression checks the head, and its fields stay one text.

    Args:
        buffer, start, limits: as for `parse_head`.

    Returns:
        Index after the head, method, target, minor version, the field lines each after its CRLF, the
        Connection field's value in lower case ("" without one), and whether other fields have to be read
        (by `read_fields`) to know where the message ends. None where `parse_head` has to decide: an unusual
        head, a bad one, or not all of it.
    """
    head = _USUAL_HEAD.match(buffer, start)
    if head is None:
        return None
    end = head.end()
    if end - start > limits.max_line:
        return None
    method, target, minor, lines = head.groups()
    # A field line has four bytes at least.
    if len(lines) > 4 * limits.max_headers and lines.count(b"\r\n") > limits.max_headers:
        return None
    if method == b"CONNECT":
        return None
    text = lines.decode("latin-1")
    lower = text.lower()
    at = lower.find("\r\nhost:") + 7
    # RFC 9112 section 3.2: one Host, and a good one; which rule is broken otherwise is said by `parse_head`.
    if at < 7 or "\r\nhost:" in lower[at:]:
        return None
    stop = text.find("\r\n", at)
    if _HOST.fullmatch((text[at:stop] if stop >= 0 else text[at:]).strip(" \t")) is None:
        return None
    connection = ""
    decisive = "\r\ncontent-length:" in lower or "\r\ntransfer-encoding:" in lower or "\r\nexpect:" in lower
    at = lower.find("\r\nconnection:") + 13
    if at >= 13:
        stop = lower.find("\r\n", at)
        connection = (lower[at:stop] if stop >= 0 else lower[at:]).strip(" \t")
        decisive = decisive or "\r\nconnection:" in lower[at:]
    return (
        end,
        method.decode("latin-1"),
        target.decode("latin-1"),
        1 if minor == b"1" else 0,
        text,
        connection,
        decisive,
    )


def is_host(text: str) -> bool:
    """Whether it can stand in a Host field (RFC 9110 section 7.2)."""
    return _HOST.fullmatch(text) is not None


def read_fields(text: str) -> tuple[Fields, Table]:
    """The fields of the text that `scan_head` returned: as sent, and by lower-case name."""
    fields = _read_fields(text + "\r\n")
    return fields, _table(fields)


def scan_status_head(buffer: bytes | bytearray, start: int, limits: HTTPLimits) -> ResponseHead | None:
    """The way of nearly every response, as `parse_status_head` reads it. None where that has to decide: an
    unusual head, a bad one, or not all of it."""
    end = buffer.find(b"\r\n\r\n", start)
    if not 0 <= end <= start + limits.max_line - 4:
        return None
    head = buffer[start : end + 2].decode("latin-1")
    line = _STATUS_LINE.match(head)
    if line is None:
        return None
    major, minor, status, reason = line.groups()
    fields = _FIELD.findall(head, line.end())
    # Every match holds exactly one line end, so equal numbers mean that no byte was skipped.
    if len(fields) != head.count("\r\n") - 1 or len(fields) > limits.max_headers or major != "1":
        return None
    return end + 4, int(status), reason or "", int(minor), fields, _table(fields)


def parse_status_head(
    buffer: bytes | bytearray, start: int, limits: HTTPLimits, inspection: Inspection | None = None
) -> ResponseHead | None:
    """Read a response's head; the sister of `parse_head`.

    Args:
        buffer: what was received.
        start: where the head begins.
        limits: `max_head`, `max_line` and `max_headers` count here.
        inspection: as for `parse_head`.

    Returns:
        The head, or None when more bytes are needed and those at hand break no rule.

    Raises:
        HTTPError: a rule is broken.
    """
    if inspection is None:
        scanned = scan_status_head(buffer, start, limits)
        if scanned is not None:
            return scanned
        inspection = Inspection.of_response(limits)
    stop = inspection.look(buffer, start)
    if stop is None:
        return None
    head = buffer[start : stop - 2].decode("latin-1")
    line = _STATUS_LINE.match(head)
    if line is None:
        raise violation(Rule.STATUS_LINE, f"not a status line: {quoted(head)}")
    _, minor, status, reason = line.groups()
    fields = _read_fields(head[line.end() :])
    return stop, int(status), reason or "", int(minor), fields, _table(fields)


def parse_fields(
    buffer: bytes | bytearray, start: int, limits: HTTPLimits, inspection: Inspection | None = None
) -> tuple[int, Fields] | None:
    """Read a trailer section (RFC 9112 section 7.1.2), its empty line included.

    Args:
        buffer: what was received.
        start: where the section begins.
        limits: `max_trailers`, `max_line` and `max_headers` count here.
        inspection: as for `parse_head`.

    Returns:
        The index after it and its fields, or None when more bytes are needed.

    Raises:
        HTTPError: a rule is broken.
    """
    if inspection is None:
        inspection = Inspection.of_trailers(limits)
    end = inspection.look(buffer, start)
    if end is None:
        return None
    return end, _read_fields("\r\n" + buffer[start : end - 2].decode("latin-1"))


def _judge(method: str, target: str, minor: str, fields: Fields) -> Table:
    """What fields and target have to be together, whatever the lines look like: the fields by name."""
    table = _table(fields)
    host = table.get("host")
    if host is None:
        if minor != "0":
            _refuse_missing_host()
    elif _HOST.fullmatch(host) is None:
        _refuse_host(host, fields)
    _check_target(method, target)
    return table


def _read_fields(text: str) -> Fields:
    """The fields of lines that were let through already, blanks around the values cut off."""
    found = []
    for line in text.split("\r\n")[1:-1]:
        name, _, value = line.partition(":")
        found.append((name, value.strip(" \t")))
    return found


def _table(fields: Fields) -> Table:
    table = {name.lower(): value for name, value in fields}
    return table if len(table) == len(fields) else _combine(fields)


def _combine(fields: Fields) -> Table:
    """Values by lower-case name where names are repeated (RFC 9110 section 5.3)."""
    table: Table = {}
    for name, value in fields:
        key = name.lower()
        if key not in table:
            table[key] = value
        elif key == "host":
            raise violation(Rule.HOST_REPEATED, "more than one Host field (RFC 9112 section 3.2)")
        elif key == "cookie":
            table[key] += "; " + value  # RFC 6265 section 4.2.1: its pairs are not divided by commas
        elif key != "set-cookie":  # RFC 9110 section 5.3: can't be combined; `get_all` has them all
            table[key] += ", " + value
    return table


def _refuse_missing_host() -> NoReturn:
    raise violation(Rule.HOST_MISSING, "HTTP/1.1 request without a Host field (RFC 9112 section 3.2)")


def _refuse_host(host: str, fields: Fields) -> NoReturn:
    if sum(name.lower() == "host" for name, _ in fields) > 1:
        raise violation(Rule.HOST_REPEATED, "more than one Host field (RFC 9112 section 3.2)")
    raise violation(Rule.HOST_INVALID, f"not a host and port: {quoted(host)} (RFC 9112 section 3.2)")


def _check_target(method: str, target: str) -> None:
    """RFC 9112 section 3.2: four forms, and which method may use which."""
    if method == "CONNECT":  # authority-form, section 3.2.3
        if _AUTHORITY.fullmatch(target) is None:
            raise violation(Rule.TARGET, f"CONNECT needs host:port, not {quoted(target)}")
    elif target[0] == "/":  # origin-form, section 3.2.1
        return
    elif target == "*":  # asterisk-form, section 3.2.4
        if method != "OPTIONS":
            raise violation(Rule.TARGET, f"target '*' is for OPTIONS, not for {method[:40]}")
    else:  # absolute-form, section 3.2.2
        parts = _ABSOLUTE.fullmatch(target)
        # RFC 9110 section 4.2.1: an empty host is invalid; section 4.2.4: userinfo is treated as an error.
        if parts is None or parts[2][:1] in ("", ":") or _HOST.fullmatch(parts[2]) is None:
            raise violation(Rule.TARGET, f"not a request target: {quoted(target)}")
