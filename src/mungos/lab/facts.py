"""What an autopsy finds out, as data: no judgement, only what the kernel and the program themselves say.

Process numbers are those of the lab's own namespace; `inner` is the one that the process sees itself.
Times are seconds; sizes are bytes. A fact that could not be had is None (or empty), and `missing` says why.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Autopsy",
    "Descriptor",
    "EpollEntry",
    "Frame",
    "Holder",
    "MungosFacts",
    "Pipe",
    "Process",
    "Signals",
    "Socket",
    "Stack",
    "SystemCall",
    "Thread",
    "Timer",
]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has something open."""

    pid: int
    descriptor: int
    command: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """One end of a pipe or FIFO."""

    inode: int
    end: str  # "read", "write" or "both"
    unread: int | None  # bytes in it
    capacity: int | None
    others: tuple[Holder, ...]  # who holds the opposite end, the lab itself included


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket as /proc/net (of its own namespace) shows it."""

    inode: int
    family: str  # "inet", "inet6", "unix", "netlink", …
    kind: str  # "stream", "datagram", "seqpacket", "raw"
    state: str  # "ESTABLISHED", "CLOSE_WAIT", "LISTEN", "UNCONNECTED", …
    local: str  # "127.0.0.1:8000", "[::1]:8000", a path, or "@name" for an abstract one
    remote: str
    unread: int | None  # receive queue; for a listener: connections not yet accepted
    unsent: int | None  # send queue, not yet acknowledged; for a listener: the backlog's size
    timer: str | None  # "retransmit in 0.4 s, 3 tries", "keep-alive in 7100 s", None when no timer runs
    others: tuple[Holder, ...] = ()  # who holds the opposite end, or shares this one, inside the tree
    peer_known: bool = True  # False when the opposite end is in no namespace that the lab can see
    received_ago: float | None = None  # seconds since data last came (TCP)
    sent_ago: float | None = None  # seconds since data last went out (TCP)
    sharers: tuple[Holder, ...] = ()  # those of `others` that hold this same end


@dataclass(frozen=True, slots=True)
class EpollEntry:
    """A descriptor in an epoll set."""

    descriptor: int
    events: int  # EPOLLIN 1, EPOLLOUT 4, EPOLLET 1 << 31, …
    ready: int | None = None  # events that poll() reports at the time of the autopsy


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that will wake the process by time."""

    kind: str  # "timerfd", "POSIX timer", "ITIMER_REAL", "wait's own time-out"
    within: float | None  # seconds from the autopsy; None when it cannot be told
    interval: float | None = None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An entry of /proc/PID/fd."""

    number: int
    kind: str  # "file", "pipe", "socket", "terminal", "eventfd", "epoll", "timerfd", "pidfd", … or "other"
    target: str  # as readlink shows it
    flags: int = 0  # O_NONBLOCK and the like, of the machine's own numbering
    pipe: Pipe | None = None
    socket: Socket | None = None
    epoll: tuple[EpollEntry, ...] = ()
    eventfd: int | None = None  # its counter
    timer: Timer | None = None
    name_only: bool = False  # there was no time, or there are too many, for more than kind and target


@dataclass(frozen=True, slots=True)
class SystemCall:
    """Where a thread stands in the kernel."""

    number: int
    name: str  # "read", "epoll_wait", "futex", "rt_sigsuspend", …; "system call 999" when unknown
    arguments: tuple[int, ...]
    described: str  # "read on pipe 5 whose write end is held by 812 (sleep 1000)"
    timeout: float | None = None  # seconds that the call waits at most, from its start
    forever: bool = False  # the call has no time-out of its own, for certain
    polled: tuple[EpollEntry, ...] = ()  # the set that poll, select or epoll waits for
    holder: int | None = (
        None  # the thread that holds the lock, or whose end is awaited, where that is certain
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack, innermost first."""

    function: str
    file: str
    line: int | None
    locals: tuple[tuple[str, str], ...] = ()  # names and short representations, where they can be had


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of one thread."""

    thread: int  # tid; 0 when unknown
    name: str
    language: str  # "python" or "native"
    source: str  # "py-spy", "faulthandler", "gdb"
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of a process."""

    tid: int
    name: str
    state: str  # "R", "S", "D", "T", "t", "Z"
    wchan: str
    call: SystemCall | None
    running: bool
    cpu: float  # seconds it has used
    recent_cpu: float | None = None  # share of one CPU over the last look, 0.0 to 1.0
    pending: frozenset[int] = frozenset()  # signals sent to this thread alone
    blocked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Signals:
    """Sets of signal numbers."""

    pending: frozenset[int]  # threads' and process's together
    blocked: frozenset[int]  # in every thread
    ignored: frozenset[int]
    caught: frozenset[int]


@dataclass(frozen=True, slots=True)
class MungosFacts:
    """What a Mungos program says of itself, as lines of text."""

    managers: int
    ledger: tuple[str, ...]
    connections: tuple[str, ...]
    events: tuple[str, ...]  # the last ones, oldest first
    states: tuple[str, ...] = ()  # of each manager: its thread, whether it is in a turn, what it waits for


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the tree."""

    pid: int
    inner: int  # its number in its own namespace: 1 for process 1
    parent: int
    orphan: bool  # its first parent ended before it
    command: str
    executable: str
    state: str
    age: float
    cpu: float
    threads: tuple[Thread, ...]
    signals: Signals
    descriptors: tuple[Descriptor, ...]
    timers: tuple[Timer, ...]
    zombies: tuple[int, ...]  # children that ended and were not waited for
    descriptor_limit: int | None  # RLIMIT_NOFILE, soft
    emulated: str | None  # Debian name of the guest's architecture under user-mode emulation
    language: str  # "python", "native"
    stacks: tuple[Stack, ...] = ()
    mungos: MungosFacts | None = None
    missing: tuple[str, ...] = ()
    group: int = 0
    session: int = 0
    descriptors_open: int = 0  # all of them, when `descriptors` was cut short, too
    real_timer: bool | None = (
        None  # whether alarm() or setitimer(ITIMER_REAL) runs; None when it can't be told
    )
    emulator: str | None = None  # the program that plays the guest's processor


@dataclass(frozen=True, slots=True)
class Autopsy:
    """All that was seen of a tree, before anything in it was ended."""

    at: float  # seconds since the run began
    took: float
    processes: tuple[Process, ...]  # parents before children, the lab's own left out
    sockets: tuple[Socket, ...]  # that no process holds: TIME_WAIT, FIN_WAIT, …
    init: str  # who is process 1 of the namespace: "the lab's init", "the command", "the machine's"
    missing: tuple[str, ...] = ()
