"""Reads what the command prints, a bounded amount at a time, and hands it on as lines."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from mungos.lab.record import Line
from mungos.lab.watch.output import Kept, Splitter, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.watch.passing import Passage

__all__ = ["Streams"]

_PIECE = 65536  # bytes a read
_TURN = 0.02  # seconds that one stream may take before anything else gets its turn
_COLLECTED_LIMIT = 256 << 10  # bytes that are put aside while an autopsy runs


class Streams:
    """The reading ends of a command's output.

    Args:
        descriptors: by name. They stay the caller's to close.
        on_line: gets every line as it comes.
        passage: gets every byte as it comes.

    Attributes:
        began: when the command was started, on the monotonic clock: what the lines' times count from.
        total: bytes that came.
        last: when the last of them came, in seconds since `began`.
    """

    __slots__ = (
        "_aside", "_collected", "_kept", "_on_line", "_open", "_passage", "_rest", "_splitters", "began",
        "last", "total",
    )  # fmt: skip

    def __init__(
        self, descriptors: dict[str, int], on_line: Callable[[Line], None] | None,
        passage: Passage | None = None,
    ) -> None:  # fmt: skip
        self._open = {descriptor: name for name, descriptor in descriptors.items()}
        self._splitters = {name: Splitter(name) for name in descriptors}
        self._on_line = on_line
        self._passage = passage
        self._rest = False
        self._kept = Kept()
        self._aside: list[tuple[float, str, bytes]] = []
        self._collected = 0
        self.began = time.monotonic()
        self.last = 0.0
        self.total = 0

    def open(self) -> list[int]:
        """Descriptors whose end was not seen yet."""
        return list(self._open)

    def held(self) -> list[int]:
        """Those that are not read for now: what was read of them is still to be passed on."""
        if self._passage is None or self._rest:
            return []
        return [number for number, name in self._open.items() if self._passage.held(name)]

    def read(self, descriptor: int) -> bool:
        """Take in what is there, up to a limit; whether anything was."""
        name = self._open.get(descriptor)
        if name is None:
            return False
        end = 0.0
        while data := self._read(descriptor):
            now = time.monotonic()
            end = end or now + _TURN
            self._take(now, name, data)
            if len(data) < _PIECE // 2 or time.monotonic() > end:
                return True
        return end > 0

    def _read(self, descriptor: int) -> bytes | None:
        """Bytes; empty at the end; None when there is nothing now."""
        try:
            data = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:  # so ends a terminal
                raise
            data = b""
        if not data:
            del self._open[descriptor]
        return data

    def _take(self, now: float, name: str, data: bytes) -> None:
        at = max(0.0, now - self.began)
        self.total += len(data)
        self.last = at
        if self._passage is not None:
            self._passage.take(at, name, data)
        self._kept.add(at, name, data)
        if self._on_line is not None:
            for each in self._splitters[name].feed(at, data):
                self._on_line(readable(each))

    def silence(self) -> None:
        """Hand on no more lines."""
        self._on_line = None
        self._passage = None

    def collect(self) -> None:
        """Take in all that is there, but hand nothing on yet: this may be called between any two steps."""
        for descriptor in list(self._open):
            while self._collected < _COLLECTED_LIMIT:
                name = self._open[descriptor]
                data = self._read(descriptor)
                if not data:
                    break
                self._aside.append((time.monotonic(), name, data))
                self._collected += len(data)

    def release(self) -> None:
        """Hand on what was collected."""
        aside, self._aside, self._collected = self._aside, [], 0
        for now, name, data in aside:
            self._take(now, name, data)

    def take_rest(self) -> None:
        """Who wrote is gone: what is left comes to an end, and need not be held."""
        self._rest = True

    def finish(self) -> None:
        """Nothing more comes: lines without an end are lines."""
        if self._on_line is not None:
            for splitter in self._splitters.values():
                for each in splitter.finish():
                    self._on_line(readable(each))

    def lines(self) -> tuple[Line, ...]:
        """What is kept, with what has begun of a line."""
        return self._kept.lines()

    @property
    def dropped(self) -> int:
        """Lines that were not kept."""
        return self._kept.dropped
