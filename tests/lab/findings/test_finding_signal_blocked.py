"""The rule signal-blocked."""

from __future__ import annotations

from mungos.lab.findings.rules.signal_blocked import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    signals,
    thread,
)


def test_a_pending_signal_that_is_blocked() -> None:
    scene = case(process(thread("read", 3), signals=signals(pending=[15], blocked=[2, 15])))
    (finding,) = found(RULE, scene)
    assert finding.title.startswith("SIGTERM is pending")


def test_near_misses() -> None:
    for state in (
        signals(pending=[15], blocked=[2]),
        signals(blocked=[15]),
        signals(pending=[23, 28], blocked=[23, 28]),
        signals(pending=[17], blocked=[17]),
    ):
        assert not found(RULE, case(process(thread("read", 3), signals=state))), state
    waits = signals(pending=[17], blocked=[17], caught=[17])
    assert len(found(RULE, case(process(thread("pause"), signals=waits, zombies=[300])))) == 1
