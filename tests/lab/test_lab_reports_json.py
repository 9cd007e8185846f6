"""Records as JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed
from mungos.lab import facts
from mungos.lab import record as record_module
from mungos.lab.facts import Autopsy
from mungos.lab.order import Order
from mungos.lab.record import Attempt, Record
from mungos.lab.reports.json_document import (
    FORMAT,
    VERSION,
    from_json,
    records_from_json,
    records_to_json,
    to_json,
)
from mungos.lab.verdicts import Verdict
from tests.lab import lab_reports_records as made

TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False)
for kind in (str, float):
    st.register_type_strategy(kind, TEXT if kind is str else NUMBER)
NAMES = {**vars(facts), **vars(record_module), "Order": Order, "Verdict": Verdict}


def small(kind: type[object], depth: int = 0) -> st.SearchStrategy[object]:
    """Any value of a dataclass of the lab, with at most two items in each tuple."""
    import types
    import typing

    hints = typing.get_type_hints(kind, NAMES | {"Mapping": typing.Mapping})

    def of(wanted: object) -> st.SearchStrategy[object]:
        origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
        if origin in {types.UnionType, typing.Union}:
            return st.none() | of(arguments[0])
        if origin is tuple:
            if arguments[-1] is Ellipsis:
                return st.lists(of(arguments[0]), max_size=1 if depth > 1 else 2).map(tuple)
            return st.tuples(*map(of, arguments))
        if origin is frozenset:
            return st.frozensets(st.integers(1, 64), max_size=3)
        if origin is not None and origin.__name__ == "Mapping":
            return st.dictionaries(TEXT, TEXT, max_size=2)
        if isinstance(wanted, type) and hasattr(wanted, "__dataclass_fields__"):
            return small(wanted, depth + 1)
        if wanted is int:
            return st.integers(-(2**63), 2**64)
        return st.from_type(cast("type[object]", wanted))

    return st.fixed_dictionaries({each.name: of(hints[each.name]) for each in fields(kind)}).map(  # type: ignore[arg-type]
        lambda values: kind(**values)
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(run=small(Record))
@pytest.mark.timeout(60)
def test_any_record_comes_back_as_it_was(run: Record) -> None:
    assert from_json(to_json(run)) == run


@pytest.mark.parametrize("run", made.every(), ids=lambda run: run.verdict.value)
def test_each_verdict_comes_back_as_it_was(run: Record) -> None:
    assert from_json(to_json(run)) == run


def test_several_runs_keep_their_order() -> None:
    runs = made.every()
    assert records_from_json(records_to_json(runs)) == runs


def test_not_a_number_and_infinities_are_strict_json() -> None:
    run = made.passed()
    odd = replace(
        run, attempts=(replace(run.attempts[0], cpu=math.nan, duration=math.inf, stopped_at=-math.inf),)
    )
    text = to_json(odd)
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    back = from_json(text).attempts[0]
    assert math.isnan(back.cpu)
    assert (back.duration, back.stopped_at) == (math.inf, -math.inf)


def test_document_says_what_it_is() -> None:
    document = json.loads(to_json(made.stalled()))
    assert (document["format"], document["version"]) == (FORMAT, VERSION) == ("mungos-lab", 1)
    run = document["runs"][0]
    assert run["verdict"] == "stalled"
    assert run["attempts"][0]["findings"][0]["rule"] == "pipe-ring"
    assert run["attempts"][0]["autopsy"]["processes"][0]["signals"]["pending"] == []


def test_document_has_every_field() -> None:
    run = json.loads(to_json(made.stalled()))["runs"][0]
    for kind, value in (
        (Record, run),
        (Order, run["order"]),
        (Attempt, run["attempts"][0]),
        (Autopsy, run["attempts"][0]["autopsy"]),
    ):
        assert set(value) == {each.name for each in fields(kind)}


def test_unknown_fields_are_passed_over_and_missing_ones_have_their_defaults() -> None:
    document = json.loads(to_json(made.passed()))
    document["new"] = document["runs"][0]["new"] = 1
    del document["runs"][0]["name"]
    del document["runs"][0]["attempts"][0]["pipes"]
    assert from_json(json.dumps(document)) == made.passed()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["version"], 2, "of version 2"),
        (["version"], True, "not a whole number"),
        (["version"], None, "not a whole number"),
        (["format"], "x", "not a report of the lab"),
        (["runs"], {}, "runs is {}"),
        (["runs", 0], 3, "runs[0] is 3, not an object"),
        (["runs", 0, "verdict"], "fine", 'runs[0].verdict is "fine", not one of passed'),
        (["runs", 0, "verdict"], [], "runs[0].verdict is []"),
        (["runs", 0, "started"], "now", 'runs[0].started is "now", not of type float'),
        (["runs", 0, "started"], 10**400, "too large"),
        (["runs", 0, "exit_status"], 1.5, "runs[0].exit_status is 1.5, not of type int"),
        (["runs", 0, "exit_status"], True, "not of type int"),
        (["runs", 0, "order", "command"], "true", 'runs[0].order.command is "true", not an array'),
        (["runs", 0, "order", "environment"], [], "not an object"),
        (["runs", 0, "attempts", 0, "lines", 0, "at"], None, "lines[0].at is missing"),
        (["runs", 0, "attempts", 0, "autopsy"], "none", 'autopsy is "none", not an object'),
    ],
)
def test_what_is_wrong_is_named_with_its_place(path: list[str | int], value: object, message: str) -> None:
    document = json.loads(to_json(made.passed()))
    place = document
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    with pytest.raises(Malformed) as caught:
        from_json(json.dumps(document))
    assert message in str(caught.value)


def test_a_missing_field_is_named() -> None:
    document = json.loads(to_json(made.passed()))
    del document["runs"][0]["platform"]["kernel"]
    with pytest.raises(Malformed, match=r"runs\[0\]\.platform has no kernel"):
        from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "1", '"x"', "[" * 100_000, '{"format": "mungos-lab"}']
)
def test_what_is_no_document_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        from_json(text)


def test_from_json_wants_exactly_one_run() -> None:
    with pytest.raises(Malformed, match="2 runs"):
        from_json(records_to_json([made.passed(), made.failed()]))


def test_every_truncation_is_malformed() -> None:
    text = to_json(made.passed()).rstrip()
    for end in range(0, len(text), 7):
        with pytest.raises(Malformed):
            from_json(text[:end])


def test_an_argument_of_64_bits_keeps_them_all() -> None:
    run = made.stalled()
    autopsy = run.attempts[0].autopsy
    assert autopsy is not None
    back = from_json(to_json(run)).attempts[0].autopsy
    assert back is not None
    assert back.processes[0].threads[0].call == autopsy.processes[0].threads[0].call
