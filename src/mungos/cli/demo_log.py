"""The demo's log: one line an arrow, with the time, the connection, its state and both its buffers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

from mungos.core import Connection, DatagramConnection, Listener

__all__ = ["HEADER", "LogFormatter", "logging_to"]

_ARROW_ARGUMENTS = 7


def _line(*cells: str) -> str:
    at, who, role, state, unsent, unread, what = cells
    return f"{at:<15} {who:<4} {role:<8} {state:<22} {unsent:>9} {unread:>9}  {what}".rstrip()


HEADER = _line("time", "id", "role", "state", "unsent", "unread", "what happened")


class LogFormatter(logging.Formatter):
    """Columns for whatever the package's loggers say; what is about a connection shows its state."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")
        arguments = record.args if isinstance(record.args, tuple) else ()
        subject = arguments[0] if arguments else None
        what = record.getMessage()
        if record.levelno >= logging.WARNING:
            what = f"{record.levelname}: {what}"
        if isinstance(subject, Connection):
            who, role, state = str(subject), "client" if subject.is_client else "server", subject.phase.value
            unsent, unread = f"{subject.unsent:,}", f"{subject.unread:,}"
            if record.name == "mungos.connection" and len(arguments) == _ARROW_ARGUMENTS:
                # The one place in the core that logs arrows: who, from, to, unsent, unread, seconds, reason.
                _, old, new, _, _, seconds, reason = arguments
                state = f"{old} → {new}"
                what = f"after {seconds:.3f} s{reason}"
            else:
                what = what.removeprefix(f"{who} ")
        elif isinstance(subject, Listener | DatagramConnection):
            who, role, state = str(subject), type(subject).__name__.lower()[:8], subject.phase.value
            unsent = unread = ""
        else:
            who, role, state, unsent, unread = "-", record.name.removeprefix("mungos."), "", "", ""
        line = _line(at, who, role[:8], state, unsent, unread, what)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Written(logging.StreamHandler[TextIO]):
    """Writes each line at once, until the reader goes away."""

    def __init__(self, stream: TextIO, gone: Callable[[], None]) -> None:
        super().__init__(stream)
        self._gone = gone
        self._silent = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write and flush a line."""
        if not self._silent:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A closed pipe is no defect of who logged."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            self._silent = True
            self._gone()
        else:
            super().handleError(record)


class _Kept(logging.Handler):
    """Holds what would tear the table, until it is drawn."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line with a traceback: the rest of what is said here stands in the result as well."""
        if record.exc_info:
            self.lines.append(self.format(record))


@contextmanager
def logging_to(stream: TextIO | None, gone: Callable[[], None]) -> Iterator[None]:
    """Within it the package logs everything.

    Args:
        stream: where to, each line flushed; None: only tracebacks, to standard error, at the end.
        gone: called once when nobody reads the stream any more.
    """
    logger = logging.getLogger("mungos")
    level = logger.level
    handler: logging.Handler
    if stream is None:
        handler = _Kept()
    else:
        handler = _Written(stream, gone)
        logger.setLevel(logging.DEBUG)
        print(HEADER, file=stream, flush=True)
    handler.setFormatter(LogFormatter())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        if isinstance(handler, _Kept):
            for line in handler.lines:
                print(line, file=sys.stderr, flush=True)
