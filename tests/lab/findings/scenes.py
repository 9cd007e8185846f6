"""Small made-up trees for the rules: processes, threads, pipes and connections in one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from mungos.lab.facts import (
    Autopsy,
    Descriptor,
    EpollEntry,
    Frame,
    Holder,
    MungosFacts,
    Pipe,
    Process,
    Signals,
    Socket,
    Stack,
    SystemCall,
    Thread,
    Timer,
)
from mungos.lab.findings import Case, Rule
from mungos.lab.order import Order
from mungos.lab.record import Finding, Line, Sample
from mungos.lab.verdicts import Verdict

__all__ = [
    "BOOTSTRAP",
    "THREADED",
    "busy",
    "case",
    "connection",
    "epoll",
    "found",
    "line",
    "listener",
    "pipe",
    "plain",
    "process",
    "signals",
    "stack",
    "thread",
    "unix_pair",
]

NOTHING: frozenset[int] = frozenset()
QUIET = Signals(NOTHING, NOTHING, NOTHING, NOTHING)
THREADED = "Thread.run (threading.py:982)\nThread._bootstrap_inner (threading.py:1045)\n"
BOOTSTRAP = "Thread._bootstrap (threading.py:1002)"

_inodes = count(1000)
_FRAME = re.compile(r"(\S.*?) \((.+):(\d+)\)(?: \| (.*))?$")


def found(rule: Rule, scene: Case) -> list[Finding]:
    """What one rule says of a case, all of it well formed."""
    findings = list(rule.examine(scene))
    for each in findings:
        assert each.rule == rule.name
        assert each.title
        assert each.advice
        assert each.certainty in ("certain", "likely")
        assert all(each.evidence)
    return findings


def case(
    *processes: Process,
    verdict: Verdict = Verdict.STALLED,
    lines: Sequence[Line] = (),
    samples: Sequence[Sample] = (),
    order: Order | None = None,
    status: int | None = None,
    pipes: bool = True,
    sockets: Sequence[Socket] = (),
    duration: float = 60.0,
) -> Case:
    """A case with these processes; without any there was no autopsy."""
    autopsy = Autopsy(duration, 0.1, processes, tuple(sockets), "the lab's init") if processes else None
    order = order or Order(("./program",))
    return Case(order, verdict, status, autopsy, tuple(lines), tuple(samples), duration, pipes)


def thread(
    name: str = "read",
    *arguments: int,
    tid: int = 100,
    timeout: float | None = None,
    forever: bool | None = None,
    described: str = "",
    state: str = "S",
    recent: float = 0.0,
) -> Thread:
    """A thread in a system call, without a time-out unless one is given; running when the name is empty."""
    if not name:
        return Thread(tid, "program", "R", "", None, True, 5.0, recent or 1.0)
    endless = timeout is None if forever is None else forever
    call = SystemCall(0, name, arguments, described or name, timeout, endless)
    return Thread(tid, "program", state, "wait", call, False, 0.1, recent)


def process(
    *threads: Thread,
    pid: int = 100,
    parent: int = 1,
    inner: int | None = None,
    command: str = "./program",
    executable: str = "",
    descriptors: Sequence[Descriptor] = (),
    signals: Signals = QUIET,
    timers: Sequence[Timer] = (),
    zombies: Sequence[int] = (),
    stacks: Sequence[Stack] = (),
    limit: int | None = 1024,
    orphan: bool = False,
    state: str = "S",
    emulated: str | None = None,
    mungos: MungosFacts | None = None,
    real_timer: bool | None = False,
) -> Process:
    """A process; of the language of its stacks."""
    python = any(each.language == "python" for each in stacks)
    return Process(
        pid=pid, inner=pid if inner is None else inner, parent=parent, orphan=orphan, command=command,
        executable=executable or command, state=state, age=61.0, cpu=0.1, threads=threads, signals=signals,
        descriptors=tuple(descriptors), timers=tuple(timers), zombies=tuple(zombies), descriptor_limit=limit,
        emulated=emulated, language="python" if python else "native", stacks=tuple(stacks), mungos=mungos,
        real_timer=real_timer,
    )  # fmt: skip


def stack(text: str, tid: int = 100, name: str = "MainThread", language: str = "python") -> Stack:
    """A stack from lines such as `Event.wait (threading.py:629) | self=<Event at 0x7f01>, timeout=None`."""
    frames = []
    for row in text.strip().splitlines():
        parts = _FRAME.match(row.strip())
        assert parts is not None, row
        pairs = [each.partition("=") for each in (parts[4] or "").split(", ") if each]
        values = tuple((key, value) for key, _, value in pairs)
        frames.append(Frame(parts[1], parts[2], int(parts[3]), values))
    return Stack(tid, name, language, "py-spy" if language == "python" else "gdb", tuple(frames))


def signals(
    *,
    pending: Sequence[int] = (),
    blocked: Sequence[int] = (),
    ignored: Sequence[int] = (),
    caught: Sequence[int] = (),
) -> Signals:
    """Sets of signals."""
    return Signals(frozenset(pending), frozenset(blocked), frozenset(ignored), frozenset(caught))


def pipe(
    reader: int = 3, writer: int = 4, unread: int = 0, others: Sequence[Holder] = ()
) -> tuple[Descriptor, Descriptor]:
    """The two ends of a pipe, under these numbers; `others` hold the end opposite to the reader."""
    inode = next(_inodes)
    ends = [(reader, "read"), (writer, "write")]
    first, second = (
        Descriptor(number, "pipe", f"pipe:[{inode}]", 0, Pipe(inode, end, unread, 65536, tuple(others)))
        for number, end in ends
    )
    return first, second


def _socket(family: str, state: str, local: str, remote: str, **more: int | str | None) -> Socket:
    unread, unsent, timer = more.get("unread", 0), more.get("unsent", 0), more.get("timer")
    return Socket(
        next(_inodes), family, "stream", state, local, remote,
        int(unread or 0), int(unsent or 0), str(timer) if timer else None,
    )  # fmt: skip


def connection(
    first: int = 3,
    second: int = 4,
    states: tuple[str, str] = ("ESTABLISHED", "ESTABLISHED"),
    **more: int | str | None,
) -> tuple[Descriptor, Descriptor]:
    """The two ends of a TCP connection; `more` (unread, unsent, timer) is of the first."""
    one, two = f"127.0.0.1:{next(_inodes)}", "127.0.0.1:80"
    a = _socket("inet", states[0], one, two, **more)
    b = _socket("inet", states[1], two, one)
    return tuple(  # type: ignore[return-value]
        Descriptor(number, "socket", f"socket:[{each.inode}]", 0, None, each)
        for number, each in ((first, a), (second, b))
    )


def unix_pair(first: tuple[int, int], second: tuple[int, int]) -> tuple[Descriptor, Descriptor]:
    """A socket pair, each end as (process, descriptor), which know each other only as holders."""
    made = []
    for (_, number), (pid, other) in ((first, second), (second, first)):
        inode = next(_inodes)
        held = Holder(pid, other, "./program")
        socket = Socket(inode, "unix", "stream", "ESTABLISHED", "", "", 0, 0, None, (held,))
        made.append(Descriptor(number, "socket", f"socket:[{inode}]", 0, None, socket))
    return made[0], made[1]


def listener(number: int = 3, waiting: int = 0, address: str = "127.0.0.1:80") -> Descriptor:
    """A listening socket with so many connections not yet accepted."""
    socket = Socket(next(_inodes), "inet", "stream", "LISTEN", address, "", waiting, 128, None)
    return Descriptor(number, "socket", f"socket:[{socket.inode}]", 0, None, socket)


def epoll(number: int, *entries: tuple[int, int]) -> Descriptor:
    """An epoll set of (descriptor, events)."""
    return Descriptor(
        number,
        "epoll",
        "anon_inode:[eventpoll]",
        epoll=tuple(EpollEntry(each, events) for each, events in entries),
    )


def plain(
    number: int, kind: str = "file", target: str = "/tmp/file", eventfd: int | None = None
) -> Descriptor:
    """A descriptor of any other kind."""
    return Descriptor(number, kind, target, eventfd=eventfd)


def line(text: str, at: float = 1.0, *, complete: bool = True, stream: str = "stdout") -> Line:
    """A line of output."""
    return Line(at, stream, text, complete)


def busy(cpu: float = 0.0, output: int = 0, io: int = 0, until: float = 60.0) -> list[Sample]:
    """A sample a second, all alike."""
    return [Sample(float(at), cpu, output, io, 1, 1) for at in range(1, int(until) + 1)]
