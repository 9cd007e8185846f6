"""Planted faults: every oracle is shown to fail when it should."""

from __future__ import annotations

import pytest

from mungos import Closed, CloseKind, CloseReason, Ended, Opened
from tests.cases.oracles import Crowd, ended, exact_prefix, no_residue, one_verdict, quiet
from tests.cases.test_cases_core_closing import opened
from tests.cases.world import Notes, Stuck, World

CLEAN = Closed(CloseReason(CloseKind.CLEAN, "closing"))
ABORTED = Closed(CloseReason(CloseKind.ABORTED, "open"))


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([], "0 Closed"),
        ([Opened()], "0 Closed"),
        ([Opened(), CLEAN, CLEAN], "2 Closed"),
        ([CLEAN, Ended("clean")], "after Closed"),
        ([ABORTED], "the verdict"),
    ],
)
def test_one_verdict(events: list[object], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        one_verdict(events, {CloseKind.CLEAN})
    assert one_verdict([Opened(), CLEAN], {CloseKind.CLEAN}) is CLEAN.reason


@pytest.mark.parametrize("received", [b"b", b"ac", b"abcd", b"abx"])
def test_exact_prefix(received: bytes) -> None:
    with pytest.raises(AssertionError, match="no prefix"):
        exact_prefix(received, b"abc")
    for size in range(4):
        exact_prefix(b"abc"[:size], bytearray(b"abc"))


def test_no_residue(world: World) -> None:
    manager = world.manager()
    manager.listen("tcp://127.0.0.1:0", Notes())
    no_residue(manager)
    entry = manager.ledger.enter("timer", "planted", manager.origin, 0.0)
    with pytest.raises(AssertionError, match="timer: planted"):
        no_residue(manager)
    manager.ledger.strike(entry)


def test_quiet(world: World) -> None:
    notes = Notes()
    peer = opened(world, notes)
    manager = world.managers[0]
    quiet(manager)
    manager.call_soon(list)
    with pytest.raises(AssertionError, match="busy"):
        quiet(manager)
    manager.poll(0)
    peer.send(b"x")
    assert manager.wire.wait(1.0)
    with pytest.raises(AssertionError, match="poller reports"):
        quiet(manager)


def test_ended_and_its_deadline(world: World) -> None:
    notes = Notes()
    opened(world, notes)
    with pytest.raises(Stuck, match="open"):
        ended(world, notes, CloseKind.CLEAN, within=0.05)
    notes.connection.abort()
    with pytest.raises(AssertionError, match="the verdict"):
        ended(world, notes, CloseKind.CLEAN)


def test_the_world_fails_for_what_a_manager_leaves(world: World) -> None:
    manager = world.manager()
    manager.ledger.enter("lookup", "planted", manager.origin, 0.0)
    with pytest.raises(AssertionError, match="planted"):
        world.close()
    world.managers.clear()


def test_crowd() -> None:
    crowd = Crowd()
    with pytest.raises(AssertionError, match="0 connections"):
        crowd.all_ended(1, {CloseKind.CLEAN})
    crowd.told = {1: [CLEAN], 2: [Opened()]}
    assert crowd.closed == 1
    assert crowd.names() == {"Closed", "Opened"}
    with pytest.raises(AssertionError, match="0 Closed"):
        crowd.all_ended(2, {CloseKind.CLEAN})
