"""Processes that tell of themselves: a Mungos program by SIGURG, another Python program by SIGUSR1."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from mungos.lab.autopsy.proc import stat_of
from mungos.lab.autopsy.python_stacks import from_faulthandler
from mungos.lab.facts import MungosFacts, Stack

__all__ = ["Account", "directory_of", "folder_of", "send"]

VARIABLE = b"MUNGOS_LAB="
ANSWER_LIMIT = 4 << 20  # bytes of one file
MOST_LINES = 4000  # of one kind in an account
LINE_SHOWN = 2000  # characters
MOST_STEPS = 100  # of a path


class Account:
    """The account that a Mungos program gives of itself (mungos.core.account), and where it lies.

    Args:
        pid, inner: the process, as we see it and as it sees itself.
        started: when, so that no other with its number is signalled.
        folder: descriptor of the directory in which it answers.
    """

    def __init__(self, pid: int, inner: int, started: int, folder: int) -> None:
        self.pid = pid
        self._inner = inner
        self._started = started
        self._folder = folder
        self._json, self._stacks = f"{inner}.json", f"{inner}.stacks"
        self._before = _identity(self._json, folder)
        self._size = _size(self._stacks, folder)
        self._text = b""

    def ask(self) -> bool:
        """Send the signal."""
        return send(self.pid, self._started, signal.SIGURG)

    def answered(self) -> bool:
        """Whether the account is there and new."""
        if _identity(self._json, self._folder) == self._before:
            return False
        self._text = _content(self._json, self._folder, 0)
        return bool(self._text)

    def facts(self) -> MungosFacts | None:
        """What it said; None when it said nothing."""
        parsed = self._parsed()
        if not parsed:
            return None
        managers = parsed.get("managers")
        return MungosFacts(
            managers if isinstance(managers, int) else 0,
            _lines(parsed.get("ledger")),
            _lines(parsed.get("connections")),
            _lines(parsed.get("events")),
            _lines(parsed.get("states")),
        )

    def stacks(self, threads: Mapping[int, tuple[int, str]]) -> tuple[Stack, ...]:
        """The stacks that it printed for us: they come even when the rest does not.

        Args:
            threads: inner thread number to outer number and name.
        """
        text = _content(self._stacks, self._folder, self._size).decode("utf-8", "replace")
        known: dict[int, tuple[int, str]] = {}
        listed = self._parsed().get("threads")
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and isinstance(each.get("ident"), int):
                native = each.get("native")
                outer = threads[native][0] if isinstance(native, int) and native in threads else 0
                known[each["ident"]] = (outer, str(each.get("name") or ""))
        found = from_faulthandler(text, known)
        if len(found) == len(threads) and not any(stack.thread for stack in found):
            # No answer in time: the printed stacks begin with the youngest thread's, the main one's is last.
            youngest_first = sorted(threads, key=lambda number: (number != self._inner, number), reverse=True)
            found = tuple(
                replace(stack, thread=threads[number][0], name=stack.name or threads[number][1])
                for stack, number in zip(found, youngest_first, strict=True)
            )
        return found

    def _parsed(self) -> dict[str, object]:
        with suppress(ValueError, RecursionError):
            parsed = json.loads(self._text)
            if isinstance(parsed, dict):
                return parsed
        return {}


def directory_of(environment: bytes) -> str:
    """What MUNGOS_LAB says in a process's environment; empty when it is not there, or no full path."""
    for entry in environment.split(b"\0"):
        if entry.startswith(VARIABLE):
            directory = os.fsdecode(entry[len(VARIABLE) :]).rstrip("/")
            return directory if directory.startswith("/") else ""
    return ""


def send(pid: int, started: int, number: int) -> bool:
    """Signal exactly this process, not another one that got its number since; False when it can't be."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        now = stat_of(pid)
        if now is None or now.started != started:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def folder_of(pid: int, directory: str) -> int:
    """A descriptor of a directory in a process's own root; -1 when there is none, or a link on the way to it.

    Args:
        pid: the process.
        directory: a full path, as its environment names it.
    """
    way = directory.strip("/").split("/")
    if len(way) > MOST_STEPS or ".." in way:
        return -1
    try:
        found = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    for name in way:
        try:
            step = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found)
        except OSError:
            step = -1
        os.close(found)
        if step < 0:
            return -1
        found = step
    return found


def _lines(found: object) -> tuple[str, ...]:
    lines = found[:MOST_LINES] if isinstance(found, list) else ()
    return tuple(str(line)[:LINE_SHOWN] for line in lines)


def _identity(name: str, folder: int) -> tuple[int, int] | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _size(name: str, folder: int) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except OSError:
        return 0


def _content(name: str, folder: int, start: int) -> bytes:
    """A regular file from `start` on; the examined program may have put anything there."""
    try:
        # To open a device may already do something: it is seen to be none before.
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return b""
        descriptor = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, ANSWER_LIMIT, start)
        finally:
            os.close(descriptor)
    except OSError:
        return b""
    finally:
        os.close(handle)
