"""The process between the lab and what it runs: starts it, and ends it when the lab is no more.

lab -> keeper -> guard -> command. The guard is process 1 of the command's PID namespace (it reaps every
orphan and hands signals on), or, without namespaces, a subreaper. When the command itself has to be process 1
there is no guard: the keeper's child becomes the command.

What the keeper and the guard have to say are lines on one pipe to the lab, each behind the run's word, which
the command does not know: it is in no argument and no variable of the environment:
    refused WHY                 the isolation could not be had; nothing was started
    guard PID                   outer number of the guard (or of the command as process 1)
    started SECONDS             on the monotonic clock, just before the command's fork (or exec)
    failed WHY                  the command could not be executed
    ended STATUS SECONDS CPU    the command's wait status, when, and the CPU seconds of all that ended so far
    empty CPU                   nothing of it is left
"""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType

from mungos.lab.watch.namespaces import (
    Refused,
    die_with_parent,
    fresh_proc,
    let_signals_be,
    own_processes,
    own_view,
    set_name,
    subreaper,
)
from mungos.lab.watch.plan import Plan
from mungos.lab.watch.tree import below, send
from mungos.lab.watch.workspace import remove_workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn  # whose import would take as long as Python's own start

__all__ = ["main"]

_FORWARDED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH,
)  # fmt: skip
_LAST_WAIT = 10.0  # seconds after SIGKILL before a process is called unkillable
_ROUND = 0.01  # seconds between looks at a tree that is being ended
_LOOK = 500  # milliseconds between looks at who the parent is
_FREEZES = 20  # rounds of stopping a tree that goes on growing, before it is killed as it is


