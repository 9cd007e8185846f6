"""The ledger: what is acquired is named with its place, and can be released once."""

from __future__ import annotations

import pytest

from mungos.core.ledger import KINDS, Ledger, Origin, calling_place


def test_entries_are_counted_and_struck_out() -> None:
    ledger, origin = Ledger(), calling_place()
    first = ledger.enter("timer", "a timer", origin, 1.0)
    second = ledger.enter("descriptor", "a socket", origin, 2.0)
    assert len(ledger) == 2
    assert ledger.census() == {"descriptor": 1, "engine": 0, "lookup": 0, "thread": 0, "timer": 1}
    ledger.strike(first)
    assert [entry.what for entry in ledger] == ["a socket"]
    ledger.strike(second)
    assert not any(ledger.census().values())
    assert ledger.made == ledger.freed == {"timer": 1, "descriptor": 1}


def test_freed_twice_is_a_defect_that_shows() -> None:
    ledger = Ledger()
    number = ledger.enter("engine", "x", calling_place(), 0.0)
    ledger.strike(number)
    with pytest.raises(KeyError):
        ledger.strike(number)


def test_every_kind_is_in_the_census() -> None:
    ledger = Ledger()
    for kind in KINDS:
        ledger.enter(kind, kind, calling_place(), 0.0)
    assert set(ledger.census().values()) == {1}


def test_an_entry_names_its_place() -> None:
    def here() -> Origin:
        return calling_place()

    origin = here()
    assert origin.code is here.__code__
    text = str(next(iter(_with_one(origin))))
    assert text.startswith(f"engine: a thing, made at {__file__}:")
    assert text.endswith("test_an_entry_names_its_place.<locals>.here")


def _with_one(origin: Origin) -> Ledger:
    ledger = Ledger()
    ledger.enter("engine", "a thing", origin, 0.0)
    return ledger


def test_the_ledger_can_be_walked_while_it_changes() -> None:
    ledger = Ledger()
    numbers = [ledger.enter("timer", str(n), calling_place(), 0.0) for n in range(3)]
    for _ in ledger:
        ledger.strike(numbers.pop())
    assert not ledger
