"""A manager's end: everything is told to close, the deadline makes sure, and the ledger is read aloud."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mungos import checking
from mungos.core.ledger import Kind
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.timers import NEVER
from mungos.wires.contract import Address

if TYPE_CHECKING:
    from mungos.core.manager import Manager

__all__ = ["CloseReport", "Closing", "ConnectionEnd"]

log = logging.getLogger("mungos.manager")


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """How one connection that was alive at the close ended.

    Attributes:
        id: the connection's number.
        remote: its peer, where it had one.
        reason: how it ended.
        seconds: how long its end took.
    """

    id: int
    remote: Address | None
    reason: CloseReason
    seconds: float

    def __str__(self) -> str:
        return f"c{self.id} {self.remote or 'no peer yet'}: {self.reason}, after {self.seconds:.3f} s"


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What closing a manager did.

    Attributes:
        complete: False when `close` was called inside a handler: it has only begun, `run` and `poll` go on
            with it.
        seconds: how long it took.
        within: the deadline that it was given, seconds.
        ends: the connections that were alive when it began, with how each ended.
        census: what is left of each kind; all zero after a good close.
        left: the ledger's entries that were not struck out, and descriptors still open: what leaked, and
            where it was made.
        cancelled_timers: user timers that were still to fire.
    """

    complete: bool
    seconds: float
    within: float
    ends: tuple[ConnectionEnd, ...] = ()
    census: dict[Kind, int] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    cancelled_timers: int = 0

    @property
    def ok(self) -> bool:
        """Complete, and nothing left."""
        return self.complete and not self.left and not any(self.census.values())

    @property
    def forced(self) -> tuple[ConnectionEnd, ...]:
        """The connections that did not make it in time."""
        return tuple(end for end in self.ends if end.reason.kind is CloseKind.TIMED_OUT)

    @property
    def unsent(self) -> int:
        """Bytes that were accepted and never handed to the kernel."""
        return sum(end.reason.unsent for end in self.ends)

    def __str__(self) -> str:
        if not self.complete:
            return f"closing, within {self.within:g} s"
        kinds = Counter(end.reason.kind.value for end in self.ends)
        how = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "none open"
        lines = [f"closed in {self.seconds:.3f} s of {self.within:g} s: {how}"]
        lines += [f"  did not end by itself: {end}" for end in self.forced]
        lines += [f"  left: {entry}" for entry in self.left]
        return "\n".join(lines)


class Closing:
    """A close under way.

    Attributes:
        deadline: the instant at which what is left is aborted, on the manager's clock.
        report: the outcome; incomplete until `done`.
    """

    __slots__ = ("_began", "_ends", "_manager", "_within", "deadline", "report", "timer_at")

    def __init__(self, manager: Manager, within: float) -> None:
        self._manager = manager
        self._began = manager.now
        self._within = within
        self._ends: list[ConnectionEnd] = []
        self.deadline = self._began + within
        self.timer_at = NEVER
        self.report = CloseReport(False, 0.0, within)

    @property
    def done(self) -> bool:
        """True once everything has ended and the report is final."""
        return self.report.complete

    def shorten(self, within: float) -> None:
        """An earlier deadline wins. Raises Misuse where `within` is no number of seconds."""
        checking.seconds("within", within, zero=True)
        self.deadline = min(self.deadline, self._manager.now + within)

    def begin(self) -> None:
        """Tell everything to close."""
        manager = self._manager
        manager.schedule(self, self.deadline)
        for listener in list(manager.listeners.values()):
            listener.close()
        for connection in list(manager.connections.values()):
            connection.close(max(self.deadline - manager.now, 0.0))

    def ended(self, number: int, remote: Address | None, reason: CloseReason) -> None:
        """A connection came to its end."""
        self._ends.append(ConnectionEnd(number, remote, reason, self._manager.now - self._began))

    def on_timer(self, now: float) -> None:
        """The deadline: whatever still stands is cut, as far as the turn's budget goes; the rest follow in
        the next ones."""
        manager = self._manager
        for connection in list(manager.connections.values()):
            told = repr(connection)
            connection.overdue()
            if connection.reason is not None and not connection.reason.clean:
                log.warning("%s did not end within %g s: cut", told, self._within)
            if manager.connections and manager.refresh() >= manager.scheduler.until:
                manager.schedule(self, now)
                return

    def finish(self) -> None:
        """Nothing is left to wait for: cancel the timers, count what is alive, and say it."""
        manager = self._manager
        cancelled = manager.cancel_timers()
        census = manager.ledger.census()
        strays = manager.wire.strays()
        left = [str(entry) for entry in manager.ledger] + strays
        self.timer_at = NEVER
        self.report = CloseReport(
            True, manager.now - self._began, self._within, tuple(self._ends), census, tuple(left), cancelled
        )
        log.info(
            "census: %s, descriptors still open in the process: %d",
            ", ".join(f"{kind}s {count}" for kind, count in census.items()),
            len(strays),
        )
        if left:
            for entry in left:
                log.error("left after the close: %s", entry)
        else:
            log.info("All connections closed")
