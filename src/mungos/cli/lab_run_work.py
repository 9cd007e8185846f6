"""What `mungos lab run` does, once it is known what is asked for. What it imports, the command waits for."""

from __future__ import annotations

import gc
import os
import sys

from mungos.cli.lab_run_options import Request
from mungos.lab.order import Order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.cli.lab_run_paper import Paper
    from mungos.lab.record import Record
    from mungos.lab.watch.passing import Passage
    from mungos.lab.watch.workspace import Workspace

__all__ = ["Unusable", "work"]

STANDARD_OUTPUT = 1
STANDARD_ERROR = 2
MOST_PROCESSORS = 32
MOST_PATIENCE = 10.0  # seconds for a reader of the output that takes nothing
LAST_PATIENCE = 60.0  # for one of what the lab itself says: no clock runs any more

_open: list[object] = []
"""Histories that stay open until the process ends."""
_deaf: list[str] = []
"""Why standard error takes nothing any more: it is not waited for twice."""


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

    from mungos.lab.watch.workspace import Workspace  # not before all that can be refused was

    gc.freeze()
    gc.enable()
    workspace = Workspace()
    try:
        return _run(request, orders, history, workspace)
    finally:
        _say_rest(workspace.remove())


def _run(request: Request, orders: list[Order], history: str, workspace: Workspace) -> int:
    from mungos.lab.watch import Stopped, run  # as above
    from mungos.lab.watch.run import with_rest  # it was imported by the line before

    runs: list[Record] = []
    for order in orders:
        if runs:
            runs[-1] = with_rest(runs[-1], _say_rest(workspace.remove()))
        if len(orders) > 1 and not request.quiet:
            _say(f"mungos lab: on {order.processor}:\n")
        passage = None if request.quiet else _passage(request, order)
        try:
            record = run(order, None, passage, workspace)
        except Stopped as error:
            _end(passage)
            _say(f"mungos lab: {error}; what it ran was ended\n")
            return 128 + error.number
        except OSError as error:
            _end(passage)
            _say(f"mungos lab: it could not be watched: {error}\n")
            return 127
        _end(passage)
        if request.name:
            from dataclasses import replace  # most runs have none

            record = replace(record, name=request.name)
        runs.append(record)
        _tell(record)
    if len(runs) > 1:
        from mungos.lab.reports.terminal import console_for, print_matrix  # brings rich

        paper = _paper()
        print_matrix(runs, console_for(paper))
        _say(paper.getvalue())
    kept = _keep(request, history, runs)
    # Whatever becomes of that, what was found out has been told.
    rest = _say_rest(workspace.remove())
    if rest:
        runs[-1] = with_rest(runs[-1], rest)
        kept = max(kept, _write(request, runs))
    return next((record.exit_status for record in runs if record.exit_status), kept)


def _refuse_contradictions(request: Request) -> None:
    if request.history and request.no_history:
        raise Unusable("--history and --no-history contradict each other")
    if request.quiet and request.timestamps:
        raise Unusable("--quiet and --timestamps contradict each other")
    if request.pid1 and request.no_isolation:
        raise Unusable("--pid1 needs a namespace of its own, which --no-isolation forbids")
    if request.network == "private" and request.no_isolation:
        raise Unusable("--network private needs a namespace of its own, which --no-isolation forbids")


def _history_place(asked: str) -> str:
    from mungos.lab.reports.history_place import Unwritable, check_history, default_history

    path = asked or default_history()
    try:
        if not check_history(path):
            # Somebody's database, but whose? Only opening it tells.
            from mungos.lab.reports.history import History  # brings sqlite3

            History(path).close()
    except Unwritable as error:
        raise Unusable(f"{error} (--no-history keeps none, --history FILE another)") from None
    return path


def _check_files(paths: list[str]) -> None:
    wanted = [path for path in paths if path]
    if not wanted:
        return
    from mungos.lab.reports.report_files import UnwritableReport, check_report_files

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
        from mungos.errors import Misuse  # needed for others only
        from mungos.lab.processors import Unavailable, platform

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
        network=request.network or "private",
        grace=request.grace,
        retries=request.retries,
        processor=processor,
        factor=factor,
        locals=request.locals,
    )


def _passage(request: Request, order: Order) -> Passage:
    """Where the output goes: a reader that stops reading is waited for while no clock is near."""
    from mungos.lab.watch.passing import Passage  # not for the quiet

    patience = MOST_PATIENCE if order.idle_ok else min(MOST_PATIENCE, order.stall * order.factor / 4)
    return Passage(
        {"stdout": STANDARD_OUTPUT, "terminal": STANDARD_OUTPUT, "stderr": STANDARD_ERROR},
        patience,
        timed=request.timestamps,
    )


def _end(passage: Passage | None) -> None:
    """The lab's own lines begin at the beginning of a line, if both go to one terminal."""
    if passage is None:
        return
    if os.isatty(STANDARD_OUTPUT):
        passage.line_start("stdout")
    passage.line_start("stderr")
    told = passage.finish()
    passage.close()
    for each in told:
        _say(f"mungos lab: {each}\n")


def _tell(record: Record) -> None:
    if record.exit_status == 0:
        from mungos.lab.reports.wording import duration, on_which, took

        where = "" if record.order.processor == "native" else f" on {on_which(record.platform)}"
        _say(f"mungos lab: {record.verdict.value}{where} in {duration(took(record))}\n")
        return
    from mungos.lab.reports.terminal import console_for, print_report  # brings rich

    paper = _paper()
    print_report(record, console_for(paper))
    _say(paper.getvalue())


def _keep(request: Request, history: str, runs: list[Record]) -> int:
    """Write the history and the reports; 0, or 2 when one of them could not be written after all."""
    status = 0
    if history:
        from mungos.lab.reports.history import History  # brings sqlite3
        from mungos.lab.reports.history_place import Unwritable

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
    return max(status, _write(request, runs))


def _write(request: Request, runs: list[Record]) -> int:
    """Write the reports; 0, or 2 when one of them could not be written after all."""
    status = 0
    if request.json or request.junit or request.html:
        from mungos.lab.reports.rendering import write_reports
        from mungos.lab.reports.report_files import UnwritableReport

        try:
            write_reports(runs, json=request.json, junit=request.junit, html=request.html)
        except UnwritableReport as error:
            _say(f"mungos lab: {error}\n")
            status = 2
    return status


def _say_rest(rest: str) -> str:
    if rest:
        from mungos.printable import printable  # next to nobody leaves anything

        _say(f"mungos lab: {printable(rest)}\n")
    return rest


def _paper() -> Paper:
    from mungos.cli.lab_run_paper import Paper  # what passes says one line

    return Paper(_encoding(), terminal=os.isatty(STANDARD_ERROR))


def _encoding() -> str:
    return sys.stderr.encoding if sys.stderr is not None else "utf-8"  # it was closed from the beginning


def _say(text: str) -> None:
    """Write it to standard error; a reader that takes nothing is not waited for without limit."""
    from mungos.lab.watch.passing import Passage  # not before the command was started

    if _deaf:
        return
    passage = Passage({"stderr": STANDARD_ERROR}, LAST_PATIENCE)
    passage.take(0.0, "stderr", text.encode(_encoding(), "backslashreplace"))
    _deaf.extend(passage.finish())
    passage.close()
