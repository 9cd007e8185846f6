"""An order carried out: as many attempts as it takes, and the record of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from mungos import __version__
from mungos.lab.order import Order
from mungos.lab.record import Attempt, Line, Platform, Record
from mungos.lab.verdicts import Verdict, exit_status
from mungos.lab.watch.stopping import Stopped, StopSignals
from mungos.lab.watch.watching import attempt
from mungos.lab.watch.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.watch.passing import Passage

__all__ = ["run", "with_rest"]

_DEBIAN_NAMES = {  # of os.uname().machine
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386", "ppc64le": "ppc64el",
    "mips64": "mips64el", "mips": "mipsel",
}  # fmt: skip


def run(
    order: Order,
    on_line: Callable[[Line], None] | None = None,
    passage: Passage | None = None,
    workspace: Workspace | None = None,
) -> Record:
    """Run a command under watch; when this returns or raises, nothing of it is left.

    Args:
        order: the command, its clocks and surroundings.
        on_line: gets every line of output as it comes. It must not wait: the clocks stand still meanwhile.
        passage: passes the output on as bytes, and never waits.
        workspace: where the command gets its directory. The last one is then the caller's to remove, when
            what must not wait for that is done; else it is removed here.

    Returns:
        The record. A command that can't be started is a verdict, too, and `Attempt.problem` says why; it
        also says what is left of a directory. Of the order, its environment is not kept.

    Raises:
        Stopped: SIGINT, SIGTERM or SIGHUP came, and the tree was ended. It is a SystemExit with 128 + N.
        Misuse, mungos.lab.processors.Unavailable: the order's processor can't be had.
        OSError: no descriptors or processes are left, or the run's directory can't be made.
    """
    started = time.time()
    directory = os.path.abspath(order.directory or os.curdir)
    command, platform = order.command, _native()
    if order.processor != "native":
        from mungos.lab import processors  # noqa: PLC0415 - most runs are native

        platform = processors.platform(order.processor)
        command = processors.wrap(order.processor, command, directory, pid1=order.pid1)
    if not command or (order.pid1 and not order.isolated):
        why = "process 1 needs a namespace of its own" if command else "there is no command"
        return _record(order, started, [_not_started(order, why)], platform)
    own = workspace if workspace is not None else Workspace()
    environment = dict(os.environ if order.environment is None else order.environment)
    attempts: list[Attempt] = []
    try:
        with StopSignals() as stops:
            while True:
                environment["MUNGOS_LAB"] = own.make()
                attempts.append(
                    attempt(order, command, environment, own, on_line=on_line, passage=passage, stops=stops)
                )
                if stops.number:
                    raise Stopped(stops.number)
                if (
                    attempts[-1].verdict in {Verdict.PASSED, Verdict.NOT_STARTED}
                    or len(attempts) > order.retries
                ):
                    break
                attempts[-1] = _with_rest(attempts[-1], own.remove())
    finally:
        rest = own.remove() if workspace is None else ""
    attempts[-1] = _with_rest(attempts[-1], rest)
    return _record(order, started, attempts, platform)


def with_rest(record: Record, rest: str) -> Record:
    """The record, and what is left of its last attempt's directory.

    Args:
        record: of a run.
        rest: as `Workspace.remove` says it.
    """
    if not rest:
        return record
    from dataclasses import replace  # noqa: PLC0415 - next to nobody leaves anything

    return replace(record, attempts=(*record.attempts[:-1], _with_rest(record.attempts[-1], rest)))


def _with_rest(found: Attempt, rest: str) -> Attempt:
    if not rest:
        return found
    from dataclasses import replace  # noqa: PLC0415 - as above

    return replace(found, problem="; ".join(filter(None, (found.problem, rest))))


def _record(order: Order, started: float, attempts: list[Attempt], platform: Platform) -> Record:
    if order.environment is not None:  # what is kept is shown
        from dataclasses import replace  # noqa: PLC0415 - as above

        order = replace(order, environment=None)
    last = attempts[-1]
    verdict = Verdict.FLAKY if last.verdict is Verdict.PASSED and len(attempts) > 1 else last.verdict
    status = exit_status(verdict, last.status)
    return Record(order, started, verdict, status, tuple(attempts), platform, __version__)


def _not_started(order: Order, why: str) -> Attempt:
    return Attempt(
        Verdict.NOT_STARTED, None, None, 0.0, 0.0, (), 0, (), None, (), pipes=not order.terminal, problem=why
    )


def _native() -> Platform:
    about = os.uname()
    word_size = sys.maxsize.bit_length() + 1
    name = _DEBIAN_NAMES.get(about.machine, about.machine)
    if name == "amd64" and word_size == 32:
        name = "i386"
    return Platform(name, about.machine, sys.byteorder, word_size, None, 1.0, about.release)
