"""The TLS benchmark: medians, targets, command line, and one short run of each kind."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from benchmarks.command_line import FINISHED
from benchmarks.tls import main
from benchmarks.tls_cases import CASES, REFERENCE, SUBJECT, TARGETS, Target
from benchmarks.tls_ends import Mungos, StandardLibrary, Wanted
from benchmarks.tls_report import Outcome, Row, as_json, judge, outcome_table, verdict_table, write_table

SUITE = "TLS_AES_128_GCM_SHA256"
FULL = CASES[0]


def outcome(mungos: list[float], ssl: list[float], suites: tuple[str, str] = (SUITE, SUITE)) -> Outcome:
    return Outcome(FULL, [Row(SUBJECT, suites[0], mungos), Row(REFERENCE, suites[1], ssl)])


def test_ratio_is_the_median_of_pairs_within_a_round() -> None:
    # the machine was slow in the second round, for both of them
    measured = outcome([2.0, 30.0, 2.0], [1.0, 10.0, 4.0])
    (time,) = judge([measured], [Target("full", "time", 2.0, most=True)])
    assert (time.measured, time.met) == (2.0, True)
    (throughput,) = judge([measured], [Target("full", "throughput", 1.0, most=False)])
    assert (throughput.measured, throughput.met) == (0.5, False)


def test_targets_under_two_suites_or_alone_are_not_measured() -> None:
    target = Target("full", "time", 2.0, most=True)
    (verdict,) = judge([outcome([1.0], [1.0], (SUITE, "another"))], [target])
    assert verdict.met is None
    (verdict,) = judge([Outcome(FULL, [Row(SUBJECT, SUITE, [1.0])])], [target])
    assert verdict.met is None


def test_targets_name_cases_in_which_both_run() -> None:
    cases = {case.name: case for case in CASES}
    for target in TARGETS:
        assert {SUBJECT, REFERENCE} <= set(cases[target.case].contestants)


def test_tables_and_json_hold_every_round() -> None:
    measured = outcome([0.001, 0.003], [0.001, 0.001])
    verdicts = judge([measured])
    result = json.loads(json.dumps(as_json([measured], verdicts, {"rounds": 2})))
    assert result["cases"]["full"]["rows"][0]["rounds"] == [0.001, 0.003]
    assert result["targets"][0]["measured"] == 2.0
    stream = StringIO()
    write_table(outcome_table(measured), stream)
    write_table(verdict_table(verdicts), stream)
    assert "2,000.0" in stream.getvalue()
    assert "not met" in stream.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "0"],
        ["--rounds", "100"],
        ["--seconds", "nan"],
        ["--pairs", "49"],
        ["--only", "x"],
        ["--strict"],
    ],
)
def test_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err


def test_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == FINISHED
    assert "write-256k-cut" in capsys.readouterr().out


def test_both_ends_of_each_contestant_carry_data_and_resume(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    leaf.private_key_pem.write_to_path(str(key))
    wanted = Wanted(authority.cert_pem.bytes(), chain.read_bytes(), key.read_bytes(), SUITE)
    for contestant in (Mungos(wanted), StandardLibrary(wanted, str(chain), str(key))):
        session = contestant.handshake()
        assert not session.resumed
        for size in (1, 16 * 1024, 300 * 1024):
            assert session.carry(bytes(size), 0) == size
            assert session.carry(bytes(size), 10_000) == size
        session.both_ways(b"there and back")
        session.release()
        contestant.resume().release()
        assert contestant.resume().resumed


@pytest.mark.timeout(60)
def test_a_short_run_of_three_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trustme")
    path = tmp_path / "tls.json"
    arguments = ["--rounds", "1", "--seconds", "0.01", "--pairs", "50", "--check", "--json", str(path)]
    for name in ("full", "write-64", "memory", SUBJECT, REFERENCE):
        arguments += ["--only", name]
    assert main(arguments) == FINISHED, capsys.readouterr().err
    result = json.loads(path.read_text(encoding="utf-8"))
    assert [target["case"] for target in result["targets"]] == ["full", "write-64", "memory"]
    assert all(target["measured"] > 0 for target in result["targets"])
    suites = {row["suite"] for case in result["cases"].values() for row in case["rows"]}
    assert len(suites) == 1
