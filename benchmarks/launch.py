"""`launch.py CPU PARENT PROGRAM ARGUMENT…`: becomes PROGRAM, on one processor, ended with its parent.

A process may be told by the kernel to die with its parent (prctl PR_SET_PDEATHSIG), which outlasts exec: so
nothing is left running even when the benchmark itself is killed outright.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ANY_CPU = -1


def main(arguments: list[str]) -> None:
    cpu, parent, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    if hasattr(os, "sched_setaffinity"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel was told
            sys.exit(1)
        if cpu != ANY_CPU:
            os.sched_setaffinity(0, {cpu})
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
