"""Files of /proc: read once, bounded, and never in doubt about a process that vanished meanwhile."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import cache

__all__ = [
    "Stat",
    "command_of",
    "link",
    "names",
    "parse_stat",
    "read",
    "shortened",
    "stat_of",
    "status_of",
    "tick",
]

LIMIT = 1 << 20  # bytes of one file
COMMAND_SHOWN = 400  # characters of a command line
STAT_FIELDS = 22


@cache
def tick() -> int:
    """Clock ticks in a second."""
    return os.sysconf("SC_CLK_TCK")


def read(path: str, limit: int = LIMIT) -> bytes:
    """A file's first bytes; empty when it is gone or may not be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return b""
    parts: list[bytes] = []
    try:
        while limit > 0 and (part := os.read(descriptor, min(limit, 65536))):
            parts.append(part)
            limit -= len(part)
    except OSError:  # the process ended between the open and the read
        pass
    finally:
        os.close(descriptor)
    return b"".join(parts)


def link(path: str) -> str:
    """Where a symbolic link of /proc leads; empty when it can't be told."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def names(path: str) -> list[int]:
    """The numbers among the names in a folder, in order."""
    try:
        return sorted(int(name) for name in os.listdir(path) if name.isdigit())
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Stat:
    """/proc/PID/stat, or a thread's. `started` counts clock ticks since the machine's start."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    flags: int
    cpu: float  # seconds
    started: int


def parse_stat(data: bytes) -> Stat | None:
    """The fields in use; None when the text is no stat file (the process is gone)."""
    text = data.decode("utf-8", "replace")
    opening, closing = text.find("("), text.rfind(")")  # the name between them may hold anything
    fields = text[closing + 2 :].split()
    if opening < 0 or len(fields) < STAT_FIELDS - 2:
        return None
    return Stat(
        pid=int(text[:opening]),
        name=text[opening + 1 : closing],
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        flags=int(fields[6]),
        cpu=(int(fields[11]) + int(fields[12])) / tick(),
        started=int(fields[19]),
    )


def stat_of(pid: int) -> Stat | None:
    """A process as it is now; None when it is gone."""
    return parse_stat(read(f"/proc/{pid}/stat"))


def status_of(path: str) -> dict[str, str]:
    """/proc/PID/status, or a thread's, by key."""
    found: dict[str, str] = {}
    for line in read(path).decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        found[key] = value.strip()
    return found


def command_of(pid: int, name: str = "") -> str:
    """The command line, cut when it is long; the name in brackets for one without (a zombie)."""
    data = read(f"/proc/{pid}/cmdline", 16384)
    words = data.decode("utf-8", "replace").rstrip("\0").split("\0")
    if words == [""]:
        return f"[{name or read(f'/proc/{pid}/comm').decode('utf-8', 'replace').strip()}]"
    return shortened(shlex.join(words))


def shortened(text: str, limit: int = COMMAND_SHOWN) -> str:
    """The text on one line, or its beginning and an ellipsis."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
