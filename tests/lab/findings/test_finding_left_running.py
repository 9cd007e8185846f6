"""The rule left-running."""

from __future__ import annotations

from mungos.lab.findings.rules.left_running import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    listener,
    plain,
    process,
    thread,
)


def test_a_process_that_holds_nothing() -> None:
    left = process(
        thread("nanosleep", timeout=1000.0), command="sleep 1000", orphan=True, descriptors=[plain(1)]
    )
    (finding,) = found(RULE, case(left, verdict=Verdict.LEAKED, status=0))
    assert "sleep 1000" in finding.who


def test_near_misses() -> None:
    left = process(thread("accept", 3), orphan=True, descriptors=[listener(3)])
    assert not found(RULE, case(left, verdict=Verdict.LEAKED, status=0))  # see orphan-holds
    assert not found(RULE, case(process(thread("pause"))))
