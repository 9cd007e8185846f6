"""The rule task-never-finishes."""

from __future__ import annotations

from mungos.lab.findings.rules.task_never_finishes import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)

RUN = (
    "EpollSelector.select (selectors.py:468)\nBaseEventLoop._run_once (asyncio/base_events.py:1884)\n"
    "BaseEventLoop.run_until_complete (asyncio/base_events.py:640)\n"
)
MAIN = RUN + "Runner.run (asyncio/runners.py:118)\n<module> (a.py:6)"
CANCEL = (
    RUN
    + "_cancel_all_tasks (asyncio/runners.py:201)\nRunner.close (asyncio/runners.py:71)\n<module> (a.py:8)"
)


def test_cancellation_swallowed() -> None:
    (finding,) = found(RULE, case(process(thread("epoll_wait", 5, timeout=3600.0), stacks=[stack(CANCEL)])))
    assert finding.certainty == "certain"
    assert "CancelledError" in finding.title


def test_a_task_that_never_ends() -> None:
    (finding,) = found(RULE, case(process(thread("epoll_wait", 5), stacks=[stack(MAIN)])))
    assert finding.certainty == "likely"


def test_near_misses() -> None:
    # A timer of the loop runs; a server's loop; a selector of the program's own.
    assert not found(RULE, case(process(thread("epoll_wait", 5, timeout=2.0), stacks=[stack(MAIN)])))
    server = (
        "EpollSelector.select (selectors.py:468)\nBaseEventLoop._run_once (asyncio/base_events.py:1884)\n"
        "BaseEventLoop.run_forever (asyncio/base_events.py:607)\n<module> (a.py:6)"
    )
    assert not found(RULE, case(process(thread("epoll_wait", 5), stacks=[stack(server)])))
    own = "EpollSelector.select (selectors.py:468)\n<module> (a.py:6)"
    assert not found(RULE, case(process(thread("epoll_wait", 5), stacks=[stack(own)])))
    # The default executor is being shut down: see executor-shutdown.
    helper = "BaseEventLoop._do_shutdown (asyncio/base_events.py:579)\n" + THREADED + BOOTSTRAP
    both = process(
        thread("epoll_wait", 5), thread("futex", tid=101), stacks=[stack(MAIN), stack(helper, 101)]
    )
    assert not found(RULE, case(both))
