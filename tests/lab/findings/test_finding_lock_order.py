"""The rule lock-order."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.lab.facts import Stack, Thread
from mungos.lab.findings.rules.lock_order import RULE
from tests.lab.findings.scenes import (
    BOOTSTRAP,
    THREADED,
    case,
    found,
    process,
    stack,
    thread,
)

SOURCE = """\
import threading
a, b = threading.Lock(), threading.Lock()


def one():
    with a:
        with b:
            pass


def two():
    with b:
        with a:
            pass


def three():
    with a:
        pass
    with b:
        pass
"""
FUTEX = 0x7F00


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(SOURCE)
    return str(path)


def run(program: str, *places: str) -> list[Stack]:
    return [
        stack(
            f"{place.split(':')[0]} ({program}:{place.split(':')[1]})\n" + THREADED + BOOTSTRAP,
            101 + at,
            f"T{at}",
        )
        for at, place in enumerate(places)
    ]


def threads(number: int = 2, *, timeout: float | None = None) -> list[Thread]:
    return [thread("futex", FUTEX, 128, 0, tid=101 + at, timeout=timeout) for at in range(number)]


def test_two_threads_in_opposite_order(program: str) -> None:
    scene = case(process(thread("futex"), *threads(), stacks=run(program, "one:7", "two:13")))
    (finding,) = found(RULE, scene)
    assert "T0 (101) -> T1 (102) -> T0 (101)" in finding.title
    assert any("holds a and waits for b" in text for text in finding.evidence)
    assert any("holds b and waits for a" in text for text in finding.evidence)


def test_near_misses_in_python(program: str) -> None:
    for places in (("one:7", "one:7"), ("one:6", "two:12"), ("three:18", "two:13"), ("three:20", "two:13")):
        scene = case(process(thread("futex"), *threads(), stacks=run(program, *places)))
        assert not found(RULE, scene), places
    # A lock that is waited for with a time-out.
    timed = case(process(*threads(timeout=1.0), stacks=run(program, "one:7", "two:13")))
    assert not found(RULE, timed)
    # The source is not there: nothing is made up.
    assert not found(RULE, case(process(*threads(), stacks=run("/gone/program.py", "one:7", "two:13"))))


def test_methods_name_the_same_lock_by_their_object(tmp_path: Path) -> None:
    path = tmp_path / "pair.py"
    path.write_text(
        "class A:\n    def left(self, other):\n        with self.lock:\n            with other.lock:\n   "
        "             pass\n"
    )
    text = "A.left ({}:4) | self=<A at 0x7f0{}>, other=<A at 0x7f0{}>\n"
    first = stack(text.format(path, 1, 2) + THREADED + BOOTSTRAP, 101, "T0")
    second = stack(text.format(path, 2, 1) + THREADED + BOOTSTRAP, 102, "T1")
    third = stack(text.format(path, 3, 2) + THREADED + BOOTSTRAP, 102, "T1")
    (finding,) = found(RULE, case(process(*threads(), stacks=[first, second])))
    assert finding.certainty == "certain"
    assert not found(RULE, case(process(*threads(), stacks=[first, third])))


def test_mutexes_of_c() -> None:
    one = thread("futex", 0x10, 128, 2, tid=101, described="futex 0x10 (a lock held by thread 102 (b))")
    two = thread("futex", 0x20, 128, 2, tid=102, described="futex 0x20 (a lock held by thread 101 (a))")
    (finding,) = found(RULE, case(process(thread("futex"), one, two)))
    assert finding.certainty == "certain"
    unknown = [thread("futex", 0x10 * at, 128, 2, tid=100 + at) for at in (1, 2)]
    (finding,) = found(RULE, case(process(thread("futex"), *unknown)))
    assert finding.certainty == "likely"


def test_near_misses_in_c() -> None:
    # Both wait for the same one, which a third holds.
    same = [thread("futex", 0x10, 128, 2, tid=tid) for tid in (101, 102)]
    assert not found(RULE, case(process(thread("read", 3), *same)))
    # Condition variables, not mutexes.
    waits = [thread("futex", 0x10 * at, 393, 0, tid=100 + at) for at in (1, 2)]
    assert not found(RULE, case(process(thread("futex"), *waits)))
    # Both owners are elsewhere.
    one = thread("futex", 0x10, 128, 2, tid=101, described="futex 0x10 (a lock held by thread 100 (m))")
    two = thread("futex", 0x20, 128, 2, tid=102, described="futex 0x20 (a lock held by thread 100 (m))")
    assert not found(RULE, case(process(thread("read", 3), one, two)))
