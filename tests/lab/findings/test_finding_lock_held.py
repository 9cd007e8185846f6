"""The rule lock-held."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.lab.findings.rules.lock_held import RULE
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
class Connection:
    def read(self):
        with self.lock:
            return self.wire.recv(100)

    def close(self):
        with self.lock:
            self.wire.shutdown(2)

    def look(self):
        return self.wire.recv(100)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "held.py"
    path.write_text(SOURCE)
    return str(path)


def test_the_holder_waits_for_something_else(program: str) -> None:
    stacks = [
        stack(f"Connection.close ({program}:7)\n<module> ({program}:20)"),
        stack(f"Connection.read ({program}:4)\n" + THREADED + BOOTSTRAP, 101, "reader"),
    ]
    (finding,) = found(RULE, case(process(thread("futex"), thread("recvfrom", 3, tid=101), stacks=stacks)))
    assert "whose holder waits" in finding.title
    assert "thread 101 (reader)" in finding.waits_for


def test_nobody_is_seen_to_hold_it(program: str) -> None:
    stacks = [
        stack(f"Connection.close ({program}:7)\n<module> ({program}:20)"),
        stack(f"Connection.look ({program}:11)\n" + THREADED + BOOTSTRAP, 101, "reader"),
    ]
    (finding,) = found(RULE, case(process(thread("futex"), thread("recvfrom", 3, tid=101), stacks=stacks)))
    assert finding.certainty == "likely"
    assert "nobody is seen" in finding.title


def test_near_misses(program: str) -> None:
    # It is past its lock.
    stacks = [stack(f"Connection.close ({program}:8)\n<module> ({program}:20)")]
    assert not found(RULE, case(process(thread("futex"), stacks=stacks)))
    # Python's own library takes a lock for a moment.
    library = "Condition.wait (/usr/lib/python3.11/threading.py:327)\n<module> (/gone.py:1)"
    assert not found(RULE, case(process(thread("futex"), stacks=[stack(library)])))


def test_a_mutex_of_c() -> None:
    waits = thread("futex", 0x10, 128, 2, described="futex 0x10 (a lock held by thread 101 (b))")
    (finding,) = found(RULE, case(process(waits, thread("read", 3, tid=101))))
    assert "thread 101" in finding.waits_for
    assert not found(RULE, case(process(waits, thread("", tid=101))))
    assert not found(RULE, case(process(waits)))
