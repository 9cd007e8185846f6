"""Standard input and output beside an event loop. Neither is made non-blocking: a terminal is shared."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mungos import Manager
from mungos.protocol import Buffer

__all__ = ["MAX_LINE", "Lines", "Output", "StandardInput"]

MAX_LINE = 16 * 1024 * 1024
"""Bytes of one line that is to become one message."""

STANDARD_INPUT = 0
STANDARD_OUTPUT = 1


class StandardInput:
    """Reads pieces in a thread and hands each to the manager's. One is under way at a time: the next is read
    when `go_on` is called, so that a fast file waits for a slow peer.

    The thread is a daemon: while it waits for a terminal nothing can wake it, and nothing needs to.

    Args:
        manager: whose thread gets the pieces.
        take: called with each piece; with b"" at the end.
        fail: called with the error when reading fails.
        piece: bytes read at once, at most.
    """

    def __init__(
        self,
        manager: Manager,
        take: Callable[[bytes], None],
        fail: Callable[[OSError], None],
        piece: int = 65536,
    ) -> None:
        self._manager = manager
        self._take = take
        self._fail = fail
        self._piece = piece
        self._next = threading.Semaphore(1)
        self._thread = threading.Thread(target=self._read, name="standard input", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def go_on(self) -> None:
        """The last piece found room: read the next."""
        self._next.release()

    def _read(self) -> None:
        while True:
            self._next.acquire()
            try:
                data = os.read(STANDARD_INPUT, self._piece)
            except BlockingIOError:
                # Somebody else who has this terminal open made it non-blocking.
                select.select([STANDARD_INPUT], [], [])
                self._next.release()
                continue
            except OSError as error:
                self._manager.call_soon(self._fail, error)
                return
            self._manager.call_soon(self._take, data)
            if not data:
                return


class Lines:
    """Pieces of a stream into lines, without their ends."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; all that is left when it is b"".

        Raises ValueError for a line of more than `MAX_LINE` bytes.
        """
        if not data:
            rest = b"".join(self._parts)
            self._parts = []
            return [rest] if rest else []
        *complete, rest = data.split(b"\n")
        if complete:
            complete[0] = b"".join((*self._parts, complete[0]))
            self._parts = []
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > MAX_LINE:
            raise ValueError(f"a line of {self._size} bytes: the limit is {MAX_LINE} bytes")
        return complete


class Output:
    """Writes to a descriptor at once, and waits where its reader is slow: then the peer is not read either.

    Args:
        descriptor: standard output's, or a file's.

    Attributes:
        waiting: True while a write may wait: a signal's handler may raise only then.
        is_terminal: whether a person looks at it.
    """

    def __init__(self, descriptor: int = STANDARD_OUTPUT) -> None:
        self._descriptor = descriptor
        self.waiting = False
        self.is_terminal = os.isatty(descriptor)

    def empty(self) -> None:
        """Drop what a file of ours held before; standard output is not ours to cut."""
        if self._descriptor != STANDARD_OUTPUT and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.ftruncate(self._descriptor, 0)

    def write(self, data: Buffer) -> None:
        """Write everything. Raises OSError, and what a signal's handler raises."""
        view = memoryview(data)
        with self._wait():
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:
                    select.select([], [self._descriptor], [])

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False
