"""One attempt: from the start of the command until nothing of it is left."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping

from mungos.lab.order import Order
from mungos.lab.record import Attempt, Finding, Line
from mungos.lab.verdicts import Verdict
from mungos.lab.watch.clocks import Clocks
from mungos.lab.watch.launch import Running, launch
from mungos.lab.watch.meter import Look, Meter, Samples
from mungos.lab.watch.stopping import StopSignals
from mungos.lab.watch.streams import Streams
from mungos.lab.watch.tree import Seen, below, command_of, marked, see, send
from mungos.lab.watch.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.facts import Autopsy
    from mungos.lab.watch.passing import Passage

__all__ = ["attempt"]

_SETTLE = 1.0  # seconds that other processes may outlive the command
_LAST_WAIT = 10.0  # seconds after SIGKILL before a process is called unkillable
_LAST_OUTPUT = 0.5  # seconds for the end of output that somebody else holds open
_START_LIMIT = 30.0  # seconds for the keeper to start the command
_LONGEST = 3600.0  # seconds of one wait
_NOT_THERE = (2, 126, 127)  # statuses of mungos.lab.processors when it could not start the command,
_SAYS = "mungos lab: "  # and how it begins to say why
_FREEZES = 20  # rounds of stopping a tree that goes on growing, before it is killed as it is


def attempt(
    order: Order, command: tuple[str, ...], environment: Mapping[str, str], workspace: Workspace,
    *, on_line: Callable[[Line], None] | None, passage: Passage | None, stops: StopSignals,
) -> Attempt:  # fmt: skip
    """Start the command once, and watch it to its end.

    Args:
        order: what was asked for.
        command: what is executed: the order's, or what runs it on another processor.
        environment: all of it.
        workspace: the run's own directory.
        on_line: gets every line as it comes.
        passage: gets every byte as it comes.
        stops: when one of them comes, the tree is ended; what is returned then is of no worth.

    Raises:
        OSError: the machine has no descriptors or processes left.
    """
    isolated, why_not = order.isolated, ""
    while True:
        running = launch(
            command, environment, order.directory, workspace, isolated=isolated,
            private=order.network == "private", pid1=order.pid1 and isolated, terminal=order.terminal,
        )  # fmt: skip
        watch = _Watch(order, running, on_line, passage, stops, isolated=isolated, workspace=workspace)
        try:
            found = watch.watch()
        except BaseException:
            watch.silence()
            raise
        finally:
            try:
                watch.end(0.0)
            finally:
                running.close()
        if not running.refused or not isolated or order.pid1:
            return watch.attempt(found, why_not)
        isolated, why_not = False, running.refused


class _Found:
    """What an attempt came to."""

    __slots__ = ("autopsy", "explained_in", "findings", "left", "problem", "status", "stopped_at", "verdict")

    def __init__(self, verdict: Verdict, status: int | None = None) -> None:
        self.verdict = verdict
        self.status = status  # as `waitstatus_to_exitcode` has it
        self.autopsy: Autopsy | None = None
        self.findings: tuple[Finding, ...] = ()
        self.left: list[str] = []
        self.problem = ""
        self.explained_in: float | None = None
        self.stopped_at: float | None = None


class _Watch:
    def __init__(
        self, order: Order, running: Running, on_line: Callable[[Line], None] | None,
        passage: Passage | None, stops: StopSignals, *, isolated: bool, workspace: Workspace,
    ) -> None:  # fmt: skip
        self._order = order
        self._running = running
        self._stops = stops
        self._isolated = isolated
        self._workspace = workspace
        self._streams = Streams(running.streams, on_line, passage)
        self._passage = passage
        self._held: set[int] = set()
        self._written: set[int] = set()
        self._samples = Samples()
        self._clocks = Clocks(
            order.deadline * order.factor, order.stall * order.factor, idle_ok=order.idle_ok
        )
        self._meter: Meter | None = None
        self._guard: Seen | None = None
        self._listening = True
        self._used = 0.0
        self._bytes = 0
        self._ended_after: float | None = None
        self._poll = select.poll()
        for each in (running.handle, running.status, stops.wake, *self._streams.open()):
            self._poll.register(each, select.POLLIN)

    # Time and events

    def _now(self) -> float:
        """Seconds since the command was started."""
        return time.monotonic() - self._streams.began

    def _pump(self, within: float) -> None:
        """Wait for something to happen, and take it in."""
        if self._passage is not None:
            within = min(within, self._regulate(self._passage))
        events = self._poll.poll(max(0.0, min(within, _LONGEST)) * 1000)
        happened = [number for number, _ in events if number not in self._written]
        if self._passage is not None and len(happened) < len(events):
            self._passage.push()
        if self._running.status in happened:  # first: times of lines count from the start, which it tells
            self._listen()
            happened.remove(self._running.status)
        for number in happened:
            if number == self._stops.wake:
                os.read(number, 4096)
            elif number == self._running.handle:
                self._poll.unregister(number)
            else:
                if self._streams.read(number):
                    self._clocks.output(self._streams.last)
                if number not in self._streams.open():
                    self._poll.unregister(number)

    def _regulate(self, passage: Passage) -> float:
        """Poll for what is to be written, not for what may not be read now; seconds until that changes."""
        written = set(passage.waiting())
        if written != self._written:
            for each in self._written - written:
                self._poll.unregister(each)
            for each in written - self._written:
                self._poll.register(each, select.POLLOUT)
            self._written = written
        held = set(self._streams.held())
        if held != self._held:
            for each in self._held - held:
                self._poll.register(each, select.POLLIN)
            for each in held - self._held:
                self._poll.unregister(each)
            self._held = held
        return passage.patience()

    def _listen(self) -> None:
        running = self._running
        if self._listening and not running.listen():
            self._listening = False
            self._poll.unregister(running.status)
        if running.began is not None:
            self._streams.began = running.began
        if running.guard and self._meter is None:
            guard = see(running.guard)
            if guard is not None and guard.parent == running.keeper:
                self._guard = guard
            self._meter = Meter(
                running.guard, guard=not self._as_process_1,
                network=self._isolated and self._order.network == "private",
                stall=self._order.stall * self._order.factor,
            )  # fmt: skip

    @property
    def _as_process_1(self) -> bool:
        return self._isolated and self._order.pid1

    # The watch

    def watch(self) -> _Found:
        """Until the command ended or a clock ran out; then explain, and end what is left."""
        running = self._running
        next_look: float | None = None
        settled_at: float | None = None
        warm = False
        while True:
            now = self._now()
            if self._stops.number:
                self.end(self._order.grace)
                return _Found(Verdict.FAILED)
            if running.gone():
                self._last_words()
                return self._ended()
            due = _START_LIMIT
            if running.ended is not None:
                settled_at = settled_at or now + _SETTLE * self._order.factor
                if now >= settled_at and (left := self._living()):
                    return self._leaves(left)
                due = settled_at if now < settled_at else now + 0.05
            elif running.began is not None and self._meter is not None:
                if next_look is None:
                    next_look = now + self._meter.pause()
                elif now >= next_look:
                    self._look(now)
                    now = self._now()
                    next_look = self._clocks.next_look(now, self._meter.pause())
                ran_out = self._clocks.ran_out(now)
                if ran_out is not None:
                    self._pump(0.0)
                    if not self._over():  # it may have ended just now
                        return self._out_of_time(*ran_out)
                    continue
                if not warm and self._clocks.near(now):
                    warm = True
                    from mungos.lab.watch.explanation import warm_up  # noqa: PLC0415 - as below

                    warm_up()
                    continue
                due = min(next_look, self._clocks.deadline)
            elif now > _START_LIMIT:
                found = _Found(Verdict.NOT_STARTED)
                found.problem = (
                    f"the keeper did not start it within {_START_LIMIT:g} s {running.remarks}".strip()
                )
                return found
            self._pump(due - now)

    def _over(self) -> bool:
        return self._running.ended is not None or self._running.gone()

    def silence(self) -> None:
        """Hand on no more lines: who takes them has failed, and might again while the tree is being ended."""
        self._streams.silence()

    def _look(self, now: float) -> Look | None:
        if self._meter is None:
            return None
        look = self._meter.look()
        self._used, self._bytes = look.cpu, look.io
        self._clocks.look(now, look.cpu, look.io, look.wanted)
        self._samples.add(now, look, self._streams.total)
        return look

    def _last_words(self) -> None:
        """What the keeper and the command said before they ended."""
        end = time.monotonic() + _LAST_OUTPUT
        self._listen()
        self._streams.take_rest()
        while self._streams.open() and (left := end - time.monotonic()) > 0 and self._stops.count < 2:
            self._pump(left)
        self._streams.finish()

    # The ways in which it comes to an end

    def _ended(self) -> _Found:
        running = self._running
        self._used = max(self._used, running.cpu)
        if running.refused:
            found = _Found(Verdict.NOT_STARTED)
            found.problem = running.refused
            return found
        if running.failed:
            found = _Found(Verdict.NOT_STARTED)
            found.problem = f"can't run {running.failed}"
            return found
        if running.ended is None:
            found = _Found(Verdict.FAILED)
            found.problem = f"its keeper was ended by somebody else {running.remarks}".strip()
            found.left = self._end_marked()
            return self._explained(found)
        self._ended_after = max(0.0, running.ended_at - self._streams.began)
        status = os.waitstatus_to_exitcode(running.ended)
        self._samples.add(
            self._ended_after, Look(self._used, 0.0, self._bytes, 0, 0, None), self._streams.total
        )
        found = _Found(Verdict.PASSED if status == 0 else Verdict.FAILED, status)
        if self._order.processor != "native" and status in _NOT_THERE and (why := self._refusal()):
            found = _Found(Verdict.NOT_STARTED)
            found.problem = why
            return found
        return found if status == 0 else self._explained(found)

    def _refusal(self) -> str:
        """What the way to another processor said last, if it did not get there."""
        last = self._streams.lines()[-1:]
        return last[0].text.removeprefix(_SAYS) if last and last[0].text.startswith(_SAYS) else ""

    def _leaves(self, left: list[Seen]) -> _Found:
        self._ended_after = max(0.0, self._running.ended_at - self._streams.began)
        status = os.waitstatus_to_exitcode(self._running.ended or 0)
        self._look(self._now())
        found = _Found(Verdict.LEAKED if status == 0 else Verdict.FAILED, status)
        found.left = [f"{each.pid} {command_of(each.pid)}" for each in left]
        self._examine(found, self._now())
        self._finish(found)
        return found

    def _out_of_time(self, verdict: Verdict, since: float) -> _Found:
        found = _Found(verdict)
        self._examine(found, since)
        clocks = self._clocks
        found.stopped_at = clocks.progress if verdict is Verdict.SPINNING else clocks.active
        self._finish(found)
        return found

    def _examine(self, found: _Found, since: float) -> None:
        """The autopsy and the findings; nothing was ended yet."""
        from mungos.lab.watch.explanation import dissect, reading_meanwhile  # noqa: PLC0415 - as below

        order, running = self._order, self._running
        init = "the machine's" if not self._isolated else "the command" if order.pid1 else "the lab's init"
        own = {os.getpid(), running.keeper}
        if not self._as_process_1:
            own.add(running.guard)
        with reading_meanwhile(self._streams.open(), self._streams.collect):
            found.autopsy, problem = dissect(
                running.guard, at=self._now(), late=self._now() - since, init=init, own=frozenset(own),
                emulated=order.processor != "native",
                workspace=(self._workspace.path, self._workspace.folder),
            )  # fmt: skip
            found.problem = problem
            self._explained(found)
        found.explained_in = self._now() - since
        for each in self._streams.open():
            self._poll.register(each, select.POLLIN)
        self._held.clear()
        self._streams.release()

    def _explained(self, found: _Found) -> _Found:
        from mungos.lab.findings.contract import Case  # noqa: PLC0415 - a run that passes needs none
        from mungos.lab.watch.explanation import (  # noqa: PLC0415 - a run that passes needs none
            reason,
            without_values,
        )

        case = Case(
            self._order, found.verdict, _shell_status(found.status), found.autopsy, self._streams.lines(),
            self._samples.all(), self._ended_after if self._ended_after is not None else self._now(),
            not self._order.terminal,
        )  # fmt: skip
        found.findings, problem = reason(case)
        found.problem = "; ".join(filter(None, (found.problem, problem)))
        if found.autopsy is not None and not self._order.locals:
            found.autopsy = without_values(found.autopsy)
        return found

    def _finish(self, found: _Found) -> None:
        unkillable = self.end(self._order.grace)
        self._last_words()
        if unkillable:
            found.left = unkillable
            found.problem = "; ".join(
                filter(None, (found.problem, "could not be ended: " + ", ".join(unkillable)))
            )
        self._used = max(self._used, self._running.cpu)

    # The end of the tree

    def _living(self) -> list[Seen]:
        """What runs of it, the guard left out."""
        if self._guard is None:
            return []
        found = [each for each in below(self._guard.pid) if each.alive]
        if self._as_process_1 and (first := see(self._guard.pid)) is not None and first.alive:
            found.insert(0, first)
        return found

    def end(self, grace: float) -> list[str]:
        """SIGTERM to all, after `grace` seconds SIGKILL, until nothing is left; names what can't be ended."""
        if self._running.gone():
            return []
        hurried = self._stops.count + 1
        if grace > 0:
            for each in self._living():
                send(each, signal.SIGTERM)
                send(each, signal.SIGCONT)  # a stopped process acts on SIGTERM only when it goes on
            if self._wait_until_gone(grace, hurried):
                return []
        return self._kill()

    def _wait_until_gone(self, limit: float, hurried: int = 1 << 30) -> bool:
        end = time.monotonic() + limit
        while not self._running.gone():
            left = end - time.monotonic()
            if left <= 0 or self._stops.count >= hurried:
                return False
            self._pump(min(left, 0.2))
        return True

    def _kill(self) -> list[str]:
        running = self._running
        if self._guard is None:  # hardly begun: its keeper ends it all when the lifeline does
            return self._kill_keeper()
        if self._isolated:
            send(self._guard, signal.SIGKILL)  # and the kernel ends all of its namespace
            self._wait_until_gone(_LAST_WAIT)
        else:
            end = time.monotonic() + _LAST_WAIT
            self._freeze()
            while not running.gone() and time.monotonic() < end:
                for each in self._living():
                    send(each, signal.SIGKILL)
                self._wait_until_gone(0.02)
        if running.gone():
            return []
        stuck = [f"{each.pid} {command_of(each.pid)} (state {each.state})" for each in self._living()]
        return stuck + self._kill_keeper()

    def _freeze(self) -> None:
        frozen: set[tuple[int, int]] = set()
        for _ in range(_FREEZES):  # what is stopped forks no more
            new = [each for each in self._living() if (each.pid, each.started) not in frozen]
            if not new:
                return
            for each in new:
                send(each, signal.SIGSTOP)
                frozen.add((each.pid, each.started))

    def _kill_keeper(self) -> list[str]:
        # Its guard dies of that, and the rest with it.
        os.kill(self._running.keeper, signal.SIGKILL)  # our own child, not yet waited for
        if not self._wait_until_gone(_LAST_WAIT):
            return [f"{self._running.keeper} keeper"]
        self._end_marked()
        return []

    def _end_marked(self) -> list[str]:
        """End what bears the run's mark: all that can be known of a tree whose keeper is no more."""
        ended: dict[int, str] = {}
        end = time.monotonic() + _LAST_WAIT
        mark = b"MUNGOS_LAB=" + os.fsencode(self._workspace.path)
        while (left := marked(mark)) and time.monotonic() < end:
            for each in left:
                ended.setdefault(each.pid, f"{each.pid} {command_of(each.pid)}")
                send(each, signal.SIGKILL)
            time.sleep(0.01)
        return list(ended.values())

    # What is told of it

    def attempt(self, found: _Found, why_not: str) -> Attempt:
        """The attempt as the record has it."""
        order = self._order
        status = _shell_status(found.status)
        if not order.isolated:
            isolation = "none: it was not asked for"
        elif not self._isolated:
            isolation = f"none: {why_not}"
        elif order.network == "private":
            isolation = "own processes and network"
        else:
            isolation = "own processes, the machine's network"
        return Attempt(
            found.verdict, status, -found.status if found.status is not None and found.status < 0 else None,
            self._ended_after if self._ended_after is not None else self._now(), self._used,
            self._streams.lines(), self._streams.dropped, self._samples.all(), found.autopsy, found.findings,
            tuple(found.left), isolation, not order.terminal, found.stopped_at, found.explained_in,
            found.problem,
        )  # fmt: skip


def _shell_status(status: int | None) -> int | None:
    return 128 - status if status is not None and status < 0 else status
