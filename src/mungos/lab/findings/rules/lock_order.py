"""Threads that hold one lock each and wait for the other's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mungos.lab.facts import Process, Stack, Thread
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import Locks, line_of, locks_of
from mungos.lab.findings.wording import found, hung, listing
from mungos.lab.record import Finding

__all__ = ["RULE", "Locker", "holder_of", "lockers", "owner_of"]

ADVICE = (
    "Take these locks in one order everywhere (write the order down beside them), or hold only one at "
    "a time; never call out while a lock is held."
)
_ADVICE_NATIVE = (
    "Take mutexes in one order everywhere; PTHREAD_MUTEX_ERRORCHECK, or a run under "
    "-fsanitize=thread, shows the inversion."
)


_HELD = re.compile(r"held by thread (\d+)")


@dataclass(frozen=True, slots=True)
class Locker:
    """A thread with the locks that it wants and holds."""

    thread: Thread
    stack: Stack
    locks: Locks


def lockers(case: Case, process: Process) -> list[Locker]:
    """The Python threads of a process with what their source says of locks; the waiting ones want one."""
    some = []
    for thread in process.threads:
        stack = stacks.python(process, thread)
        if stack is None:
            continue
        locks = locks_of(case, process, stack)
        waits = calls.name_of(thread) in calls.FUTEX and calls.for_ever(thread)
        some.append(Locker(thread, stack, locks if waits else Locks(None, "", locks.held, locks.exact)))
    return some


def holder_of(some: list[Locker], waiter: Locker) -> Locker | None:
    """The thread that holds what this one wants: by the lock's key, else by the name of its attribute."""
    wanted, name = waiter.locks.wanted, waiter.locks.wanted_name
    others = [each for each in some if each is not waiter]
    exact = next((o for o in others if any(key == wanted for key, _ in o.locks.held)), None)
    root, _, attribute = name.rpartition(".")
    if exact is not None or not attribute or not root or root in ("self", "cls") or waiter.locks.exact:
        return exact
    # `connection.lock` of one function is `self.lock` inside Connection.
    last = root.rpartition(".")[2].strip("_").lower()
    for each in others:
        for key, _ in each.locks.held:
            owner, _, held = key.rpartition(".")
            if held == attribute and owner.isidentifier() and owner.lower() in (last, last.rstrip("s")):
                return each
    return None


def _cycle(some: list[Locker]) -> list[Locker]:
    """A ring of threads each of which wants what the next one holds."""
    for start in some:
        way = [start]
        while way[-1].locks.wanted is not None:
            owner = holder_of(some, way[-1])
            if owner is start and len(way) > 1:
                return way
            if owner is None or owner in way:
                break
            way.append(owner)
    return []


def _native(process: Process) -> list[tuple[Thread, int]]:
    """Threads that wait for different mutexes, when there are two or more."""
    waits = [(t, a) for t in process.threads if (a := calls.native_lock(t)) is not None]
    return waits if len({address for _, address in waits}) > 1 else []


def owner_of(thread: Thread, process: Process) -> int | None:
    """The thread that owns the mutex, where the call's readable form names it."""
    found = _HELD.search(thread.call.described) if thread.call is not None else None
    number = int(found[1]) if found is not None else 0
    return number if any(each.tid == number for each in process.threads) else None


def _python(case: Case, process: Process) -> Finding | None:
    ring = _cycle(lockers(case, process))
    if not ring:
        return None
    names = [f"{each.stack.name or 'thread'} ({each.thread.tid})" for each in ring]
    evidence = []
    for each, following in zip(ring, [*ring[1:], ring[0]], strict=True):
        held = listing([name for _, name in each.locks.held])
        line = line_of(case, process, stacks.owned(each.stack))
        evidence.append(
            f"thread {each.thread.tid} ({each.stack.name}) holds {held} and waits for "
            f"{each.locks.wanted_name}, "
            f"which thread {following.thread.tid} holds: {stacks.place(stacks.owned(each.stack))} `{line}`"
        )
    return found(
        case,
        RULE.name,
        f"Threads wait for each other's locks in a ring: {' -> '.join([*names, names[0]])}",
        process,
        ring[0].thread,
        waits_for=f"the lock {ring[0].locks.wanted_name}, held by {names[1]}",
        evidence=evidence,
        advice=ADVICE,
        likely=not all(each.locks.exact for each in ring),
    )


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        told = _python(case, process)
        if told is not None:
            yield told
            continue
        waits = _native(process)
        if any(stacks.python(process, thread) is not None for thread, _ in waits) or not waits:
            continue
        owners = {thread.tid: owner_of(thread, process) for thread, _ in waits}
        ring = all(owner in owners for owner in owners.values())
        if any(owner is not None for owner in owners.values()) and not ring:
            continue
        yield found(
            case,
            RULE.name,
            f"{len(waits)} threads wait for each other's mutexes"
            if ring
            else f"{len(waits)} threads wait for different mutexes, and nothing runs that could release one",
            process,
            waits[0][0],
            waits_for=f"the mutex at {waits[0][1]:#x}",
            evidence=[
                f"thread {thread.tid} waits for the mutex at {address:#x}"
                + (f", owned by thread {owners[thread.tid]}" if owners[thread.tid] is not None else "")
                + (f", at {_where(process, thread)}" if _where(process, thread) else "")
                for thread, address in waits
            ],
            advice=_ADVICE_NATIVE,
            likely=not ring,
        )


def _where(process: Process, thread: Thread) -> str:
    """The first function above the C library's own."""
    stack = stacks.native(process, thread)
    own = (
        [f for f in stack.frames if "lock" not in f.function and f.function not in ("??", "syscall")]
        if stack
        else []
    )
    return stacks.place(own[0]) if own else ""


RULE = Rule("lock-order", "threads hold one lock each and wait for the other's: a ring", _examine)
