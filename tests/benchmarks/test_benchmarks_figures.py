"""Medians, ratios, targets, the choice of contestants, and the command line."""

from __future__ import annotations

import json

import pytest

from benchmarks.cases import CASES, TARGETS, Entry, Target, entries
from benchmarks.command import main
from benchmarks.command_line import FINISHED, USAGE
from benchmarks.contestants import SERVERS, Server
from benchmarks.load.closed_loop import Measured
from benchmarks.report import as_json, judge
from benchmarks.rounds import Outcome, Plan, Row, middle, per_cpu, per_wall, ratio, spread

GETS = CASES[0]
PLAN = Plan(rounds=3, seconds=0.5, warm_up=0.1)


def row(name: str, *rates: float | None) -> Row:
    entry = Entry(name, Server(name, "http", "x.py"))
    rounds = [None if rate is None else Measured(int(rate), 2.0, 1.0, 0.5) for rate in rates]
    return Row(entry, list(rounds))


def test_figures_are_medians() -> None:
    a = row("a", 100, 900, 200)
    assert middle(a, per_cpu) == 200
    assert middle(a, per_wall) == 100
    assert spread(a) == (100, 900)


def test_ratio_is_the_median_of_pairs_within_a_round() -> None:
    # the machine was slow in the second round, for both of them
    assert ratio(row("a", 400, 200, 600), row("b", 100, 100, 200)) == 3


def test_a_failed_round_is_left_out_of_both() -> None:
    assert ratio(row("a", 400, None, 600), row("b", 100, 1, 200)) == 3.5
    assert ratio(row("a", None), row("b", 1)) is None
    assert middle(row("a", None), per_cpu) is None
    assert spread(row("a", None)) is None


def test_targets_met_not_met_and_not_measured() -> None:
    outcome = Outcome(GETS, [row("mungos", 200), row("uvicorn", 100), row("aiohttp", 50)])
    targets = [
        Target(GETS.name, "uvicorn", 2.1),
        Target(GETS.name, "aiohttp", 4.0),
        Target(GETS.name, "absent", 1.0),
        Target("another case", "uvicorn", 1.0),
    ]
    verdicts = judge([outcome], targets)
    assert [verdict.met for verdict in verdicts] == [False, True, None]


def test_target_without_its_subject_is_not_measured() -> None:
    outcome = Outcome(GETS, [row("aiohttp", 200), row("uvicorn", 100)])
    targets = [Target(GETS.name, "uvicorn", 1.0)]
    assert [verdict.met for verdict in judge([outcome], targets)] == [None]
    assert [verdict.met for verdict in judge([outcome], targets, subject="aiohttp")] == [True]


def test_json_holds_every_round() -> None:
    outcome = Outcome(GETS, [row("mungos", 200, None), row("uvicorn", 100, 100)], faults=["it broke"])
    result = json.loads(json.dumps(as_json([outcome], judge([outcome]), PLAN)))
    rows = result["cases"][GETS.name]["rows"]
    assert rows[0]["rounds"] == [{"requests": 200, "wall": 2.0, "server_cpu": 1.0, "load_cpu": 0.5}, None]
    assert rows[1]["subject_ratio"] == 2
    assert result["cases"][GETS.name]["faults"] == ["it broke"]


def test_targets_name_entries_that_run() -> None:
    cases = {case.name: case for case in CASES}
    for target in TARGETS:
        labels = [entry.label for entry in entries(cases[target.case])]
        assert target.against in labels[1:]


def test_subject_comes_first_and_idle_case_runs_it_alone() -> None:
    assert [entry.label for entry in entries(GETS)] == ["mungos", "uvicorn", "aiohttp", "bare loop"]
    idle = entries(CASES[-1])
    assert [(entry.server.name, entry.idle) for entry in idle] == [("mungos", 5000), ("mungos", 0)]


def test_only_limits_and_adds() -> None:
    chosen = entries(GETS, only=frozenset({"aiohttp low-level", "mungos"}))
    assert [entry.label for entry in chosen] == ["mungos", "aiohttp low-level"]
    assert entries(CASES[-1], only=frozenset({"uvicorn"})) == []


def test_names_are_unique_within_a_protocol() -> None:
    pairs = [(server.name, server.protocol) for server in SERVERS]
    assert len(set(pairs)) == len(pairs)


def test_missing_script_or_package_is_named() -> None:
    assert (
        Server("x", "http", "no_such_file.py").missing() == "benchmarks/servers/no_such_file.py is not there"
    )
    lacking = Server("x", "http", "bare_epoll_http.py", ("no_such_package_at_all",))
    assert lacking.missing() == "not installed: no_such_package_at_all"
    assert Server("x", "http", "bare_epoll_http.py").missing() is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "0"],
        ["--rounds", "26"],
        ["--seconds", "11"],
        ["--seconds", "nan"],
        ["--requests", "1000001"],
        ["--only", "nobody"],
        ["--strict"],
    ],
)
def test_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == USAGE
    assert arguments[0] in capsys.readouterr().err


def test_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == FINISHED
    output = capsys.readouterr().out
    for case in CASES:
        assert case.name in output
