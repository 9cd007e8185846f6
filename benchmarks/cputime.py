"""The processor time of another process, in seconds, as finely as the system tells it."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["cpu_seconds"]


def cpu_seconds(pid: int) -> float:
    """User plus system time of every thread of `pid` so far.

    Linux has a clock for each process, whose number is made from the pid (the kernel's
    include/linux/posix-timers.h; `clock_getcpuclockid(3)`): nanoseconds; /proc/PID/stat has ticks of 10 ms.

    Raises:
        ProcessLookupError: there is no such process.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return ticks_in_proc(pid)


def ticks_in_proc(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError) as gone:
        raise ProcessLookupError(f"no process {pid}") from gone
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
