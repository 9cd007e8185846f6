"""The lab's side of a start: makes pipes or a terminal, executes the keeper, and understands what it says."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from mungos.lab.watch.plan import Plan
from mungos.lab.watch.workspace import Workspace

__all__ = ["Running", "launch"]

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper_program.py")
_ROWS, _COLUMNS = 24, 80  # of a terminal
_PIECE = 65536  # bytes of the keeper's lines at a time
_LONGEST = 4096  # bytes of one of them, which the keeper keeps to


class Running:
    """A keeper and what is known from it.

    Attributes:
        keeper: its process number.
        handle: pidfd of the keeper.
        status: descriptor of its lines.
        lifeline: closing it ends the tree at once.
        streams: descriptors that output is read from, by name.
        word: how each of the keeper's lines begins.
        guard: process number of the guard, or of the command as process 1; 0 until it is known.
        began: when the command was started, on the monotonic clock.
        refused: why there is no isolation; nothing was started then.
        failed: why the command could not be executed.
        ended: the command's wait status.
        ended_at: on the monotonic clock.
        cpu: seconds that its ended processes used.
        empty: nothing of it is left.
        remarks: lines that are none of these, from a keeper in trouble.
    """

    __slots__ = (
        "_rest", "began", "cpu", "empty", "ended", "ended_at", "failed", "guard", "handle", "keeper",
        "lifeline", "reaped", "refused", "remarks", "status", "streams", "word",
    )  # fmt: skip

    def __init__(
        self, keeper: int, handle: int, status: int, lifeline: int, streams: dict[str, int], word: str
    ) -> None:
        self.word = word
        self.keeper = keeper
        self.handle = handle
        self.status = status
        self.lifeline = lifeline
        self.streams = streams
        self.guard = 0
        self.began: float | None = None
        self.refused = ""
        self.failed = ""
        self.ended: int | None = None
        self.ended_at = 0.0
        self.cpu = 0.0
        self.empty = False
        self.remarks = ""
        self.reaped = False
        self._rest = b""

    def listen(self) -> bool:
        """Take in what the keeper says now; whether it may say more."""
        try:
            data = os.read(self.status, _PIECE)
        except BlockingIOError:
            return True
        if not data:
            return False
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LONGEST]
        for line in lines:
            text = line[:_LONGEST].decode("utf-8", "backslashreplace")
            word, _, said = text.partition(" ")
            if word == self.word:
                self._understand(said)
            elif text:
                self.remarks = (self.remarks + text + "\n")[-4096:]
        return True

    def _understand(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "guard":
            self.guard = int(rest)
        elif word == "started":
            self.began = float(rest)
        elif word == "refused":
            self.refused = rest
        elif word == "failed":
            self.failed = rest
        elif word == "ended":
            status, at, cpu = rest.split()
            self.ended, self.ended_at, self.cpu = int(status), float(at), float(cpu)
        elif word == "empty":
            self.empty, self.cpu = True, float(rest)

    def gone(self) -> bool:
        """Whether the keeper ended; it is reaped then."""
        if not self.reaped:
            pid, _ = os.waitpid(self.keeper, os.WNOHANG)
            self.reaped = pid != 0
        return self.reaped

    def close(self) -> None:
        """Let go of every descriptor; a keeper that still runs ends the tree."""
        for each in (self.handle, self.status, self.lifeline, *self.streams.values()):
            os.close(each)
        self.streams.clear()


def launch(
    command: tuple[str, ...], environment: Mapping[str, str], directory: str | None, workspace: Workspace, *,
    isolated: bool, private: bool, pid1: bool, terminal: bool,
) -> Running:  # fmt: skip
    """Execute a keeper that will start this.

    Args:
        command: program and arguments.
        environment: all of it.
        directory: where it runs; None for the current one.
        workspace: the run's own directory.
        isolated: in a PID namespace of its own.
        private: and in a network namespace of its own.
        pid1: as process 1 of it.
        terminal: with a pseudo-terminal instead of two pipes.

    Raises:
        OSError: there are no descriptors or processes left for it.
    """
    ours: list[int] = []  # all but the streams and what is passed
    theirs: list[int] = []
    streams: dict[str, int] = {}
    try:
        status, status_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        ours.append(status)
        theirs.append(status_end)
        os.set_blocking(status_end, True)
        lifeline_end, lifeline = os.pipe()
        ours.append(lifeline)
        theirs.append(lifeline_end)
        if terminal:
            master, slave = os.openpty()
            streams["terminal"] = master
            theirs.append(slave)
            _size(slave)
            theirs_of_streams = (slave, slave, slave)
        else:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            theirs.append(nothing)
            ends = []
            for name in ("stdout", "stderr"):
                reading, writing = os.pipe()
                streams[name] = reading
                theirs.append(writing)
                ends.append(writing)
            theirs_of_streams = (nothing, ends[0], ends[1])
        for each in streams.values():
            os.set_blocking(each, False)
        folder = os.dup(workspace.folder)
        theirs.append(folder)
        place = os.dup(workspace.place)
        theirs.append(place)
        plan = Plan(
            [os.fsencode(each) for each in command],
            {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
            None if directory is None else os.fsencode(directory),
            isolated=isolated, private=private, pid1=pid1, terminal=terminal, streams=theirs_of_streams,
            status=status_end, lifeline=lifeline_end, lab=os.getpid(),
            workspace=os.fsencode(workspace.path), folder=folder, place=place, word=os.urandom(16).hex(),
        )  # fmt: skip
        paper = os.memfd_create("plan")
        theirs.append(paper)
        _write_all(paper, plan.pack())
        keeper = _execute(paper, status_end, theirs)
        try:
            handle = os.pidfd_open(keeper)
        except OSError:
            os.kill(keeper, 9)  # our own child: its number is not free before the next line
            os.waitpid(keeper, 0)
            raise
    except BaseException:
        for each in (*ours, *streams.values()):
            os.close(each)
        raise
    finally:
        for each in theirs:
            os.close(each)
    return Running(keeper, handle, status, lifeline, streams, plan.word)


def _execute(paper: int, status: int, passed: list[int]) -> int:
    # Nothing else of this process may start programs meanwhile: it has one thread.
    for each in passed:
        os.set_inheritable(each, True)
    return os.posix_spawn(
        sys.executable, [sys.executable, "-I", "-S", _PROGRAM, str(paper)], os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, status, 2),  # what goes wrong in the keeper is heard here
        ],
        setsid=True, setsigmask=(),
        setsigdef=sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}),
    )  # fmt: skip


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _size(terminal: int) -> None:
    import fcntl  # noqa: PLC0415 - a terminal is the exception
    import struct  # noqa: PLC0415 - with fcntl
    import termios  # noqa: PLC0415 - with fcntl

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("=4H", _ROWS, _COLUMNS, 0, 0))
