"""The rule blocked-loop."""

from __future__ import annotations

from mungos.lab.findings.rules.blocked_loop import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    stack,
    thread,
)

LOOP = (
    "Handle._run (asyncio/events.py:80)\nBaseEventLoop._run_once (asyncio/base_events.py:1922)\n"
    "BaseEventLoop.run_forever (asyncio/base_events.py:607)\nRunner.run "
    "(asyncio/runners.py:118)\n<module> (a.py:5)"
)


def test_a_blocking_call_in_a_coroutine() -> None:
    (finding,) = found(RULE, case(process(thread("recvfrom", 3), stacks=[stack("main (a.py:4)\n" + LOOP)])))
    assert "main (a.py:4)" in finding.title
    assert (
        len(
            found(
                RULE,
                case(process(thread("nanosleep", timeout=90.0), stacks=[stack("main (a.py:4)\n" + LOOP)])),
            )
        )
        == 1
    )


def test_near_misses() -> None:
    idle = (
        "EpollSelector.select (selectors.py:468)\nBaseEventLoop._run_once (asyncio/base_events.py:1884)\n"
        "BaseEventLoop.run_forever (asyncio/base_events.py:607)\n<module> (a.py:5)"
    )
    assert not found(RULE, case(process(thread("epoll_wait", 5), stacks=[stack(idle)])))
    assert not found(
        RULE, case(process(thread("recvfrom", 3), stacks=[stack("main (a.py:4)\n<module> (a.py:5)")]))
    )
    assert not found(RULE, case(process(thread(""), stacks=[stack("main (a.py:4)\n" + LOOP)])))
