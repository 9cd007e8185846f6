"""The rule zombie-unreaped."""

from __future__ import annotations

from mungos.lab.findings.rules.zombie_unreaped import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    thread,
)


def test_children_that_nobody_asked_for() -> None:
    (finding,) = found(RULE, case(process(thread("nanosleep", timeout=0.1), zombies=[200, 201])))
    assert finding.title.startswith("2 children ended")
    (finding,) = found(RULE, case(process(thread("pause"), inner=1, zombies=[200])))
    assert "process 1" in finding.title


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("wait4"))))
    assert not found(RULE, case(process(thread("pause"), zombies=[200]), verdict=Verdict.LEAKED))
