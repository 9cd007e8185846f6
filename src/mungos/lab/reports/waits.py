"""Who waits for whom, as far as the facts of an autopsy say it: the arrows of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mungos.lab.facts import Autopsy, Descriptor, Holder, Process, SystemCall, Thread

__all__ = ["Wait", "waits"]

_ON_DESCRIPTOR = frozenset(
    {
        "accept",
        "accept4",
        "connect",
        "flock",
        "fsync",
        "ioctl",
        "pread64",
        "pwrite64",
        "read",
        "readv",
        "recv",
        "recvfrom",
        "recvmmsg",
        "recvmsg",
        "send",
        "sendfile",
        "sendmmsg",
        "sendmsg",
        "sendto",
        "splice",
        "write",
        "writev",
    }
)
_ON_EPOLL = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})
_ON_CHILD = frozenset({"wait4", "waitpid", "waitid"})
_P_PID, _P_PIDFD = 1, 3  # waitid(2)
_INT = 1 << 31
MOST = 64
"""Arrows of one picture."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A thread waits for a process.

    Args:
        pid: whose thread.
        thread: its number.
        on: by what: "pipe 5", "its child", "socket 7".
        other: process that it waits for; it may be outside of the tree, or `pid` itself.
        other_command: what that one is called.
    """

    pid: int
    thread: int
    on: str
    other: int
    other_command: str


def waits(autopsy: Autopsy) -> tuple[Wait, ...]:
    """Every wait whose other end is known, each once, at most `MOST`.

    Args:
        autopsy: any.
    """
    found: dict[Wait, None] = {}
    for process in autopsy.processes:
        for thread in process.threads:
            if thread.call is not None:
                for wait in _of_thread(autopsy, process, thread, thread.call):
                    if len(found) < MOST:
                        found[wait] = None
    return tuple(found)


def _of_thread(autopsy: Autopsy, process: Process, thread: Thread, call: SystemCall) -> Iterator[Wait]:
    first = _signed(call.arguments[0]) if call.arguments else -1
    if call.name in _ON_CHILD:
        wanted = _awaited_child(call, process)
        for child in autopsy.processes:
            if child.parent == process.pid and (wanted is None or wanted in {child.pid, child.inner}):
                yield Wait(process.pid, thread.tid, "its end", child.pid, child.command)
        return
    descriptors = {each.number: each for each in process.descriptors}
    if call.name in _ON_DESCRIPTOR and first in descriptors:
        yield from _on(process, thread, descriptors[first])
    elif call.name in _ON_EPOLL and first in descriptors:
        for entry in descriptors[first].epoll:
            if entry.descriptor in descriptors:
                yield from _on(process, thread, descriptors[entry.descriptor])


def _on(process: Process, thread: Thread, descriptor: Descriptor) -> Iterator[Wait]:
    others: tuple[Holder, ...] = ()
    if descriptor.pipe is not None:
        others = descriptor.pipe.others
    elif descriptor.socket is not None:
        others = descriptor.socket.others
    for other in others:
        yield Wait(
            process.pid, thread.tid, f"{descriptor.kind} {descriptor.number}", other.pid, other.command
        )


def _awaited_child(call: SystemCall, process: Process) -> int | None:
    """Which child, None for any; a number as the process itself sees it."""
    first = _signed(call.arguments[0]) if call.arguments else -1
    if call.name != "waitid":
        return first if first > 0 else None
    second = _signed(call.arguments[1]) if len(call.arguments) > 1 else -1
    if first == _P_PID:
        return second
    if first == _P_PIDFD:
        held = next((each for each in process.descriptors if each.number == second), None)
        digits = "".join(c for c in held.target if c.isdigit()) if held is not None else ""
        return int(digits) if digits else None
    return None


def _signed(argument: int) -> int:
    """An argument as the C int that it is."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low >= _INT else low
