"""The rule self-join."""

from __future__ import annotations

from mungos.lab.findings.rules.self_join import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)

POOL = (
    "Condition.wait (threading.py:327)\nFuture.result (concurrent/futures/_base.py:451)\nouter (a.py:3)\n"
    "_WorkItem.run (concurrent/futures/thread.py:58)\n_worker (concurrent/futures/thread.py:83)\n"
    + THREADED
    + BOOTSTRAP
)
IDLE = "_worker (concurrent/futures/thread.py:90)\n" + THREADED + BOOTSTRAP
LOOP = (
    "Handle._run (asyncio/events.py:80)\nBaseEventLoop._run_once (asyncio/base_events.py:1922)\n"
    "BaseEventLoop.run_forever (asyncio/base_events.py:607)\nrun (a.py:5)\n" + THREADED + BOOTSTRAP
)
JOINS = "Thread.join (threading.py:1119)\n<module> (a.py:8)"


def test_a_pools_worker_waits_for_its_own_pool() -> None:
    scene = case(
        process(
            thread("futex"),
            thread("futex", tid=101),
            stacks=[stack(JOINS), stack(POOL, 101, "ThreadPoolExecutor-0_0")],
        )
    )
    (finding,) = found(RULE, scene)
    assert finding.certainty == "certain"
    assert "only worker" in finding.title


def test_the_loops_thread_waits_for_its_loop() -> None:
    waits = "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\nstop (a.py:7)\n" + LOOP
    scene = case(
        process(thread("futex"), thread("futex", tid=101), stacks=[stack(JOINS), stack(waits, 101, "loop")])
    )
    (finding,) = found(RULE, scene)
    assert finding.certainty == "likely"
    future = (
        "Condition.wait (threading.py:327)\nFuture.result (concurrent/futures/_base.py:451)\nstop (a.py:7)\n"
        + LOOP
    )
    scene = case(
        process(thread("futex"), thread("futex", tid=101), stacks=[stack(JOINS), stack(future, 101, "loop")])
    )
    (finding,) = found(RULE, scene)
    assert finding.certainty == "certain"


def test_a_thread_joins_itself() -> None:
    text = (
        "Thread.join (threading.py:1092) | self=<Thread at 0x7f01>\nclose (a.py:4)\n" + THREADED + BOOTSTRAP
    )
    own = stack(text + " | self=<Thread at 0x7f01>", 101, "loop")
    (finding,) = found(
        RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=[stack(JOINS), own]))
    )
    assert finding.title.startswith("A thread joins itself")
    other = stack(text + " | self=<Thread at 0x7f02>", 101, "loop")
    running = process(thread(""), thread("futex", tid=101), stacks=[stack("work (a.py:1)"), other])
    assert not found(RULE, case(running))


def test_a_thread_waits_inside_its_own_stop() -> None:
    text = (
        "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\n"
        "Client.stop (a.py:7)\nClient.run (a.py:3)\n"
    )
    own = stack(text + THREADED + BOOTSTRAP, 101, "client")
    assert (
        len(found(RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=[stack(JOINS), own]))))
        == 1
    )
    named = text.replace("stop", "consume")
    other = stack(named + THREADED + BOOTSTRAP, 101, "client")
    assert not found(
        RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=[stack(JOINS), other]))
    )


def test_near_misses() -> None:
    pair = (thread("futex"), thread("futex", tid=101), thread("futex", tid=102))
    # Another worker is free to do it.
    stacks = [
        stack(JOINS),
        stack(POOL, 101, "ThreadPoolExecutor-0_0"),
        stack(IDLE, 102, "ThreadPoolExecutor-0_1"),
    ]
    assert not found(RULE, case(process(*pair, stacks=stacks)))
    # Its future is of another pool, which has a free worker of its own: workers of two pools.
    stacks = [
        stack(JOINS),
        stack(IDLE, 101, "ThreadPoolExecutor-0_0"),
        stack(POOL, 102, "ThreadPoolExecutor-1_0"),
    ]
    assert [f.rule for f in found(RULE, case(process(*pair, stacks=stacks)))] == ["self-join"]
    # The main thread waits for a future, which is how it should be.
    main = (
        "Condition.wait (threading.py:327)\n"
        "Future.result (concurrent/futures/_base.py:451)\n<module> (a.py:4)"
    )
    assert not found(
        RULE, case(process(*pair[:2], stacks=[stack(main), stack(IDLE, 101, "ThreadPoolExecutor-0_0")]))
    )
    # The loop's callback waits for an event that another, living thread will set.
    waits = "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\nstop (a.py:7)\n" + LOOP
    living = process(
        thread("poll", timeout=1.0), thread("futex", tid=101), stacks=[stack(waits, 101, "loop")]
    )
    assert not found(RULE, case(living))
