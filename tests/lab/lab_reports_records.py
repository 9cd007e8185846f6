"""Records made by hand: one of each verdict, with hostile names where a program could choose them."""

from __future__ import annotations

import math
from dataclasses import replace

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
from mungos.lab.order import Order
from mungos.lab.record import Attempt, Finding, Line, Platform, Record, Sample
from mungos.lab.verdicts import Verdict, exit_status

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J\x00\u202e&'\"\udcff"
NO_SIGNALS = Signals(frozenset(), frozenset(), frozenset(), frozenset())
NATIVE = Platform("amd64", "x86_64", "little", 64, None, 1.0, "6.18.0")
S390X = Platform("s390x", "s390x", "big", 64, "qemu-s390x-static 7.2.9", 9.6, "6.18.0", "bookworm")
STARTED = 1_750_000_000.0


def call(name: str, described: str, *arguments: int, forever: bool = True) -> SystemCall:
    return SystemCall(0, name, arguments, described, None, forever)


def thread(tid: int, doing: SystemCall | None, name: str = "main", state: str = "S") -> Thread:
    return Thread(tid, name, state, "" if doing else "0", doing, doing is None, 0.31, 0.0 if doing else 0.99)


def process(
    pid: int,
    inner: int,
    parent: int,
    command: str,
    *threads: Thread,
    descriptors: tuple[Descriptor, ...] = (),
    state: str = "S",
) -> Process:
    return Process(
        pid,
        inner,
        parent,
        False,
        command,
        command.split(" ", maxsplit=1)[0],
        state,
        61.2,
        0.4,
        threads,
        NO_SIGNALS,
        descriptors,
        (),
        (),
        1024,
        None,
        "python" if "python" in command else "native",
    )


def pipe(number: int, end: str, *others: Holder, unread: int = 0) -> Descriptor:
    return Descriptor(
        number, "pipe", f"pipe:[{9000 + number}]", 0, Pipe(9000 + number, end, unread, 65536, others)
    )


