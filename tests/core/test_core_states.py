"""The three tables, and the words for an end."""

from __future__ import annotations

from itertools import product

import pytest

from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.states import (
    PHASES,
    READ_SIDES,
    WRITE_SIDES,
    IllegalTransition,
    Phase,
    ReadSide,
    WriteSide,
    step,
)
from mungos.errors import Broken, Closed, Misuse, TimedOut


@pytest.mark.parametrize("table", [PHASES, READ_SIDES, WRITE_SIDES], ids=["phases", "read", "write"])
def test_what_is_not_in_the_table_raises(table: dict[Phase, frozenset[Phase]]) -> None:
    for old, new in product(table, table):
        if new in table[old]:
            assert step(table, old, new) is new
        else:
            with pytest.raises(IllegalTransition):
                step(table, old, new)


def test_tables_are_total_and_have_ends() -> None:
    assert set(PHASES) == set(Phase)
    assert set(READ_SIDES) == set(ReadSide)
    assert set(WRITE_SIDES) == set(WriteSide)
    assert not PHASES[Phase.CLOSED]
    assert all(Phase.CLOSED in targets for phase, targets in PHASES.items() if phase is not Phase.CLOSED)
    # Every phase can be reached from one of the two beginnings.
    reached = {Phase.LISTENING, Phase.RESOLVING}
    while (more := set().union(*(PHASES[phase] for phase in reached)) - reached) != set():
        reached |= more
    assert reached == set(Phase)


@pytest.mark.parametrize("kind", CloseKind)
def test_every_kind_has_a_word_and_an_exception(kind: CloseKind) -> None:
    reason = CloseReason(kind, "open", unsent=3)
    assert kind.value in str(reason)
    assert "3 bytes unsent" in str(reason)
    assert reason.clean == (kind is CloseKind.CLEAN)
    expected = {CloseKind.TIMED_OUT: TimedOut, CloseKind.CLEAN: Closed, CloseKind.ABORTED: Closed}
    assert type(reason.exception()) is expected.get(kind, Broken)


def test_the_exception_is_the_error_that_broke_it_where_that_is_ours() -> None:
    error = Misuse("x")
    assert CloseReason(CloseKind.BROKEN, "securing", error=error).exception() is error
    assert isinstance(
        CloseReason(CloseKind.PEER_RESET, "open", error=ConnectionResetError()).exception(), Broken
    )


def test_a_time_out_says_where() -> None:
    reason = CloseReason(CloseKind.TIMED_OUT, "connecting")
    assert str(reason) == "timed out while connecting"
    found = reason.exception()
    assert isinstance(found, TimedOut)
    assert found.phase == "connecting"
