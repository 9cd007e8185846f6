"""Signals to the lab itself: what it runs is ended, and then the lab ends by 128 + N."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

__all__ = ["StopSignals", "Stopped"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """The lab was told to stop, and has ended what it ran.

    Args:
        number: the signal. The exit status is 128 + it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"


class StopSignals:
    """Notes them while it is entered, and wakes a poll. Does nothing outside of the main thread.

    Attributes:
        count: how many came.
        number: the first one; 0 before.
        wake: descriptor that becomes readable.
    """

    __slots__ = ("_before", "_tell", "count", "number", "wake")

    def __init__(self) -> None:
        self.count = 0
        self.number = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        self.wake, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            for each in _SIGNALS:
                if signal.getsignal(each) is not signal.SIG_IGN:  # nohup means it
                    self._before[each] = signal.signal(each, self._take)
        except ValueError:  # not the main thread, which then is who has to stop
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler if callable(handler) else signal.SIG_DFL)
        os.close(self.wake)
        os.close(self._tell)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.number = self.number or number
        try:  # noqa: SIM105 - as short as can be, in a signal's handler
            os.write(self._tell, b"!")
        except BlockingIOError:  # full of them
            pass
