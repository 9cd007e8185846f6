"""Each planted bug gets its verdict and its explanation, its twin passes with nothing found: real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.lab.selftest import BUGS, Bug, Outcome, Task
from mungos.lab.selftest.outcome import faults
from mungos.lab.selftest.performing import Bench, perform
from mungos.lab.watch import run


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, time_factor: float) -> Bench:
    """A folder for compiled programs, and the lab."""
    folder: Path = tmp_path_factory.mktemp("teardown_bugs")
    return Bench(folder, run, time_factor)


def outcome_of(task: Task, bench: Bench) -> Outcome:
    outcome = perform(task, bench)
    if outcome.not_run:
        pytest.skip(outcome.not_run)
    return outcome


@pytest.mark.timeout(90)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_gets_its_verdict_and_its_finding(bug: Bug, bench: Bench) -> None:
    task = Task(bug, twin=False)
    outcome = outcome_of(task, bench)
    assert faults(task, outcome) == ""
    if bug.own_check and not bug.compiled:
        assert "check failed" in "\n".join(outcome.tail)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_clean_twin_passes_with_nothing_found(bug: Bug, bench: Bench) -> None:
    task = Task(bug, twin=True)
    assert faults(task, outcome_of(task, bench)) == ""
