"""One turn: who is served, in which order, and for how long."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Protocol as Contract

from mungos.core.lifecycle import Lifecycle
from mungos.core.timers import NEVER, Timers

if TYPE_CHECKING:
    from mungos.core.datagrams import DatagramConnection
    from mungos.core.manager import Manager

__all__ = ["Scheduler", "Watcher"]

log = logging.getLogger("mungos.manager")

_LONG_SHARE = 1 / 8  # of a turn
_SECOND_LANE = 4  # shares of events at a time: whoever waits for its round may then do more


class Watcher(Contract):
    """What the poller's hints go to."""

    def on_io(self, mask: int, now: float) -> None:
        """The descriptor may be ready."""


class Scheduler:
    """What a manager has to do, and its turns.

    Attributes:
        clock: the wire's.
        until: when the work under way has had its share of the turn, on that clock.
        crowded: whether others wait while one connection is served.
        shares: how many shares of events it then has.
        gathering, gathered: whether connections put off sending until all that is ready was read, and those
            that did.
        table: whom the poller's hints are for, by descriptor.
        queue: the second lane: connections that hold what no socket will announce, and descriptors of those
            in `hints`.
        hints: what the poller said of whom the first lane had no time for.
        slow: whose last share took long, by descriptor.
        soon: calls for this turn or the next.
        ended: connections whose `Closed` is still to be told.
        timers: all deadlines.
    """

    __slots__ = (
        "_half",
        "_long",
        "_manager",
        "_within",
        "clock",
        "crowded",
        "ended",
        "gathered",
        "gathering",
        "hints",
        "queue",
        "shares",
        "slow",
        "soon",
        "table",
        "timers",
        "until",
    )

    def __init__(self, manager: Manager, within: float) -> None:
        self._manager = manager
        self._within = within
        self._half = within / 2
        self._long = within * _LONG_SHARE
        self.clock: Callable[[], float] = manager.wire.now
        self.until = NEVER
        self.crowded = False
        self.shares = 1
        self.gathering = False
        self.gathered: list[Lifecycle] = []
        self.table: dict[int, Watcher] = {}
        self.hints: dict[int, int] = {}
        self.slow: set[int] = set()
        self.queue: deque[Lifecycle | int] = deque()
        self.soon: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self.ended: deque[Lifecycle | DatagramConnection] = deque()
        self.timers = Timers()

    def busy(self) -> bool:
        """Whether there is something to do without waiting."""
        return bool(self.queue or self.soon or self.ended)

    def forget(self, fd: int) -> None:
        """The descriptor is about to be closed."""
        self.hints.pop(fd, None)
        self.slow.discard(fd)

    def fetch(self, fd: int) -> None:
        """Serve what the poller said of a descriptor and no lane has reached, before a deadline that it may
        meet is judged."""
        watcher, mask = self.table.get(fd), self.hints.pop(fd, 0)
        if watcher is not None and mask:
            watcher.on_io(mask, self._manager.now)

    def used_up(self, fd: int) -> None:
        """A connection has had its whole share: its next one is in the second lane."""
        self.slow.add(fd)

    def recover(self) -> None:
        """After an interrupt that came between two of the loop's own steps. What was taken from a list and
        not done yet is not known: so all are looked at again."""
        manager = self._manager
        self.gathering = False
        self.gathered.clear()
        # The poller tells of all of these again.
        self.hints.clear()
        self.queue.clear()
        for connection in list(manager.connections.values()):
            if isinstance(connection, Lifecycle):
                connection.on_ready_list = True
                self.queue.append(connection)
            self.timers.schedule(connection, manager.now)

    def turn(self, events: list[tuple[int, int]], began: float) -> None:
        """Do what the poller's hints, the clock and the lists ask for.

        Args:
            events: the hints.
            began: the time at which the poller gave them.
        """
        # Whatever a peer can make arbitrarily much of is cut in two places.
        #
        # A connection is cut in `Stream._pump`: after a few events it gives way if others wait, and it looks
        # at the clock between them, because nobody knows how long a handler takes. What it still holds brings
        # it to the end of the queue.
        #
        # A turn is cut here, by the clock, after any connection's share. To go round all of them would be
        # fair and yet wrong: who asks for little would wait for all who ask for much, and 200 of those are
        # easily made. So there are two lanes. The first is for what the poller has just told, except of those
        # whose last share took long. The second is one queue, which goes round: of those, of whom the first
        # lane had no time for, and of connections that still hold something. As long as the queue is not
        # empty each lane has half of the turn, and what the first leaves is the second's. (Hints that wait in
        # the queue may be stale. All hints may be.)
        #
        # Deadlines, calls (from other threads and signals, too) and ends that are to be told stand in neither
        # lane: each of these three has a budget of its own in each turn. A deadline is judged by the time at
        # which the poller was asked, for what arrived before has then been reported: input counts before the
        # deadline that it meets. Where the budget did not reach that input, whoever judges fetches it first.
        # But a deadline is set by the clock, which `Manager.now` follows from share to share.
        manager, clock, queue = self._manager, self.clock, self.queue
        manager.now = now = began
        self.until = until = clock() + self._within
        if self.slow or self.hints:
            events = self._first_lane(events)
        if events:
            if queue:
                self.until -= self._half
            table = self.table
            # All are read before any is answered: a peer that is woken by its answer finds the others coming,
            # where one that is woken for each costs both sides a wake-up apiece.
            self.gathering = len(events) > 1
            self.crowded = self.gathering or bool(queue)
            self.shares = 1
            for fd, mask in events:
                watcher = table.get(fd)
                if watcher is not None:
                    try:
                        watcher.on_io(mask, now)
                    except BaseException as error:  # noqa: BLE001 - it ends what it struck, not the turn
                        manager.defect(watcher, error)
                    before = now
                    manager.now = now = clock()
                    if now - before > self._long:
                        self.slow.add(fd)
                    if now >= self.until:
                        self._queue_behind(fd, events)
                        break
            if self.gathering:
                self._send_what_gathered()
        if self.timers.earliest() <= began:
            self._wake_sleepers(began)
        if self.soon:
            self._call_what_waits()
        if queue:
            self._serve_queue(max(until, manager.now + self._half))
        if self.ended:
            self._tell_ends()

    def _first_lane(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What is left of the hints when those of the second lane are queued."""
        left = []
        for event in events:
            fd, mask = event
            if fd in self.hints:
                self.hints[fd] = mask
            elif fd in self.slow:
                self.hints[fd] = mask
                self.queue.append(fd)
            else:
                left.append(event)
        return left

    def _queue_behind(self, last: int, events: list[tuple[int, int]]) -> None:
        """The first lane's time is spent: queue the hints behind that of `last`."""
        behind = False
        for fd, mask in events:
            if behind and fd in self.table:
                self.hints[fd] = mask
                self.queue.append(fd)
            behind = behind or fd == last

    def _serve_queue(self, until: float) -> None:
        """A share for each in the queue, as far as the budget goes; the others stay."""
        manager, clock, queue, half = self._manager, self.clock, self.queue, self._half
        for _ in range(len(queue)):
            before = manager.now
            if before >= until:
                return
            entry = queue.popleft()
            self.crowded = bool(queue)
            # Of one share: cut by the turn's end, the same ones would be, each time.
            self.until = before + half
            if isinstance(entry, int):
                # Whom the first lane had no time for is not made to wait longer than for the others' firsts.
                self.shares = _SECOND_LANE if entry in self.slow else 1
                self._serve_hint(entry)
                continue
            self.shares = _SECOND_LANE
            entry.on_ready_list = False
            try:
                entry.on_ready(before)
            except BaseException as error:  # noqa: BLE001 - as in turn
                manager.defect(entry, error)
            manager.now = clock()

    def _serve_hint(self, fd: int) -> None:
        """One that waited in the queue. Who neither takes long nor uses up its share is forgiven."""
        manager, before = self._manager, self._manager.now
        watcher, mask = self.table.get(fd), self.hints.pop(fd, 0)
        if watcher is None or not mask:
            # It was fetched meanwhile, or the descriptor was closed: nobody had a share, so nobody has shown
            # that it needs little.
            return
        self.slow.discard(fd)
        try:
            watcher.on_io(mask, before)
        except BaseException as error:  # noqa: BLE001 - as in turn
            manager.defect(watcher, error)
        manager.now = now = self.clock()
        if now - before > self._long:
            self.slow.add(fd)

    def _send_what_gathered(self) -> None:
        self.gathering = False
        gathered, self.gathered = self.gathered, []
        manager, clock = self._manager, self.clock
        until = manager.now + self._within
        for connection in gathered:
            if manager.now >= until:
                connection.wake()
                continue
            try:
                connection.after_events(manager.now)
            except BaseException as error:  # noqa: BLE001 - as in turn
                manager.defect(connection, error)
            manager.now = clock()

    def _wake_sleepers(self, began: float) -> None:
        manager, clock = self._manager, self.clock
        newest = self.timers.newest
        self.crowded = True
        self.until = until = manager.now + self._within
        while manager.now < until and (sleeper := self.timers.due(began, newest)) is not None:
            try:
                sleeper.on_timer(began)
            except BaseException as error:  # noqa: BLE001 - as in turn
                manager.defect(sleeper, error)
                if not isinstance(error, Exception) and sleeper.timer_at is NEVER:
                    # It was interrupted, and perhaps before it did what was due. Who has ended does nothing.
                    self.timers.schedule(sleeper, began)
            manager.now = clock()

    def _call_what_waits(self) -> None:
        manager, clock = self._manager, self.clock
        manager.now = now = clock()
        self.crowded = True
        self.until = until = now + self._within
        for _ in range(len(self.soon)):
            call, arguments = self.soon.popleft()
            manager.guarded(call, *arguments)
            manager.now = now = clock()
            if now >= until:
                return

    def _tell_ends(self) -> None:
        manager, clock, ended = self._manager, self.clock, self.ended
        until = clock() + self._within
        for _ in range(len(ended)):
            connection = ended.popleft()
            try:
                connection.deliver_closed()
            except BaseException as error:  # noqa: BLE001 - as in turn
                manager.defect(connection, error)
            if ended:
                manager.now = clock()
                if manager.now >= until:
                    return

    def forget_all(self) -> None:
        """Nothing is left: no deadline counts any more."""
        self.timers = Timers()
