"""The rule end-held-by-oneself."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules import lost_wakeup
from mungos.lab.findings.rules.end_held_by_oneself import RULE
from tests.lab.findings.scenes import (
    case,
    epoll,
    found,
    pipe,
    process,
    signals,
    stack,
    thread,
    unix_pair,
)


def test_a_pipe_whose_writer_is_the_reader() -> None:
    (finding,) = found(RULE, case(process(thread("read", 3), descriptors=pipe(3, 4))))
    assert "descriptor 4" in finding.title
    assert finding.certainty == "certain"
    assert (
        len(found(RULE, case(process(thread("recvfrom", 3), descriptors=unix_pair((100, 3), (100, 4)))))) == 1
    )


def test_a_handler_might_write_to_it() -> None:
    (finding,) = found(
        RULE, case(process(thread("read", 3), descriptors=pipe(3, 4), signals=signals(caught=[15])))
    )
    assert finding.certainty == "likely"


def test_who_holds_it_is_not_known_for_certain() -> None:
    whole = process(thread("read", 3), descriptors=pipe(3, 4))
    (finding,) = found(RULE, case(replace(whole, descriptors_open=30)))
    assert finding.certainty == "likely"


def test_a_queue_has_no_end() -> None:
    frames = stack(
        "Connection._recv (multiprocessing/connection.py:395)\nQueue.get (multiprocessing/queues.py:103)"
    )
    scene = case(process(thread("read", 3), descriptors=pipe(3, 4), stacks=[frames]))
    assert not found(RULE, scene)
    (finding,) = found(lost_wakeup.RULE, scene)
    assert finding.certainty == "certain"
    assert finding.waits_for == "Queue.get"


def test_near_misses() -> None:
    reading, writing = pipe(3, 4)
    other = process(thread("pause", tid=200), pid=200, descriptors=[writing])
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading]), other))
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading, writing]), other))
    # Another thread of it may still write.
    assert not found(
        RULE, case(process(thread("read", 3), thread("", tid=101), descriptors=[reading, writing]))
    )
    # A loop's own wakeup pipe, waited for in epoll.
    loop = process(thread("epoll_wait", 5), descriptors=[reading, writing, epoll(5, (3, 1))])
    assert not found(RULE, case(loop))
