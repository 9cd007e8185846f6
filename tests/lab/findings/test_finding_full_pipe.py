"""The rule full-pipe."""

from __future__ import annotations

from mungos.lab.findings.rules.full_pipe import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    pipe,
    process,
    thread,
    unix_pair,
)


def test_a_child_writes_and_its_parent_waits_for_its_end() -> None:
    reading, writing = pipe(5, 1, unread=65536)
    parent = process(thread("wait4", 200), descriptors=[reading])
    child = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[writing])
    (finding,) = found(RULE, case(parent, child))
    assert finding.pid == 200
    assert "waits for the writer" in finding.title
    assert any("65536 of 65536" in text for text in finding.evidence)
    assert any(text.startswith("cycle: 200 -> 100 -> 200") for text in finding.evidence)


def test_it_could_only_be_read_by_the_writer() -> None:
    reading, writing = pipe(5, 6, unread=65536)
    (finding,) = found(RULE, case(process(thread("write", 6), descriptors=[reading, writing])))
    assert "only the writer itself" in finding.title


def test_both_ends_of_a_connection_write() -> None:
    near, far = unix_pair((100, 3), (200, 4))
    scene = case(
        process(thread("sendto", 3), descriptors=[near]),
        process(thread("sendto", 4, tid=200), pid=200, descriptors=[far]),
    )
    assert len(found(RULE, scene)) == 2


def test_near_misses() -> None:
    reading, writing = pipe(5, 1, unread=65536)
    child = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[writing])
    # It is being read; the reader is the lab; it is not full; it waits for something else.
    assert not found(RULE, case(process(thread("read", 5), descriptors=[reading]), child))
    assert not found(RULE, case(child))
    empty, filling = pipe(5, 1, unread=0)
    slow = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[filling])
    assert not found(RULE, case(process(thread("wait4"), descriptors=[empty]), slow))
    idle = process(thread("pause", tid=200), pid=200, parent=100, descriptors=[writing])
    assert not found(RULE, case(process(thread("wait4"), descriptors=[reading]), idle))
