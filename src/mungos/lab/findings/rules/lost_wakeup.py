"""A condition, event, semaphore or queue is waited for, and nobody is left who would notify."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Stack, Thread
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.end_held_by_oneself import QUEUE
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.findings.wording import found, holders, hung, listing, signal_name, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Test the state and wait under one lock (wait_for with a predicate, or sigsuspend/ppoll with a "
    "mask for signals), notify under that lock on every way out, and give the wait a time-out."
)

_WAITERS = (
    ("threading.py", ("wait", "wait_for", "acquire", "_wait")),
    ("queue.py", ("get", "put", "join")),
    ("concurrent/futures/_base.py", ("result", "exception", "wait")),
    ("multiprocessing/synchronize.py", ("wait", "acquire", "__enter__")),
)
_NATIVE = ("pthread_cond_wait", "sem_wait", "pthread_barrier_wait", "do_futex_wait", "__new_sem_wait")
_IDLE = (
    ("concurrent/futures/thread.py", "_worker"),
    ("multiprocessing/queues.py", "_feed"),
    ("multiprocessing/pool.py", "_handle_tasks"),
)  # helpers that wait for work by design


def _waits_by_design(stack: Stack | None) -> bool:
    if stack is None:
        return False
    first = next((frame for frame in stack.frames if not stacks.at(frame, "threading.py")), None)
    return first is not None and any(stacks.at(first, file, function) for file, function in _IDLE)


def _object(stack: Stack) -> str:
    """What it waits for, `Event.wait`, or empty when it is none of these."""
    name = ""
    for frame in stack.frames:
        if any(stacks.at(frame, file, *functions) for file, functions in _WAITERS):
            name = frame.function
        else:
            break
    lock = stacks.short(stack.frames[0]) in ("acquire", "__enter__") and "Semaphore" not in name
    return "" if lock else name


def _native(process: Process, thread: Thread) -> str:
    call = thread.call
    if call is not None and ("(a join" in call.described or "(a lock" in call.described):
        return ""
    stack = stacks.native(process, thread)
    if stack is not None:
        for frame in stack.frames[:8]:
            if stacks.short(frame).lstrip("_").split("@")[0] in {each.lstrip("_") for each in _NATIVE}:
                return stacks.short(frame)
            if "mutex" in frame.function or "join" in frame.function:
                return ""
    if call is None or call.name not in ("futex", "futex_time64") or len(call.arguments) < 2:
        return ""
    operation = call.arguments[1]
    # A private FUTEX_WAIT_BITSET: a condition variable or a semaphore; a join's is not private.
    if operation & 0x7F == 9 and operation & 0x80:
        return "a condition variable or semaphore"
    return ""


def _signal(process: Process, thread: Thread) -> str:
    """A signal waited for by `pause`, which may have come between the test and the wait."""
    caught = process.signals.caught - ({2} if process.language == "python" else set())
    if calls.name_of(thread) == "pause" and caught and process.inner != 1:
        return "pause for " + listing(signal_name(number) for number in sorted(caught))
    return ""


def _queue(scene: Scene, process: Process, thread: Thread) -> str:
    """Why nothing comes through a multiprocessing queue that is read; empty when something may."""
    for wait in scene.waits_of(process.pid):
        if wait.thread is thread and wait.kind == "read" and wait.descriptors:
            pipe = wait.descriptors[0]
            ends = scene.opposite(pipe)
            if (
                pipe.pipe is not None
                and not pipe.pipe.unread
                and {each.pid for each in ends} == {process.pid}
            ):
                return f"the other end of pipe {pipe.number} is held by {holders(ends)}, by nobody else"
    return ""


def _of_a_queue(case: Case, process: Process, thread: Thread, why: str) -> Finding:
    return found(
        case,
        RULE.name,
        "It waits for an item of a multiprocessing queue, and no other process is left that could put one",
        process,
        thread,
        waits_for="Queue.get",
        evidence=(why, stands(process, thread)),
        advice="Let every producer put an end mark on every way out, and look whether it still lives "
        "(get with a time-out, Process.is_alive); an item that was lost with a producer does not come again.",
        likely=len(process.threads) > 1 or not scene_of(case).whole,
    )


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process in scene.living():
        if not process.threads or not all(calls.for_ever(thread) for thread in process.threads):
            continue  # somebody still runs, or wakes by time, and may notify
        others_in_io = [t for t in process.threads if calls.name_of(t) not in calls.FUTEX | calls.SIGNAL]
        # A main thread that waits for I/O may have work for the others when it comes: a pool of helpers.
        at_large = any(thread.tid == process.pid for thread in others_in_io)
        for thread in process.threads:
            stack = stacks.python(process, thread)
            if stacks.passes(stack, *QUEUE) and (why := _queue(scene, process, thread)):
                yield _of_a_queue(case, process, thread, why)
                continue
            if _waits_by_design(stack):
                continue
            if stack is not None and calls.name_of(thread) in calls.FUTEX:
                what = _object(stack)
            elif process.language != "python" or stack is None:
                what = _native(process, thread) if process.language != "python" else ""
                what = what or _signal(process, thread)
            else:
                what = _signal(process, thread)
            if not what or (stack is None and thread.tid != process.pid and at_large):
                continue
            number = len(process.threads)
            yield found(
                case,
                RULE.name,
                f"A thread waits for {what} and nobody is left who would notify it",
                process,
                thread,
                waits_for=what,
                evidence=(
                    stands(process, thread),
                    f"of the process's {number} thread{'s' * (number != 1)} none runs and none wakes by time"
                    + (f"; {len(others_in_io)} wait for I/O" if others_in_io else ""),
                ),
                advice=ADVICE,
                likely=bool(others_in_io) or stack is None,
            )


RULE = Rule(
    "lost-wakeup", "a condition, event, semaphore or queue is waited for, nobody is left to notify", _examine
)
