"""The rule lock-by-oneself."""

from __future__ import annotations

from pathlib import Path

from mungos.lab.findings.rules.lock_by_oneself import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    stack,
    thread,
)


def test_a_lock_taken_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.py"
    path.write_text(
        "def outer():\n    with lock:\n        inner()\n\n\ndef inner():\n    with lock:\n        pass\n"
    )
    frames = f"inner ({path}:7)\nouter ({path}:3)\n<module> ({path}:11)"
    (finding,) = found(RULE, case(process(thread("futex"), stacks=[stack(frames)])))
    assert "lock" in finding.title
    # It runs, or inner() is called from somewhere that does not hold it.
    assert not found(RULE, case(process(thread(""), stacks=[stack(frames)])))
    elsewhere = f"inner ({path}:7)\n<module> ({path}:11)"
    assert not found(RULE, case(process(thread("futex"), stacks=[stack(elsewhere)])))


def test_a_condition_is_given_back_while_it_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "condition.py"
    path.write_text("def wait():\n    with changed:\n        changed.wait()\n")
    frames = f"Condition.wait (/usr/lib/python3.11/threading.py:327)\nwait ({path}:3)\n<module> ({path}:9)"
    assert not found(RULE, case(process(thread("futex"), stacks=[stack(frames)])))


def test_a_mutex_of_c() -> None:
    own = thread("futex", 0x10, 128, 2, described="futex 0x10 (a lock held by itself)")
    assert len(found(RULE, case(process(own)))) == 1
    other = thread("futex", 0x10, 128, 2, described="futex 0x10 (a lock held by thread 101 (b))")
    assert not found(RULE, case(process(other)))
