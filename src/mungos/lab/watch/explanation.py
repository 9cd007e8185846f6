"""The autopsy and its findings, while the output goes on being read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from mungos.lab.watch.tree import see, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.facts import Autopsy
    from mungos.lab.findings.contract import Case
    from mungos.lab.record import Finding

__all__ = ["dissect", "reading_meanwhile", "reason", "warm_up", "without_values"]

BUDGET = 0.7  # seconds for the autopsy of native programs, from the clock that ran out
BUDGET_EMULATED = 10.0
LEAST_BUDGET = 0.25  # seconds, however late it is
HELD_UP = 10.0  # seconds over its budget after which an autopsy is held up by what it looks at
_AHEAD = -10  # nice value: what explains goes before what is explained, where that is allowed


def warm_up() -> None:
    """Import what an explanation needs, while there is still time: it is wanted within a second."""
    import mungos.lab.autopsy  # noqa: PLC0415 - a run that passes needs none
    import mungos.lab.findings  # noqa: F401, PLC0415


def dissect(
    root: int,
    *,
    at: float,
    late: float,
    init: str,
    own: frozenset[int],
    emulated: bool,
    workspace: tuple[str, int] | None = None,
) -> tuple[Autopsy | None, str]:
    """Examine the tree below `root`, before anything in it is ended.

    Args:
        root: process number of its top.
        at: seconds since the command was started.
        late: seconds that are gone since the clock ran out.
        init: who is process 1.
        own: processes of the lab, which are left out.
        emulated: it may take longer.
        workspace: path and descriptor of the run's own directory, for `examine`.

    Returns:
        The autopsy, and what went wrong with it.
    """
    try:
        from mungos.lab.autopsy import examine  # noqa: PLC0415 - a run that passes needs none

        budget = BUDGET_EMULATED if emulated else max(BUDGET - late, LEAST_BUDGET)
        with _ahead(), _not_held_up(root, budget + HELD_UP):
            found = examine([root], at=at, init=init, own=own, budget=budget, workspace=workspace)
            return found, ""
    except Exception as error:  # noqa: BLE001 - the verdict stands without it, and the tree has still to be ended
        return None, f"the autopsy failed: {type(error).__name__}: {error}"


@contextlib.contextmanager
def _not_held_up(root: int, within: float) -> Iterator[None]:
    """End `root`, and all below it with it, when this takes longer.

    A process can have its arguments where a file system of its own has to answer for them, and never does.
    Who reads them waits in the kernel, where no signal reaches it, until that file system is gone.
    """
    import threading  # noqa: PLC0415 - a run that passes needs none

    seen = see(root)
    if seen is None:
        yield
        return
    timer = threading.Timer(within, send, (seen, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _ahead() -> Iterator[None]:
    """With a higher priority, if we are root: the machine may be full of what is to be explained."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if os.geteuid() != 0 or before <= _AHEAD:
        yield
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _AHEAD)
    except OSError:  # root without the right to it, as in many containers
        yield
        return
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def reason(case: Case) -> tuple[tuple[Finding, ...], str]:
    """What the rules find in this case, and what went wrong with them."""
    try:
        from mungos.lab.findings import explain  # noqa: PLC0415 - a run that passes needs none

        failed: list[str] = []
        return explain(case, failed), "; ".join(failed)
    except Exception as error:  # noqa: BLE001 - the facts and the verdict stand without it
        return (), f"the findings failed: {type(error).__name__}: {error}"


def without_values(autopsy: Autopsy) -> Autopsy:
    """The same without the values of variables and arguments.

    Rules tell objects apart by them; and any of them may be a password.
    """
    from dataclasses import replace  # noqa: PLC0415 - a run that passes needs none

    return replace(
        autopsy,
        processes=tuple(
            replace(
                process,
                stacks=tuple(
                    replace(stack, frames=tuple(replace(frame, locals=()) for frame in stack.frames))
                    for stack in process.stacks
                ),
            )
            for process in autopsy.processes
        ),
    )


@contextlib.contextmanager
def reading_meanwhile(descriptors: Iterable[int], read: Callable[[], None]) -> Iterator[None]:
    """Have `read` called when one of the descriptors becomes readable: who writes to them is not held up.

    The kernel says it by SIGIO, and so only the main thread can have it; elsewhere nothing is read meanwhile.
    """
    import threading  # noqa: PLC0415 - a run that passes needs none

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    reading = more = False

    def wake(_number: int, _frame: FrameType | None) -> None:
        nonlocal reading, more
        more = True  # also while it reads: then it reads once more
        while more and not reading:
            reading, more = True, False
            try:
                read()
            finally:
                reading = False

    before = signal.signal(signal.SIGIO, wake)
    signal.siginterrupt(signal.SIGIO, False)
    armed: list[int] = []
    try:
        for each in descriptors:
            fcntl.fcntl(each, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(each, fcntl.F_SETFL, fcntl.fcntl(each, fcntl.F_GETFL) | os.O_ASYNC)
            armed.append(each)
        wake(0, None)
        yield
    finally:
        for each in armed:
            fcntl.fcntl(each, fcntl.F_SETFL, fcntl.fcntl(each, fcntl.F_GETFL) & ~os.O_ASYNC)
        signal.signal(signal.SIGIO, before if before is not None else signal.SIG_DFL)
