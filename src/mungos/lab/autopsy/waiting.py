"""What a thread waits for in the kernel: its system call and arguments, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mungos.lab.autopsy.futexes import futex, futex_wait, futex_waitv
from mungos.lab.autopsy.objects import descriptor_in_words, set_in_words, socket_address
from mungos.lab.autopsy.scene import (
    Scene,
    Words,
    as_int,
    at_most,
    limit,
    mask_to_set,
    seconds,
    signals_in_words,
    timespec,
)
from mungos.lab.facts import EpollEntry, SystemCall
from mungos.lab.naming import brief

__all__ = ["arguments_of", "describe", "descriptors_named"]

Teller = Callable[[Scene, tuple[int, ...]], Words]

_ABSOLUTE = 1  # TIMER_ABSTIME
MOST_POLLED = 1024


def arguments_of(words: Sequence[str]) -> tuple[int, ...]:
    """The six arguments as /proc/PID/syscall shows them."""
    return tuple(int(word, 16) for word in words[1:7])


def describe(
    scene: Scene, number: int, name: str, arguments: tuple[int, ...]
) -> tuple[SystemCall, float | None]:
    """A system call in words, and what is left of its time-out where that can be told.

    Args:
        scene: the process.
        number, name: of the call.
        arguments: six of them.
    """
    arguments = (*arguments, *(0,) * (6 - len(arguments)))
    teller = _TELLERS.get(name)
    words = teller(scene, arguments) if teller is not None else Words("")
    text = f"{name} {words.text}".rstrip() if words.text else name
    call = SystemCall(
        number, name, arguments, text, words.timeout, words.forever, words.polled, words.holder
    )  # fmt: skip
    return call, words.left


def descriptors_named(name: str, arguments: Sequence[int]) -> frozenset[int]:
    """Which descriptors a call names directly, so that they are looked at in full."""
    if name in _ON_DESCRIPTOR and arguments:
        named = {as_int(arguments[0])}
        if name in {"splice", "tee", "sendfile", "sendfile64", "copy_file_range"}:
            named |= {as_int(each) for each in arguments[1:4]}
        return frozenset(each for each in named if each >= 0)
    return frozenset()


# On one descriptor.


def _on(scene: Scene, number: int) -> str:
    return descriptor_in_words(scene.descriptors.get(number), number, scene.pid)


def _never_returns_by_time(scene: Scene, number: int) -> bool:
    # SO_RCVTIMEO can't be seen from outside, so of a socket it is not certain.
    found = scene.descriptors.get(number)
    return found is not None and found.kind in {"pipe", "eventfd", "terminal"}


def _transfer(preposition: str, sized: bool) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        number = as_int(arguments[0])
        size = f"of {arguments[2]} bytes " if sized else ""
        return Words(f"{size}{preposition} {_on(scene, number)}", None, _never_returns_by_time(scene, number))

    return tell


def _between(scene: Scene, arguments: tuple[int, ...]) -> Words:
    second = arguments[2] if len(arguments) > 2 else 0
    return Words(f"from {_on(scene, as_int(arguments[0]))} to {_on(scene, as_int(second))}")


def _sendfile(scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"to {_on(scene, as_int(arguments[0]))} from {_on(scene, as_int(arguments[1]))}")


def _tee(scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"from {_on(scene, as_int(arguments[0]))} to {_on(scene, as_int(arguments[1]))}")


def _accept(scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"on {_on(scene, as_int(arguments[0]))}")


def _connect(scene: Scene, arguments: tuple[int, ...]) -> Words:
    size = min(arguments[2] & 0xFFFFFFFF, 128)
    data = scene.memory.bytes_at(arguments[1], size) if size else None
    to = f" to {socket_address(data)}" if data else ""
    return Words(f"of {_on(scene, as_int(arguments[0]))}{to}")


def _recvmmsg(wide: bool) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        timeout, forever = limit(scene, arguments[4], wide)
        return Words(
            f"on {_on(scene, as_int(arguments[0]))}{at_most(timeout, False)}", timeout, forever and False
        )

    return tell


def _socketcall(_scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"number {arguments[0]}")  # what it does can't be read


def _flock(scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"of {_on(scene, as_int(arguments[0]))}{_lock_holder(scene)}", None, True)


def _fcntl(scene: Scene, arguments: tuple[int, ...]) -> Words:
    waits = as_int(arguments[1]) in {7, 14, 38}  # F_SETLKW, F_SETLKW64, F_OFD_SETLKW
    what = "(waits for a lock) " if waits else f"(command {as_int(arguments[1])}) "
    return Words(
        f"{what}on {_on(scene, as_int(arguments[0]))}{_lock_holder(scene) if waits else ''}", None, waits
    )


def _lock_holder(scene: Scene) -> str:
    # "1: FLOCK  ADVISORY  WRITE 812 fe:00:1234 0 EOF", and "1: -> FLOCK …" for those who wait for it.
    for line in scene.locks:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "->" and fields[5] == str(scene.pid):
            holder = next((other.split() for other in scene.locks if other.split()[0] == fields[0]), None)
            if holder is not None and len(holder) > 4 and holder[4].lstrip("-").isdigit():
                return f", locked by {_relative(scene, int(holder[4]))}"
    return ""


def _relative(scene: Scene, outer: int) -> str:
    for each in scene.relatives:
        if each.outer == outer:
            return f"{outer} ({brief(each.command)})"
    return f"process {outer}"


def _open(path_at: int) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        path = scene.memory.text(arguments[path_at])
        return Words(f"of {path}, which nobody has opened at its other end, if it is a FIFO" if path else "")

    return tell


# On many descriptors.


def _poll(scene: Scene, arguments: tuple[int, ...]) -> Words:
    milliseconds = as_int(arguments[2])
    timeout, forever = (None, True) if milliseconds < 0 else (milliseconds / 1000, False)
    return _polled(scene, arguments, timeout, forever)


def _ppoll(wide: bool) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        # The kernel writes what is left back to it only at the end.
        return _polled(scene, arguments, *limit(scene, arguments[2], wide))

    return tell


def _polled(scene: Scene, arguments: tuple[int, ...], timeout: float | None, forever: bool) -> Words:
    count = min(arguments[1] & 0xFFFFFFFF, MOST_POLLED)
    if count == 0:
        return Words(f"on nothing{at_most(timeout, forever)}", timeout, forever)
    found = scene.memory.numbers(arguments[0], "ihh" * count)
    if found is None:
        return Words(f"on {count} descriptors{at_most(timeout, forever)}", timeout, forever)
    wanted = [(found[at], found[at + 1]) for at in range(0, len(found), 3) if found[at] >= 0]
    return _set(scene, wanted, timeout, forever)


def _set(scene: Scene, wanted: list[tuple[int, int]], timeout: float | None, forever: bool) -> Words:
    ready = scene.ready(wanted)
    shown = set_in_words(wanted, ready, scene.descriptors, scene.pid)
    polled = tuple(EpollEntry(number, events, ready.get(number)) for number, events in wanted)
    return Words(f"on {shown}{at_most(timeout, forever)}", timeout, forever, polled=polled)


def _select(signals: bool, wide: bool = False) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        count = max(0, min(as_int(arguments[0]), MOST_POLLED))
        timeout: float | None
        if arguments[4] == 0:
            timeout, forever = None, True
        elif signals:
            timeout, forever = timespec(scene, arguments[4], wide), False
        else:
            times = scene.memory.numbers(arguments[4], "ww")  # a timeval
            timeout, forever = (None if times is None else times[0] + times[1] * 1e-6), False
        if count == 0:
            return Words(f"on nothing{at_most(timeout, forever)}", timeout, forever)
        events: dict[int, int] = {}
        width = scene.memory.word * 8
        for address, mask in zip(arguments[1:4], (1, 4, 2), strict=True):
            if address == 0:
                continue
            words = scene.memory.numbers(address, "W" * ((count + width - 1) // width)) or ()
            for number in range(count):
                if number // width < len(words) and words[number // width] >> number % width & 1:
                    events[number] = events.get(number, 0) | mask
        return _set(scene, sorted(events.items()), timeout, forever)

    return tell


def _epoll(kind: str) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        timeout: float | None
        if kind == "timespec":
            timeout, forever = limit(scene, arguments[3], True)
        else:
            milliseconds = as_int(arguments[3])
            timeout, forever = (None, True) if milliseconds < 0 else (milliseconds / 1000, False)
        number = as_int(arguments[0])
        found = scene.descriptors.get(number)
        if found is None or found.kind != "epoll":
            return Words(f"on {number}{at_most(timeout, forever)}", timeout, forever)
        wanted = [(each.descriptor, each.events) for each in found.epoll]
        ready = {each.descriptor: each.ready for each in found.epoll if each.ready is not None}
        shown = set_in_words(wanted, ready, scene.descriptors, scene.pid, everything=True)
        return Words(f"on {shown}{at_most(timeout, forever)}", timeout, forever, polled=found.epoll)

    return tell


# Signals and children.


def _suspended(scene: Scene) -> str:
    return ", as process 1" if scene.inner == 1 else ""


def _pause(scene: Scene, _arguments: tuple[int, ...]) -> Words:
    return Words(f"until a signal comes{_suspended(scene)}", None, True)


def _sigsuspend(scene: Scene, arguments: tuple[int, ...]) -> Words:
    mask = scene.memory.numbers(arguments[0], "Q") if arguments[0] else None
    blocked = ""
    if mask is not None:
        open_for = mask_to_set(~mask[0] & (1 << 31) - 1)
        if len(open_for) <= 3:
            blocked = f" ({signals_in_words(open_for)})" if open_for else " (every one is blocked)"
    return Words(f"until a signal comes{blocked}{_suspended(scene)}", None, True)


def _sigtimedwait(wide: bool) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        mask = scene.memory.numbers(arguments[0], "Q")
        timeout, forever = limit(scene, arguments[2], wide)
        what = signals_in_words(mask_to_set(mask[0])) if mask is not None else "a signal"
        if mask is not None and len(mask_to_set(mask[0])) > 8:
            what = f"any of {len(mask_to_set(mask[0]))} signals"
        return Words(f"for {what or 'no signal at all'}{at_most(timeout, forever)}", timeout, forever)

    return tell


def _wait4(scene: Scene, arguments: tuple[int, ...]) -> Words:
    which = as_int(arguments[0])
    if which > 0:
        return _child(scene, which)
    if which == -1:
        return _any_child(scene, "any child")
    group = -which if which else None
    return _any_child(scene, f"a child of group {group}" if group else "a child of its own group")


def _waitid(scene: Scene, arguments: tuple[int, ...]) -> Words:
    kind, which = as_int(arguments[0]), as_int(arguments[1])
    if kind == 1:  # P_PID
        return _child(scene, which)
    if kind == 3:  # P_PIDFD
        return Words(f"for the child of {_on(scene, which)}", None, True)
    return _any_child(scene, "any child" if kind == 0 else f"a child of group {which}")


def _child(scene: Scene, inner: int) -> Words:
    for each in scene.relatives:
        if len(each.inner) > scene.level and each.inner[scene.level] == inner:
            state = ", which has ended" if each.state == "Z" else ""
            return Words(f"for child {each.outer} ({brief(each.command)}){state}", None, True)
    return Words(f"for child {inner}, which is not in the tree", None, True)


def _any_child(scene: Scene, what: str) -> Words:
    children = [each for each in scene.relatives if each.parent == scene.pid and each.state != "Z"]
    if not children:
        return Words(f"for {what}; none runs", None, True)
    shown = ", ".join(f"{each.outer} ({brief(each.command)})" for each in children[:4])
    more = f" and {len(children) - 4} more" if len(children) > 4 else ""
    return Words(f"for {what}: {shown}{more}", None, True)


def _vfork(scene: Scene, _arguments: tuple[int, ...]) -> Words:
    return _any_child(scene, "its child to call exec or to end")


def _clone(_scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words("(waits for its child to call exec or to end)" if arguments[0] & 0x4000 else "")


# Time.


def _nanosleep(scene: Scene, arguments: tuple[int, ...]) -> Words:
    timeout = timespec(scene, arguments[0])
    return Words("" if timeout is None else f"for {seconds(timeout)}", timeout)


def _clock_nanosleep(wide: bool) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        when = timespec(scene, arguments[2], wide)
        if when is None:
            return Words("")
        if arguments[1] & _ABSOLUTE:
            left = max(when - scene.now.get(as_int(arguments[0]), scene.now[1]), 0.0)
            return Words(f"for another {seconds(left)}", left, left=left)
        return Words(f"for {seconds(when)}", when)

    return tell


def _generic(text: str, forever: bool = False) -> Teller:
    return lambda _scene, _arguments: Words(text, None, forever)


def _message_queue(wide: bool, word: str) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        # Its time-out is an instant of the wall clock.
        until, forever = limit(scene, arguments[4], wide)
        timeout = None if until is None else max(until - scene.now[0], 0.0)
        return Words(
            f"{word} {_on(scene, as_int(arguments[0]))}{at_most(timeout, forever)}", timeout, forever
        )

    return tell


def _semaphore(timed: bool, wide: bool = False) -> Teller:
    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        timeout, forever = limit(scene, arguments[3], wide) if timed else (None, True)
        return Words(
            f"on System V semaphores {as_int(arguments[0])}{at_most(timeout, forever)}", timeout, forever
        )

    return tell


def _events(_scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"for {arguments[1]} completions of asynchronous I/O")


def _io_uring(scene: Scene, arguments: tuple[int, ...]) -> Words:
    return Words(f"for {arguments[2] & 0xFFFFFFFF} completions on {_on(scene, as_int(arguments[0]))}")


_READERS = """
    read readv pread64 preadv preadv2 recv recvfrom recvmsg ioctl close fsync fdatasync ftruncate fallocate
    sync_file_range syncfs writev pwritev pwritev2 sendmsg sendmmsg vmsplice
