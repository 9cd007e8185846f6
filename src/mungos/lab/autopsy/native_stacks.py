"""Native stacks, by gdb: the one look that stops a process, for as long as its stacks are read."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence

from mungos.lab.facts import Frame, Stack

__all__ = ["from_gdb", "gdb", "gdb_command", "real_timers"]

MOST_FRAMES = 40
_MARK = "@@process "
_TIMER_MARK = "@@timer"
_PROCESS = re.compile(r"@@process (\d+)")
_THREAD = re.compile(r'Thread \d+ \(.*?(?:LWP|process) (\d+)\)?(?: "(.*)")?\)?:')
_FRAME = re.compile(r"#\d+\s+(?:0x[0-9a-f]+ in )?(.+?) \((.*)\)(?: at (.*?)(?::(\d+))?| from (.*))?")
_SUCCESS = re.compile(r"\$\d+ = 0")
_WORDS = re.compile(r"0x[0-9a-f]+(?: <.*>)?:((?:\s+-?\d+)+)")
_OPTIONS = (
    "set debuginfod enabled off",
    "set auto-load off",
    # The C library's debug data would take longer to read than all the rest; its functions have names anyway.
    "set debug-file-directory /nonexistent",
    "set libthread-db-search-path /nonexistent",
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set print elements 60",
    "set scheduler-locking on",
    "set unwindonsignal on",
)
_ASK_TIMER = "print ((int(*)(int,void*))getitimer)(0,$sp-1024)"


def gdb() -> str | None:
    """Where gdb is."""
    return shutil.which("gdb")


def gdb_command(program: str, processes: Sequence[tuple[int, bool]]) -> list[str]:
    """A command line that shows the stacks of these processes, one after the other.

    Args:
        program: gdb.
        processes: outer numbers, and whether to have the process call getitimer(), for which /proc has no
            answer.
    """
    line = [program, "-nx", "-q", "-batch"]
    for option in _OPTIONS:
        line += ["-iex", option]
    for pid, ask_timer in processes:
        line += ["-ex", f"echo \\n{_MARK}{pid}\\n", "-ex", f"attach {pid}"]
        line += ["-ex", f"thread apply all bt {MOST_FRAMES}"]
        if ask_timer:
            line += ["-ex", f"echo \\n{_TIMER_MARK}\\n", "-ex", _ASK_TIMER]
            line += ["-ex", "x/4dg $sp-1024" if _wide() else "x/4dw $sp-1024"]
        line += ["-ex", "detach"]
    return line


def _wide() -> bool:
    return os.sysconf("SC_LONG_BIT") == 64


def from_gdb(text: str) -> dict[int, tuple[Stack, ...]]:
    """Stacks by process, as far as gdb got."""
    found: dict[int, list[Stack]] = {}
    process = thread = 0
    name = ""
    frames: list[Frame] = []

    def end() -> None:
        if frames:
            found.setdefault(process, []).append(
                Stack(thread or process, name, "native", "gdb", tuple(frames))
            )
            frames.clear()

    for line in text.splitlines():
        mark = _PROCESS.match(line)
        head = _THREAD.match(line) if mark is None else None
        if mark is not None:
            end()
            process, thread, name = int(mark[1]), 0, ""
        elif head is not None:
            end()
            thread, name = int(head[1]), head[2] or ""
        elif line.startswith(_TIMER_MARK):
            end()
            thread = -1
        elif line.startswith("#") and process and thread != 0:
            frame = _frame(line)
            if frame is not None:
                frames.append(frame)
    end()
    return {pid: tuple(stacks) for pid, stacks in found.items()}


def _frame(line: str) -> Frame | None:
    match = _FRAME.fullmatch(line.strip())
    if match is None:
        return None
    parts = (part.partition("=") for part in match[2].split(", "))
    arguments = tuple((key.strip(), value.strip()) for key, mark, value in parts if mark)
    return Frame(match[1], match[3] or match[5] or "", int(match[4]) if match[4] else None, arguments)


def real_timers(text: str) -> dict[int, tuple[float, float]]:
    """What getitimer(ITIMER_REAL) said, by process: seconds left (0: none runs), and interval."""
    found: dict[int, tuple[float, float]] = {}
    process = 0
    numbers: list[int] | None = None  # None: getitimer was not called, or failed
    asked = False
    for line in text.splitlines():
        mark = _PROCESS.match(line)
        if mark is not None:
            process, asked, numbers = int(mark[1]), False, None
        elif line.startswith(_TIMER_MARK):
            asked = True
        elif asked and _SUCCESS.fullmatch(line):
            numbers = []
        elif numbers is not None and (match := _WORDS.match(line)) is not None:
            numbers += map(int, match[1].split())
            if len(numbers) == 4:  # a struct itimerval: the interval stands first
                found[process] = (numbers[2] + numbers[3] / 1e6, numbers[0] + numbers[1] / 1e6)
                asked, numbers = False, None
    return found
