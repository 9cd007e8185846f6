"""What `mungos lab run` does, once it is known what is asked for. What it imports, the command waits for."""

from __future__ import annotations

import gc
import os
import sys

from mungos.cli.lab_run_options import Request
from mungos.lab.order import Order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.record import Line, Record

__all__ = ["Unusable", "work"]

STANDARD_OUTPUT = 1
STANDARD_ERROR = 2
MOST_PROCESSORS = 32

_open: list[object] = []
"""Histories that stay open until the process ends."""


class Unusable(Exception):
    """It can't be done as asked, and nothing was run; the message says why."""


def work(request: Request) -> int:
    """Run, tell, write the reports and the history.

    Args:
        request: what the command line asks for.

    Returns:
        The exit status: that of the first run that did not pass.

    Raises:
        Unusable: nothing was run.
    """
    _refuse_contradictions(request)
    history = "" if request.no_history else _history_place(request.history)
    _check_files([request.json, request.junit, request.html])
    orders = [_order(request, name) for name in _processors(request.arch)]

    from mungos.lab.watch import Stopped, run  # noqa: PLC0415 - not before all that can be refused was

    gc.freeze()
    gc.enable()
    runs: list[Record] = []
    for order in orders:
        if len(orders) > 1 and not request.quiet:
            _say(f"mungos lab: on {order.processor}:\n")
        output = None if request.quiet else _Output(request.timestamps)
        try:
            record = run(order, None if output is None else output.take)
        except Stopped as error:
            _say(f"mungos lab: {error}; what it ran was ended\n")
            return 128 + error.number
        except OSError as error:
            _say(f"mungos lab: it could not be watched: {error}\n")
            return 127
        finally:
            if output is not None:
                output.end()
        if request.name:
            from dataclasses import replace  # noqa: PLC0415 - most runs have none

            record = replace(record, name=request.name)
        runs.append(record)
        _tell(record)
    if len(runs) > 1:
        from mungos.lab.reports.terminal import print_matrix  # noqa: PLC0415 - brings rich

        print_matrix(runs)
    kept = _keep(request, history, runs)
    return next((record.exit_status for record in runs if record.exit_status), kept)


def _refuse_contradictions(request: Request) -> None:
    if request.history and request.no_history:
        raise Unusable("--history and --no-history contradict each other")
    if request.quiet and request.timestamps:
        raise Unusable("--quiet and --timestamps contradict each other")
    if request.pid1 and request.no_isolation:
        raise Unusable("--pid1 needs a namespace of its own, which --no-isolation forbids")


def _history_place(asked: str) -> str:
    from mungos.lab.reports.history_place import Unwritable, check_history, default_history  # noqa: PLC0415

    path = asked or default_history()
    try:
        if not check_history(path):
            # Somebody's database, but whose? Only opening it tells.
            from mungos.lab.reports.history import History  # noqa: PLC0415 - brings sqlite3

            History(path).close()
    except Unwritable as error:
        raise Unusable(f"{error} (--no-history keeps none, --history FILE another)") from None
    return path


def _check_files(paths: list[str]) -> None:
    wanted = [path for path in paths if path]
    if not wanted:
        return
    from mungos.lab.reports.report_files import UnwritableReport, check_report_files  # noqa: PLC0415

    try:
        check_report_files(wanted)
    except UnwritableReport as error:
        raise Unusable(str(error)) from None


def _processors(listed: str) -> list[str]:
    names = [name.strip() for name in listed.split(",")]
    if "" in names:
        raise Unusable(f"--arch {listed!r}: an empty name in the list")
    if len(set(names)) != len(names):
        raise Unusable(f"--arch {listed!r}: a name stands there twice")
    if len(names) > MOST_PROCESSORS:
        raise Unusable(f"--arch: {len(names)} names, at most {MOST_PROCESSORS}")
    return names


