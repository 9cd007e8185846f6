"""A look through another process's descriptors: a copy of one, asked without taking anything from it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import select
import struct
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Self

__all__ = ["Lender", "TcpTimes", "libc"]

_PIDFD_GETFD = 438  # include/uapi/asm-generic/unistd.h; the same on every machine but MIPS
_PIDFD_GETFD_MIPS64 = 5438
_SIOCOUTQ = termios.TIOCOUTQ  # linux/sockios.h: the same number
_GETPIPE_SZ = 1032  # linux/fcntl.h
_SOL_TCP, _TCP_INFO = 6, 11
_TCP_INFO_SIZE = 104


@cache
def libc() -> ctypes.CDLL:
    """The C library, for calls that the standard library has no name for."""
    return ctypes.CDLL(None, use_errno=True)


class TcpTimes:
    """What TCP_INFO tells and /proc does not (linux/tcp.h)."""

    __slots__ = ("backlog", "queued", "received_ago", "sent_ago")

    def __init__(self, data: bytes) -> None:
        (self.queued, self.backlog) = struct.unpack_from("=II", data, 24)  # of a listener
        sent, _, received = struct.unpack_from("=III", data, 44)  # milliseconds
        self.sent_ago = sent / 1000
        self.received_ago = received / 1000


class Lender:
    """A process whose descriptors are looked through. Use as a context."""

    __slots__ = ("_handle", "_pid")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle = -1
        with suppress(OSError, AttributeError):
            self._handle = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    @contextmanager
    def copy(self, number: int) -> Iterator[int]:
        """A copy of descriptor `number`, -1 when it can't be had."""
        copied = -1
        if self._handle >= 0:
            which = _PIDFD_GETFD_MIPS64 if platform.machine() == "mips64" else _PIDFD_GETFD
            copied = libc().syscall(which, self._handle, number, 0)
        try:
            yield copied
        finally:
            if copied >= 0:
                os.close(copied)

    def pipe(self, number: int) -> tuple[int | None, int | None]:
        """Bytes in a pipe, and how many fit."""
        with self.copy(number) as copied:
            if copied >= 0:
                return _asked(copied, termios.FIONREAD), _capacity(copied)
        # A reader more for an instant: no data are taken.
        with suppress(OSError):
            opened = os.open(f"/proc/{self._pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return _asked(opened, termios.FIONREAD), _capacity(opened)
            finally:
                os.close(opened)
        return None, None

    def queues(self, number: int) -> tuple[int | None, int | None]:
        """Bytes in a socket's receive and send queues."""
        with self.copy(number) as copied:
            if copied < 0:
                return None, None
            return _asked(copied, termios.FIONREAD), _asked(copied, _SIOCOUTQ)

    def tcp(self, number: int) -> TcpTimes | None:
        """When a TCP socket last sent and received, and a listener's queue."""
        with self.copy(number) as copied:
            if copied < 0:
                return None
            # Of a socket object no more is wanted than this one call, and it must not close the copy twice.
            buffer = ctypes.create_string_buffer(_TCP_INFO_SIZE)
            size = ctypes.c_uint32(_TCP_INFO_SIZE)
            if libc().getsockopt(copied, _SOL_TCP, _TCP_INFO, buffer, ctypes.byref(size)) != 0:
                return None
            return TcpTimes(buffer.raw) if size.value >= 60 else None

    def ready(self, wanted: Sequence[tuple[int, int]]) -> dict[int, int]:
        """What poll() says now of descriptors, by number; those that can't be had are left out.

        Args:
            wanted: descriptor and events.
        """
        found: dict[int, int] = {}
        for number, events in wanted:
            with self.copy(number) as copied:
                if copied < 0:
                    continue
                poller = select.poll()
                poller.register(copied, events & 0x7FFF)
                answer = poller.poll(0)
                found[number] = answer[0][1] if answer else 0
        return found


def _asked(descriptor: int, request: int) -> int | None:
    buffer = bytearray(4)
    try:
        fcntl.ioctl(descriptor, request, buffer)
    except OSError:
        return None
    (number,) = struct.unpack("=i", buffer)
    return int(number)


def _capacity(descriptor: int) -> int | None:
    try:
        return fcntl.fcntl(descriptor, _GETPIPE_SZ)
    except OSError:
        return None
