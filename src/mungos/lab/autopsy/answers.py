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

__all__ = ["Account", "send"]

VARIABLE = b"MUNGOS_LAB="
ANSWER_LIMIT = 4 << 20  # bytes of one file


class Account:
    """The account that a Mungos program gives of itself (mungos.core.account), and where it lies.

    Args:
        pid, inner: the process, as we see it and as it sees itself.
        started: when, so that no other with its number is signalled.
        directory: of its own root, as its environment names it.
    """

    def __init__(self, pid: int, inner: int, started: int, directory: str) -> None:
        self.pid = pid
        self._inner = inner
        self._started = started
        base = f"/proc/{pid}/root{directory}/{inner}"
        self._json, self._stacks = f"{base}.json", f"{base}.stacks"
        self._before = _identity(self._json)
        self._size = _size(self._stacks)
        self._text = b""

    def ask(self) -> bool:
        """Send the signal."""
        return send(self.pid, self._started, signal.SIGURG)

    def answered(self) -> bool:
        """Whether the account is there and new."""
        if _identity(self._json) == self._before:
            return False
        self._text = _content(self._json, 0)
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
        text = _content(self._stacks, self._size).decode("utf-8", "replace")
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
        with suppress(ValueError):
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


def _lines(found: object) -> tuple[str, ...]:
    return tuple(str(line) for line in found) if isinstance(found, list) else ()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _content(path: str, start: int) -> bytes:
    """A regular file from `start` on; the examined program may have put anything there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.pread(descriptor, ANSWER_LIMIT, start)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
