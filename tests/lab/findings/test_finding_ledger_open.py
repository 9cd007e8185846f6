"""The rule ledger-open."""

from __future__ import annotations

from mungos.lab.facts import MungosFacts
from mungos.lab.findings.rules.ledger_open import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    thread,
)


def test_what_it_says_itself() -> None:
    said = MungosFacts(
        1, ("connection 3, open for 61 s",), ("127.0.0.1:80 HTTP, waits for a response",), ("closed 2",)
    )
    (finding,) = found(RULE, case(process(thread("epoll_wait", 5), mungos=said)))
    assert finding.waits_for == "connection 3, open for 61 s"


def test_near_misses() -> None:
    assert not found(
        RULE, case(process(thread("epoll_wait", 5), mungos=MungosFacts(1, (), (), ("closed 2",))))
    )
    assert not found(RULE, case(process(thread("epoll_wait", 5))))
    said = MungosFacts(1, ("connection 3",), (), ())
    assert not found(RULE, case(process(thread("epoll_wait", 5), mungos=said), verdict=Verdict.FAILED))
