"""alarm() and setitimer(): no file of /proc shows them, so the process is had to call getitimer() itself.

Its main thread is stopped for an instant where it waits, makes that one call with the instruction at which it
waits anyway, and is put back as it was. A debugger calls functions in a process the same way.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import time

from mungos.lab.autopsy.borrowing import libc
from mungos.lab.autopsy.memory import Memory
from mungos.lab.facts import Timer

__all__ = ["ask_interval_timer", "can_ask"]

# linux/ptrace.h, and the calls' order of registers: arch/x86/include/asm/user_64.h
_SEIZE, _INTERRUPT, _GET, _SET, _STEP, _DETACH = 0x4206, 0x4207, 12, 13, 9, 17
_REGISTERS = struct.Struct("=27Q")
_RAX, _RSI, _RDI, _ORIG_RAX, _RIP, _RSP = 10, 13, 14, 15, 16, 19
_GETITIMER = 36
_SYSCALL = b"\x0f\x05"
_BELOW = (
    1024  # bytes below the stack pointer: beyond the 128 that belong to the function (x86-64 psABI 3.2.2)
)
_MASK = (1 << 64) - 1
_WALL = 0x40000000  # __WALL
PATIENCE = 0.05  # seconds for a thread to stop


def can_ask(word: int) -> bool:
    """Whether a program with such pointers can be asked on this machine."""
    return word == 8 and platform.machine() == "x86_64"


def ask_interval_timer(pid: int) -> tuple[Timer, ...] | None:
    """ITIMER_REAL of a process that sleeps in a system call; () when none runs, None when it isn't told."""
    # The time-out of each step is bounded, and whatever happens the thread is let go as it was.
    if _ptrace(_SEIZE, pid, 0, 0) != 0:
        return None
    found: tuple[Timer, ...] | None = None
    passed_on = 0
    original: bytes | None = None
    try:
        if _ptrace(_INTERRUPT, pid, 0, 0) != 0 or _stopped(pid) is None:
            return None
        original = _registers(pid)
        if original is None:
            return None
        registers = list(_REGISTERS.unpack(original))
        with Memory(pid, 8) as memory:
            place = registers[_RIP] - len(_SYSCALL)
            if memory.bytes_at(place, len(_SYSCALL)) != _SYSCALL:
                original = None  # it computes: nothing was changed
                return None
            where = (registers[_RSP] - _BELOW) & ~15
            registers[_RAX], registers[_ORIG_RAX] = _GETITIMER, _MASK
            registers[_RDI], registers[_RSI], registers[_RIP] = 0, where, place
            _set_registers(pid, _REGISTERS.pack(*registers))
            if _ptrace(_STEP, pid, 0, 0) != 0:
                return None
            came = _stopped(pid)
            if came is not None and came != signal.SIGTRAP:
                passed_on = came  # a signal of its own came in between
            after = _registers(pid)
            if came == signal.SIGTRAP and after is not None and _REGISTERS.unpack(after)[_RAX] == 0:
                words = memory.numbers(where, "4q")  # a struct itimerval: the interval stands first
                if words is not None:
                    left, interval = words[2] + words[3] / 1e6, words[0] + words[1] / 1e6
                    found = (Timer("ITIMER_REAL", left, interval or None),) if left > 0 else ()
        return found
    finally:
        if original is not None:
            _set_registers(pid, original)
        if _ptrace(_DETACH, pid, 0, passed_on) != 0:
            # It had not stopped yet; traced for ever, it would not act on its signals.
            _stopped(pid)
            _ptrace(_DETACH, pid, 0, 0)


def _ptrace(request: int, pid: int, address: int, data: int) -> int:
    return int(
        libc().ptrace(
            ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), ctypes.c_void_p(data)
        )
    )


def _registers(pid: int) -> bytes | None:
    buffer = ctypes.create_string_buffer(_REGISTERS.size)
    return buffer.raw if _ptrace(_GET, pid, 0, ctypes.addressof(buffer)) == 0 else None


def _set_registers(pid: int, registers: bytes) -> None:
    buffer = ctypes.create_string_buffer(registers, len(registers))
    _ptrace(_SET, pid, 0, ctypes.addressof(buffer))


def _stopped(pid: int) -> int | None:
    """The signal with which the thread stopped; None when it did not in time, or has ended."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG | _WALL)
        except ChildProcessError:
            return None
        if found == pid:
            return os.WSTOPSIG(status) if os.WIFSTOPPED(status) else None
        if time.monotonic() > end:
            return None
        time.sleep(0.0005)
