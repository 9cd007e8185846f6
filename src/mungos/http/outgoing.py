"""The bytes that a session has queued and its connection has not taken, and where more of them come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol as Contract

from mungos.protocol import Buffer

__all__ = ["Closable", "Outgoing"]


class Closable(Contract):
    """What a session's `stream` can do."""

    def close(self) -> None:
        """Give back what it holds; idempotent."""


class Outgoing:
    """What both sessions do alike with their output. See `mungos.protocol.Protocol` for the meaning.

    Attributes:
        wake: called when output or events may be waiting.
        unsent: bytes that `take` has not handed out.
    """

    __slots__ = ("_high", "_out", "_pull_when_low", "unsent", "wake")

    def __init__(self, high_watermark: int) -> None:
        self.wake: Callable[[], None] | None = None
        self.unsent = 0
        self._out: list[Buffer] = []
        self._high = high_watermark
        self._pull_when_low = False

    def take(self, limit: int) -> list[Buffer]:
        """Hand out queued output, at most `limit` bytes (one where it is less); a buffer that doesn't fit is
        divided, not copied."""
        out = self._out
        if self.unsent <= limit:
            self._out = []
            self.unsent = 0
        else:
            limit = max(limit, 1)
            taken = 0
            count = 0
            for count, buffer in enumerate(out):  # noqa: B007 - where the loop stopped is used below
                if taken + len(buffer) > limit:
                    break
                taken += len(buffer)
            head, self._out = out[:count], out[count:]
            if (room := limit - taken) > 0:
                view = memoryview(self._out[0])
                head.append(view[:room])
                self._out[0] = view[room:]
            self.unsent -= limit
            out = head
        if self._pull_when_low and self.unsent <= self._high:
            self._pull_when_low = False
            self._wake()
        return out

    def _drop_output(self) -> None:
        """Nobody takes it any more."""
        self._out = []
        self.unsent = 0

    def _push(self, data: bytes) -> None:
        self._out.append(data)
        self.unsent += len(data)

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()
