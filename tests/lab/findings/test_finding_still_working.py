"""The rule still-working."""

from __future__ import annotations

from mungos.lab.findings.rules.still_working import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    busy,
    case,
    found,
    line,
    process,
    thread,
)


def test_output_still_flowed() -> None:
    scene = case(
        process(thread("")),
        verdict=Verdict.TIMED_OUT,
        samples=busy(0.8, output=100),
        lines=[line("99 %", 59.0)],
    )
    (finding,) = found(RULE, scene)
    assert any("99 %" in text for text in finding.evidence)


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("")), verdict=Verdict.TIMED_OUT, samples=busy(0.8)))
    assert not found(RULE, case(process(thread("")), verdict=Verdict.TIMED_OUT))
    early = busy(0.8, output=100, until=30.0)
    assert not found(RULE, case(process(thread("")), verdict=Verdict.TIMED_OUT, samples=early))
    assert not found(RULE, case(process(thread("")), verdict=Verdict.STALLED, samples=busy(0.8, output=100)))
