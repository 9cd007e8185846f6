"""The rule idle-server."""

from __future__ import annotations

from mungos.lab.findings.rules.idle_server import RULE
from tests.lab.findings.scenes import case, connection, epoll, found, listener, process, thread


def test_nobody_comes() -> None:
    (finding,) = found(RULE, case(process(thread("accept", 3), descriptors=[listener(3)])))
    assert "127.0.0.1:80" in finding.title
    assert "--idle-ok" in finding.advice
    loop = process(thread("epoll_wait", 5), descriptors=[listener(3), epoll(5, (3, 1))])
    assert len(found(RULE, case(loop))) == 1


def test_near_misses() -> None:
    near, far = connection(4, 6)
    # Somebody waits to be accepted; it has a deadline; it serves a connection; a client waits for it.
    assert not found(RULE, case(process(thread("accept", 3), descriptors=[listener(3, 1)])))
    assert not found(RULE, case(process(thread("poll", timeout=5.0), descriptors=[listener(3)])))
    loop = process(thread("epoll_wait", 5), descriptors=[listener(3), near, epoll(5, (3, 1), (4, 1))])
    assert not found(RULE, case(loop))
    client = process(thread("recvfrom", 6, tid=200), pid=200, descriptors=[far])
    assert not found(RULE, case(process(thread("accept", 3), descriptors=[listener(3), near]), client))
