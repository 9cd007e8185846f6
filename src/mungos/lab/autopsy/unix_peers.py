"""Who is at the other end of a Unix socket: asked of the kernel's sock_diag, in its own namespace."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from mungos.lab.autopsy.borrowing import libc
from mungos.lab.autopsy.proc import link

__all__ = ["Peer", "ask", "parse"]

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SHOW = 0x01 | 0x04 | 0x10  # name, peer, queue lengths (linux/unix_diag.h)
_PEER, _QUEUES = 2, 4
_DUMP_LIMIT = 4 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Peer:
    """What the kernel says of a Unix socket: its peer's inode (0: none), its receive and send queues."""

    peer: int
    unread: int | None
    unsent: int | None


def ask(pid: int, within: float) -> dict[int, Peer] | None:
    """All Unix sockets of a process's network namespace, by inode; None when the kernel does not tell.

    Args:
        pid: a process in that namespace.
        within: seconds it may take.
    """
    if link(f"/proc/{pid}/ns/net") == link("/proc/self/ns/net"):
        data = _dump(within)
    else:
        data = _dump_inside(pid, within)
    return parse(data) if data else None


def _dump(within: float) -> bytes:
    request = struct.pack("=IHHIIBBHIIIII", 40, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0, 1, 0, 0, 0xFFFFFFFF, 0, _SHOW, 0, 0)  # fmt: skip # noqa: E501
    parts: list[bytes] = []
    end = time.monotonic() + within
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asked:
            asked.send(request)
            size = 0
            while size < _DUMP_LIMIT:
                asked.settimeout(max(end - time.monotonic(), 0.001))
                part = asked.recv(65536)
                parts.append(part)
                size += len(part)
                if _last(part):
                    break
    except OSError:
        pass
    return b"".join(parts)


def _last(part: bytes) -> bool:
    at = 0
    while at + 16 <= len(part):
        length, kind = struct.unpack_from("=IH", part, at)
        if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < 16:
            return True
        at += (length + 3) & ~3
    return False


def _dump_inside(pid: int, within: float) -> bytes:
    """The same, by a child that enters the namespace: it can't be left again as an ordinary user."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        _answer_from_inside(pid, writable, within)
    os.close(writable)
    parts: list[bytes] = []
    end = time.monotonic() + within
    try:
        while (left := end - time.monotonic()) > 0 and select.select([readable], [], [], left)[0]:
            part = os.read(readable, 65536)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(readable)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
    return b"".join(parts)


def _answer_from_inside(pid: int, writable: int, within: float) -> None:
    status = 1
    try:
        net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        setns = libc().setns
        setns.argtypes = (ctypes.c_int, ctypes.c_int)
        # As an ordinary user the namespace is ours only from within its user namespace.
        if setns(net, _CLONE_NEWNET) != 0 and (
            setns(user, _CLONE_NEWUSER) != 0 or setns(net, _CLONE_NEWNET) != 0
        ):
            return
        view = memoryview(_dump(within))
        while view:
            view = view[os.write(writable, view) :]
        status = 0
    except OSError:
        pass
    finally:
        os._exit(status)


def parse(data: bytes) -> dict[int, Peer]:
    """The kernel's answer (linux/unix_diag.h), as far as it is whole."""
    found: dict[int, Peer] = {}
    at = 0
    while at + 32 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < 16:
            break
        (inode,) = struct.unpack_from("=I", data, at + 20)
        peer, unread, unsent = 0, None, None
        inner, end = at + 32, min(at + length, len(data))
        while inner + 4 <= end:
            size, attribute = struct.unpack_from("=HH", data, inner)
            if size < 4:
                break
            if attribute == _PEER and inner + 8 <= end:
                (peer,) = struct.unpack_from("=I", data, inner + 4)
            elif attribute == _QUEUES and inner + 12 <= end:
                unread, unsent = struct.unpack_from("=II", data, inner + 4)
            inner += (size + 3) & ~3
        found[inode] = Peer(peer, unread, unsent)
        at += (length + 3) & ~3
    return found
