"""The rule crashed."""

from __future__ import annotations

from mungos.lab.findings.rules.crashed import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    line,
)


def test_a_signal_ended_it() -> None:
    (finding,) = found(RULE, case(verdict=Verdict.FAILED, status=139, lines=[line("reading")]))
    assert finding.title == "SIGSEGV ended it"
    assert any("reading" in text for text in finding.evidence)


def test_near_misses() -> None:
    for status in (0, 1, 127, 128, 255, None):
        assert not found(RULE, case(verdict=Verdict.FAILED, status=status))
    assert not found(RULE, case(verdict=Verdict.PASSED, status=139))
