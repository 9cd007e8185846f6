"""A command's output as lines with their times, within bounds."""

from __future__ import annotations

from collections import deque

from mungos.lab.record import Line

__all__ = ["KEPT_BYTES", "KEPT_LINES", "LINE_LIMIT", "Kept", "Splitter"]

KEPT_LINES = 10_000
KEPT_BYTES = 8 << 20
LINE_LIMIT = 65_536  # bytes; a longer line comes in pieces


class Splitter:
    """Makes lines of one stream's bytes.

    Args:
        stream: its name in every line.
    """

    __slots__ = ("_at", "_rest", "_stream")

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._rest = b""
        self._at = 0.0

    def feed(self, at: float, data: bytes, most: int = 1 << 62) -> tuple[list[Line], int]:
        """The lines that these bytes complete.

        Args:
            at: seconds since the attempt began.
            data: what came.
            most: only so many of them are wanted, the last ones.

        Returns:
            The lines, and how many more there were.
        """
        self._at = at
        *parts, rest = (self._rest + data).split(b"\n")
        found: list[Line] = []
        spared = max(0, len(parts) - most)
        for part in parts[spared:] if spared else parts:
            if len(part) > LINE_LIMIT:
                part = self._cut(part, at, found)  # noqa: PLW2901 - what is left of it
            found.append(Line(at, self._stream, _text(part)))
        self._rest = self._cut(rest, at, found)
        return found, spared

    def finish(self) -> list[Line]:
        """The last line, if it lacks its end."""
        found = self.unfinished()
        self._rest = b""
        return found

    def unfinished(self) -> list[Line]:
        """The line that has begun, as it stands."""
        return [Line(self._at, self._stream, _text(self._rest), complete=False)] if self._rest else []

    def _cut(self, part: bytes, at: float, found: list[Line]) -> bytes:
        while len(part) > LINE_LIMIT:
            place = LINE_LIMIT
            while place > LINE_LIMIT - 3 and part[place] & 0xC0 == 0x80:  # not within a character
                place -= 1
            found.append(Line(at, self._stream, _text(part[:place]), complete=False))
            part = part[place:]
        return part


def _text(data: bytes) -> str:
    # A terminal ends its lines with CR LF; bytes that are not UTF-8 stay distinguishable.
    return data.removesuffix(b"\r").decode("utf-8", "backslashreplace")


class Kept:
    """The last lines, of all streams; older ones are only counted."""

    __slots__ = ("_lines", "_size", "dropped")

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._size = 0
        self.dropped = 0

    def add(self, lines: list[Line]) -> None:
        """Keep these, and as many of the older ones as the bounds allow."""
        for each in lines:
            self._lines.append(each)
            self._size += len(each.text)
        while len(self._lines) > KEPT_LINES or (self._size > KEPT_BYTES and len(self._lines) > 1):
            self._size -= len(self._lines.popleft().text)
            self.dropped += 1

    def lines(self) -> tuple[Line, ...]:
        """What is kept, oldest first."""
        return tuple(self._lines)
