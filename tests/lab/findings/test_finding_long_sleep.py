"""The rule long-sleep."""

from __future__ import annotations

from mungos.lab.facts import Timer
from mungos.lab.findings.rules.long_sleep import RULE
from mungos.lab.order import Order
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    thread,
)


def test_longer_than_the_clock() -> None:
    (finding,) = found(RULE, case(process(thread("clock_nanosleep", timeout=1000.0), command="sleep 1000")))
    assert "sleeps for 1000 s" in finding.title
    (finding,) = found(RULE, case(process(thread("pselect6", timeout=3600.0))))
    assert "waits for 3600 s" in finding.title
    assert len(found(RULE, case(process(thread("pause"), timers=[Timer("ITIMER_REAL", 500.0)])))) == 1


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("clock_nanosleep", timeout=5.0))))
    slow = Order(("a",), stall=60.0, factor=40.0)
    assert not found(RULE, case(process(thread("clock_nanosleep", timeout=1000.0)), order=slow))
    assert not found(RULE, case(process(thread("pause"))))
    assert not found(RULE, case(process(thread("pause"), timers=[Timer("ITIMER_REAL", 5.0)])))
