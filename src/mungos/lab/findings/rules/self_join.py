"""A thread that waits for its own end, for its own pool, or for its own event loop."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Stack, Thread
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Stop from another thread, or let the thread end by itself (set a flag and return); never wait "
    "inside a worker or a callback for work of the same pool or loop."
)

_POOL = "concurrent/futures/thread.py"
_FUTURES = "concurrent/futures/_base.py"


def _thread(process: Process, stack: Stack) -> Thread | None:
    return next((each for each in process.threads if each.tid == stack.thread), None)


def _pool_of(stack: Stack) -> str | None:
    """Which executor a worker belongs to: its queue's address, or its name without the number."""
    for frame in stack.frames:
        if stacks.at(frame, _POOL, "_worker"):
            queue = stacks.object_of(stacks.local(frame, "work_queue"))
            return queue or (stack.name.rpartition("_")[0] or "pool")
    return None


def _waits_for_work(stack: Stack) -> bool:
    """Whether it waits for a future, or for executors' threads."""
    first = next((f for f in stack.frames if not stacks.at(f, "threading.py")), None)
    if first is None:
        return False
    return stacks.at(first, _FUTURES, "result", "exception", "wait", "as_completed", "result_iterator") or (
        stacks.at(first, _POOL, "shutdown")
    )


def _own_pool(process: Process) -> Iterator[tuple[Stack, str]]:
    pools: dict[str, list[Stack]] = {}
    for stack in stacks.python_stacks(process):
        pool = _pool_of(stack)
        if pool is not None:
            pools.setdefault(pool, []).append(stack)
    for workers in pools.values():
        if all(_waits_for_work(stack) for stack in workers):
            number = len(workers)
            yield (
                workers[0],
                f"all {number} workers of the pool wait for work that only the pool could do"
                if number > 1
                else "the pool's only worker waits for work that only itself could do",
            )


def _own_loop(process: Process) -> Iterator[tuple[Stack, str, bool]]:
    for stack in stacks.python_stacks(process):
        if not stacks.in_event_loop(stack):
            continue
        inner = stack.frames[: stacks.depth_of(stack, "asyncio/events.py", "_run")]
        own = stacks.thread_object(stack)
        others = [each for each in process.threads if each.tid != stack.thread]
        asleep = all(calls.for_ever(each) and calls.name_of(each) in calls.FUTEX for each in others)
        works = any(stacks.passes(other, _POOL, "run") for other in stacks.python_stacks(process))
        joins = any(
            stacks.at(frame, "threading.py", "join") and stacks.object_of(stacks.local(frame, "self")) == own
            for frame in inner
        )
        if own is not None and joins:
            yield stack, "the event loop's own thread joins itself", False
        elif not asleep or works:
            continue  # somebody else may finish it: see blocked-loop
        elif any(stacks.at(frame, _FUTURES, "result", "exception") for frame in inner):
            yield (
                stack,
                "the event loop's own thread waits for a future that only its loop could finish",
                False,
            )
        elif inner and stacks.at(inner[0], "threading.py", "wait"):
            yield stack, "the event loop's own thread waits for an event that only its loop would set", True


_STOPPERS = (
    *("stop", "close", "shutdown", "join", "quit", "terminate", "end"),
    *("disconnect", "cancel", "finish", "exit"),
)


def _stopped_by_itself(process: Process) -> Iterator[tuple[Stack, str, bool]]:
    """A thread that waits inside its own stop(), while all others wait for this thread to end."""
    every = list(stacks.python_stacks(process))
    if len(every) < 2 or not all(calls.for_ever(thread) for thread in process.threads):
        return
    for stack in every:
        waits = stacks.at(stack.frames[0], "threading.py", "wait", "_wait_for_tstate_lock", "join")
        own = [frame for frame in stack.frames if stacks.is_own(frame)]
        started = stacks.at(stack.frames[-1], "threading.py", "_bootstrap", "_bootstrap_inner")
        if not waits or not started or len(own) < 2 or stacks.passes(stack, _POOL):
            continue
        words = "_".join(stacks.short(frame).lower() for frame in own[:-1]).split("_")
        joined = all(
            stacks.at(other.frames[0], "threading.py", "_wait_for_tstate_lock", "join", "_shutdown")
            for other in every
            if other is not stack
        )
        if joined and any(word.startswith(_STOPPERS) for word in words):
            yield stack, "a thread stops itself: it waits for its own end, and all others wait for it", True


def _itself(process: Process) -> Iterator[tuple[Stack, str]]:
    """A thread in `join` of the very object that runs it."""
    for stack in stacks.python_stacks(process):
        own = stacks.thread_object(stack)
        for frame in stack.frames:
            joins = stacks.at(frame, "threading.py", "join", "_wait_for_tstate_lock")
            if joins and own is not None and stacks.object_of(stacks.local(frame, "self")) == own:
                yield stack, "a thread joins itself"
                break


def _own_server(process: Process) -> Iterator[tuple[Stack, str]]:
    """socketserver's shutdown() waits until serve_forever() has returned, which called it."""
    for stack in stacks.python_stacks(process):
        if stacks.passes(stack, "socketserver.py", "shutdown") and (
            stacks.depth_of(stack, "socketserver.py", "shutdown")
            < stacks.depth_of(stack, "socketserver.py", "serve_forever")
        ):
            yield (
                stack,
                "a thread in serve_forever() calls shutdown(), which waits until that returns",
            )


def _ring(process: Process) -> list[Thread]:
    """Threads of a native program each of which joins the next."""
    joined = {
        each.tid: each.call.holder
        for each in process.threads
        if each.call is not None and each.call.holder and "(a join" in each.call.described
    }
    for start in joined:
        way = [start]
        while (following := joined.get(way[-1])) is not None and following not in way:
            way.append(following)
        if following == start:
            return [each for each in process.threads if each.tid in way]
    return []


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        ring = _ring(process)
        if ring:
            yield found(
                case,
                RULE.name,
                "A thread joins itself"
                if len(ring) == 1
                else "Threads join each other in a ring: " + listing(str(each.tid) for each in ring),
                process,
                ring[0],
                waits_for="itself",
                evidence=[stands(process, each) for each in ring],
                advice=ADVICE,
            )
        told: set[int] = set()
        every = [
            (stack, title, False)
            for stack, title in (*_itself(process), *_own_pool(process), *_own_server(process))
        ]
        for stack, title, likely in (*every, *_own_loop(process), *_stopped_by_itself(process)):
            if stack.thread in told:
                continue
            told.add(stack.thread)
            thread = _thread(process, stack)
            yield found(
                case,
                RULE.name,
                title[0].upper() + title[1:],
                process,
                thread,
                waits_for="itself",
                evidence=(
                    f"{stack.name or 'thread'}: {listing([stacks.place(f) for f in stack.frames[:5]], 5)}",
                    f"the program's own line: {stacks.place(stacks.owned(stack))}",
                ),
                advice=ADVICE,
                likely=likely,
            )


RULE = Rule(
    "self-join",
    "a thread joins itself, or waits for its own pool or its own event loop",
    _examine,
)
