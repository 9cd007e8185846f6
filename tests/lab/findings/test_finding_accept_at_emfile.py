"""The rule accept-at-emfile."""

from __future__ import annotations

from mungos.lab.facts import Process
from mungos.lab.findings.rules.accept_at_emfile import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    listener,
    plain,
    process,
    thread,
)


def full(limit: int = 8, waiting: int = 3, used: int = 8) -> Process:
    held = [listener(3, waiting), *(plain(10 + at, "socket") for at in range(used - 1))]
    return process(thread("accept4", 3), descriptors=held, limit=limit)


def test_no_descriptor_is_left() -> None:
    for verdict in (Verdict.SPINNING, Verdict.STALLED):
        (finding,) = found(RULE, case(full(), verdict=verdict))
        assert "8 of 8" in finding.title
        assert ("again and again" in finding.title) == (verdict is Verdict.SPINNING)


def test_near_misses() -> None:
    assert not found(RULE, case(full(waiting=0)))
    assert not found(RULE, case(full(limit=64)))
    assert not found(RULE, case(process(thread("accept", 3), descriptors=[listener(3, 2)], limit=None)))
