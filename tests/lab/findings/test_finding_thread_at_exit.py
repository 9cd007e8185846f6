"""The rule thread-at-exit."""

from __future__ import annotations

import pytest

from mungos.lab.findings.rules.thread_at_exit import RULE
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
    "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\nwork (a.py:3)\n" + THREADED + BOOTSTRAP
)


@pytest.mark.parametrize(
    "main",
    [
        "_shutdown (threading.py:1590)",  # 3.11
        "_shutdown (/usr/lib/python3.13/threading.py:1540)",
        "Thread._wait_for_tstate_lock (threading.py:1139)\n_shutdown (threading.py:1100)",
    ],
)
def test_a_thread_is_left(main: str) -> None:
    scene = case(
        process(
            thread("futex"),
            thread("futex", tid=101),
            stacks=[stack(main), stack(WORKER, 101, "worker-7")],
        )
    )
    (finding,) = found(RULE, scene)
    assert "worker-7" in finding.title
    assert any("work (a.py:3)" in text for text in finding.evidence)


def test_near_misses() -> None:
    for main in (
        "Thread.join (threading.py:1119)\n<module> (a.py:9)",
        # An executor's workers: another rule.
        "Thread.join (threading.py:1092)\n_python_exit (concurrent/futures/thread.py:31)\n_shutdown "
        "(threading.py:1534)",
        "_shutdown (app.py:5)\n<module> (app.py:9)",
    ):
        stacks = [stack(main), stack(WORKER, 101, "worker-7")]
        assert not found(RULE, case(process(thread("futex"), thread("futex", tid=101), stacks=stacks))), main
