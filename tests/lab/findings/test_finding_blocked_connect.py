"""The rule blocked-connect."""

from __future__ import annotations

from mungos.lab.findings.rules.blocked_connect import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    epoll,
    found,
    listener,
    process,
    thread,
)


def test_connect_without_a_timeout() -> None:
    near, _ = connection(3, 4, ("SYN_SENT", "CLOSE"), timer="retransmit in 3 s")
    (finding,) = found(RULE, case(process(thread("connect", 3), descriptors=[near, listener(5, 2)])))
    assert "127.0.0.1:80" in finding.title
    assert any("2 of 128" in text for text in finding.evidence)


def test_near_misses() -> None:
    near, _ = connection(3, 4, ("SYN_SENT", "CLOSE"))
    assert not found(RULE, case(process(thread("connect", 3, timeout=5.0), descriptors=[near])))
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[near])))
    done, _ = connection(3, 4)
    assert not found(RULE, case(process(thread("epoll_wait", 5), descriptors=[done, epoll(5, (3, 4))])))
    assert len(found(RULE, case(process(thread("epoll_wait", 5), descriptors=[near, epoll(5, (3, 4))])))) == 1
