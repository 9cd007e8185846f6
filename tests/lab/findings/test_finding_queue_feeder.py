"""The rule queue-feeder."""

from __future__ import annotations

import pytest

from mungos.lab.findings.rules.queue_feeder import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)

FEEDER = (
    "Connection._send (multiprocessing/connection.py:384)\nQueue._feed (multiprocessing/queues.py:250)\n"
    + THREADED
    + BOOTSTRAP
)


@pytest.mark.parametrize(
    "main",
    [
        "Thread._wait_for_tstate_lock (threading.py:1139)\nThread.join (threading.py:1119)\n"
        "Queue._finalize_join (multiprocessing/queues.py:199)\n_exit_function (multiprocessing/util.py:360)",
        "Thread.join (threading.py:1092)\nQueue._finalize_join (multiprocessing/queues.py:217)\n"
        "_exit_function (multiprocessing/util.py:352)",
    ],
)
def test_the_feeder_cannot_write(main: str) -> None:
    stacks = [stack(main), stack(FEEDER, 101, "QueueFeederThread")]
    (finding,) = found(RULE, case(process(thread("futex"), thread("write", 4, tid=101), stacks=stacks)))
    assert "cancel_join_thread" in finding.advice


def test_near_misses() -> None:
    main = "Thread.join (threading.py:1092)\n<module> (a.py:3)"
    stacks = [stack(main), stack(FEEDER, 101, "QueueFeederThread")]
    assert not found(RULE, case(process(thread("futex"), thread("write", 4, tid=101), stacks=stacks)))
