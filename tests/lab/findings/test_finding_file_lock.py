"""The rule file-lock."""

from __future__ import annotations

from mungos.lab.findings.rules.file_lock import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    plain,
    process,
    thread,
)


def test_locks_of_another_and_of_oneself() -> None:
    waits = process(thread("flock", 3, 2), descriptors=[plain(3, target="/tmp/lock")])
    holder = process(thread("pause", tid=200), pid=200, descriptors=[plain(5, target="/tmp/lock")])
    (finding,) = found(RULE, case(waits, holder))
    assert "somebody else" in finding.title
    assert any("200" in text for text in finding.evidence)
    twice = process(
        thread("fcntl", 3, 7), descriptors=[plain(3, target="/tmp/lock"), plain(4, target="/tmp/lock")]
    )
    (finding,) = found(RULE, case(twice))
    assert "holds itself" in finding.title


def test_near_misses() -> None:
    held = [plain(3, target="/tmp/lock")]
    assert not found(RULE, case(process(thread("fcntl", 3, 6), descriptors=held)))  # F_SETLK does not wait
    assert not found(RULE, case(process(thread("read", 3), descriptors=held)))
    assert not found(RULE, case(process(thread("flock", 3, 2), descriptors=held), verdict=Verdict.PASSED))
