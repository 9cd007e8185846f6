"""A command's output as lines with their times, within bounds."""

from __future__ import annotations

from collections import deque

from mungos.lab.record import Line

__all__ = ["KEPT_BYTES", "KEPT_LINES", "LINE_LIMIT", "Kept", "Raw", "Splitter", "readable"]

KEPT_LINES = 10_000
KEPT_BYTES = 8 << 20
LINE_LIMIT = 65_536  # bytes; a longer line comes in pieces
_SHORT = 4096  # bytes of a line that comes in driblets

Raw = tuple[float, str, bytes, bool]
"""A line before anybody reads it: `at`, `stream`, its bytes, and whether it is complete. A chatty command
prints many thousands in a second, of which few are ever looked at."""


def readable(raw: Raw) -> Line:
    """The line as the record has it."""
    at, stream, data, complete = raw
    # A terminal ends its lines with CR LF; bytes that are not UTF-8 stay distinguishable.
    return Line(at, stream, data.removesuffix(b"\r").decode("utf-8", "backslashreplace"), complete)


class Splitter:
    """Makes lines of one stream's bytes.

    Args:
        stream: its name in every line.
        rest: how a line begins whose end is still to come.
    """

    __slots__ = ("_at", "_rest", "_stream")

    def __init__(self, stream: str, rest: bytes = b"") -> None:
        self._stream = stream
        self._rest = rest
        self._at = 0.0

    def feed(self, at: float, data: bytes) -> list[Raw]:
        """The lines that these bytes complete.

        Args:
            at: seconds since the attempt began.
            data: what came.
        """
        self._at = at
        *parts, rest = (self._rest + data).split(b"\n")
        found: list[Raw] = []
        stream = self._stream
        for part in parts:
            if len(part) > LINE_LIMIT:
                part = self._cut(part, at, found)  # noqa: PLW2901 - what is left of it
            found.append((at, stream, part, True))
        self._rest = self._cut(rest, at, found)
        return found

    def finish(self) -> list[Raw]:
        """The last line, if it lacks its end."""
        rest, self._rest = self._rest, b""
        return [(self._at, self._stream, rest, False)] if rest else []

    def _cut(self, part: bytes, at: float, found: list[Raw]) -> bytes:
        while len(part) > LINE_LIMIT:
            place = LINE_LIMIT
            while place > LINE_LIMIT - 3 and part[place] & 0xC0 == 0x80:  # not within a character
                place -= 1
            found.append((at, self._stream, part[:place], False))
            part = part[place:]
        return part


class Kept:
    """The last of all streams' output; older lines are only counted.

    What comes is kept as it came, and made into lines when somebody asks: a command may print a million
    lines in a second, and is not to be slowed down by that.
    """

    __slots__ = ("_begun", "_count", "_forgotten", "_made", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, str, bytes, int]] = deque()  # the last: lines that end in it
        self._count = 0  # lines that end in what is kept
        self._size = 0
        self._begun: dict[str, bytes] = {}  # the line in which the pieces that are kept begin
        self._forgotten = 0
        self._made: tuple[Line, ...] | None = None

    def add(self, at: float, stream: str, data: bytes) -> None:
        """Keep this, and as much of what is older as the bounds allow.

        Args:
            at: seconds since the attempt began.
            stream: where it came from.
            data: what came.
        """
        self._made = None
        pieces = self._pieces
        ends = data.count(b"\n")
        self._count += ends
        self._size += len(data)
        if not ends and pieces:
            _, other, begun, ended = pieces[-1]
            if other == stream and not ended and len(begun) < _SHORT:
                pieces[-1] = at, stream, begun + data, 0
                return
        pieces.append((at, stream, data, ends))
        while len(pieces) > 1 and (
            self._count - pieces[0][3] >= KEPT_LINES
            or self._size - len(pieces[0][2]) >= KEPT_BYTES
            or len(pieces) > 2 * KEPT_LINES
        ):
            self._forget()

    def _forget(self) -> None:
        _, stream, data, ends = self._pieces.popleft()
        self._count -= ends
        self._size -= len(data)
        if ends:
            self._forgotten += ends
            self._begun[stream] = data[data.rfind(b"\n") + 1 :]
            return
        begun = self._begun.get(stream, b"") + data
        self._forgotten += len(begun) // LINE_LIMIT
        self._begun[stream] = begun[len(begun) // LINE_LIMIT * LINE_LIMIT :]

    def lines(self) -> tuple[Line, ...]:
        """What is kept, oldest first; last what has begun of a line."""
        if self._made is None:
            splitters = {stream: Splitter(stream, begun) for stream, begun in self._begun.items()}
            found: list[Raw] = []
            for at, stream, data, _ in self._pieces:
                if stream not in splitters:
                    splitters[stream] = Splitter(stream)
                found += splitters[stream].feed(at, data)
            for each in splitters.values():
                found += each.finish()
            self._made = tuple([readable(each) for each in found])
        return self._made[-KEPT_LINES:]

    @property
    def dropped(self) -> int:
        """Lines that were not kept."""
        self.lines()
        return self._forgotten + max(0, len(self._made or ()) - KEPT_LINES)