""".split()  # noqa: SIM905 - a list of names
_WRITERS = ["write", "pwrite64", "send", "sendto"]
_TELLERS: dict[str, Teller] = {
    **dict.fromkeys(_READERS, _transfer("on", sized=False)),
    **dict.fromkeys(_WRITERS, _transfer("on", sized=True)),
    "splice": _between,
    "tee": _tee,
    "copy_file_range": _between,
    "sendfile": _sendfile,
    "sendfile64": _sendfile,
    "accept": _accept,
    "accept4": _accept,
    "connect": _connect,
    "recvmmsg": _recvmmsg(False),
    "recvmmsg_time64": _recvmmsg(True),
    "socketcall": _socketcall,
    "flock": _flock,
    "fcntl": _fcntl,
    "fcntl64": _fcntl,
    "open": _open(0),
    "openat": _open(1),
    "openat2": _open(1),
    "poll": _poll,
    "ppoll": _ppoll(False),
    "ppoll_time64": _ppoll(True),
    "select": _select(signals=False),
    "_newselect": _select(signals=False),
    "pselect6": _select(signals=True),
    "pselect6_time64": _select(signals=True, wide=True),
    "epoll_wait": _epoll("milliseconds"),
    "epoll_pwait": _epoll("milliseconds"),
    "epoll_pwait2": _epoll("timespec"),
    "pause": _pause,
    "sigsuspend": _pause,
    "rt_sigsuspend": _sigsuspend,
    "rt_sigtimedwait": _sigtimedwait(False),
    "rt_sigtimedwait_time64": _sigtimedwait(True),
    "wait4": _wait4,
    "waitpid": _wait4,
    "waitid": _waitid,
    "vfork": _vfork,
    "clone": _clone,
    "nanosleep": _nanosleep,
    "clock_nanosleep": _clock_nanosleep(False),
    "clock_nanosleep_time64": _clock_nanosleep(True),
    "restart_syscall": _generic("(goes on with a sleep or a poll that a stop or a signal interrupted)"),
    "futex": futex(wide=False),
    "futex_time64": futex(wide=True),
    "futex_wait": futex_wait,
    "futex_waitv": futex_waitv,
    "msgrcv": _generic("on a System V message queue", forever=True),
    "msgsnd": _generic("on a System V message queue", forever=True),
    "semop": _semaphore(timed=False),
    "semtimedop": _semaphore(timed=True),
    "semtimedop_time64": _semaphore(timed=True, wide=True),
    "mq_timedreceive": _message_queue(False, "on"),
    "mq_timedreceive_time64": _message_queue(True, "on"),
    "mq_timedsend": _message_queue(False, "on"),
    "mq_timedsend_time64": _message_queue(True, "on"),
    "io_getevents": _events,
    "io_pgetevents": _events,
    "io_pgetevents_time64": _events,
    "io_uring_enter": _io_uring,
    "exit": _generic("(its thread is ending)"),
    "exit_group": _generic("(it is ending)"),
}
_ON_DESCRIPTOR = frozenset(
    """
    accept accept4 connect recvmmsg splice tee copy_file_range sendfile sendfile64 flock fcntl fcntl64
    epoll_wait epoll_pwait epoll_pwait2 io_uring_enter
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    """.split()  # noqa: SIM905
).union(_READERS, _WRITERS)
