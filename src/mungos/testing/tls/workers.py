"""Cells in forked worker processes: one that crashes or hangs costs its cell, not the table."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from mungos.testing.tls.running import Cell, run_cell
from mungos.testing.tls.verdicts import Outcome, Verdict

__all__ = ["CELL_WITHIN", "run_cells"]

CELL_WITHIN = 60.0
"""Seconds that one cell may take, of the real clock; multiplied by the time factor."""


def _pack(outcome: Outcome) -> bytes:
    return json.dumps({**asdict(outcome), "verdict": outcome.verdict.value}).encode() + b"\n"


def _unpack(line: bytes) -> Outcome:
    fields = json.loads(line)
    return Outcome(**{**fields, "verdict": Verdict(fields["verdict"])})


class _Worker:
    """One child: it reads cells, and writes their outcomes."""

    def __init__(self, run: Callable[[Cell], Outcome], others: Sequence[_Worker]) -> None:
        work_read, self._work = os.pipe()
        self.answers, answers_write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                # Only the parent may hold the other ends, or nobody ever sees an end of stream.
                for fd in [self._work, self.answers, *(fd for each in others for fd in each.held)]:
                    os.close(fd)
                _work(work_read, answers_write, run)
                status = 0
            finally:
                os._exit(status)
        os.close(work_read)
        os.close(answers_write)
        self._buffer = bytearray()
        self.cell: Cell | None = None
        self.since = 0.0

    @property
    def held(self) -> tuple[int, int]:
        """The parent's descriptors."""
        return self._work, self.answers

    def give(self, cell: Cell) -> None:
        """A cell to try."""
        self.cell, self.since = cell, time.monotonic()
        os.write(self._work, json.dumps(cell).encode() + b"\n")

    def read(self) -> Outcome | None:
        """Its answer, if it is complete. Raises EOFError when the child is gone."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            raise EOFError
        self._buffer += data
        if not self._buffer.endswith(b"\n"):
            return None
        outcome = _unpack(bytes(self._buffer))
        self._buffer.clear()
        self.cell = None
        return outcome

    def end(self, *, kill: bool = False) -> int:
        """Let it go, or kill it; its exit code as `os.waitstatus_to_exitcode` has it."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._work)
        os.close(self.answers)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _work(source: int, sink: int, run: Callable[[Cell], Outcome]) -> None:
    with os.fdopen(source, "rb") as cells, os.fdopen(sink, "wb", buffering=0) as answers:
        for line in cells:
            engine, case, role, how = json.loads(line)
            answers.write(_pack(run((engine, case, role, how))))


def run_cells(
    cells: Sequence[Cell],
    *,
    jobs: int = 1,
    time_factor: float = 1.0,
    strict: bool = False,
    run: Callable[[Cell], Outcome] | None = None,
) -> Iterator[Outcome]:
    """Try cells in `jobs` forked processes; outcomes as they come about.

    Call it before the process has threads. A child that dies, or needs longer than `CELL_WITHIN`, is
    replaced, and its cell fails.

    Args:
        run: what tries a cell in the child; `run_cell` when None.
    """

    def usual(cell: Cell) -> Outcome:
        return run_cell(*cell, time_factor=time_factor, strict=strict)

    work = run or usual
    waiting = deque(cells)
    workers: list[_Worker] = []
    limit = CELL_WITHIN * time_factor
    with selectors.DefaultSelector() as selector:

        def hire() -> None:
            worker = _Worker(work, workers)
            workers.append(worker)
            selector.register(worker.answers, selectors.EVENT_READ, worker)
            worker.give(waiting.popleft())

        def dismiss(worker: _Worker, *, kill: bool) -> int:
            workers.remove(worker)
            selector.unregister(worker.answers)
            return worker.end(kill=kill)

        try:
            while waiting or workers:
                while waiting and len(workers) < max(1, jobs):
                    hire()
                for key, _ in selector.select(0.5):
                    worker: _Worker = key.data
                    cell = worker.cell
                    try:
                        outcome = worker.read()
                    except EOFError:
                        code = dismiss(worker, kill=False)
                        if cell is not None:
                            yield _lost(cell, _how_it_died(code))
                        continue
                    if outcome is not None:
                        yield outcome
                        if waiting:
                            worker.give(waiting.popleft())
                        else:
                            dismiss(worker, kill=False)
                for worker in list(workers):
                    if worker.cell is not None and time.monotonic() - worker.since > limit:
                        cell = worker.cell
                        dismiss(worker, kill=True)
                        yield _lost(cell, f"no verdict within {limit:g} s: it hangs or spins")
        finally:
            for worker in list(workers):
                dismiss(worker, kill=True)


def _how_it_died(code: int) -> str:
    if code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    return f"the process ended with status {code}"


def _lost(cell: Cell, reason: str) -> Outcome:
    return Outcome(*cell, Verdict.FAIL, reason, "a verdict")
