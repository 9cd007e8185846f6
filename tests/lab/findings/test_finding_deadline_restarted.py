"""The rule deadline-restarted."""

from __future__ import annotations

from mungos.lab.findings import Case
from mungos.lab.findings.rules.deadline_restarted import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    busy,
    case,
    found,
    listener,
    process,
    thread,
    unix_pair,
)


def scene(
    *, io: int = 30, timeout: float = 0.4, verdict: Verdict = Verdict.TIMED_OUT, number: int = 3
) -> Case:
    near, far = unix_pair((100, 3), (200, 4))
    told = f"poll on socket {number} (ESTABLISHED, nothing unread), not ready"
    reader = process(thread("poll", timeout=timeout, described=told), descriptors=[near, listener(8)])
    writer = process(thread("clock_nanosleep", timeout=0.02, tid=200), pid=200, descriptors=[far])
    return case(reader, writer, verdict=verdict, samples=busy(0.02, io=io))


def test_a_trickle_restarts_it() -> None:
    (finding,) = found(RULE, scene())
    assert "0.4 s" in finding.title
    assert finding.pid == 100


def test_near_misses() -> None:
    assert not found(RULE, scene(io=0))
    assert not found(RULE, scene(io=10_000_000))
    assert not found(RULE, scene(timeout=45.0))
    assert not found(RULE, scene(verdict=Verdict.STALLED))
    assert not found(RULE, scene(number=8))
