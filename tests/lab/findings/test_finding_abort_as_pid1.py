"""The rule abort-as-pid1."""

from __future__ import annotations

from mungos.lab.findings.rules.abort_as_pid1 import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    signals,
    stack,
    thread,
)

ALL_BUT_ABORT = [number for number in range(1, 32) if number not in (6, 9, 19)]


def test_an_emulated_program_that_waits_for_its_own_abort() -> None:
    masked = signals(blocked=ALL_BUT_ABORT, caught=[11])
    scene = case(process(thread("rt_sigsuspend"), inner=1, emulated="s390x", signals=masked))
    (finding,) = found(RULE, scene)
    assert finding.certainty == "certain"
    assert "SIGABRT" in finding.title
    assert "--init" in finding.advice
    assert any("s390x" in text for text in finding.evidence)


def test_a_native_program_that_cannot_be_woken_by_any_signal() -> None:
    (finding,) = found(RULE, case(process(thread("pause"), inner=1)))
    assert finding.certainty == "likely"


def test_a_native_program_that_runs_on_behind_its_abort() -> None:
    trace = stack("raise (libc.so.6:1)\nabort (libc.so.6:1)\nmain (a.c:3)", language="native")
    (finding,) = found(RULE, case(process(thread(""), inner=1, stacks=[trace]), verdict=Verdict.SPINNING))
    assert finding.certainty == "certain"


def test_near_misses() -> None:
    masked = signals(blocked=ALL_BUT_ABORT, caught=[11])
    # Not process 1.
    assert not found(RULE, case(process(thread("rt_sigsuspend"), inner=2, emulated="s390x", signals=masked)))
    # An init that waits for its signals.
    waiting = signals(caught=[15, 17], blocked=[10])
    assert not found(RULE, case(process(thread("rt_sigsuspend"), inner=1, signals=waiting)))
    assert not found(RULE, case(process(thread("rt_sigsuspend"), inner=1, emulated="s390x", signals=waiting)))
    # It waits for something else, or it ended.
    assert not found(RULE, case(process(thread("read", 3), inner=1, emulated="s390x", signals=masked)))
    over = case(process(thread("pause"), inner=1), verdict=Verdict.LEAKED)
    assert not found(RULE, over)
