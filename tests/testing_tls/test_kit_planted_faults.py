"""Each fault is found by the case that is meant for it, and by nothing where there is none."""

from __future__ import annotations

import os

import pytest

from mungos.testing.tls import Outcome, Verdict, run_cell
from mungos.testing.tls.running import cells
from mungos.testing.tls.stand import Role
from mungos.testing.tls.workers import run_cells
from tests.testing_tls.broken_engines import LeaksDescriptors

HERE = "tests.testing_tls.broken_engines:"

# The fault, the case and its cut, words that the verdict must contain.
FAULTS = [
    ("TRUNCATION_IS_CLEAN", "T63", "", "clean"),
    ("TRUNCATION_IS_CLEAN", "T46", "FIN", "clean"),
    ("TRUNCATION_IS_CLEAN_2", "T63", "", ""),
    ("ALERT_NOT_FLUSHED", "T45", "", "truncated"),
    ("ALERT_NOT_FLUSHED", "T77", "", ""),
    ("CLOSE_NOTIFY_FORGOTTEN", "T56", "", ""),
    ("CLOSE_NOTIFY_FORGOTTEN", "T60", "", "truncation"),
    ("WAITS_FOR_EVER", "T56", "", ""),
    ("WAITS_FOR_EVER", "T78", "", ""),
    ("SWALLOWS_AFTER_CLOSE", "T73", "", "what was in flight"),
    ("SWALLOWS_AFTER_CLOSE", "T57", "", ""),
    ("DATA_AFTER_BAD_TAG", "T45", "", "late"),
    ("DOUBLE_EVENTS", "T56", "", "PeerClosed after PeerClosed"),
    ("DOUBLE_EVENTS", "T68", "", "PeerClosed after PeerClosed"),
    ("SPINS", "T39", "", "spins"),
    ("HIDES_DATA", "T38", "", ""),
    ("KEEPS_BUFFERS", "T55", "", "after release"),
    ("DATA_AFTER_CLOSE_NOTIFY", "T66", "", "late"),
    ("OPENS_EARLY", "T10", "FIN", ""),
    ("WRITES_AFTER_CLOSE", "T74", "", "did not raise Closed"),
    ("NO_DEADLINE", "T01", "", ""),
]


def found(outcome: Outcome) -> str:
    """What a failed cell says."""
    assert outcome.verdict is Verdict.FAIL, outcome
    return f"{outcome.wanted} {outcome.reason}"


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(
    ("fault", "case", "cut", "words"), FAULTS, ids=[f"{fault.lower()}-{case}" for fault, case, *_ in FAULTS]
)
def test_fault_is_found(fault: str, case: str, cut: str, words: str, role: Role) -> None:
    assert words in found(run_cell(HERE + fault, case, role, cut))


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(
    ("case", "cut"), sorted({(case, cut) for _, case, cut, _ in FAULTS}), ids=lambda value: value or "whole"
)
def test_no_fault_is_found_where_there_is_none(case: str, cut: str, role: Role) -> None:
    outcome = run_cell(HERE + "SOUND", case, role, cut)
    assert outcome.verdict is Verdict.PASS, outcome


@pytest.mark.parametrize("role", ["client", "server"])
def test_leaked_descriptors_are_found(role: Role) -> None:
    try:
        assert "descriptors" in found(run_cell(HERE + "LEAKS_DESCRIPTORS", "T56", role))
    finally:
        while LeaksDescriptors.leaked:
            os.close(LeaksDescriptors.leaked.pop())


def test_a_crash_costs_its_cell_only() -> None:
    chosen = cells([HERE + "CRASHES"], ids=["T56", "T63", "T64"], roles=["client"])
    outcomes = {outcome.case: outcome for outcome in run_cells(chosen)}
    assert "died of SIGKILL" in found(outcomes["T56"])
    assert outcomes["T64"].verdict is Verdict.PASS


def test_a_call_that_never_returns_costs_its_cell_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mungos.testing.tls.workers.CELL_WITHIN", 1.0)
    chosen = cells([HERE + "SPINS_INSIDE"], ids=["T63", "T65"], roles=["server"])
    outcomes = {outcome.case: outcome for outcome in run_cells(chosen)}
    assert "hangs or spins" in found(outcomes["T65"])
    assert outcomes["T63"].verdict is Verdict.PASS
