"""The rule end-held-by-oneself."""

from __future__ import annotations

from mungos.lab.findings.rules.end_held_by_oneself import RULE
from tests.lab.findings.scenes import (
    case,
    epoll,
    found,
    pipe,
    process,
    thread,
    unix_pair,
)


def test_a_pipe_whose_writer_is_the_reader() -> None:
    (finding,) = found(RULE, case(process(thread("read", 3), descriptors=pipe(3, 4))))
    assert "descriptor 4" in finding.title
    assert finding.certainty == "certain"
    assert (
        len(found(RULE, case(process(thread("recvfrom", 3), descriptors=unix_pair((100, 3), (100, 4)))))) == 1
    )


def test_near_misses() -> None:
    reading, writing = pipe(3, 4)
    other = process(thread("pause", tid=200), pid=200, descriptors=[writing])
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading]), other))
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading, writing]), other))
    # Another thread of it may still write.
    assert not found(
        RULE, case(process(thread("read", 3), thread("", tid=101), descriptors=[reading, writing]))
    )
    # A loop's own wakeup pipe, waited for in epoll.
    loop = process(thread("epoll_wait", 5), descriptors=[reading, writing, epoll(5, (3, 1))])
    assert not found(RULE, case(loop))
