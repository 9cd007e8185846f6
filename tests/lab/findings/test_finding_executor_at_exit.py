"""The rule executor-at-exit."""

from __future__ import annotations

import pytest

from mungos.lab.findings.rules.executor_at_exit import RULE
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


@pytest.mark.parametrize(
    "main",
    [
        "Thread._wait_for_tstate_lock (threading.py:1139)\nThread.join (threading.py:1119)\n"
        "_python_exit (concurrent/futures/thread.py:31)\n_shutdown (threading.py:1560)",
        "Thread.join (threading.py:1092)\n_python_exit (concurrent/futures/thread.py:31)\n"
        "_register_atexit.<locals>.<lambda> (threading.py:1505)\n_shutdown (threading.py:1534)",
    ],
)
def test_a_worker_does_not_end(main: str) -> None:
    stacks = [
        stack(main),
        stack(WORKER, 101, "ThreadPoolExecutor-0_0"),
        stack(IDLE, 102, "ThreadPoolExecutor-0_1"),
    ]
    threads = [thread("futex", tid=tid) for tid in (100, 101, 102)]
    (finding,) = found(RULE, case(process(*threads, stacks=stacks)))
    assert finding.waits_for == "the end of ThreadPoolExecutor-0_0"


def test_worker_processes() -> None:
    main = (
        "Thread.join (threading.py:1092)\n"
        "_python_exit (concurrent/futures/process.py:102)\n_shutdown (threading.py:1534)"
    )
    child = process(thread("futex", tid=200), pid=200, parent=100)
    (finding,) = found(RULE, case(process(thread("futex"), stacks=[stack(main)]), child))
    assert any("worker process 200" in text for text in finding.evidence)


def test_near_misses() -> None:
    for main in ("_shutdown (threading.py:1590)", "Thread.join (threading.py:1092)\n<module> (a.py:9)"):
        stacks = [stack(main), stack(WORKER, 101, "ThreadPoolExecutor-0_0")]
        assert not found(RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=stacks)))
