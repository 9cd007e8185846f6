"""What the keeper asks of the kernel: namespaces, a fresh /proc, a loopback that is up, prctl.

Standard library only: the keeper runs without site-packages.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = [
    "Refused",
    "die_with_parent",
    "fresh_proc",
    "let_signals_be",
    "own_processes",
    "own_view",
    "set_name",
    "subreaper",
]

_CLONE_NEWNS = 0x00020000  # linux/sched.h
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_NOSUID = 2  # linux/mount.h
_MS_NODEV = 4
_MS_NOEXEC = 8
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_AF_INET = 2
_SOCK_DGRAM = 2  # 1 on MIPS
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_RT_SIGACTION = {  # asm/unistd.h; the architectures since 2011 share one table, the last entry
    "x86_64": 13, "i686": 174, "armv7l": 174, "s390x": 174, "ppc64le": 173, "ppc64": 173, "mips64": 5013,
    "": 134,
}  # fmt: skip
_OF_THE_LIBRARY = (32, 33)  # signals that glibc keeps to itself

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The kernel (or who set it up) does not allow it; the text says what and why."""


def _call(what: str, result: int) -> None:
    if result != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def subreaper() -> None:
    """Orphans below this process become its children."""
    _call("prctl(PR_SET_CHILD_SUBREAPER)", _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def die_with_parent(number: int) -> None:
    """This signal comes when the thread that started this process ends."""
    _call("prctl(PR_SET_PDEATHSIG)", _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0))


def set_name(name: bytes) -> None:
    """The name that `ps` and /proc/PID/comm show, 15 bytes of it."""
    _libc.prctl(_PR_SET_NAME, name, 0, 0, 0)


def let_signals_be() -> None:
    """Undo what glibc's posix_spawn has done: two signals of its own are ignored, also in a new program."""
    machine = os.uname().machine
    if machine == "x86_64" and sys.maxsize < 1 << 32:
        machine = "i686"
    number = _RT_SIGACTION.get(machine, _RT_SIGACTION[""])
    for each in _OF_THE_LIBRARY:
        # struct kernel_sigaction, all zero: SIG_DFL. The last argument is the size of a set of signals.
        _libc.syscall(
            ctypes.c_long(number), ctypes.c_long(each), bytes(64), None,
            ctypes.c_size_t(16 if machine.startswith("mips") else 8),
        )  # fmt: skip


def own_processes() -> None:
    """The children of this process get a PID namespace; who may not do that by right, a user namespace too.

    Raises:
        Refused: nothing was gained, and this process is of no more use for starting anything.
    """
    if os.geteuid() == 0 and _libc.unshare(_CLONE_NEWPID) == 0:
        return
    user, group = os.geteuid(), os.getegid()
    _call("unshare(user, PID)", _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        try:
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Refused(f"/proc/self/{name}: {error.strerror}") from error


def own_view(*, network: bool) -> None:
    """Mounts of its own, with nothing going back to the machine; with `network`, only a loopback."""
    flags = _CLONE_NEWNS | (_CLONE_NEWNET if network else 0)
    _call("unshare(mount, network)" if network else "unshare(mount)", _libc.unshare(flags))
    _call("mount / private", _libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
    if network:
        _loopback_up()


def fresh_proc() -> None:
    """A /proc that shows the PID namespace of this process."""
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _call("mount /proc", _libc.mount(b"proc", b"/proc", b"proc", flags, None))


def _loopback_up() -> None:
    kind = 1 if os.uname().machine.startswith("mips") else _SOCK_DGRAM
    descriptor = _libc.socket(_AF_INET, kind, 0)
    if descriptor < 0:
        raise Refused(f"socket: {os.strerror(ctypes.get_errno())}")
    request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder) + bytes(22)  # struct ifreq
    try:
        _call("ioctl(SIOCSIFFLAGS, lo)", _libc.ioctl(descriptor, ctypes.c_ulong(_SIOCSIFFLAGS), request))
    finally:
        os.close(descriptor)
