"""A program that writes to a pipe keeps its output in blocks: what is not flushed is lost with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mungos.lab.facts import Process
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules import abort_as_pid1, waits_on_stdin
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, quiet_since
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

_BLOCK = 4096  # bytes: what C libraries write to a pipe at once
_UNFLUSHED = frozenset({6, 11, 4, 7, 8, 5, 31, 9, 15, 2, 1, 14, 24})  # ends by which nothing is flushed
_BY_ITSELF = frozenset({6, 11, 4, 7, 8, 5, 31})  # in the middle of what it did
_SILENT = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "busybox", "sleep", "cat", "tail", "tee", "head", "timeout", "xargs"}
    | {"env", "nohup", "make", "sudo", "su", "java", "node", "perl", "ruby", "coreutils"}
)
ADVICE = (
    "Run it with a terminal for output, or with line buffering (stdbuf -oL, python -u, setvbuf), and "
    "flush before "
    "aborting; then the missing lines are seen."
)


def _prints(process: Process) -> bool:
    """Whether it may well have printed something: not what only waits or passes on, nor Python's programs,
    most of which have nothing to say before they hang."""
    name = os.path.basename(process.executable)
    return process.language == "native" and name not in _SILENT


def _examine(case: Case) -> Iterator[Finding]:
    if not case.pipes or case.order.terminal or not (hung(case) or case.verdict is Verdict.FAILED):
        return
    died = max((case.status or 0) - 128, 0) if case.verdict is Verdict.FAILED else 0
    if case.verdict is Verdict.FAILED and died not in _UNFLUSHED:
        return  # it left by exit(), which flushes
    lines = [line for line in case.lines if line.stream == "stdout"]
    size = sum(len(line.text.encode()) + line.complete for line in lines)
    cut = bool(lines) and not lines[-1].complete
    blocks = bool(lines) and size % _BLOCK == 0
    aborted = bool(died) or any(True for _ in abort_as_pid1.RULE.examine(case))
    if lines and not cut and not blocks and died not in _BY_ITSELF:
        return  # whole lines: it flushes
    scene = scene_of(case)
    if cut and not blocks and not aborted and any(True for _ in waits_on_stdin.RULE.examine(case)):
        return  # a prompt has no end of line either
    writers = [
        process
        for process in scene.living()
        if any(each.number == 1 and each.pipe is not None for each in process.descriptors)
    ]
    if hung(case) and not writers:
        return
    if not lines and not aborted and not any(_prints(process) for process in writers):
        return
    since = quiet_since(case)
    yield found(
        case,
        RULE.name,
        "Output went through a pipe and was kept in blocks: its last part may be lost in the program's buffer"
        if lines
        else "Nothing came, and output is a pipe: what was printed may stand in the program's buffer",
        next((process for process in writers if _prints(process)), next(scene.living(), None)),
        evidence=(
            "standard output is a pipe, not a terminal",
            f"the last line has no end: {lines[-1].text[-80:]!r}" if cut else "",
            f"{size} bytes came, {size // _BLOCK} whole blocks of {_BLOCK} bytes" if blocks else "",
            "nothing came on standard output" if not lines else "",
            f"it was silent from {since:.1f} s on, until {case.duration:.1f} s" if since is not None else "",
            f"it was ended by signal {died}, at which nothing is flushed" if died else "",
        ),
        advice=ADVICE,
        likely=not (cut or blocks or aborted),
    )


RULE = Rule(
    "unflushed-pipe",
    "output was a block-buffered pipe, and its last part may never have been written",
    _examine,
)
