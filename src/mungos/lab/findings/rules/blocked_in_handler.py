"""A signal handler, a finalizer or an exit callback waits for what cannot come while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Stack
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import line_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "In a handler only set a flag or write to a wakeup descriptor (signal.set_wakeup_fd, an event "
    "loop's add_signal_handler), and do the work outside; give finalizers and exit callbacks "
    "deadlines."
)

_STARTS = ("<module>", "_shutdown", "_exit_function", "_run_module_as_main", "_run_code", "_bootstrap")


def _python(case: Case, process: Process, stack: Stack) -> tuple[str, str, bool]:
    """What kind of handler it is in, and where; empty when in none."""
    frames = stack.frames
    for index, frame in enumerate(frames):
        if stacks.short(frame) == "__del__":
            return "a finalizer (__del__)", stacks.place(frame), False
        values = [text for _, text in frame.locals]
        handler = any(text.startswith("<frame at ") for text in values) and any(
            text.isdecimal() for text in values
        )
        if handler and index + 1 < len(frames):
            called = line_of(case, process, frames[index + 1])
            if f"{stacks.short(frame)}(" not in called:
                return "a signal handler", stacks.place(frame), False
    last = frames[-1]
    if stacks.is_main(process, stack) and stacks.short(last) not in _STARTS and last.file:
        if not last.file.startswith("<frozen") and not stacks.at(last, "multiprocessing/util.py"):
            return "a function registered with atexit", stacks.place(last), True
    return "", "", False


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process, thread in scene_of(case).threads():
        if thread.running or thread.call is None:
            continue
        stack, native = stacks.python(process, thread), stacks.native(process, thread)
        kind, where, likely = _python(case, process, stack) if stack is not None else ("", "", False)
        if native is not None and not kind:
            index = next((i for i, f in enumerate(native.frames) if "signal handler called" in f.function), 0)
            if index:
                kind, where = "a signal handler", stacks.place(native.frames[index - 1])
        if not kind or not calls.for_ever(thread):
            continue
        below = ""
        if stack is not None and kind == "a signal handler":
            names = [stacks.place(frame) for frame in stack.frames]
            below = names[names.index(where) + 1]
        yield found(
            case,
            RULE.name,
            f"It waits inside {kind}, at {where}: what it interrupted cannot go on to end that wait",
            process,
            thread,
            waits_for=thread.call.described or thread.call.name,
            evidence=(f"interrupted: {below}" if below else "",),
            advice=ADVICE,
            likely=likely,
        )


RULE = Rule("blocked-in-handler", "a signal handler, finalizer or exit callback waits for ever", _examine)
