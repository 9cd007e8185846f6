"""The rule waits-on-stdin."""

from __future__ import annotations

from mungos.lab.findings.rules.waits_on_stdin import RULE
from tests.lab.findings.scenes import (
    case,
    epoll,
    found,
    line,
    pipe,
    plain,
    process,
    thread,
)


def test_nobody_writes() -> None:
    keyboard, _ = pipe(0, 9)
    (finding,) = found(
        RULE, case(process(thread("read", 0), descriptors=[keyboard]), lines=[line("name? ", complete=False)])
    )
    assert any("prompt" in text for text in finding.evidence)
    terminal = plain(0, "terminal", "/dev/pts/0")
    assert len(found(RULE, case(process(thread("read", 0), descriptors=[terminal])))) == 1


def test_near_misses() -> None:
    reading, _ = pipe(3, 9)
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading])))
    keyboard, _ = pipe(0, 9)
    assert not found(RULE, case(process(thread("pause"), descriptors=[keyboard])))
    loop = process(thread("epoll_wait", 5), descriptors=[keyboard, reading, epoll(5, (0, 1), (3, 1))])
    assert not found(RULE, case(loop))
