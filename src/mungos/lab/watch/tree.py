"""Which processes are below another one, as /proc shows them, and how to signal exactly one of them.

The lab and its keeper both use this: standard library only, and few imports.
"""

from __future__ import annotations

import os
import signal

__all__ = ["Seen", "below", "command_of", "marked", "read_whole", "see", "send"]

_PIECE = 4096  # bytes; a list of children that is shorter than a page less one number is complete
_SHORT = 4000
_COMMAND_LIMIT = 4096  # bytes of a command line that are shown
_MOST = 8 << 20  # bytes of one file: a process chooses where its environment is, and how long


class Seen:
    """One line of /proc/PID/stat; `started` (clock ticks since boot) tells a reused number apart."""

    __slots__ = ("child_ticks", "parent", "pid", "started", "state", "threads", "ticks")

    def __init__(  # noqa: PLR0917 - the fields of one line
        self, pid: int, state: str, parent: int, ticks: int, child_ticks: int, threads: int, started: int
    ) -> None:
        self.pid = pid
        self.state = state
        self.parent = parent
        self.ticks = ticks  # CPU that it used itself
        self.child_ticks = child_ticks  # CPU of its children that ended and were waited for
        self.threads = threads
        self.started = started

    @property
    def alive(self) -> bool:
        """Whether it is more than a zombie: where only the first thread ended, it is one in name only."""
        return self.state not in "ZX" or self.threads > 1


def read_whole(path: str, most: int = _MOST) -> bytes:
    """A file of /proc, `most` bytes of it or a page more; empty when it is gone or may not be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = bytearray(piece := os.read(descriptor, _PIECE))
        while len(piece) >= _SHORT and len(data) < most:
            piece = os.read(descriptor, _PIECE)
            data += piece
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return bytes(data)


def see(pid: int) -> Seen | None:
    """What /proc says of this process, or None when it is gone."""
    data = read_whole(f"/proc/{pid}/stat")
    place = data.rfind(b")")  # the name in parentheses may hold anything
    if place < 0:
        return None
    fields = data[place + 2 :].split(None, 20)
    if len(fields) < 20:
        return None
    return Seen(
        pid, fields[0].decode("ascii"), int(fields[1]), int(fields[11]) + int(fields[12]),
        int(fields[13]) + int(fields[14]), int(fields[17]), int(fields[19]),
    )  # fmt: skip


def _children(pid: int, threads: int) -> list[int]:
    if threads <= 1:
        return [int(word) for word in read_whole(f"/proc/{pid}/task/{pid}/children").split()]
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(word) for task in tasks for word in read_whole(f"/proc/{pid}/task/{task}/children").split()]


def below(root: int) -> list[Seen]:
    """Every process below `root`, zombies too, parents before children; `root` itself is not among them."""
    own = os.getpid()
    if not os.path.exists(f"/proc/{own}/task/{own}/children"):  # a kernel without CONFIG_PROC_CHILDREN
        return _below_by_all(root)
    top = see(root)
    if top is None:
        return []
    found: list[Seen] = []
    waiting = [top]
    met = {root}
    while waiting:
        parent = waiting.pop()
        for pid in _children(parent.pid, parent.threads):
            if pid in met:
                continue
            child = see(pid)
            if child is not None:
                met.add(pid)
                found.append(child)
                waiting.append(child)
    return found


def _below_by_all(root: int) -> list[Seen]:
    children: dict[int, list[Seen]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (each := see(int(name))) is not None:
            children.setdefault(each.parent, []).append(each)
    found: list[Seen] = []
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.append(child)
            waiting.append(child.pid)
    return found


def send(target: Seen, number: int) -> bool:
    """Signal exactly this process, not another one that got its number since; whether it was there."""
    try:
        handle = os.pidfd_open(target.pid)
    except OSError:
        return False
    try:
        now = see(target.pid)
        if now is None or now.started != target.started:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:  # it ended, or may not be signalled: who waits for it will see that
        return False
    finally:
        os.close(handle)
    return True


def command_of(pid: int) -> str:
    """The command line, or the name in brackets for a process without one."""
    words = read_whole(f"/proc/{pid}/cmdline", _COMMAND_LIMIT)[:_COMMAND_LIMIT].rstrip(b"\0").split(b"\0")
    if words == [b""]:
        return f"[{read_whole(f'/proc/{pid}/comm').decode('utf-8', 'backslashreplace').strip()}]"
    import shlex  # noqa: PLC0415 - the keeper does without

    return shlex.join(word.decode("utf-8", "backslashreplace") for word in words)


def marked(mark: bytes) -> list[Seen]:
    """Every live process of the machine whose environment holds this entry ("NAME=value")."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        if mark in read_whole(f"/proc/{name}/environ").split(b"\0"):
            each = see(int(name))
            if each is not None and each.alive:
                found.append(each)
    return found
