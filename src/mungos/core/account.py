"""A program's account of itself, for a lab that runs it: what it holds and what came last, on request.

Armed only where the environment names a directory in `MUNGOS_LAB`. The request is SIGURG, which by default
does nothing. The answer is `PID.json` in that directory, and `PID.stacks` with the stacks of all threads;
the stacks come even while the main thread is busy outside Python, the rest only once it runs Python again.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TextIO, TypeVar

from mungos.core.lifecycle import Lifecycle
from mungos.core.timers import NEVER

if TYPE_CHECKING:
    from mungos.core.datagrams import DatagramConnection
    from mungos.core.manager import Manager

__all__ = ["VARIABLE", "arm", "compose"]

VARIABLE = "MUNGOS_LAB"
EVENTS_KEPT = 200
EVENT_SHOWN = 500  # characters
MOST_LINES = 2000
"""Lines of the ledger, and of the connections, in an account."""

_ODD = (AttributeError, KeyError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading a thing may raise while another thread, or what the signal interrupted, changes it."""

_Any = TypeVar("_Any")

_events: deque[str] = deque(maxlen=EVENTS_KEPT)
_managers: Iterable[Manager] = ()
_directory = ""
_stacks: TextIO | None = None
_answers = 0


def arm(managers: Iterable[Manager], directory: str) -> None:
    """Answer SIGURG from now on. Legal in any thread, once in a process.

    Args:
        managers: all managers that there are, at any time.
        directory: where answers go.
    """
    global _managers, _directory
    _managers, _directory = managers, directory
    if _stacks is None:
        os.register_at_fork(after_in_child=_listen)
        _follow_logs()
    _listen()


def _listen() -> None:
    """Open this process's file, and register for the signal."""
    global _stacks
    previous = _stacks
    try:
        # Append: a number that is used twice in a run must not lose the first one's stacks.
        path = os.path.join(_directory, f"{os.getpid()}.stacks")
        _stacks = open(path, "a", encoding="utf-8", opener=_private)  # noqa: SIM115
    except OSError:
        return
    if threading.current_thread() is threading.main_thread():
        _register()
    else:
        # A Python handler can be set by the main thread only; the stacks can be had at once.
        faulthandler.register(signal.SIGURG, file=_stacks, all_threads=True, chain=False)
        _register_in_main_thread()
    if previous is not None:
        with suppress(OSError):
            previous.close()