def main(descriptor: int) -> NoReturn:
    """The keeper's life.

    Args:
        descriptor: of a file with the packed `Plan`, from its beginning.
    """
    plan = Plan.unpack(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    _close_all_but({0, 1, 2, *plan.streams, plan.status, plan.lifeline, plan.folder, plan.place})
    for each in (plan.status, plan.folder, plan.place):
        os.set_inheritable(each, False)
    set_name(b"mungos-keeper")
    guard = 0
    try:
        subreaper()
        if plan.isolated:
            own_processes()
        ready, go = os.pipe()
        guard = os.fork()
        if guard == 0:
            os.close(go)
            _be_guard(plan, ready)
    except (Refused, OSError) as error:
        _say(plan, f"refused {error}")
        os._exit(0)
    os.close(ready)
    for each in set(plan.streams):
        os.close(each)
    _say(plan, f"guard {guard}")
    try:  # noqa: SIM105 - contextlib costs a keeper a tenth of its start
        os.write(go, b"g")  # the guard has seen to it that it ends with this process: it may begin
    except BrokenPipeError:  # it ended before: its status says the rest
        pass
    os.close(go)
    _keep(plan, guard)


def _say(plan: Plan, text: str) -> None:
    try:
        line = f"{plan.word} {text}".replace("\n", " ").encode("utf-8", "backslashreplace")
        # An end in front as well: the command may have written the beginning of a line.
        os.write(plan.status, b"\n" + line[:2048] + b"\n")
    except OSError:  # the lab is gone, and the lifeline tells
        pass


def _close_all_but(kept: set[int]) -> None:
    low = 0
    for each in sorted(kept):
        if low < each:  # an empty range would close all there is
            os.closerange(low, each)
        low = each + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _keep(plan: Plan, guard: int) -> NoReturn:
    """Wait for the guard's end or the lab's."""
    handle = os.pidfd_open(guard)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(plan.lifeline, select.POLLIN)
    while True:
        found = {number for number, _ in poll.poll(_LOOK)}
        if handle in found:
            break
        # A fork of the lab may hold the other end of the lifeline: another parent says it as well.
        if (plan.lifeline in found and _is_over(plan.lifeline)) or os.getppid() != plan.lab:
            _end_all(plan, guard)
            remove_workspace(plan.place, plan.folder, os.fsdecode(plan.workspace))
            os._exit(0)
    _, status, usage = os.wait4(guard, 0)
    if plan.pid1:
        _say(plan, f"ended {status} {time.monotonic()!r} {usage.ru_utime + usage.ru_stime!r}")
    if not plan.isolated:
        _end_below()  # only when the guard was killed is there anything
    os._exit(0)


def _is_over(lifeline: int) -> bool:
    """Whether its end has come. The lab writes nothing to it; who does has found it in /proc."""
    os.set_blocking(lifeline, False)
    try:
        return not os.read(lifeline, 65536)
    except BlockingIOError:
        return False


def _end_all(plan: Plan, guard: int) -> None:
    os.kill(guard, signal.SIGKILL)  # our child, not yet waited for: the number is still its own
    if plan.isolated:  # and the kernel ends all the others with it
        end = time.monotonic() + _LAST_WAIT
        while os.waitpid(guard, os.WNOHANG)[0] == 0 and time.monotonic() < end:
            time.sleep(_ROUND)
    else:
        _end_below()


def _end_below() -> None:
    """Kill everything below this process, which is its subreaper."""
    end = time.monotonic() + _LAST_WAIT
    own = os.getpid()
    frozen: set[tuple[int, int]] = set()
    for _ in range(_FREEZES):  # what is stopped forks no more
        new = [each for each in below(own) if each.alive and (each.pid, each.started) not in frozen]
        if not new:
            break
        for each in new:
            send(each, signal.SIGSTOP)
            frozen.add((each.pid, each.started))
    while time.monotonic() < end:
        for each in below(own):
            if each.alive:
                send(each, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            return
        time.sleep(_ROUND)


def _be_guard(plan: Plan, ready: int) -> NoReturn:
    """What the keeper's child does: it never returns into the keeper's code."""
    status = 1
    try:
        guard = None if plan.pid1 else _Guard(plan, os.getppid())
        die_with_parent(signal.SIGKILL if plan.isolated else signal.SIGTERM)
        if os.read(ready, 1) == b"":  # the keeper ended before that was asked for
            os._exit(1)
        os.close(ready)
        os.close(plan.lifeline)
        if plan.isolated:
            own_view(network=plan.private)
            fresh_proc()
        else:
            subreaper()
        if guard is None:
            _say(plan, f"started {time.monotonic()!r}")
            _become(plan)
        set_name(b"mungos-guard")
        guard.start()
        guard.reap()
        status = 0
    except (Refused, OSError) as error:
        _say(plan, f"refused {error}")
    finally:
        os._exit(status)


class _Guard:
    """The command's parent: hands signals on to it, reaps it and all orphans."""

    __slots__ = ("_keeper", "_main", "_plan")

    def __init__(self, plan: Plan, keeper: int) -> None:
        self._plan = plan
        self._keeper = keeper
        self._main = 0  # the command's number while it runs
        for each in _FORWARDED:
            signal.signal(each, self._forward)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if not self._plan.isolated and os.getppid() != self._keeper:  # it ended, and this signal says so
            _end_below()
            os._exit(1)
        if self._main:
            os.kill(self._main, number)

    def start(self) -> None:
        """Start the command."""
        _say(self._plan, f"started {time.monotonic()!r}")
        pid = os.fork()
        if pid == 0:
            try:
                if not self._plan.isolated:
                    die_with_parent(signal.SIGKILL)
                _become(self._plan)
            finally:
                os._exit(127)
        self._main = pid
        for each in set(self._plan.streams):  # or their ends would never be seen
            os.close(each)

    def reap(self) -> None:
        """Wait for whatever ends, until nothing is left."""
        used = 0.0
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            used += usage.ru_utime + usage.ru_stime
            if pid == self._main:
                self._main = 0
                _say(self._plan, f"ended {status} {time.monotonic()!r} {used!r}")
        _say(self._plan, f"empty {used!r}")


def _become(plan: Plan) -> NoReturn:
    """The command, in this process."""
    step = os.fsdecode(plan.command[0])
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, *_FORWARDED):  # Python ignores the first two
            signal.signal(number, signal.SIG_DFL)
        let_signals_be()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if plan.terminal:
            import fcntl  # noqa: PLC0415 - a terminal is the exception
            import termios  # noqa: PLC0415 - with fcntl

            fcntl.ioctl(plan.streams[0], termios.TIOCSCTTY, 0)
        _put_streams(plan.streams)
        if plan.directory is not None:
            step = os.fsdecode(plan.directory)
            os.chdir(plan.directory)
            step = os.fsdecode(plan.command[0])
        os.execvpe(plan.command[0], plan.command, plan.environment)  # noqa: S606 - what it is for
    except OSError as error:
        _say(plan, f"failed {step}: {error.strerror}")
    finally:
        os._exit(127)


def _put_streams(streams: tuple[int, int, int]) -> None:
    # The lab hands over numbers above 2, so that none is overwritten before it was copied.
    for place, each in enumerate(streams):
        os.dup2(each, place)
    for each in set(streams):
        os.close(each)
