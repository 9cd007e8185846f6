"""The rule spin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mungos.lab.findings.rules.spin import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    busy,
    case,
    epoll,
    found,
    process,
    stack,
    thread,
)


def test_a_busy_thread(tmp_path: Path) -> None:
    path = tmp_path / "busy.py"
    path.write_text("def work():\n    while not done:\n        pass\n")
    trace = stack(f"work ({path}:2)\n<module> ({path}:9)")
    busy_one = process(thread("", recent=0.99), stacks=[trace])
    idle = process(thread("wait4", tid=200), pid=200)
    (finding,) = found(RULE, case(idle, busy_one, verdict=Verdict.SPINNING))
    assert finding.pid == 100
    assert "work (busy.py:2)" in finding.title
    assert any("while not done" in text for text in finding.evidence)


def test_write_interest_that_is_always_ready() -> None:
    entries = epoll(5, (7, 5))
    entries = replace(entries, epoll=tuple(replace(each, ready=4) for each in entries.epoll))
    scene = case(process(thread("", recent=0.99), descriptors=[entries]), verdict=Verdict.SPINNING)
    (finding,) = found(RULE, scene)
    assert any("descriptor 7 writable" in text for text in finding.evidence)
    assert "disarm" in finding.advice


def test_at_the_deadline() -> None:
    loop = process(thread("", recent=0.99))
    assert len(found(RULE, case(loop, verdict=Verdict.TIMED_OUT, samples=busy(1.0)))) == 1
    # It prints or reads while it works; or it was busy only now and then.
    assert not found(RULE, case(loop, verdict=Verdict.TIMED_OUT, samples=busy(1.0, output=10)))
    assert not found(RULE, case(loop, verdict=Verdict.TIMED_OUT, samples=busy(1.0, io=10)))
    assert not found(RULE, case(loop, verdict=Verdict.TIMED_OUT, samples=busy(0.2)))
    assert not found(RULE, case(loop, verdict=Verdict.STALLED, samples=busy(1.0)))
