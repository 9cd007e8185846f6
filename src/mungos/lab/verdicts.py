"""What a run is called when it is over, and the exit status that says so."""

from __future__ import annotations

from enum import Enum

__all__ = ["Verdict", "exit_status"]


class Verdict(Enum):
    """How a watched command ended. The value is what reports print."""

    PASSED = "passed"
    FAILED = "failed"  # its own status was not 0, or a signal ended it
    FLAKY = "flaky"  # a retry passed after an attempt that did not
    LEAKED = "leaked"  # it ended with 0 and left processes running
    STALLED = "stalled"  # no output and hardly any CPU for the stall time
    SPINNING = "spinning"  # a CPU busy without output or I/O for the stall time
    TIMED_OUT = "timed out"  # the hard deadline came
    NOT_STARTED = "not started"


_STATUSES = {
    Verdict.PASSED: 0,
    Verdict.FLAKY: 1,
    Verdict.SPINNING: 122,
    Verdict.STALLED: 123,
    Verdict.TIMED_OUT: 124,
    Verdict.LEAKED: 125,
    Verdict.NOT_STARTED: 127,
}


def exit_status(verdict: Verdict, status: int | None) -> int:
    """The lab's exit status for a run.

    Args:
        verdict: what the run is called.
        status: the command's own, 128 + N when signal N ended it; None when it has none.

    Returns:
        The command's own for FAILED (1 if it has none), else the one that the verdict stands for.
    """
    if verdict is Verdict.FAILED:
        return status or 1
    return _STATUSES[verdict]