def stalled() -> Record:
    """A test runner that waits for its worker, which waits for its runner; and a server that nobody ends."""
    runner = process(
        811,
        2,
        810,
        "python3 -m pytest tests/test_worker.py",
        thread(811, call("read", "read on pipe 7 whose write end is held by 812 (python3 worker.py)", 7)),
        thread(815, call("futex", "futex, waits for a lock", 0x7F001000, 0), "pool-1"),
        descriptors=(
            Descriptor(0, "file", "/dev/null"),
            pipe(7, "read", Holder(812, 1, "python3 worker.py")),
            pipe(8, "write", Holder(812, 0, "python3 worker.py"), unread=65536),
        ),
    )
    runner = replace(
        runner,
        stacks=(
            Stack(
                811,
                "MainThread",
                "python",
                "py-spy",
                (
                    Frame("readline", "<frozen io>", None),
                    Frame(
                        "ask",
                        "tests/test_worker.py",
                        41,
                        (("question", "'how are you?'"), ("answer", "None")),
                    ),
                    Frame("test_answers", "tests/test_worker.py", 58),
                ),
            ),
        ),
        mungos=MungosFacts(
            1, ("descriptor 5, made at app.py:12",), ("c1 open → closing",), ("c1 Opened", "c1 Ended")
        ),
    )
    worker = process(
        812,
        3,
        811,
        "python3 worker.py --depth 4",
        thread(812, call("write", "write on pipe 1 whose read end is held by 811 (python3 -m pytest)", 1)),
        descriptors=(pipe(1, "write", Holder(811, 7, "python3 -m pytest"), unread=65536),),
    )
    server = process(
        813,
        4,
        811,
        "./server --port 8080",
        thread(813, call("epoll_wait", "epoll on 2 sockets, none readable", 4)),
        descriptors=(
            Descriptor(
                4, "epoll", "anon_inode:[eventpoll]", epoll=(EpollEntry(5, 1, 0), EpollEntry(6, 1, 0))
            ),
            Descriptor(
                5,
                "socket",
                "socket:[77]",
                socket=Socket(77, "inet", "stream", "LISTEN", "127.0.0.1:8080", "0.0.0.0:0", 0, 128, None),
            ),
            Descriptor(
                6,
                "socket",
                "socket:[78]",
                socket=Socket(
                    78,
                    "inet",
                    "stream",
                    "CLOSE_WAIT",
                    "127.0.0.1:8080",
                    "127.0.0.1:41112",
                    1,
                    0,
                    None,
                    (Holder(811, 9, "python3 -m pytest"),),
                ),
            ),
        ),
    )
    zombie = process(814, 5, 813, "[helper]", state="Z")
    init = process(
        810,
        1,
        809,
        "init",
        thread(810, call("wait4", "wait4 for any child", 0xFFFFFFFFFFFFFFFF)),
    )
    autopsy = Autopsy(
        60.9,
        0.214,
        (init, runner, worker, replace(server, zombies=(814,)), zombie),
        (Socket(0, "inet", "stream", "TIME_WAIT", "127.0.0.1:41110", "127.0.0.1:8080", 0, 0, "in 41 s"),),
        "the lab's init",
        ("native stacks: gdb is not installed",),
    )
    findings = (
        Finding(
            "pipe-ring",
            "Two processes wait for each other through two full pipes",
            "process 811 (python3 -m pytest)",
            "process 812 (python3 worker.py), which waits for 811",
            0.84,
            (
                "811 reads pipe 7, whose only write end is held by 812",
                "812 writes pipe 1, which is full: 65,536 of 65,536 bytes, and nobody reads it",
            ),
            "Read the worker's output while writing to it: subprocess.communicate() does both.",
            pid=811,
        ),
        Finding(
            "zombie",
            "A child has ended and nobody has asked for its status",
            "process 813 (./server)",
            "",
            None,
            ("814 is a zombie; its parent 813 waits in epoll and ignores no SIGCHLD",),
            "Wait for the children: waitpid on SIGCHLD, or a pidfd in the epoll set.",
            "likely",
            813,
        ),
    )
    lines = (
        *(Line(0.02 * n, "stdout", f"tests/test_worker.py::test_{n} PASSED") for n in range(1, 31)),
        Line(0.7, "stderr", "warning: the worker is slow to answer"),
        Line(0.84, "stdout", "tests/test_worker.py::test_answers ", complete=False),
    )
    samples = tuple(
        Sample(
            round(0.1 * n, 2),
            max(0.0, 0.9 * math.sin(n * 0.5)) if n < 9 else 0.001,
            420 if n < 9 else 0,
            900 if n < 9 else 0,
            min(5, 1 + n),
            min(7, 2 + n),
            min(4, n // 2),
        )
        for n in range(1, 620)
    )
    attempt = Attempt(
        Verdict.STALLED,
        None,
        None,
        61.9,
        0.84,
        lines,
        0,
        samples,
        autopsy,
        findings,
        isolation="own processes and network",
        stopped_at=0.84,
        explained_in=0.31,
    )
    return record(attempt, name="worker tests")


def record(
    *attempts: Attempt, verdict: Verdict | None = None, name: str = "", platform: Platform = NATIVE
) -> Record:
    verdict = verdict or attempts[-1].verdict
    order = Order(
        ("python3", "-m", "pytest", "tests/test_worker.py"),
        processor="native" if platform is NATIVE else platform.processor,
        factor=platform.factor,
    )
    status = exit_status(verdict, attempts[-1].status)
    return Record(order, STARTED, verdict, status, attempts, platform, "0.1.0", name)


def passed() -> Record:
    lines = (Line(0.1, "stdout", "all is well"),)
    samples = (Sample(0.1, 0.8, 12, 100, 1, 1, 0), Sample(0.2, 0.5, 0, 0, 1, 1, 0))
    return record(
        Attempt(
            Verdict.PASSED,
            0,
            None,
            0.21,
            0.15,
            lines,
            0,
            samples,
            None,
            (),
            isolation="own processes and network",
        )
    )


def failed() -> Record:
    attempt = passed().attempts[0]
    return record(replace(attempt, verdict=Verdict.FAILED, status=134, signal=6, lines_dropped=3))


def spinning() -> Record:
    original = stalled().attempts[0]
    samples = tuple(
        Sample(n / 2, 1.9 if n < 10 else 0.99, 80 if n < 10 else 0, 80, 2, 3, None) for n in range(1, 90)
    )
    return record(
        replace(original, verdict=Verdict.SPINNING, samples=samples, stopped_at=20.0, duration=44.5)
    )


def timed_out() -> Record:
    original = stalled()
    order = replace(original.order, deadline=60.0)
    return replace(
        record(replace(original.attempts[0], verdict=Verdict.TIMED_OUT, findings=(), stopped_at=None)),
        order=order,
    )


def leaked() -> Record:
    original = stalled().attempts[0]
    return record(
        replace(
            original,
            verdict=Verdict.LEAKED,
            status=0,
            duration=1.0,
            left=("813 ./server --port 8080",),
            stopped_at=None,
        )
    )


def flaky() -> Record:
    return record(stalled().attempts[0], passed().attempts[0], verdict=Verdict.FLAKY)


def not_started() -> Record:
    attempt = Attempt(
        Verdict.NOT_STARTED,
        None,
        None,
        0.0,
        0.0,
        (),
        0,
        (),
        None,
        (),
        problem="./missing: No such file or directory",
    )
    return record(attempt)


def emulated() -> Record:
    """Aborts as process 1 under emulation."""
    guest = process(
        900,
        1,
        899,
        "/usr/bin/qemu-s390x-static ./client",
        thread(
            900,
            call("rt_sigsuspend", "rt_sigsuspend, as process 1: the signal that it sent itself was dropped"),
        ),
    )
    autopsy = Autopsy(580.0, 4.1, (replace(guest, emulated="s390x"),), (), "the command")
    finding = Finding(
        "abort-as-pid1",
        "It aborted as process 1, where a fatal signal has no effect",
        "process 900 (./client)",
        "a signal that the kernel drops",
        3.2,
        ("SIGABRT is at its default", "it stands in rt_sigsuspend"),
        "Run it under an init: leave --pid1 out, or start the container with --init.",
        pid=900,
    )
    lines = (Line(1.2, "stdout", "All connections closed"),)
    samples = tuple(Sample(float(n), 0.5 if n < 4 else 0.0, 10, 20, 1, 1, 0) for n in range(1, 580, 3))
    attempt = Attempt(
        Verdict.STALLED,
        None,
        None,
        584.0,
        1.8,
        lines,
        0,
        samples,
        autopsy,
        (finding,),
        stopped_at=3.2,
        isolation="own processes and network",
        explained_in=4.4,
    )
    return record(attempt, platform=S390X)


def hostile() -> Record:
    """Everything that a program can choose is hostile."""
    original = stalled()
    attempt = original.attempts[0]
    autopsy = attempt.autopsy
    assert autopsy is not None
    bad = tuple(
        replace(
            each,
            command=HOSTILE,
            executable=HOSTILE,
            threads=tuple(
                replace(one, name=HOSTILE, wchan=HOSTILE, call=call("read", HOSTILE, 7))
                for one in each.threads
            ),
            descriptors=tuple(replace(one, target=HOSTILE) for one in each.descriptors),
            stacks=(
                Stack(1, HOSTILE, "python", "py-spy", (Frame(HOSTILE, HOSTILE, 1, ((HOSTILE, HOSTILE),)),)),
            ),
            timers=(Timer(HOSTILE, 1.0, 1.0),),
            mungos=MungosFacts(1, (HOSTILE,), (HOSTILE,), (HOSTILE,)),
            missing=(HOSTILE,),
        )
        for each in autopsy.processes
    )
    finding = Finding("pipe-ring", HOSTILE, HOSTILE, HOSTILE, 0.1, (HOSTILE,), HOSTILE, pid=811)
    bad_attempt = replace(
        attempt,
        autopsy=replace(autopsy, processes=bad, missing=(HOSTILE,)),
        findings=(finding,),
        lines=(Line(0.1, "stdout", HOSTILE), Line(0.2, "stderr", HOSTILE, complete=False)),
        left=(HOSTILE,),
        isolation=HOSTILE,
        problem=HOSTILE,
    )
    order = replace(original.order, command=("sh", "-c", HOSTILE))
    return replace(original, order=order, attempts=(bad_attempt,), name=HOSTILE)


def every() -> tuple[Record, ...]:
    return (
        passed(),
        failed(),
        flaky(),
        leaked(),
        stalled(),
        spinning(),
        timed_out(),
        not_started(),
        emulated(),
        hostile(),
    )
