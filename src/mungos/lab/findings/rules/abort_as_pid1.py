"""Process 1 of a namespace cannot be ended by a signal that it sends to itself."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Thread
from mungos.lab.findings import calls, sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, signal_name, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Give the namespace an init (docker run --init, tini, or leave --pid1 off), then the signal ends "
    "it; flush output before aborting, and look for the failed check that led to the abort."
)

_FATAL = (6, 11, 4, 7, 8, 5, 31)  # what a program dies of by its own fault, the usual one first
_ALL_BUT_ONE = 20  # of the signals 1 to 31: a mask with so many was made by filling it
_ENDERS = ("abort", "raise", "__GI_abort", "__GI_raise", "__pthread_kill_implementation", "gsignal")
_LAST_WORDS = ("abort", "assert", "fatal", "panic", "terminate called", "fault", "core dumped")


def _dropped(process: Process) -> int | None:
    """The fatal signal that is neither blocked nor caught while nearly all others are blocked."""
    blocked = process.signals.blocked
    if sum(1 for number in blocked if number < 32) < _ALL_BUT_ONE:
        return None
    return next((n for n in _FATAL if n not in blocked and n not in process.signals.caught), None)


def _aborts(case: Case, process: Process, thread: Thread) -> str:
    """The line or function by which it ends itself; empty when no stack shows one."""
    native = stacks.native(process, thread)
    if native is not None:
        for frame in native.frames[:8]:
            if stacks.short(frame) in _ENDERS:
                return stacks.place(frame)
    stack = stacks.python(process, thread)
    line = sources.line_of(case, process, stack.frames[0]) if stack is not None else ""
    if any(word in line for word in ("os.abort(", "os.kill(", "raise_signal(", "pthread_kill(")):
        return line
    return ""


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        main = next((thread for thread in process.threads if thread.tid == process.pid), None)
        if process.inner != 1 or main is None:
            continue
        waits = calls.name_of(main) in ("rt_sigsuspend", "sigsuspend", "pause")
        dropped = _dropped(process)
        ender = _aborts(case, process, main)
        deaf = not process.signals.caught and not process.emulated
        if waits and process.emulated is not None and (dropped is not None or not process.signals.blocked):
            likely = dropped is None
        elif waits and (dropped is not None or ender):
            likely = False
        elif waits and deaf:
            likely = True
        elif ender and (main.running or main.state == "R"):
            likely = False
        else:
            continue
        name = signal_name(dropped) if dropped is not None else "a fatal signal"
        last = next((line.text for line in reversed(case.lines) if line.text.strip()), "")
        spoke = any(word in last.lower() for word in _LAST_WORDS)
        yield found(
            case,
            RULE.name,
            f"Process 1 sent itself {name}, which the kernel drops for process 1 of a namespace, and "
            "waits for its end",
            process,
            main,
            waits_for="a signal that the kernel drops",
            evidence=(
                f"process {process.pid} is process 1 of its namespace, without an init above it",
                stands(process, main),
                f"{len(process.signals.blocked)} signals blocked, {name} neither blocked nor caught"
                if dropped is not None
                else "no handler is installed for any signal"
                if deaf
                else "",
                f"it runs under user-mode emulation of {process.emulated}: the emulator resets the "
                "handler, sends "
                "the signal to itself and waits in sigsuspend"
                if process.emulated
                else "",
                f"it ends itself at {ender}" if ender else "",
                f"CPU time stands at {process.cpu:.2f} s",
                f"last line of output: {last}" if spoke else "",
            ),
            advice=ADVICE,
            likely=likely,
        )


RULE = Rule(
    "abort-as-pid1",
    "process 1 of a namespace waits for a fatal signal that the kernel drops (no init)",
    _examine,
)
