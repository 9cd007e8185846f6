"""The rule wait-cycle."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.wait_cycle import RULE
from tests.lab.findings.scenes import (
    case,
    epoll,
    found,
    listener,
    pipe,
    process,
    thread,
    unix_pair,
)


def test_both_read_from_each_other() -> None:
    near, far = unix_pair((100, 3), (200, 4))
    scene = case(
        process(thread("recvfrom", 3), descriptors=[near]),
        process(thread("recvfrom", 4, tid=200), pid=200, descriptors=[far]),
    )
    (finding,) = found(RULE, scene)
    assert "100" in finding.title
    assert "200" in finding.title
    assert len(finding.evidence) == 2


def test_a_ring_of_three_pipes() -> None:
    ends = [pipe(3, 4) for _ in range(3)]
    ring = [
        process(thread("read", 3, tid=pid), pid=pid, descriptors=[ends[at][0], ends[(at + 1) % 3][1]])
        for at, pid in enumerate((100, 200, 300))
    ]
    (finding,) = found(RULE, case(*ring))
    assert finding.title.count("->") == 3
    # One of them has a deadline, or somebody outside of the ring could write to it.
    timed = replace(ring[1], threads=(thread("poll", timeout=3.0, tid=200),))
    assert not found(RULE, case(ring[0], timed, ring[2]))
    helper = process(thread("pause", tid=400), pid=400, descriptors=[ends[0][1]])
    assert not found(RULE, case(*ring, helper))


def test_near_misses() -> None:
    near, far = unix_pair((100, 3), (200, 4))
    client = process(thread("recvfrom", 3), descriptors=[near])
    busy_one = process(thread("", tid=200), pid=200, descriptors=[far])
    assert not found(RULE, case(client, busy_one))
    two = process(thread("recvfrom", 4, tid=200), thread("", tid=201), pid=200, descriptors=[far])
    assert not found(RULE, case(client, two))
    served = process(
        thread("epoll_wait", 5, tid=200), pid=200, descriptors=[far, listener(6), epoll(5, (4, 1), (6, 1))]
    )
    assert not found(RULE, case(client, served))
