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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.watch.passing import Passage

__all__ = ["run"]

_DEBIAN_NAMES = {  # of os.uname().machine
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386", "ppc64le": "ppc64el",
    "mips64": "mips64el", "mips": "mipsel",
}  # fmt: skip


def run(
    order: Order, on_line: Callable[[Line], None] | None = None, passage: Passage | None = None
) -> Record:
    """Run a command under watch; when this returns or raises, nothing of it is left.

    Args:
        order: the command, its clocks and surroundings.
        on_line: gets every line of output as it comes. It must not wait: the clocks stand still meanwhile.
        passage: passes the output on as bytes, and never waits.

    Returns:
        The record. A command that can't be started is a verdict, too, and `Attempt.problem` says why.

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
    workspace = _make_directory()
    environment = dict(os.environ if order.environment is None else order.environment)
    environment["MUNGOS_LAB"] = workspace
    attempts: list[Attempt] = []
    try:
        with StopSignals() as stops:
            while True:
                attempts.append(
                    attempt(
                        order, command, environment, workspace, on_line=on_line, passage=passage, stops=stops
                    )
                )
                if stops.number:
                    raise Stopped(stops.number)
                if (
                    attempts[-1].verdict in {Verdict.PASSED, Verdict.NOT_STARTED}
                    or len(attempts) > order.retries
                ):
                    break
                _clear(workspace)
    finally:
        _clear(workspace)
        os.rmdir(workspace)
    return _record(order, started, attempts, platform)


def _record(order: Order, started: float, attempts: list[Attempt], platform: Platform) -> Record:
    last = attempts[-1]
    verdict = Verdict.FLAKY if last.verdict is Verdict.PASSED and len(attempts) > 1 else last.verdict
    status = exit_status(verdict, last.status)
    return Record(order, started, verdict, status, tuple(attempts), platform, __version__)


def _not_started(order: Order, why: str) -> Attempt:
    return Attempt(
        Verdict.NOT_STARTED, None, None, 0.0, 0.0, (), 0, (), None, (), pipes=not order.terminal, problem=why
    )


def _make_directory() -> str:
    base = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the name is not to be guessed
    path = os.path.join(base, f"mungos-lab-{os.getpid()}-{os.urandom(8).hex()}")
    os.mkdir(path, 0o700)
    return path


def _clear(directory: str) -> None:
    """Remove everything in it."""
    with os.scandir(directory) as entries:
        for each in entries:
            if each.is_dir(follow_symlinks=False):
                _clear(each.path)
                os.rmdir(each.path)
            else:
                os.unlink(each.path)


def _native() -> Platform:
    about = os.uname()
    word_size = sys.maxsize.bit_length() + 1
    name = _DEBIAN_NAMES.get(about.machine, about.machine)
    if name == "amd64" and word_size == 32:
        name = "i386"
    return Platform(name, about.machine, sys.byteorder, word_size, None, 1.0, about.release)
