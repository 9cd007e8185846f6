"""The rule executor-shutdown."""

from __future__ import annotations

from mungos.lab.findings.rules.executor_shutdown import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)

WORKER = (
    "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\n_WorkItem.run "
    "(concurrent/futures/thread.py:58)\n"
    "_worker (concurrent/futures/thread.py:83)\n" + THREADED + BOOTSTRAP
)
IDLE = "_worker (concurrent/futures/thread.py:81)\n" + THREADED + BOOTSTRAP


def test_the_with_block_of_an_executor() -> None:
    main = (
        "Thread.join (threading.py:1092)\nThreadPoolExecutor.shutdown (concurrent/futures/thread.py:238)\n"
        "Executor.__exit__ (concurrent/futures/_base.py:647)\n<module> (a.py:3)"
    )
    stacks = [stack(main), stack(WORKER, 101, "ThreadPoolExecutor-0_0")]
    (finding,) = found(RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=stacks)))
    assert "ThreadPoolExecutor-0_0" in finding.title


def test_the_end_of_asyncio_run() -> None:
    main = "EpollSelector.select (selectors.py:468)\nRunner.close (asyncio/runners.py:73)\n<module> (a.py:4)"
    helper = (
        "Thread.join (threading.py:1119)\nThreadPoolExecutor.shutdown (concurrent/futures/thread.py:235)\n"
        "BaseEventLoop._do_shutdown (asyncio/base_events.py:579)\n" + THREADED + BOOTSTRAP
    )
    stacks = [stack(main), stack(WORKER, 101, "asyncio_0"), stack(helper, 102, "Thread-1 (_do_shutdown)")]
    threads = [thread("epoll_wait", 5), thread("futex", tid=101), thread("futex", tid=102)]
    (finding,) = found(RULE, case(process(*threads, stacks=stacks)))
    assert finding.title.startswith("asyncio.run waits")


def test_near_misses() -> None:
    main = (
        "Condition.wait (threading.py:327)\n"
        "Future.result (concurrent/futures/_base.py:451)\n<module> (a.py:3)"
    )
    stacks = [stack(main), stack(WORKER, 101, "ThreadPoolExecutor-0_0")]
    assert not found(RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=stacks)))
