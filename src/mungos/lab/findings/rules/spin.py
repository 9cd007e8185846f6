"""A CPU is busy without output or I/O."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Thread
from mungos.lab.findings import sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Look at this line for a loop whose condition never changes; wait for the event instead of asking again."
)
_ADVICE_READY = (
    "Take away the interest that is always ready (disarm write interest when nothing is left to write, "
    "close what has hung up), or wait for the event instead of asking again."
)

_BUSY = 0.5  # share of one CPU
_EPOLLIN, _EPOLLOUT, _EPOLLERR, _EPOLLHUP = 1, 4, 8, 16


def _ready(process: Process) -> list[str]:
    """Entries of its epoll sets that report events again and again."""
    texts = []
    for each in process.descriptors:
        for entry in each.epoll:
            if not entry.ready:
                continue
            what = [
                name
                for bit, name in (
                    (_EPOLLIN, "readable"),
                    (_EPOLLOUT, "writable"),
                    (_EPOLLERR, "in error"),
                    (_EPOLLHUP, "hung up"),
                )
                if entry.ready & bit
            ]
            texts.append(
                f"epoll {each.number} reports descriptor {entry.descriptor} {' and '.join(what)} at "
                "every turn"
            )
    return texts


def _busiest(case: Case) -> tuple[Process, Thread] | None:
    every = [
        (p, t) for p, t in scene_of(case).threads() if t.recent_cpu is not None or t.running or t.state == "R"
    ]
    if not every:
        every = list(scene_of(case).threads())
    return max(
        every,
        key=lambda pair: (pair[1].recent_cpu or 0.0, pair[1].running, pair[1].state == "R", pair[1].cpu),
        default=None,
    )


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    worst = _busiest(case)
    if worst is None:
        return
    process, thread = worst
    share = thread.recent_cpu
    late = [sample for sample in case.samples if sample.at >= case.duration / 2]
    quiet = bool(late) and not any(sample.output or sample.io for sample in late)
    busy = bool(late) and min(sample.cpu for sample in late) >= _BUSY
    if case.verdict is not Verdict.SPINNING and not (
        case.verdict is Verdict.TIMED_OUT and quiet and busy and (share is None or share >= _BUSY)
    ):
        return
    stack = stacks.python(process, thread)
    native = stacks.native(process, thread)
    own = stacks.owned(stack)
    line = sources.line_of(case, process, own)
    where = stacks.place(own) or (stacks.place(native.frames[0]) if native is not None else "")
    ready = _ready(process)
    call = thread.call.name if thread.call is not None else ""
    yield found(
        case,
        RULE.name,
        f"A CPU is busy without output or I/O{f': {where}' if where else f': in {call}' if call else ''}",
        process,
        thread,
        evidence=(
            f"{share:.0%} of a CPU at the time of the autopsy" if share is not None else "",
            f"its line: {line}" if line else "",
            f"system call: {thread.call.described or call}"
            if thread.call is not None
            else "it runs in user space",
            *ready[:6],
            stands(process, thread),
        ),
        advice=_ADVICE_READY if ready else ADVICE,
    )


RULE = Rule("spin", "a CPU is busy without output or I/O, for the stall time", _examine)
