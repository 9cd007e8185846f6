"""Everything that is known of one run: what reports show and what the history keeps."""

from __future__ import annotations

from mungos.lab.order import Order
from mungos.lab.plain import dataclass
from mungos.lab.verdicts import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mungos.lab.facts import Autopsy  # a run that passes has none

__all__ = ["Attempt", "Finding", "Line", "Platform", "Record", "Sample"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output; the last one of a stream may lack its end."""

    at: float  # seconds since the attempt began, when its last byte came
    stream: str  # "stdout", "stderr" or "terminal"
    text: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the tree while it ran."""

    at: float
    cpu: float  # share of one CPU since the look before: 1.0 is one CPU busy
    output: int  # bytes since the look before
    io: int  # bytes read and written by system calls since the look before, output included
    processes: int
    threads: int
    sockets: int | None = None  # connections of the command's network namespace, where it has its own


@dataclass(frozen=True, slots=True)
class Finding:
    """Why it does not end: who waits, for whom, since when, and the rule that says so."""

    rule: str  # "abort-as-pid1"
    title: str  # one sentence
    who: str  # "process 812 (./server), thread 812"
    waits_for: str  # "a signal that the kernel drops", "" when it waits for nothing
    since: float | None  # seconds since the attempt began
    evidence: tuple[str, ...]
    advice: str  # what to do next
    certainty: str = "certain"  # or "likely"
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Platform:
    """Where it ran, as proven there: an emulated run says so of itself."""

    processor: str  # Debian's name: "amd64", "s390x"
    machine: str  # "x86_64"
    byte_order: str  # "little" or "big"
    word_size: int  # bits of a pointer
    emulator: str | None  # "qemu-s390x-static 7.2.9", None when native
    factor: float
    kernel: str
    suite: str = ""  # of the root, a Debian release: "bookworm"; "" when native


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of the command."""

    verdict: Verdict
    status: int | None  # 128 + N when signal N ended it; None when it had to be ended
    signal: int | None
    duration: float  # seconds
    cpu: float  # seconds that the tree used
    lines: tuple[Line, ...]
    lines_dropped: int  # older lines that were not kept
    samples: tuple[Sample, ...]
    autopsy: Autopsy | None
    findings: tuple[Finding, ...]
    left: tuple[str, ...] = ()  # processes that were left and had to be ended: "812 sleep 1000"
    isolation: str = ""  # "own processes and network", or why not
    pipes: bool = True  # output was pipes: a program may have kept a block unflushed
    stopped_at: float | None = None  # the last output, I/O or CPU of what had to be ended
    explained_in: float | None = None  # seconds from the clock that ran out to the finished explanation
    problem: str = ""  # why it could not be started, or what went wrong with the watch itself


@dataclass(frozen=True, slots=True)
class Record:
    """A run: its order, its attempts, its verdict."""

    order: Order
    started: float  # seconds since 1970
    verdict: Verdict
    exit_status: int
    attempts: tuple[Attempt, ...]
    platform: Platform
    version: str  # of Mungos
    name: str = ""  # what history calls it; the command when empty
