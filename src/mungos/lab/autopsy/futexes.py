"""What lies behind a futex: a lock and its holder, a thread that is joined, a condition."""

from __future__ import annotations

from collections.abc import Callable

from mungos.lab.autopsy.scene import Scene, Words, as_int, at_most, limit, thread_in_words

__all__ = ["futex", "futex_wait", "futex_waitv"]

# linux/futex.h
_PRIVATE, _CLOCK_REALTIME = 128, 256
_WAIT, _LOCK_PI, _WAIT_BITSET, _WAIT_REQUEUE_PI, _LOCK_PI2 = 0, 6, 9, 11, 13
_OWNER = 0x3FFFFFFF
_CONTENDED = 2  # of glibc's mutex and low-level lock: locked, and others wait
_OWNER_AT = 8  # bytes from a glibc pthread_mutex_t's lock word to its owner's thread number


def futex(*, wide: bool) -> Callable[[Scene, tuple[int, ...]], Words]:
    """The call `futex`; `wide` when its time-out has 64 bits on a 32-bit machine."""

    def tell(scene: Scene, arguments: tuple[int, ...]) -> Words:
        address, operation, value = arguments[0], arguments[1], arguments[2] & 0xFFFFFFFF
        command = operation & 0x7F
        if command not in {_WAIT, _LOCK_PI, _WAIT_BITSET, _WAIT_REQUEUE_PI, _LOCK_PI2}:
            return Words(f"{address:#x} (operation {command})")
        timeout, forever = limit(scene, arguments[3], wide)
        if timeout is not None and command != _WAIT:
            realtime = operation & _CLOCK_REALTIME or command == _LOCK_PI
            timeout = max(timeout - scene.now[0 if realtime else 1], 0.0)
        return _told(scene, (address, value, command, bool(operation & _PRIVATE)), timeout, forever)

    return tell


def futex_wait(scene: Scene, arguments: tuple[int, ...]) -> Words:
    """The call `futex_wait`: address, value, mask, flags, time-out, clock."""
    timeout, forever = limit(scene, arguments[4], True)
    if timeout is not None:
        timeout = max(timeout - scene.now.get(as_int(arguments[5]), scene.now[1]), 0.0)
    private = bool(arguments[3] & _PRIVATE)
    return _told(scene, (arguments[0], arguments[1] & 0xFFFFFFFF, _WAIT_BITSET, private), timeout, forever)


def futex_waitv(scene: Scene, arguments: tuple[int, ...]) -> Words:
    """The call `futex_waitv`: waiters, how many, flags, time-out, clock."""
    timeout, forever = limit(scene, arguments[3], True)
    if timeout is not None:
        timeout = max(timeout - scene.now.get(as_int(arguments[4]), scene.now[1]), 0.0)
    return Words(
        f"on any of {arguments[1] & 0xFFFFFFFF}{at_most(timeout, forever)}", timeout, forever, timeout
    )


def _told(scene: Scene, wait: tuple[int, int, int, bool], timeout: float | None, forever: bool) -> Words:
    address, _, command, _ = wait
    found = scene.memory.numbers(address, "I")
    word = found[0] if found is not None else None
    what, holder = _what(scene, wait, word)
    left = timeout if command != _WAIT else None  # all others name an instant
    text = f"{address:#x} ({what}){at_most(timeout, forever)}"
    return Words(text, timeout, forever, left, holder=holder)


def _what(scene: Scene, wait: tuple[int, int, int, bool], word: int | None) -> tuple[str, int | None]:
    """What it is, in words, and the thread on which it depends."""
    address, value, command, private = wait
    if command in {_LOCK_PI, _LOCK_PI2, _WAIT_REQUEUE_PI}:
        return _lock(scene, word & _OWNER if word is not None else 0)
    if not private and value in scene.threads and value != scene.thread:
        # glibc's pthread_join waits for the kernel to clear the thread's number.
        return f"a join: the end of {thread_in_words(scene, value)}", scene.threads[value][0]
    if value == _CONTENDED and word == _CONTENDED:
        mutex = scene.memory.numbers(address + _OWNER_AT, "I")
        return _lock(scene, mutex[0] if mutex is not None else 0)
    if word is not None and word != value:
        return f"a condition or a semaphore: its word was {value} and is {word} now", None
    return f"a condition, a semaphore or a lock: its word is {value}", None


def _lock(scene: Scene, owner: int) -> tuple[str, int | None]:
    known = scene.threads.get(owner)
    if known is None:
        return "a lock", None
    held = "held by itself, " if owner == scene.thread else "held by "
    return f"a lock {held}{thread_in_words(scene, owner)}", known[0]
