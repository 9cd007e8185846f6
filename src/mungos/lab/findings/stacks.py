"""Reading stacks: whose frame it is, what a thread of a Python program does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mungos.lab.facts import Frame, Process, Stack, Thread

__all__ = [
    "at",
    "depth_of",
    "in_event_loop",
    "is_main",
    "is_own",
    "local",
    "main_stack",
    "native",
    "object_of",
    "owned",
    "passes",
    "place",
    "python",
    "python_stacks",
    "short",
    "thread_object",
    "waits_at",
]

_STDLIB = re.compile(
    r"(^|/)(threading|queue|selectors|subprocess|socket|ssl|signal|contextlib|runpy|weakref|socketserver)\.py$"
    r"|(^|/)(asyncio|concurrent/futures|multiprocessing|importlib|logging|unittest|http|functools|sched)(/|\.py$)"
    r"|^<frozen |/lib(64)?/python3\.\d+t?/(?!site-packages|dist-packages)"
)
_ADDRESS = re.compile(r" at (0x[0-9a-f]+)>$")


def short(frame: Frame) -> str:
    """The function's own name, without its class."""
    return frame.function.rsplit(".", 1)[-1]


def at(frame: Frame, file: str, *functions: str) -> bool:
    """Whether the frame is one of these functions in a file whose path ends so."""
    path = frame.file.replace("\\", "/")
    return (path == file or path.endswith("/" + file)) and (not functions or short(frame) in functions)


def passes(stack: Stack | None, file: str, *functions: str) -> bool:
    """Whether any frame of the stack is one of these."""
    return stack is not None and any(at(frame, file, *functions) for frame in stack.frames)


def depth_of(stack: Stack, file: str, *functions: str) -> int:
    """The index of the innermost such frame, -1 when there is none."""
    return next((index for index, frame in enumerate(stack.frames) if at(frame, file, *functions)), -1)


def python_stacks(process: Process) -> Iterator[Stack]:
    """Its Python stacks, one a thread."""
    seen: set[int] = set()
    for stack in process.stacks:
        if stack.language == "python" and stack.frames and (not stack.thread or stack.thread not in seen):
            seen.add(stack.thread)
            yield stack


def is_main(process: Process, stack: Stack) -> bool:
    """Whether it is the main thread's; a started thread begins in threading's `_bootstrap`."""
    if stack.thread:
        return stack.thread == process.pid
    return not at(stack.frames[-1], "threading.py", "_bootstrap", "_bootstrap_inner")


def main_stack(process: Process) -> Stack | None:
    """The Python stack of the main thread."""
    return next((stack for stack in python_stacks(process) if is_main(process, stack)), None)


def python(process: Process, thread: Thread) -> Stack | None:
    """The Python stack of this thread."""
    exact = next((stack for stack in python_stacks(process) if stack.thread == thread.tid), None)
    if exact is None and thread.tid == process.pid:
        return main_stack(process)
    return exact


def native(process: Process, thread: Thread) -> Stack | None:
    """The native stack of this thread."""
    stacks = (stack for stack in process.stacks if stack.language == "native" and stack.frames)
    return next((stack for stack in stacks if stack.thread == thread.tid), None)


def is_own(frame: Frame) -> bool:
    """Whether the frame is of the program's own code, not of Python's library."""
    return not _STDLIB.search(frame.file)


def owned(stack: Stack | None) -> Frame | None:
    """The innermost frame that is the program's own, not of Python's library."""
    if stack is None:
        return None
    return next((frame for frame in stack.frames if is_own(frame)), None)


def place(frame: Frame | None) -> str:
    """A frame as text: `work (server.py:31)`."""
    if frame is None:
        return ""
    file = frame.file.rsplit("/", 1)[-1] or "?"
    return (
        f"{frame.function} ({file}:{frame.line})" if frame.line is not None else f"{frame.function} ({file})"
    )


def waits_at(stack: Stack | None) -> str:
    """Where a thread stands: the innermost frame, and the program's own that led there."""
    if stack is None:
        return ""
    inner, own = stack.frames[0], owned(stack)
    if own is None or own is inner:
        return place(inner)
    return f"{place(inner)}, called by {place(own)}"


def local(frame: Frame, name: str) -> str | None:
    """The representation of a local variable, where it is known."""
    return next((text for key, text in frame.locals if key == name), None)


def object_of(text: str | None) -> str | None:
    """The address in `<Thread at 0x7f…>`, which tells objects apart."""
    found = _ADDRESS.search(text) if text else None
    return found.group(1) if found else None


def thread_object(stack: Stack) -> str | None:
    """The address of the Thread object that runs this stack."""
    frame = stack.frames[-1]
    if at(frame, "threading.py", "_bootstrap", "_bootstrap_inner"):
        return object_of(local(frame, "self"))
    return None


def in_event_loop(stack: Stack | None) -> bool:
    """Whether the thread runs an asyncio loop and is inside one of its callbacks."""
    return passes(stack, "asyncio/events.py", "_run") and passes(stack, "asyncio/base_events.py", "_run_once")
