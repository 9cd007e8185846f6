#!/usr/bin/env python3
"""Run a command with a deadline, and leave nothing of it behind. Linux, standard library only.

    python3 scripts/watchdog.py --deadline SECONDS [--grace SECONDS] [--name NAME] -- COMMAND [ARGUMENT ...]

The command runs in a session of its own; its input and output are passed through untouched. Whatever it
starts stays ours to find: this program is the subreaper, so an orphan becomes its child, whichever group or
session it moved to.

At the deadline every process of the tree is explained (state, age, what each thread waits for in the kernel,
open descriptors, Python stacks where they can be had), and then ended: SIGTERM, after the grace SIGKILL.
Python stacks come from py-spy when it is installed, and from every Python process that has a handler for
SIGUSR1 (`faulthandler.register(signal.SIGUSR1)`): such a process prints them itself.

Exit status: the command's own (128 + N when signal N ended it); 124 when the deadline passed; 125 when the
command succeeded but left processes running (they are named and ended); 127 when it could not be started;
128 + N when this program was told to stop by signal N.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DEADLINE_PASSED = 124
LEFT_RUNNING = 125
NOT_STARTED = 127

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PY_SPY_LIMIT = 10.0  # seconds, per process
DUMP_PAUSE = 1.0  # seconds for processes to print their own stacks
LAST_WAIT = 10.0  # seconds after SIGKILL before a process is called unkillable
POLL_INTERVAL = 0.02  # seconds between looks at a tree that is being ended
DESCRIPTORS_SHOWN = 24

# System calls in which x86-64 programs wait, by number; True where the first argument is a descriptor.
X86_64_CALLS = {
    0: ("read", True),
    1: ("write", True),
    7: ("poll", False),
    23: ("select", False),
    34: ("pause", False),
    35: ("nanosleep", False),
    42: ("connect", True),
    43: ("accept", True),
    44: ("sendto", True),
    45: ("recvfrom", True),
    46: ("sendmsg", True),
    47: ("recvmsg", True),
    61: ("wait4", False),
    72: ("fcntl", True),
    73: ("flock", True),
    128: ("rt_sigtimedwait", False),
    130: ("rt_sigsuspend", False),
    202: ("futex", False),
    230: ("clock_nanosleep", False),
    232: ("epoll_wait", True),
    247: ("waitid", False),
    270: ("pselect6", False),
    271: ("ppoll", False),
    281: ("epoll_pwait", True),
    288: ("accept4", True),
}


def say(text: str) -> None:
    """One message of ours, on standard error, at once."""
    print(f"watchdog: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc/PID/stat; `started` (clock ticks since boot) tells a reused number apart."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def command(self) -> str:
        """The command line, or the name in brackets for a process without one (a zombie)."""
        words = read_text(f"/proc/{self.pid}/cmdline").rstrip("\0").split("\0")
        return shlex.join(words) if words != [""] else f"[{read_text(f'/proc/{self.pid}/comm').strip()}]"

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / os.sysconf("SC_CLK_TCK")


def read_text(path: str | Path) -> str:
    """A file of /proc; empty when the process is gone or the file may not be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def process(pid: int) -> Process | None:
    """What /proc says of this process, or None when it is gone."""
    text = read_text(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name in parentheses may hold anything
    return Process(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def descendants() -> list[Process]:
    """Every process below this one that still runs, parents before children; zombies are not running."""
    children: dict[int, list[Process]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := process(int(name))):
            children.setdefault(found.parent, []).append(found)
    tree: list[Process] = []
    waiting = [os.getpid()]
    while waiting:
        for child in children.get(waiting.pop(0), []):
            waiting.append(child.pid)
            if child.state not in "ZX":
                tree.append(child)
    return tree


def send(target: Process, number: signal.Signals) -> None:
    """Signal exactly this process, not another one that got its number since."""
    try:
        handle = os.pidfd_open(target.pid)
    except OSError:
        return
    try:
        now = process(target.pid)
        if now is not None and now.started == target.started:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
    except PermissionError:
        say(f"may not send {number.name} to {target.pid}: {target.command}")
    finally:
        os.close(handle)


def reap() -> dict[int, int]:
    """Collect every child that ended, adopted orphans too: exit status by process."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def wait_until_gone(limit: float) -> list[Process]:
    """Wait at most `limit` seconds for the tree to become empty; what still runs then."""
    end = time.monotonic() + limit
    while True:
        reap()
        left = descendants()
        if not left or time.monotonic() >= end:
            reap()  # what ended between the two looks must not be left to process 1 as a zombie
            return left
        time.sleep(POLL_INTERVAL)


def end_tree(grace: float) -> None:
    """SIGTERM to all; after `grace` seconds SIGKILL, until nothing is left that can be ended."""
    for each in descendants():
        send(each, signal.SIGTERM)
        send(each, signal.SIGCONT)  # a stopped process acts on SIGTERM only when it goes on
    left = wait_until_gone(grace)
    end = time.monotonic() + LAST_WAIT
    while left and time.monotonic() < end:
        for each in left:
            send(each, signal.SIGKILL)
        left = wait_until_gone(0.2)
    for each in left:
        say(f"could not be ended: {each.pid} (state {each.state}): {each.command}")


def waits_in(pid: int, task: int) -> str:
    """What a thread does in the kernel, in words."""
    place = read_text(f"/proc/{pid}/task/{task}/wchan") or "?"
    words = read_text(f"/proc/{pid}/task/{task}/syscall").split()
    if not words:
        return f"in {place}"
    if words[0] == "running":
        return "running"
    number = int(words[0])
    name, takes_descriptor = f"system call {number}", False
    if platform.machine() == "x86_64" and number in X86_64_CALLS:
        name, takes_descriptor = X86_64_CALLS[number]
    about = ""
    if takes_descriptor and len(words) > 1:
        descriptor = int(words[1], 16) & 0xFFFFFFFF
        with contextlib.suppress(OSError):
            about = f"({descriptor} = {os.readlink(f'/proc/{pid}/fd/{descriptor}')})"
    return f"in {name}{about}, {place}"


def explain(each: Process) -> None:
    """Say all that /proc tells of one process."""
    say(
        f"process {each.pid} (parent {each.parent}, group {each.group}, session {each.session}), "
        f"state {each.state}, {each.age:.1f} s old: {each.command}"
    )
    try:
        tasks = sorted(int(name) for name in os.listdir(f"/proc/{each.pid}/task"))
    except OSError:
        tasks = []
    for task in tasks:
        name = read_text(f"/proc/{each.pid}/task/{task}/comm").strip()
        say(f"    thread {task} ({name}) {waits_in(each.pid, task)}")
    shown: list[str] = []
    with contextlib.suppress(OSError):
        for descriptor in sorted(os.listdir(f"/proc/{each.pid}/fd"), key=int):
            with contextlib.suppress(OSError):
                shown.append(f"{descriptor} {os.readlink(f'/proc/{each.pid}/fd/{descriptor}')}")
    if shown:
        more = f", and {len(shown) - DESCRIPTORS_SHOWN} more" if len(shown) > DESCRIPTORS_SHOWN else ""
        say(f"    descriptors: {', '.join(shown[:DESCRIPTORS_SHOWN])}{more}")


def catches_usr1(pid: int) -> bool:
    """Whether the process has a handler for SIGUSR1 (its default would end it)."""
    for line in read_text(f"/proc/{pid}/status").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False


def show_python_stacks(tree: list[Process]) -> None:
    """Have Python processes show their stacks, without ending them."""
    beside = Path(sys.executable).with_name("py-spy")
    spy = str(beside) if beside.exists() else shutil.which("py-spy")
    asked = False
    for each in tree:
        if "python" not in each.command and "pytest" not in each.command:
            continue
        if spy is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                done = subprocess.run(
                    [spy, "dump", "--nonblocking", "--pid", str(each.pid)],
                    capture_output=True, text=True, timeout=PY_SPY_LIMIT, check=False,
                )  # fmt: skip
                if done.returncode == 0:
                    say(f"stacks of {each.pid}:\n{done.stdout}")
                    continue
        if catches_usr1(each.pid):
            say(f"{each.pid} has a handler for SIGUSR1 and is asked for its stacks")
            send(each, signal.SIGUSR1)
            asked = True
    if asked:
        time.sleep(DUMP_PAUSE)


def report_tree() -> None:
    """Explain every process that runs below this one."""
    tree = descendants()
    say(f"{len(tree)} process(es) running:")
    for each in tree:
        explain(each)
    show_python_stacks(tree)


def watch(command: list[str], deadline: float, grace: float, settle: float, name: str) -> int:
    """Run the command; its exit status, or ours (see the top of this file)."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        say(f"orphans will not be found: prctl: {os.strerror(number)}")
    # Blocked, so that none is lost between a look at the children and the wait for the next signal.
    watched = {signal.SIGCHLD, *STOP_SIGNALS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    start = time.monotonic()
    try:
        main = os.posix_spawnp(
            command[0], command, os.environ,
            setsid=True, setsigmask=before, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )  # fmt: skip
    except OSError as error:
        say(f"{name}: can't be started: {error}")
        return NOT_STARTED
    while main not in (ended := reap()):
        left = start + deadline - time.monotonic()
        if left <= 0:
            say(f"{name}: the deadline of {deadline:g} s passed")
            report_tree()
            end_tree(grace)
            return DEADLINE_PASSED
        caught = signal.sigtimedwait(watched, left)
        if caught is not None and caught.si_signo in STOP_SIGNALS:
            number = signal.Signals(caught.si_signo)
            say(f"{name}: told to stop by {number.name} after {time.monotonic() - start:.1f} s")
            end_tree(grace)
            return 128 + number
    status = ended[main]
    if wait_until_gone(settle):
        say(f"{name}: ended with status {status}, but left processes running")
        report_tree()
        end_tree(grace)
        return status or LEFT_RUNNING
    return status


def positive(text: str) -> float:
    """A number of seconds above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run a command with a deadline; leave nothing of it behind.")
    parser.add_argument("--deadline", type=positive, required=True, metavar="SECONDS", help="for the command")
    parser.add_argument(
        "--grace", type=positive, default=5.0, metavar="SECONDS",
        help="between SIGTERM and SIGKILL (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--settle", type=positive, default=1.0, metavar="SECONDS",
        help="that other processes may outlive the command (default: 1)",
    )  # fmt: skip
    parser.add_argument("--name", default="", help="in messages (default: the command line)")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, with its arguments")
    options = parser.parse_args()
    return watch(
        options.command, options.deadline, options.grace, options.settle,
        options.name or shlex.join(options.command),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
