"""The rule pool-never-ends."""

from __future__ import annotations

import pytest

from mungos.lab.findings.rules.pool_never_ends import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    stack,
    thread,
)

JOIN = "Thread.join (threading.py:1092)\nPool.join (multiprocessing/pool.py:665)\n<module> (a.py:4)"
EXIT = (
    "Popen.poll (multiprocessing/popen_fork.py:27)\nPopen.wait (multiprocessing/popen_fork.py:43)\n"
    "BaseProcess.join (multiprocessing/process.py:149)\n_exit_function (multiprocessing/util.py:357)"
)


@pytest.mark.parametrize("main", [JOIN, EXIT])
def test_workers_that_do_not_end(main: str) -> None:
    child = process(thread("futex", tid=200), pid=200, parent=100)
    (finding,) = found(RULE, case(process(thread("futex"), stacks=[stack(main)]), child))
    assert finding.waits_for == "process 200"


def test_near_misses() -> None:
    child = process(thread("futex", tid=200), pid=200, parent=100)
    assert not found(RULE, case(process(thread("futex"), stacks=[stack(JOIN)])))
    plain_join = "BaseProcess.join (multiprocessing/process.py:149)\n<module> (a.py:4)"
    assert not found(
        RULE, case(process(thread("wait4"), stacks=[stack(plain_join)]), child)
    )  # see waits-on-child
