"""The manager's own affairs: timers, calls from threads, hosts, signals, several in one thread."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from mungos import CloseKind, Connection, Limits, Manager, Timer, close_all
from mungos.errors import Closed, Misuse
from tests.cases.oracles import ended, no_residue, quiet
from tests.cases.test_cases_core_closing import opened
from tests.cases.tls_stand import Stand
from tests.cases.world import Notes, World


def test_timers_fire_in_order_and_not_early(world: World) -> None:
    manager = world.manager()
    fired: list[tuple[str, float]] = []
    began = world.now()
    for delay in (0.03, 0.01, 0.02, 0.0):
        manager.call_later(delay, lambda delay=delay: fired.append((f"{delay}", world.now() - began)))
    world.run(lambda: len(fired) == 4)
    assert [name for name, _ in fired] == ["0.0", "0.01", "0.02", "0.03"]
    assert all(at >= float(name) - 1e-9 for name, at in fired)
    no_residue(manager)


def test_timers_are_cancelled(world: World) -> None:
    manager = world.manager()
    fired: list[str] = []
    first = manager.call_later(0.01, fired.append, "first")
    second = manager.call_later(0.01, fired.append, "second")
    manager.call_later(0.005, second.cancel)
    assert second.pending
    assert manager.ledger.census()["timer"] == 3
    first.cancel()
    first.cancel()
    assert not first.pending
    manager.call_later(0.02, fired.append, "last")
    world.run(lambda: bool(fired))
    assert fired == ["last"]
    second.cancel()
    no_residue(manager)


def test_a_timer_cancels_itself_and_others_that_are_due(world: World) -> None:
    manager = world.manager()
    fired: list[str] = []
    timers: list[Timer] = []

    def one() -> None:
        fired.append("one")
        for timer in timers:
            timer.cancel()

    timers += [manager.call_later(0.01, one), manager.call_later(0.01, fired.append, "two")]
    world.sleep(0.05)
    assert fired == ["one"]
    no_residue(manager)


def test_timers_made_in_handlers_and_timers(world: World) -> None:
    fired: list[str] = []

    def answer(connection: Connection, _: object) -> None:
        connection.manager.call_later(0, lambda: connection.manager.call_later(0.01, fired.append, "inner"))

    notes = Notes(Opened=answer)
    opened(world, notes)
    world.run(lambda: fired == ["inner"])


def test_delays_that_make_no_sense(world: World) -> None:
    manager = world.manager()
    for delay in (-1.0, float("inf"), float("nan")):
        with pytest.raises(Misuse, match="delay"):
            manager.call_later(delay, print)
    no_residue(manager)


def test_timers_are_cancelled_by_a_close_and_counted(world: World) -> None:
    manager = world.manager()
    fired: list[str] = []
    timers = [manager.call_later(delay, fired.append, "never") for delay in (0.0, 100.0)]
    report = manager.close(1.0)
    assert report.ok
    assert report.cancelled_timers >= 1
    assert not any(timer.pending for timer in timers)
    with pytest.raises(Closed):
        manager.call_later(1, print)


def test_call_soon_from_threads_loses_nothing(world: World) -> None:
    manager = world.manager()
    got: list[tuple[int, int]] = []
    each, count = 500, 4

    def work(number: int) -> None:
        for turn in range(each):
            manager.call_soon(got.append, (number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    world.run(lambda: len(got) == each * count, 8.0)
    for thread in threads:
        thread.join()
    for number in range(count):
        assert [turn for which, turn in got if which == number] == list(range(each))
    world.turn()  # the last call may have been made before its thread came to wake the poller
    quiet(manager)


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_call_soon_wakes_a_waiting_poll(world: World) -> None:
    manager = world.manager()
    got: list[str] = []
    thread = threading.Thread(target=manager.call_soon, args=(got.append, "x"))
    began = world.now()
    thread.start()
    while not got:
        manager.poll(8)
    thread.join()
    assert world.now() - began < 5


def test_calls_made_by_calls_run_in_the_next_turn(world: World) -> None:
    manager = world.manager()
    turns: list[int] = []

    def again() -> None:
        turns.append(len(turns))
        manager.call_soon(again)

    manager.call_soon(again)
    for _ in range(3):
        manager.poll(0)
    assert turns == [0, 1, 2]
    manager.call_soon = lambda *_: None  # type: ignore[method-assign]
    manager.poll(0)


def test_calls_after_the_end_do_nothing(world: World) -> None:
    manager = world.manager()
    manager.close(1.0)
    manager.call_soon(pytest.fail, "never")
    manager.stop()
    assert manager.close().ok
    assert not manager.busy


def test_stop_makes_run_return_with_everything_open(world: World) -> None:
    notes = Notes(Received=lambda connection, _: connection.manager.stop())
    peer = opened(world, notes)
    peer.send(b"x")
    report = world.managers[0].run()
    assert not report.complete
    assert not notes.closed
    peer.close()
    ended(world, notes, CloseKind.CLEAN)


def test_run_until_a_handler_closes(world: World) -> None:
    notes = Notes(Received=lambda connection, _: connection.manager.close(0.1))
    peer = opened(world, notes)
    peer.send(b"x")
    report = world.managers[0].run()
    assert report.ok
    assert [end.reason.kind for end in report.ends] == [CloseKind.TIMED_OUT]


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
@pytest.mark.parametrize("count", [1, 2])
def test_signals_begin_the_close_and_a_second_one_cuts_it_short(world: World, count: int) -> None:
    notes = Notes()
    opened(world, notes, Limits(linger=60))
    manager = world.managers[0]
    before = signal.getsignal(signal.SIGTERM)
    manager.call_soon(os.kill, os.getpid(), signal.SIGTERM)
    if count == 2:
        manager.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
    began = world.now()
    report = manager.run(within=0.4)
    assert report.ok
    took = world.now() - began
    assert took < 2.0
    assert (took < 0.39) == (count == 2)
    assert signal.getsignal(signal.SIGTERM) is before


def pair(world: World, secure: bool) -> tuple[Notes, Notes, list[Manager]]:
    """Two managers whose connections are each other's peers, both ways."""
    here, there = Notes(), Notes()
    if secure:
        Stand(world, "openssl").ours(here, there)
        return here, there, [here.connection.manager, there.connection.manager]
    one, other = world.manager(), world.manager()
    listener = one.listen("tcp://127.0.0.1:0", here)
    other.connect(str(listener.url), there)
    world.run(lambda: bool(here.of("Opened")) and bool(there.of("Opened")))
    return here, there, [one, other]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("order", [1, -1])