def _private(path: str, flags: int) -> int:
    """For the lab that asks, and through no link: the directory may be one that others write to."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _register() -> None:
    if _stacks is None:
        return
    faulthandler.unregister(signal.SIGURG)
    signal.signal(signal.SIGURG, _on_request)
    # In front of the Python handler, and handing on to it.
    faulthandler.register(signal.SIGURG, file=_stacks, all_threads=True, chain=True)


_pending: list[object] = []


def _register_in_main_thread() -> None:
    import ctypes  # noqa: PLC0415 - only for a program that makes its managers outside its main thread

    call_type = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)

    def call(_argument: object) -> int:
        if threading.current_thread() is threading.main_thread():
            _register()
        return 0

    entry = call_type(call)
    _pending.append(entry)  # it must outlive the call
    ctypes.pythonapi.Py_AddPendingCall(entry, None)


def _on_request(_number: int, _frame: FrameType | None) -> None:
    global _answers
    _answers += 1
    path = os.path.join(_directory, f"{os.getpid()}.json")
    with suppress(OSError):
        # Whole or not at all: it gets its name when it is complete.
        with open(f"{path}.part", "w", encoding="utf-8", opener=_private) as file:
            json.dump({"answer": _answers, **compose(_managers)}, file)
        os.replace(f"{path}.part", path)


def compose(managers: Iterable[Manager]) -> dict[str, object]:
    """The account: plain data, made of lines of text."""
    found = _snapshot(managers)
    # Not by threading.enumerate: what the signal interrupted, or a stuck thread, may hold its lock.
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    threads = _snapshot(active.values())
    names = {thread.ident: thread.name for thread in threads}
    ledger: list[str] = []
    connections: list[str] = []
    states: list[str] = []
    for number, manager in enumerate(found, 1):
        prefix = f"manager {number}: " if len(found) > 1 else ""
        try:
            now = manager.wire.now()
            states.append(prefix + _state(manager, now, names))
            entries = _snapshot(manager.ledger)[:MOST_LINES]
            ledger += [f"{prefix}{entry}, {now - entry.since:.1f} s old" for entry in entries]
        except _ODD as error:
            states.append(f"{prefix}can't be described now: {error!r}")
            continue
        for listener in _snapshot(manager.listeners.values()):
            connections.append(
                f"{prefix}l{listener.id} {listener.phase.value}; {listener.url}; "
                f"{listener.accepted} accepted, {listener.open_connections} open; made at {listener.origin}"
            )
        for each in _snapshot(manager.connections.values())[:MOST_LINES]:
            try:
                connections.append(prefix + _connection(each, now))
            except _ODD as error:
                connections.append(f"{prefix}{each.id} can't be described now: {error!r}")
    return {
        "pid": os.getpid(),
        "managers": len(found),
        "states": states,
        "ledger": ledger,
        "connections": connections,
        "events": list(_events),
        "threads": [
            {"ident": thread.ident, "native": thread.native_id, "name": thread.name, "daemon": thread.daemon}
            for thread in threads
        ],
    }


def _snapshot(things: Iterable[_Any]) -> list[_Any]:
    for _ in range(5):
        try:
            return list(things)
        except RuntimeError:  # changed by another thread meanwhile
            time.sleep(0)
    return []


def _state(manager: Manager, now: float, names: dict[int | None, str]) -> str:
    owner = manager._owner
    parts = [
        f"made at {manager.origin}",
        f"owned by thread {names.get(owner, f'{owner}, which has ended')}",
        "in a turn" if manager._in_turn else "not in a turn",
        f"{len(manager.connections)} connections, {len(manager.listeners)} listeners",
    ]
    if manager._forked:
        parts.append("a copy made by a fork: it refuses to work")
    closing = manager._closing
    if manager.closed:
        parts.append("closed")
    elif closing is not None:
        parts.append(f"closing, {_within(closing.deadline, now)}")
    # Not asked of the heap itself: that would tidy it up under the feet of what the signal interrupted.
    due = [when for when, _, sleeper in _snapshot(manager.scheduler.timers._heap) if sleeper.timer_at == when]
    parts.append(f"next timer {_within(min(due), now)}" if due else "no timer")
    for count, what in (
        (len(manager.scheduler.queue), "connections ready without their socket"),
        (len(manager.scheduler.soon), "calls waiting"),
        (len(manager.scheduler.ended), "ends to be told"),
    ):
        if count:
            parts.append(f"{count} {what}")
    return "; ".join(parts)


def _within(when: float, now: float) -> str:
    return f"in {when - now:.1f} s" if when >= now else f"{now - when:.1f} s overdue"


def _connection(each: Lifecycle | DatagramConnection, now: float) -> str:
    parts = [f"c{each.id} {each.phase.value}"]
    if isinstance(each, Lifecycle):
        parts.append(f"reading {each.read_side.value}, writing {each.write_side.value}")
    parts += [
        f"{each.local or each.url} ↔ {each.remote or 'no peer yet'}",
        f"{each.unsent} bytes unsent, {each.unread if isinstance(each, Lifecycle) else 0} unread",
        f"{each.bytes_sent} bytes sent, {each.bytes_received} received",
        f"{now - each.since:.1f} s in this phase",
    ]
    if isinstance(each, Lifecycle) and each.paused:
        parts.append("paused")
    due = [
        f"{name} {_within(when, now)}"
        for name, field in _DEADLINES
        if (when := getattr(each, field, NEVER)) is not None and when != NEVER
    ]
    parts.append(f"deadlines: {', '.join(due)}" if due else "no deadline")
    parts.append(f"made at {each.origin}")
    return "; ".join(parts)


_DEADLINES = (("phase", "_deadline"), ("rate", "_rate_at"), ("idle", "_idle_at"))


class _Followed(logging.Logger):
    """A logger whose every record is kept as a line, and which goes on as if nobody looked."""

    def isEnabledFor(self, level: int) -> bool:
        return True

    def handle(self, record: logging.LogRecord) -> None:
        # Formatted at once: a record kept would keep its connection alive, and show its state of later.
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = f"{moment}.{int(record.msecs):03d} {record.name} {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        _events.append(text[:EVENT_SHOWN])
        if super().isEnabledFor(record.levelno):
            super().handle(record)


def _follow_logs() -> None:
    """Keep the last records of the package's loggers, whatever their level, and change nothing else."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if (name == "mungos" or name.startswith("mungos.")) and type(logger) is logging.Logger:
            logger.__class__ = _Followed
