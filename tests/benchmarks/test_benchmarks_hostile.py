"""The hostile benchmark: what it feeds is what it says, its verdicts, and one short run of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.command_line import FINISHED
from benchmarks.hostile.command import main
from benchmarks.hostile.crowds import CROWDS, Delay, Outcome
from benchmarks.hostile.inputs import INPUTS, Cost, Input, feed, measure
from benchmarks.hostile.report import as_json, judge
from mungos import tls
from mungos.protocol import Failed
from mungos.tls.engines.builtin.engine import BuiltinEngine

BY_NAME = {chosen.name: chosen for chosen in INPUTS}
QUICK = Delay(0.001, 0.002, 0.003, 100)


@pytest.mark.parametrize("chosen", INPUTS, ids=lambda chosen: chosen.name)
def test_input_has_its_size_and_ends_no_session_before_its_last_piece(chosen: Input) -> None:
    size = chosen.sizes[0] * 1024
    session, attack = chosen.make(size)
    if not chosen.name.startswith("hello"):
        assert 0.9 * size <= sum(map(len, attack)) <= size + 1024
    events: list[object] = []
    for piece in attack[:-1]:
        session.receive(piece, 0.0)
        while (event := session.next_event()) is not None:
            events.append(event)
    assert not [event for event in events if isinstance(event, Failed | tls.Failed)]


def test_ordinary_hello_is_answered() -> None:
    engine, attack = BY_NAME["hello-ordinary"].make(0)
    feed(engine, attack)
    assert isinstance(engine, BuiltinEngine)
    assert engine.ending is None
    assert engine.unsent > 500


def test_cost_is_told_for_each_kib_and_each_piece() -> None:
    cost = measure(BY_NAME["chunk-lines"], 1, 0.001)
    assert cost.pieces == cost.size == 1020
    assert cost.per_kib == pytest.approx(cost.per_piece * 1024)


def test_targets_count_what_was_run_and_a_server_that_had_to_be_killed() -> None:
    outcome = Outcome(CROWDS[0], QUICK, QUICK, Delay(0.1, 0.2, 0.3, 9), None, 1 << 20, 1.0, 2.0, 0, (0.5,), 0)
    verdicts = judge([(BY_NAME["request-head"], Cost(1.0, 1024, 1024))], [outcome])
    assert [verdict.met for verdict in verdicts] == [False, True, False, False]
    (alone,) = judge([(BY_NAME["hello-crowded"], Cost(1.0, 65536, 1))], [])
    assert alone.met is None
    assert json.dumps(as_json([], [outcome], verdicts))


@pytest.mark.timeout(60)
def test_short_run_of_an_input_and_of_a_crowd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "hostile.json"
    arguments = ["--quick", "--seconds=0.4", "--only=small-records", "--only=fragments", f"--json={target}"]
    assert main([*arguments, "--check"]) == FINISHED
    found = json.loads(target.read_text(encoding="utf-8"))
    assert [row["name"] for row in found["inputs"]] == ["small-records"]
    (crowd,) = found["crowds"]
    assert crowd["sent"] > 0
    assert crowd["quiet"]["count"] > 0
    assert "fragments" in capsys.readouterr().out
