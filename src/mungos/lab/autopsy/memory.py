"""A process's memory, read without stopping it."""

from __future__ import annotations

import os
import struct
import sys
from types import TracebackType
from typing import Self

__all__ = ["Memory"]

LIMIT = 65536  # bytes at once


class Memory:
    """/proc/PID/mem of a process. Use as a context.

    Args:
        pid: whose.
        word: bytes of a pointer.
    """

    __slots__ = ("_descriptor", "_order", "pid", "word")

    def __init__(self, pid: int, word: int) -> None:
        self.pid = pid
        self.word = word
        self._order = "<" if sys.byteorder == "little" else ">"
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def readable(self) -> bool:
        """Whether it may be read at all."""
        return self._descriptor >= 0

    def bytes_at(self, address: int, size: int) -> bytes | None:
        """Exactly so many bytes, or None."""
        if self._descriptor < 0 or not 0 < address < 1 << 63 or not 0 < size <= LIMIT:
            return None
        try:
            data = os.pread(self._descriptor, size, address)
        except (OSError, OverflowError):
            return None
        return data if len(data) == size else None

    def numbers(self, address: int, layout: str) -> tuple[int, ...] | None:
        """What lies there, in the machine's byte order; `layout` as for struct, W for a pointer's width."""
        layout = self._order + layout.replace("W", "Q" if self.word == 8 else "I").replace(
            "w", "q" if self.word == 8 else "i"
        )
        data = self.bytes_at(address, struct.calcsize(layout))
        return None if data is None else struct.unpack(layout, data)

    def text(self, address: int, limit: int = 256) -> str:
        """A string that ends with a zero; as much of it as can be had."""
        parts = b""
        while len(parts) < limit:
            # Up to the end of the page: the next may not be there.
            size = min(limit - len(parts), 4096 - (address + len(parts)) % 4096)
            part = self.bytes_at(address + len(parts), size)
            if part is None:
                break
            parts += part
            if b"\0" in part:
                break
        return parts.partition(b"\0")[0].decode("utf-8", "replace")
