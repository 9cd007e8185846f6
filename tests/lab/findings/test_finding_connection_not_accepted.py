"""The rule connection-not-accepted."""

from __future__ import annotations

from mungos.lab.findings.rules.connection_not_accepted import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    epoll,
    found,
    listener,
    process,
    thread,
)


def test_a_backlog_that_nobody_takes() -> None:
    near, _ = connection(3, 4)
    client = process(thread("recvfrom", 3), descriptors=[near])
    server = process(thread("epoll_wait", 5, tid=200), pid=200, descriptors=[listener(6, 2), epoll(5)])
    (finding,) = found(RULE, case(client, server))
    assert finding.title.startswith("2 connections to 127.0.0.1:80")
    assert any("process 100" in text for text in finding.evidence)


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("epoll_wait", 5), descriptors=[listener(6), epoll(5)])))
    assert not found(RULE, case(process(thread("accept", 6), descriptors=[listener(6, 1)])))
    full = process(thread("pause"), descriptors=[listener(6, 1)], limit=1)
    assert not found(RULE, case(full))  # see accept-at-emfile
