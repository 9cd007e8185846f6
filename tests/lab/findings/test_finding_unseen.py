"""Programs that nobody had in mind when the rules were made: what is said of them has to be true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mungos.lab.facts import EpollEntry, Thread
from mungos.lab.findings.rules import (
    closed_wakeup,
    crashed,
    fork_with_lock,
    idle_server,
    long_sleep,
    lost_wakeup,
    polls_in_vain,
    self_join,
)
from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import case, epoll, found, listener, plain, process, stack, thread, unix_pair


def joining(tid: int, other: int) -> Thread:
    made = thread(
        "futex", 0x10, 265, other, tid=tid, described=f"futex (a join: the end of thread {other} (x))"
    )
    assert made.call is not None
    return replace(made, call=replace(made.call, holder=other))


def test_threads_in_c_that_join_each_other() -> None:
    (finding,) = found(self_join.RULE, case(process(joining(100, 101), joining(101, 100))))
    assert finding.title == "Threads join each other in a ring: 100 and 101"
    assert finding.certainty == "certain"
    assert not found(self_join.RULE, case(process(joining(100, 101), thread("read", 3, tid=101))))


def test_a_server_shut_down_by_its_own_handler() -> None:
    frames = stack(
        "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\n"
        "BaseServer.shutdown (socketserver.py:253)\nH.handle (a.py:3)\n"
        "BaseServer.serve_forever (socketserver.py:238)\n<module> (a.py:6)"
    )
    (finding,) = found(self_join.RULE, case(process(thread("futex"), stacks=[frames])))
    assert "serve_forever" in finding.title


def test_what_is_polled_was_closed() -> None:
    waits = thread("pselect6")
    assert waits.call is not None
    waits = replace(waits, call=replace(waits.call, polled=(EpollEntry(3, 1),)))
    (finding,) = found(closed_wakeup.RULE, case(process(waits, descriptors=[plain(1)])))
    assert "descriptor 3" in finding.title
    assert not found(closed_wakeup.RULE, case(process(waits, descriptors=[plain(3)])))


def test_a_pool_of_helpers_beside_a_loop_lacks_no_wakeup() -> None:
    loop = thread("epoll_wait", 5)
    helper = thread("futex", 0x10, 393, 0, tid=101)
    descriptors = [listener(4), epoll(5, (4, 1))]
    assert not found(lost_wakeup.RULE, case(process(loop, helper, descriptors=descriptors)))
    # When the main thread waits for a wakeup as well, nobody is left.
    assert found(lost_wakeup.RULE, case(process(thread("futex", 0x10, 393, 0), helper)))


def test_a_time_out_shorter_than_the_clock_is_not_called_longer() -> None:
    order = Order(("./program",), stall=60.0)
    (finding,) = found(long_sleep.RULE, case(process(thread("clock_nanosleep", timeout=45.0)), order=order))
    assert "longer" not in finding.title
    assert finding.certainty == "likely"
    (finding,) = found(long_sleep.RULE, case(process(thread("clock_nanosleep", timeout=600.0)), order=order))
    assert finding.title == "It sleeps for 600 s: longer than the lab's clock"
    assert finding.certainty == "certain"
    helper = thread("futex", timeout=600.0, tid=101)
    (finding,) = found(long_sleep.RULE, case(process(thread("read", 3), helper), order=order))
    assert finding.certainty == "likely"
    short = thread("futex", timeout=3.7, tid=101)
    assert not found(long_sleep.RULE, case(process(thread("read", 3), short), order=Order(("a",), stall=1.0)))


def test_the_rest_of_a_pause_is_not_the_pause() -> None:
    (finding,) = found(polls_in_vain.RULE, case(process(thread("clock_nanosleep", timeout=0.0078123))))
    assert "wakes again and again" in finding.title
    (finding,) = found(polls_in_vain.RULE, case(process(thread("poll", timeout=0.25))))
    assert "wakes every 0.25 s" in finding.title


def test_the_thread_that_held_the_lock_at_the_fork_has_ended_since(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("import os\nlock = make()\npid = os.fork()\nwith lock:\n    pass\n")
    frames = stack(f"<module> ({path}:4)", tid=200)
    child = process(thread("futex", tid=200), pid=200, parent=100, stacks=[frames])
    parent = process(thread("wait4"), stacks=[stack(f"<module> ({path}:3)")])
    (finding,) = found(fork_with_lock.RULE, case(parent, child))
    assert finding.certainty == "likely"
    assert finding.pid == 200
    path.write_text("import os\nlock = make()\npid = os.spoon()\nwith lock:\n    pass  # again\n")
    assert not found(fork_with_lock.RULE, case(parent, child))


def test_a_server_that_looks_now_and_then_whether_it_is_to_stop() -> None:
    loop = thread("epoll_wait", 5, timeout=0.5)
    scene = case(process(loop, descriptors=[listener(4), epoll(5, (4, 1))]), verdict=Verdict.TIMED_OUT)
    (finding,) = found(idle_server.RULE, scene)
    assert "127.0.0.1:80" in finding.title
    assert not found(polls_in_vain.RULE, scene)
    assert not found(long_sleep.RULE, replace(scene, order=Order(("./program",), stall=0.8)))


def test_an_abort_of_process_1_that_ended_in_a_fault() -> None:
    order = Order(("./program",), pid1=True)
    (finding,) = found(crashed.RULE, case(verdict=Verdict.FAILED, status=139, order=order))
    assert any("abort()" in text for text in finding.evidence)
    (finding,) = found(crashed.RULE, case(verdict=Verdict.FAILED, status=139))
    assert not any("abort()" in text for text in finding.evidence)


def test_workers_of_a_server_that_share_a_channel() -> None:
    near, far = unix_pair((100, 7), (200, 8))
    one = process(thread("epoll_wait", 5), descriptors=[listener(4), near, epoll(5, (4, 1), (7, 1))])
    two = process(
        thread("epoll_wait", 5, tid=200), pid=200, descriptors=[listener(4), far, epoll(5, (4, 1), (8, 1))]
    )
    assert [finding.pid for finding in found(idle_server.RULE, case(one, two))] == [100, 200]
    client = process(thread("recvfrom", 8, tid=200), pid=200, descriptors=[far])
    assert not found(idle_server.RULE, case(one, client))
