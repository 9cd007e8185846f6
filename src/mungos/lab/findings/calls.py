"""Which system calls wait for what, by name."""

from __future__ import annotations

import re

from mungos.lab.facts import Descriptor, Process, SystemCall, Thread

__all__ = [
    "ACCEPT",
    "CHILD",
    "FUTEX",
    "NAP",
    "READ",
    "READY",
    "SIGNAL",
    "WRITE",
    "awaited",
    "descriptor_of",
    "file_lock",
    "for_ever",
    "name_of",
    "native_lock",
]

READ = frozenset({"read", "readv", "pread64", "recv", "recvfrom", "recvmsg", "recvmmsg", "splice"})
WRITE = frozenset({"write", "writev", "send", "sendto", "sendmsg", "sendmmsg", "sendfile", "sendfile64"})
READY = frozenset(
    {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "_newselect"}
    | {"ppoll_time64", "pselect6_time64"}
)
ACCEPT = frozenset({"accept", "accept4"})
CHILD = frozenset({"wait4", "waitid", "waitpid"})
NAP = frozenset({"nanosleep", "clock_nanosleep", "clock_nanosleep_time64"})
FUTEX = frozenset({"futex", "futex_time64", "futex_wait", "futex_waitv"})
SIGNAL = frozenset({"pause", "rt_sigsuspend", "sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64"})

_LOCK_COMMANDS = {7: "F_SETLKW", 14: "F_SETLKW64", 38: "F_OFD_SETLKW"}
_FIRST_IS_DESCRIPTOR = (
    READ | WRITE | ACCEPT | {"epoll_wait", "epoll_pwait", "epoll_pwait2", "connect", "flock"}
)
_NEVER_TIMED = READ | WRITE | ACCEPT | CHILD | {"pause", "rt_sigsuspend", "sigsuspend", "flock", "connect"}
_WORD = 0xFFFFFFFF
_ONE = re.compile(r"\S+ on ([a-z]+) (\d+)\b")
_MANY = re.compile(r"\S+ on ((?:\d+ [a-z]+(?:, | and )?)+)")
_COUNTED = re.compile(r"(\d+) ([a-z]+?)s?\b")


def name_of(thread: Thread) -> str:
    """The call's name; empty when the thread is in none, or that cannot be seen."""
    return thread.call.name if thread.call is not None else ""


def for_ever(thread: Thread) -> bool:
    """Whether it stands in a call that no time-out of its own ends.

    A socket's SO_RCVTIMEO cannot be seen; a read that lasted for the stall time is taken for one without it.
    """
    call = thread.call
    if call is None or thread.running:
        return False
    return call.forever or (call.timeout is None and call.name in _NEVER_TIMED)


def descriptor_of(call: SystemCall) -> int | None:
    """The descriptor that is the call's first argument, if it is one."""
    if call.arguments and (call.name in _FIRST_IS_DESCRIPTOR or file_lock(call)):
        number = call.arguments[0] & _WORD
        return number if number < 1 << 31 else None
    return None


def awaited(process: Process, thread: Thread) -> tuple[Descriptor, ...]:
    """What of the process's descriptors the thread waits for: one, or an epoll set's."""
    call = thread.call
    if call is None:
        return ()
    table = {each.number: each for each in process.descriptors}
    if call.name in READY and not call.name.startswith("epoll"):
        return tuple(table[number] for number in _named(process, call) if number in table)
    number = descriptor_of(call)
    own = table.get(number) if number is not None else None
    if own is None:
        return ()
    if call.name.startswith("epoll"):
        return tuple(table[entry.descriptor] for entry in own.epoll if entry.descriptor in table)
    return (own,)


def _named(process: Process, call: SystemCall) -> tuple[int, ...]:
    """The descriptors of a poll or select, as far as its readable form tells them."""
    one = _ONE.match(call.described)
    if one is not None and one[1] not in ("on", "of"):
        return (int(one[2]),)
    many = _MANY.match(call.described)
    numbers: list[int] = []
    for count, kind in _COUNTED.findall(many[1]) if many is not None else ():
        found = [each.number for each in process.descriptors if each.kind == kind]
        if len(found) > int(count):
            found = [number for number in found if number > 2]
        if len(found) != int(count):
            return ()  # which of them cannot be told
        numbers += found
    return tuple(numbers)


def file_lock(call: SystemCall) -> str:
    """How the call waits for a lock on a file; empty when it does not."""
    if call.name == "flock":
        return "flock"
    if call.name in ("fcntl", "fcntl64") and len(call.arguments) > 1:
        return _LOCK_COMMANDS.get(call.arguments[1] & _WORD, "")
    return ""


def native_lock(thread: Thread) -> int | None:
    """The address of the lock that the thread waits for, where the call looks like glibc's mutex.

    glibc waits for a contended mutex by FUTEX_WAIT (operation 0, perhaps private) on the value 2; its
    condition variables and semaphores use FUTEX_WAIT_BITSET (operation 9).
    """
    call = thread.call
    if call is None or call.name not in ("futex", "futex_time64") or len(call.arguments) < 3:
        return None
    address, operation, value = call.arguments[:3]
    if operation & 0x7F == 0 and value & _WORD == 2 and for_ever(thread):
        return address
    return None
