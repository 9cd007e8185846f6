"""A client's run: one connection until it has ended, a deadline, signals, and the status that follows."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from mungos import CloseReason, Connection, DatagramConnection, Manager
from mungos.cli.explaining import describe_tls, explain
from mungos.cli.standard_streams import Output
from mungos.cli.statuses import OK, Failure, Interrupted
from mungos.printable import printable
from mungos.url import URL

__all__ = ["Talk", "remark"]

_LEAVE_WITHIN = 1.0  # seconds that a first signal leaves for a graceful end


class Talk:
    """What the handlers of a client's command tell, and what becomes of it.

    Args:
        manager: where.
        url: with whom.
        verbose: whether TLS and the end are described on standard error.

    Attributes:
        connection: set by whoever connects.
        output: where the peer's bytes go.
        reason: how the connection ended; None until then.
        failure: what went wrong above the connection; the first one counts.
    """

    def __init__(self, manager: Manager, url: URL, *, verbose: bool, output: Output | None = None) -> None:
        self.manager = manager
        self.url = url
        self.verbose = verbose
        self.connection: Connection | DatagramConnection | None = None
        self.output = output if output is not None else Output()
        self.reason: CloseReason | None = None
        self.failure: BaseException | None = None
        self._signal = 0

    def opened(self, connection: Connection | DatagramConnection) -> None:
        """The connection is there."""
        if self.verbose:
            remark(f"connected to {connection.remote}")
            if isinstance(connection, Connection) and connection.negotiated is not None:
                for line in describe_tls(connection.negotiated):
                    remark(line)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The peer's bytes, to the output. A failure there ends the talk."""
        if self.failure is not None:
            return
        try:
            self.output.write(data)
        except (OSError, Interrupted) as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """It can't go on; the first failure is the one that is told."""
        if self.failure is None:
            self.failure = error
        if self.connection is not None:
            self.connection.abort()

    def closed(self, reason: CloseReason) -> None:
        """The connection's last event."""
        self.reason = reason
        if self.verbose:
            remark(f"ended: {reason}")

    def run(self, within: float | None, waits_for: Callable[[], str] = lambda: "") -> int:
        """Turn until the connection has ended.

        Args:
            within: seconds for everything; None: no limit.
            waits_for: what to say about a missed deadline.

        Returns:
            The exit status, 0; everything else is raised.

        Raises:
            Failure: it did not end cleanly.
            Interrupted: a signal ended it.
            BrokenPipeError: whoever read our output has gone.
        """
        timer = None if within is None else self.manager.call_later(within, self._overdue, within, waits_for)
        with self._signals():
            while self.reason is None:
                self.manager.poll()
        if timer is not None:
            timer.cancel()
        if self._signal:
            raise Interrupted(self._signal)
        if isinstance(self.failure, OSError) and not isinstance(self.failure, BrokenPipeError):
            raise Failure(f"can't write: {self.failure.strerror}")
        if self.failure is not None:
            raise self.failure
        if not self.reason.clean:
            raise Failure(explain(self.url, self.reason))
        return OK

    def _overdue(self, within: float, waits_for: Callable[[], str]) -> None:
        phase = self.connection.phase.value if self.connection is not None else "connecting"
        what = waits_for() or phase
        self.fail(Failure(f"{self.url}: not through within {within:g} s, while {what} (--within gives more)"))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def on_signal(number: int, _frame: FrameType | None) -> None:
            again, self._signal = self._signal != 0, number
            if again and self.connection is not None:
                self.manager.call_soon(self.connection.abort)
            elif self.connection is not None:
                self.manager.call_soon(self.connection.close, _LEAVE_WITHIN)
            if self.output.waiting:
                raise Interrupted(number)

        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def remark(line: str) -> None:
    """One line about what happens, on standard error."""
    click.echo(f"* {printable(line)}", err=True)
