"""A signal ended the command."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.wording import found, signal_name
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = "Run it under gdb or with a sanitizer for the stack; for Python, python -X faulthandler shows it."

_WHY = {
    6: "it aborted: a failed assertion, a corrupted heap, an uncaught exception of C++",
    11: "it used an address that is not its own",
    4: "it ran an instruction that this processor does not have, or a trap of the compiler",
    7: "it used a mapping beyond the end of its file, or a misaligned address",
    8: "it divided an integer by zero",
    9: "somebody killed it, or the kernel did for want of memory",
    13: "it wrote to a pipe or socket that nobody reads any more",
    24: "its limit of CPU time was used up",
}


_AS_PID1 = (
    "it was process 1, which no SIGABRT ends: after it the C library's abort() faults on purpose, which may "
    "be what was seen; without --pid1 it would be SIGABRT"
)


def _examine(case: Case) -> Iterator[Finding]:
    number = (case.status or 0) - 128
    if case.verdict is not Verdict.FAILED or not 0 < number < 65:
        return
    last = [line.text.strip() for line in case.lines if line.text.strip()][-3:]
    yield found(
        case,
        RULE.name,
        f"{signal_name(number)} ended it",
        None,
        evidence=(
            f"status {case.status}, that is 128 + {number}",
            _WHY.get(number, ""),
            _AS_PID1 if case.order.pid1 and number in (4, 5, 11) else "",
            *(f"its last words: {text[:120]}" for text in last),
        ),
        advice=ADVICE,
        likely=number not in (6, 11, 4, 7, 8),
    )


RULE = Rule("crashed", "a signal ended the command", _examine)
