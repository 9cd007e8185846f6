"""The rule uninterruptible."""

from __future__ import annotations

from mungos.lab.findings.rules.uninterruptible import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    thread,
)


def test_a_thread_in_state_d() -> None:
    (finding,) = found(RULE, case(process(thread("fsync", 3, state="D"))))
    assert "no signal" in finding.title
    (finding,) = found(RULE, case(process(thread("vfork", state="D"))))
    assert "vfork" in finding.title


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("fsync", 3))))
    assert not found(RULE, case(process(thread("fsync", 3, state="D", recent=0.4))))
    assert not found(RULE, case(process(thread("read", 3, state="D")), verdict=Verdict.SPINNING))
