"""The rule no-timer-armed."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.facts import Timer
from mungos.lab.findings.rules.no_timer_armed import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    plain,
    process,
    thread,
)


def test_all_wait_for_ever() -> None:
    scene = case(
        process(thread("wait4"), pid=100),
        process(thread("read", 3, tid=200), thread("futex", tid=201), pid=200, parent=100),
    )
    (finding,) = found(RULE, scene)
    assert finding.certainty == "certain"
    assert "3 threads in 2 processes" in finding.title


def test_what_cannot_be_seen_is_not_certain() -> None:
    (finding,) = found(RULE, case(process(thread("pause"), real_timer=None)))
    assert finding.certainty == "likely"
    (finding,) = found(RULE, case(process(thread("recvfrom", 3, forever=False))))
    assert finding.certainty == "likely"


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("futex"), thread("poll", timeout=5.0, tid=101))))
    assert not found(RULE, case(process(thread("pause"), timers=[Timer("ITIMER_REAL", 3.0)])))
    armed = replace(plain(5, "timerfd"), timer=Timer("timerfd", 2.0))
    assert not found(RULE, case(process(thread("epoll_wait", 4), descriptors=[armed])))
    alive, _ = connection(timer="keep-alive in 7100 s")
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[alive])))
    assert not found(RULE, case(process(thread(""))))
    assert not found(RULE, case(process(thread("read", 3), state="T")))
    assert not found(RULE, case(process(thread("pause")), verdict=Verdict.LEAKED))
