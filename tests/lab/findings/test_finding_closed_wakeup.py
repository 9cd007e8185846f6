"""The rule closed-wakeup."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.closed_wakeup import RULE
from tests.lab.findings.scenes import (
    case,
    epoll,
    found,
    plain,
    process,
    thread,
)


def test_an_epoll_set_that_watches_nothing() -> None:
    (finding,) = found(RULE, case(process(thread("epoll_wait", 5), descriptors=[epoll(5)])))
    assert "nothing at all" in finding.title


def test_a_descriptor_closed_under_its_reader() -> None:
    (finding,) = found(RULE, case(process(thread("read", 7), descriptors=[plain(1)])))
    assert "descriptor 7 was closed" in finding.title


def test_a_notification_that_is_not_watched() -> None:
    held = [epoll(5, (3, 1)), plain(3, "socket"), plain(6, "eventfd", "anon_inode:[eventfd]", 1)]
    (finding,) = found(RULE, case(process(thread("epoll_wait", 5), descriptors=held)))
    assert finding.certainty == "likely"


def test_near_misses() -> None:
    watched = [epoll(5, (6, 1)), plain(6, "eventfd", "anon_inode:[eventfd]", 0)]
    assert not found(RULE, case(process(thread("epoll_wait", 5), descriptors=watched)))
    quiet = [epoll(5, (3, 1)), plain(3, "socket"), plain(6, "eventfd", "anon_inode:[eventfd]", 0)]
    assert not found(RULE, case(process(thread("epoll_wait", 5), descriptors=quiet)))
    # It sleeps by an empty set, but with a time-out.
    assert not found(RULE, case(process(thread("epoll_wait", 5, timeout=1.0), descriptors=[epoll(5)])))
    # Its descriptors could not be seen.
    assert not found(RULE, case(process(thread("read", 7))))


def test_what_is_known_by_name_only_proves_nothing() -> None:
    bare = replace(epoll(5), name_only=True)
    assert not found(RULE, case(process(thread("epoll_wait", 5), descriptors=[bare])))
    # The list of descriptors was cut short: number 7 may be open.
    scene = process(thread("read", 7), descriptors=[plain(3)])
    assert found(RULE, case(scene))
    assert not found(RULE, case(replace(scene, descriptors_open=5)))
