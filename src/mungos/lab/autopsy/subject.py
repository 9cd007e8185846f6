"""One process under examination: what its own files in /proc say, before it is seen beside the others."""

from __future__ import annotations

import os
import platform
import re
import shlex
import time
from dataclasses import dataclass, field

from mungos.lab.autopsy.answers import directory_of
from mungos.lab.autopsy.emulation import Guest, guest_of
from mungos.lab.autopsy.holders import Entry, entries_of
from mungos.lab.autopsy.proc import Stat, link, names, parse_stat, read, shortened, status_of, tick
from mungos.lab.autopsy.scene import mask_to_set
from mungos.lab.autopsy.system_calls import machine_of
from mungos.lab.facts import Signals, Timer

__all__ = ["Subject", "Task", "look_at", "posix_timers", "run_time"]

MOST_THREADS = 256
SHOWN_DESCRIPTORS = 20_000
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*(?:-dbg|-debug|d|t)?")


@dataclass(slots=True)
class Task:
    """A thread: its numbers, what it does, and its CPU time at the first look."""

    tid: int
    inner: int
    name: str
    state: str
    wchan: str
    call: list[str]  # words of /proc/PID/task/TID/syscall
    cpu: float
    pending: frozenset[int]
    blocked: frozenset[int]
    ran: float  # seconds, precise
    looked: float  # instant of that look


@dataclass(slots=True)
class Subject:
    """What is known of the process by itself."""

    stat: Stat
    inner: tuple[int, ...]  # from the lab's namespace inwards
    command: str
    executable: str
    machine: str
    word: int
    guest: Guest | None
    language: str
    tasks: list[Task]
    signals: Signals
    entries: list[Entry]
    descriptors_open: int
    limit: int | None
    tracer: int
    confined: bool  # by seccomp: a call that it never makes might end it
    lab_directory: str
    network: str
    missing: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Its outer number."""
        return self.stat.pid

    @property
    def zombie(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.stat.state in {"Z", "X"} and len(self.tasks) <= 1

    def threads(self) -> dict[int, tuple[int, str]]:
        """Inner thread number to outer number and name."""
        return {task.inner: (task.tid, task.name) for task in self.tasks}

    def age(self) -> float:
        """Seconds since it was started."""
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - self.stat.started / tick(), 0.0)


def look_at(stat: Stat, until: float) -> Subject:
    """Read a process's own files.

    Args:
        stat: the process.
        until: instant (monotonic) from which on its descriptors are no longer listed.
    """
    pid = stat.pid
    missing: list[str] = []
    status = status_of(f"/proc/{pid}/status")
    arguments = read(f"/proc/{pid}/cmdline", 65536).decode("utf-8", "replace").rstrip("\0").split("\0")
    executable = link(f"/proc/{pid}/exe")
    machine, word = machine_of(read(f"/proc/{pid}/exe", 20), platform.machine())
    zombie = stat.state in {"Z", "X"}
    if not executable and not zombie and arguments != [""]:
        missing.append("its files in /proc may not be read: it belongs to another user")
    guest = guest_of(executable, arguments, read(f"/proc/{pid}/auxv"), word)
    command = shortened(shlex.join(arguments)) if arguments != [""] else f"[{stat.name}]"
    tasks, left = _tasks(pid, guest is not None, missing)
    if left:
        missing.append(f"{left} of its {len(tasks) + left} threads were not looked at")
    entries, count = entries_of(pid, until)
    if len(entries) < count and not zombie:
        missing.append(
            f"{count - len(entries)} of its {count} descriptors were not looked at, or closed meanwhile"
        )
    inner = tuple(int(word) for word in status.get("NSpid", "").split()) or (pid,)
    return Subject(
        stat=stat,
        inner=inner,
        command=guest.command if guest is not None else command,
        executable=guest.program if guest is not None else executable,
        machine=machine,
        word=word,
        guest=guest,
        language=_language(pid, executable, guest),
        tasks=tasks,
        signals=_signals(status, tasks),
        entries=entries,
        descriptors_open=count,
        limit=_descriptor_limit(pid),
        tracer=int(status.get("TracerPid", "0") or 0),
        confined=status.get("Seccomp", "0") != "0",
        lab_directory=directory_of(read(f"/proc/{pid}/environ")),
        network=link(f"/proc/{pid}/ns/net"),
        missing=missing,
    )


def _language(pid: int, executable: str, guest: Guest | None) -> str:
    program = guest.program if guest is not None else executable
    if _PYTHON.fullmatch(os.path.basename(program).removesuffix(" (deleted)")):
        return "python"
    if guest is None and b"/libpython" in read(f"/proc/{pid}/maps"):
        return "python"
    return "native"


def _tasks(pid: int, emulated: bool, missing: list[str]) -> tuple[list[Task], int]:
    tids = names(f"/proc/{pid}/task")
    tids.sort(key=lambda tid: tid != pid)
    found: list[Task] = []
    denied = False
    for tid in tids[:MOST_THREADS]:
        folder = f"/proc/{pid}/task/{tid}"
        stat = parse_stat(read(f"{folder}/stat"))
        if stat is None:
            continue
        status = status_of(f"{folder}/status")
        call = read(f"{folder}/syscall").decode("ascii", "replace").split()
        denied = denied or (not call and stat.state not in "ZX")
        wchan = read(f"{folder}/wchan").decode("ascii", "replace")
        found.append(
            Task(
                tid=tid,
                inner=int((status.get("NSpid") or str(tid)).split()[-1]),
                name=stat.name,
                state=stat.state,
                wchan="" if wchan == "0" else wchan,
                call=call,
                cpu=stat.cpu,
                pending=_set(status.get("SigPnd")),
                blocked=_set(status.get("SigBlk")),
                ran=run_time(pid, tid, stat.cpu),
                looked=time.monotonic(),
            )
        )
    if emulated and len(found) > 1:
        # qemu starts it before the guest's program, to free what its threads share (read-copy-update).
        found[1].name += " (the emulator's own)"
    if denied:
        missing.append("what its threads wait for in the kernel may not be read")
    return found, max(len(tids) - MOST_THREADS, 0)


def run_time(pid: int, tid: int, otherwise: float) -> float:
    """Seconds of CPU that a thread has used, to the nanosecond where the kernel counts them."""
    words = read(f"/proc/{pid}/task/{tid}/schedstat").split()
    return int(words[0]) / 1e9 if words else otherwise


def _set(text: str | None) -> frozenset[int]:
    return mask_to_set(int(text, 16)) if text else frozenset()


def _signals(status: dict[str, str], tasks: list[Task]) -> Signals:
    pending = _set(status.get("ShdPnd")).union(*(task.pending for task in tasks))
    blocked = _set(status.get("SigBlk"))
    for task in tasks:
        blocked &= task.blocked
    return Signals(pending, blocked, _set(status.get("SigIgn")), _set(status.get("SigCgt")))


def _descriptor_limit(pid: int) -> int | None:
    for line in read(f"/proc/{pid}/limits").decode("ascii", "replace").splitlines():
        if line.startswith("Max open files"):
            words = line.split()
            return int(words[3]) if words[3].isdigit() else None
    return None


def posix_timers(pid: int) -> tuple[Timer, ...]:
    """Those made by timer_create; whether and when they fire is not to be seen."""
    text = read(f"/proc/{pid}/timers").decode("ascii", "replace")
    return tuple(Timer("POSIX timer", None) for line in text.splitlines() if line.startswith("ID:"))
