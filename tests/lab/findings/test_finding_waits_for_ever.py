"""The rule waits-for-ever."""

from __future__ import annotations

from mungos.lab.findings import explain
from mungos.lab.findings.rules.waits_for_ever import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    thread,
)


def test_where_the_last_one_stands() -> None:
    parent = process(thread("wait4"))
    child = process(thread("msgrcv", 3, tid=200), pid=200, parent=100)
    (finding,) = found(RULE, case(parent, child))
    assert finding.pid == 200
    assert finding.certainty == "likely"


def test_only_when_nothing_else_is_known() -> None:
    unknown = process(thread("msgrcv", 3))
    assert "waits-for-ever" in [finding.rule for finding in explain(case(unknown))]
    sleeps = process(thread("clock_nanosleep", timeout=1000.0))
    assert "waits-for-ever" not in [finding.rule for finding in explain(case(sleeps))]
    assert not found(RULE, case(unknown, verdict=Verdict.FAILED))
