"""Several runs at once: processes forked from this one, each with one run at a time."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NoReturn

from mungos.lab.selftest.outcome import Outcome, Task
from mungos.lab.verdicts import Verdict

__all__ = ["PATIENCE", "perform_all", "pressure"]

PATIENCE = 60.0  # seconds that the lab may take beyond a run's deadline before it is called stuck
_END_PATIENCE = 10.0  # seconds that a worker may take to end the run that it watches
_SIZE = 4  # bytes of the number in front of what is sent
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LONGEST_PRESSURE = 24 * 3600.0  # seconds
_ROUNDS = 100_000  # between two looks at the clock


def _end_with(parent: int, number: signal.Signals) -> None:
    """Get this signal when the parent ends; end at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class _Worker:
    """A process that does the tasks it is told, one after the other."""

    def __init__(
        self, tasks: Sequence[Task], do: Callable[[Task], Outcome], others: Sequence[_Worker]
    ) -> None:
        self.line, theirs = socket.socketpair()
        self.task: int | None = None
        self.until = 0.0
        self._answer = bytearray()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.line.close()
            for other in others:
                other.line.close()
            self._work(parent, theirs, tasks, do)
        theirs.close()

    @staticmethod
    def _work(
        parent: int, line: socket.socket, tasks: Sequence[Task], do: Callable[[Task], Outcome]
    ) -> NoReturn:
        status = 1
        try:
            _end_with(parent, signal.SIGTERM)
            # ^C is for the parent, which tells us; nothing that is run reads its terminal.
            os.setpgid(0, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            while told := line.recv(_SIZE, socket.MSG_WAITALL):
                answer = json.dumps(do(tasks[int.from_bytes(told, "big")]).as_json()).encode()
                line.sendall(len(answer).to_bytes(_SIZE, "big") + answer)
            status = 0
        finally:
            # Nothing of the parent's may run here: no handlers of its exit, no buffers written twice.
            error = sys.exc_info()[1]
            if error is not None and not isinstance(error, SystemExit):  # that one means: told to stop
                sys.excepthook(type(error), error, error.__traceback__)
                sys.stderr.flush()
            os._exit(status)

    def start(self, number: int, patience: float) -> None:
        """Have the task of this number done."""
        self.task = number
        self.until = time.monotonic() + patience
        with contextlib.suppress(BrokenPipeError):  # it is gone: the next look finds that out
            self.line.sendall(number.to_bytes(_SIZE, "big"))

    def answer(self) -> Outcome | None:
        """Read on; the outcome, when all of it is there. Raises EOFError when the process ended."""
        block = self.line.recv(1 << 16)
        if not block:
            raise EOFError
        self._answer += block
        size = _SIZE + int.from_bytes(self._answer[:_SIZE], "big")
        if len(self._answer) < size:
            return None
        known = json.loads(self._answer[_SIZE:size])
        del self._answer[:size]
        return Outcome.from_json(known)

    def end(self, number: signal.Signals | None = None) -> int:
        """End it, gently unless a signal is named; its status."""
        if number is not None:
            os.kill(self.pid, number)
        self.line.close()
        handle = os.pidfd_open(self.pid)
        try:
            if not select.select([handle], [], [], _END_PATIENCE)[0]:
                os.kill(self.pid, signal.SIGKILL)
        finally:
            os.close(handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def perform_all(
    tasks: Sequence[Task],
    do: Callable[[Task], Outcome],
    jobs: int,
    *,
    patience: Callable[[Task], float] = lambda task: task.bug.deadline + PATIENCE,
) -> Generator[tuple[Task, Outcome], None, None]:
    """Do all tasks, `jobs` at once, and hand out each as it is done.

    A worker that dies, or does not answer in time, is replaced: that run's outcome says so.

    Args:
        tasks: what is to be done; they are begun in this order.
        do: does one, in a process forked from this one.
        jobs: how many at once.
        patience: seconds that a task may take.
    """
    waiting = list(range(len(tasks)))[::-1]
    workers: list[_Worker] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or any(worker.task is not None for worker in workers):
                while waiting and len(workers) < jobs:
                    workers.append(_Worker(tasks, do, workers))
                    selector.register(workers[-1].line, selectors.EVENT_READ, workers[-1])
                for worker in workers:
                    if worker.task is None and waiting:
                        worker.start(waiting[-1], patience(tasks[waiting.pop()]))
                soonest = min(worker.until for worker in workers if worker.task is not None)
                ready = [key.data for key, _ in selector.select(max(0.0, soonest - time.monotonic()))]
                now = time.monotonic()
                for worker in list(workers):
                    number = worker.task
                    outcome: Outcome | None = None
                    if worker in ready:
                        try:
                            outcome = worker.answer()
                        except (EOFError, ConnectionResetError):
                            selector.unregister(worker.line)
                            workers.remove(worker)
                            outcome = _trouble(f"the lab failed: its process ended with {worker.end()}")
                    elif number is not None and now >= worker.until:
                        selector.unregister(worker.line)
                        workers.remove(worker)
                        worker.end(signal.SIGKILL)
                        outcome = _trouble("the lab did not come back, and was ended")
                    if outcome is not None:
                        worker.task = None
                        if number is not None:
                            yield tasks[number], outcome
        finally:
            for worker in workers:
                # At an exception, or when nobody wants the rest: the runs that are under way are ended too.
                worker.end(None if worker.task is None else signal.SIGTERM)


def _trouble(text: str) -> Outcome:
    return Outcome(Verdict.NOT_STARTED, trouble=text)


@contextlib.contextmanager
def pressure(processes: int) -> Iterator[None]:
    """Keep so many CPUs busy with processes that do nothing else; they end with this one."""
    parent = os.getpid()
    children: list[int] = []
    try:
        for _ in range(processes):
            pid = os.fork()
            if pid == 0:
                try:
                    os.setpgid(0, 0)
                    _spin(parent)
                finally:
                    os._exit(0)
            children.append(pid)
        yield
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def _spin(parent: int) -> None:
    _end_with(parent, signal.SIGKILL)
    limit = time.monotonic() + _LONGEST_PRESSURE
    while os.getppid() == parent and time.monotonic() < limit:
        for _ in range(_ROUNDS):
            pass
