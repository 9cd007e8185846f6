"""The rule stopped-process."""

from __future__ import annotations

from mungos.lab.findings.rules.stopped_process import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    plain,
    process,
    signals,
    thread,
)


def test_stopped_and_traced() -> None:
    (finding,) = found(RULE, case(process(thread("read", 3), state="T")))
    assert finding.waits_for == "SIGCONT"
    (finding,) = found(RULE, case(process(thread("read", 3), state="t")))
    assert any("tracer" in text for text in finding.evidence)
    terminal = plain(0, "terminal", "/dev/pts/1")
    reads = process(thread("read", 0), state="T", descriptors=[terminal], signals=signals(pending=[21]))
    assert any("SIGTTIN" in text for text in found(RULE, case(reads))[0].evidence)


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("read", 3), state="S")))
    assert not found(RULE, case(process(thread("read", 3), state="Z")))
    assert not found(RULE, case(process(thread("read", 3), state="T"), verdict=Verdict.LEAKED))
