"""The rule polls-in-vain."""

from __future__ import annotations

from mungos.lab.findings.rules.polls_in_vain import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)


def test_a_short_sleep_again_and_again() -> None:
    trace = stack("<module> (a.py:3)")
    (finding,) = found(RULE, case(process(thread("clock_nanosleep", 1, 0, timeout=0.05), stacks=[trace])))
    assert "0.05 s" in finding.title
    assert "a.py:3" in finding.title


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("clock_nanosleep", timeout=1000.0))))
    assert not found(RULE, case(process(thread("read", 3))))
    # A library's helper thread that looks now and then.
    helper = stack("Condition.wait (threading.py:327)\n" + THREADED + BOOTSTRAP, 101)
    assert not found(
        RULE, case(process(thread("read", 3), thread("futex", timeout=0.5, tid=101), stacks=[helper]))
    )
    quick = case(process(thread("clock_nanosleep", 1, 0, timeout=0.05)), verdict=Verdict.SPINNING)
    assert not found(RULE, quick)