def test_close_all_of_managers_that_are_each_others_peers(world: World, secure: bool, order: int) -> None:
    here, there, managers = pair(world, secure)
    here.connection.send(b"last words")
    there.connection.send(b"of both")
    began = world.now()
    reports = close_all(managers[::order], 2.0)
    assert world.now() - began < 0.9
    assert all(report.ok and not report.forced for report in reports), [str(report) for report in reports]
    for notes in (here, there):
        ended(world, notes, CloseKind.CLEAN)


def test_close_all_with_a_silent_third(world: World) -> None:
    notes = Notes()
    opened(world, notes, Limits(linger=60))
    _, _, managers = pair(world, False)
    began = world.now()
    reports = close_all([world.managers[0], *managers], 0.3)
    assert 0.29 <= world.now() - began < 1.5
    assert [len(report.forced) for report in reports] == [1, 0, 0]
    assert all(report.ok for report in reports)


class Bell:
    """A host that only notes when it is to turn."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def wake_at(self, when: float) -> None:
        self.at.append(when)


def hosted(world: World) -> tuple[Manager, Bell]:
    """A manager inside another loop."""
    bell = Bell()
    wire = world.network.wire() if world.wire == "memory" else None
    manager = Manager(wire, host=bell)
    world.managers.append(manager)
    return manager, bell


def test_a_host_is_told_when_the_earliest_deadline_moves(world: World) -> None:
    manager, bell = hosted(world)
    manager.turn()
    assert bell.at[-1] == float("inf")
    late = manager.call_later(50.0, print)
    assert bell.at[-1] == late.when
    early = manager.call_later(20.0, print)
    assert bell.at[-1] == early.when
    told = len(bell.at)
    manager.call_later(30.0, print)
    assert len(bell.at) == told
    early.cancel()
    manager.turn()
    assert late.when > bell.at[-1] > early.when


def test_a_host_is_told_of_work_that_is_ready(world: World) -> None:
    manager, bell = hosted(world)
    manager.turn()
    manager.call_soon(list)
    assert bell.at[-1] <= world.now()
    manager.turn()
    assert bell.at[-1] == float("inf")
    notes = Notes()
    peer = world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    notes.connection.send(b"from outside a turn")
    assert bell.at[-1] <= world.now()
    notes.connection.pause()
    manager.turn()
    peer.send(b"x")
    world.sleep(0.01)
    notes.connection.resume()
    assert bell.at[-1] <= world.now()
    manager.turn()
    assert notes.data == b"x"


@pytest.mark.parametrize("world", ["kernel"], indirect=True)
def test_a_managers_descriptor_tells_a_host_of_readiness(world: World) -> None:
    import select

    manager, _ = hosted(world)
    notes = Notes()
    peer = world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    assert not select.select([manager.fileno()], [], [], 0)[0]
    peer.send(b"x")
    assert select.select([manager.fileno()], [], [], 5)[0]
    manager.turn()
    assert notes.data == b"x"
    assert not select.select([manager.fileno()], [], [], 0)[0]


def test_context_manager_closes(world: World) -> None:
    with world.manager() as manager:
        manager.listen("tcp://127.0.0.1:0", Notes())
    assert manager.closed
    no_residue(manager)
