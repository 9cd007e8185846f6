"""The rule fork-with-lock."""

from __future__ import annotations

from mungos.lab.findings import Case
from mungos.lab.findings.rules.fork_with_lock import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    stack,
    thread,
)


def scene(*, others: int = 2, threads: int = 1, command: str = "./program", text: str = "") -> Case:
    parent = process(*(thread("futex", tid=100 + at) for at in range(others)), pid=100)
    frames = text or "Handler.acquire (logging/__init__.py:912)\nwork (a.py:3)\n<module> (a.py:9)"
    child = process(
        *(thread("futex", tid=200 + at) for at in range(threads)),
        pid=200, parent=100, command=command, stacks=[stack(frames, 200)],
    )  # fmt: skip
    return case(parent, child)


def test_a_child_of_a_threaded_parent() -> None:
    (finding,) = found(RULE, scene())
    assert finding.pid == 200


def test_near_misses() -> None:
    assert not found(RULE, scene(others=1))
    assert not found(RULE, scene(threads=2))
    assert not found(RULE, scene(command="sleep 1000"))
    event = "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\n<module> (a.py:9)"
    assert not found(RULE, scene(text=event))
