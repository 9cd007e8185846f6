"""The rule lost-wakeup."""

from __future__ import annotations

import pytest

from mungos.lab.findings.rules.lost_wakeup import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    signals,
    stack,
    thread,
)


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ("Condition.wait (threading.py:327)\n<module> (a.py:4)", "Condition.wait"),
        ("Condition.wait (threading.py:355)\nEvent.wait (threading.py:655)\n<module> (a.py:4)", "Event.wait"),
        ("Condition.wait (threading.py:359)\nQueue.get (queue.py:202)\n<module> (a.py:4)", "Queue.get"),
        (
            "Condition.wait (threading.py:359)\nSemaphore.acquire (threading.py:507)\n<module> (a.py:4)",
            "Semaphore.acquire",
        ),
        (
            "wait (/usr/lib/python3.11/threading.py:327)\n"
            "wait_for (/usr/lib/python3.11/threading.py:358)\nf (a.py:4)",
            "wait_for",
        ),
    ],
)
def test_nobody_is_left_to_notify(frames: str, what: str) -> None:
    (finding,) = found(RULE, case(process(thread("futex"), stacks=[stack(frames)])))
    assert finding.waits_for == what
    assert finding.certainty == "certain"


def test_in_c() -> None:
    (finding,) = found(RULE, case(process(thread("futex", 0x10, 393, 0))))
    assert finding.certainty == "likely"
    assert len(found(RULE, case(process(thread("pause"), signals=signals(caught=[17]))))) == 1


def test_near_misses() -> None:
    waits = stack("Condition.wait (threading.py:327)\n<module> (a.py:4)")
    # Somebody still runs, or wakes by time.
    assert not found(RULE, case(process(thread("futex"), thread("", tid=101), stacks=[waits])))
    assert not found(
        RULE, case(process(thread("futex"), thread("poll", timeout=1.0, tid=101), stacks=[waits]))
    )
    assert not found(RULE, case(process(thread("futex", timeout=3.0), stacks=[waits])))
    # An idle worker; a join; a plain lock.
    for frames in (
        "_worker (concurrent/futures/thread.py:81)\n" + THREADED + BOOTSTRAP,
        "Condition.wait (threading.py:327)\nQueue._feed (multiprocessing/queues.py:231)\n"
        + THREADED
        + BOOTSTRAP,
        "Thread.join (threading.py:1092)\n<module> (a.py:4)",
        "_RLock.acquire (threading.py:180)\n<module> (a.py:4)",
    ):
        assert not found(RULE, case(process(thread("futex"), stacks=[stack(frames)]))), frames
    # A mutex and a join in C; pause() of a program without any handler.
    assert not found(RULE, case(process(thread("futex", 0x10, 128, 2))))
    joins = thread("futex", 0x10, 265, 101, described="futex 0x10 (a join: the end of thread 101 (b))")
    assert not found(RULE, case(process(joins)))
    assert not found(RULE, case(process(thread("pause"))))