def _order(request: Request, processor: str) -> Order:
    factor = 1.0
    if processor != "native":
        from mungos.errors import Misuse  # noqa: PLC0415 - needed for others only
        from mungos.lab.processors import Unavailable, platform  # noqa: PLC0415

        try:
            factor = platform(processor).factor
        except (Misuse, Unavailable) as error:
            raise Unusable(f"--arch {processor}: {error}") from None
    return Order(
        request.command,
        deadline=request.deadline,
        stall=request.stall,
        idle_ok=request.idle_ok,
        pid1=request.pid1,
        terminal=request.terminal,
        isolated=not request.no_isolation,
        network=request.network,
        grace=request.grace,
        retries=request.retries,
        processor=processor,
        factor=factor,
    )


class _Output:
    """Passes the command's output on, as it is; with its time before each line, if that was asked for.

    Args:
        timed: with times.
    """

    __slots__ = ("_gone", "_last", "_timed")

    def __init__(self, timed: bool) -> None:
        self._timed = timed
        self._gone: set[int] = set()
        self._last: dict[int, bool] = {}  # whether what was written last ended a line

    def take(self, line: Line) -> None:
        """Write a line to the stream that it came from."""
        target = STANDARD_ERROR if line.stream == "stderr" else STANDARD_OUTPUT
        text = line.text + "\n" if line.complete else line.text
        if self._timed and self._last.get(target, True):
            text = f"{line.at:9.3f} {'! ' if line.stream == 'stderr' else '  '}{text}"
        if text:
            self._last[target] = line.complete
            self._write(target, text.encode("utf-8", "surrogateescape"))

    def end(self) -> None:
        """The lab's own lines begin at the beginning of a line, if both go to one terminal."""
        if not self._last.get(STANDARD_OUTPUT, True) and os.isatty(STANDARD_OUTPUT):
            self._write(STANDARD_OUTPUT, b"\n")
        if not self._last.get(STANDARD_ERROR, True):
            self._write(STANDARD_ERROR, b"\n")

    def _write(self, target: int, data: bytes) -> None:
        if target in self._gone:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(target, view) :]
        except BlockingIOError:
            # Somebody else made it non-blocking; whoever reads it is only slow.
            import select  # noqa: PLC0415 - the exception

            select.select([], [target], [])
            self._write(target, bytes(view))
        except OSError:
            # Whoever read it has gone: no reason to stop watching, nor for another verdict.
            self._gone.add(target)


def _tell(record: Record) -> None:
    if record.exit_status == 0:
        from mungos.lab.reports.wording import duration, took  # noqa: PLC0415

        where = "" if record.order.processor == "native" else f" on {record.order.processor}"
        _say(f"mungos lab: {record.verdict.value}{where} in {duration(took(record))}\n")
        return
    from mungos.lab.reports.terminal import print_report  # noqa: PLC0415 - brings rich

    print_report(record)


def _keep(request: Request, history: str, runs: list[Record]) -> int:
    """Write the history and the reports; 0, or 2 when one of them could not be written after all."""
    status = 0
    if history:
        from mungos.lab.reports.history import History  # noqa: PLC0415 - brings sqlite3
        from mungos.lab.reports.history_place import Unwritable  # noqa: PLC0415

        try:
            kept = History(history)
            _open.append(kept)
            kept.add(runs)
            if request.history:
                # Somebody may take the file elsewhere, and it alone: the log beside it goes into it. That
                # waits for the disk twice, so at the usual place it is left to later runs.
                kept.close()
        except Unwritable as error:
            _say(f"mungos lab: {error}\n")
            status = 2
    if request.json or request.junit or request.html:
        from mungos.lab.reports.rendering import write_reports  # noqa: PLC0415
        from mungos.lab.reports.report_files import UnwritableReport  # noqa: PLC0415

        try:
            write_reports(runs, json=request.json, junit=request.junit, html=request.html)
        except UnwritableReport as error:
            _say(f"mungos lab: {error}\n")
            status = 2
    return status


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads it
