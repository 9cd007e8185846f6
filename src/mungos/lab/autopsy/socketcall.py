"""The one system call for all that is done with sockets, on 32-bit x86 and s390 (socketcall(2))."""

from __future__ import annotations

from mungos.lab.autopsy.memory import Memory

__all__ = ["unwrap"]

# The number of each (linux/net.h), and how many arguments lie in memory.
_CALLS = {
    3: ("connect", 3),
    5: ("accept", 3),
    9: ("send", 4),
    10: ("recv", 4),
    11: ("sendto", 6),
    12: ("recvfrom", 6),
    16: ("sendmsg", 3),
    17: ("recvmsg", 3),
    18: ("accept4", 4),
    19: ("recvmmsg", 5),
    20: ("sendmmsg", 4),
}


def unwrap(memory: Memory, name: str, arguments: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """The call that is meant, with its own arguments, as if it had been made directly.

    Args:
        memory: the caller's.
        name, arguments: of any call. What can't be read stays as it is.
    """
    if name != "socketcall" or len(arguments) < 2 or arguments[0] not in _CALLS:
        return name, arguments
    meant, count = _CALLS[arguments[0]]
    found = memory.numbers(arguments[1], f"{count}W")
    return (name, arguments) if found is None else (meant, found)
