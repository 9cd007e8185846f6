"""`mungos lab` as a program: what it passes on, what it says, how it exits."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mungos.lab.reports.history import History
from mungos.lab.reports.json_document import records_from_json, records_to_json
from tests.lab import lab_reports_records as made

PATIENCE = 50.0
LAB = (sys.executable, "-m", "mungos", "lab")

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the history of this test is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    return tmp_path / "state" / "mungos" / "lab.sqlite"


def lab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAB, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def verdicts(path: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(path)
    try:
        return [
            (name, verdict)
            for name, verdict in database.execute("SELECT name, verdict FROM runs ORDER BY id")
        ]
    finally:
        database.close()


def test_output_is_passed_on_and_the_lab_speaks_on_standard_error(state: Path) -> None:
    done = lab("run", "--", "sh", "-c", "echo one; echo two >&2; printf '\\033[1mraw'")
    assert done.returncode == 0
    assert done.stdout == "one\n\x1b[1mraw"
    said = done.stderr.splitlines()
    assert said[0] == "two"
    assert said[-1].startswith("mungos lab: passed in ")
    assert len(said) == 2
    assert [verdict for _, verdict in verdicts(state)] == ["passed"]


def test_a_history_that_was_named_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "h.sqlite"
    for _ in range(2):
        assert lab("run", "--history", path, "--", "true").returncode == 0
    assert [each.name for each in path.parent.iterdir()] == ["h.sqlite"]
    assert [verdict for _, verdict in verdicts(path)] == ["passed", "passed"]


def test_a_history_at_the_usual_place_survives_runs_that_do_not_close_it(state: Path) -> None:
    for _ in range(4):
        assert lab("run", "--", "true").returncode == 0
    assert len(verdicts(state)) == 4


def test_times_stand_before_the_lines(state: Path) -> None:
    done = lab("run", "-t", "--no-history", "--", "sh", "-c", "echo one; echo two >&2")
    assert done.stdout.split()[1:] == ["one"]
    assert float(done.stdout.split()[0]) < PATIENCE
    assert done.stderr.split()[1:3] == ["!", "two"]
    assert not state.exists()


def test_quiet_passes_nothing_on(state: Path) -> None:
    done = lab("run", "-q", "--", "echo", "one")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_failure_has_the_commands_own_status(state: Path) -> None:
    done = lab("run", "--name", "mine", "--", "sh", "-c", "exit 7")
    assert done.returncode == 7
    assert "mungos lab: failed: status 7" in done.stderr
    assert verdicts(state) == [("mine", "failed")]


def test_a_command_that_is_missing_was_not_started(state: Path) -> None:
    done = lab("run", "--", "/no/such/program")
    assert done.returncode == 127
    assert "not started: " in done.stderr
    assert "/no/such/program" in done.stderr


def test_a_stall_is_told_in_all_reports(state: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    done = lab("run", "--stall", "0.5", *options, "--", "sh", "-c", "echo begun; sleep 100")
    assert done.returncode == 123
    assert done.stdout == "begun\n"
    assert "mungos lab: stalled: " in done.stderr
    [run] = records_from_json(files["json"].read_text())
    assert run.exit_status == 123
    assert 'type="stalled"' in files["junit"].read_text()
    assert files["html"].read_text().startswith("<!doctype html>")
    again = tmp_path / "again.html"
    assert lab("report", files["json"], "--html", again).returncode == 0
    assert again.read_text() == files["html"].read_text()
    assert "mungos lab: stalled: " in lab("report", files["json"]).stdout


def test_a_retry_that_passes_is_flaky(state: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = lab("run", "--retries", "2", "--", "sh", "-c", f"test -e {mark} || {{ : > {mark}; exit 1; }}")
    assert done.returncode == 1
    assert "flaky: failed: status 1" in done.stderr
    assert "passed on attempt 2 of 2" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frobnicate"], "No such option"),
        (["--deadline", "soon"], "'soon' is not a number of seconds"),
        (["--deadline", "0"], "not above 0"),
        (["--stall"], "'--' is not a number"),
        (["--network", "moon"], "is not one of"),
        (["--retries", "-1"], "-1 is not in the range"),
        (["--json", "/no/such/folder/x"], "can't be written"),
        (["--html", "/proc/x"], "can't be written"),
        (["--json", "x", "--junit", "x"], "two reports"),
        (["--history", "/proc/x/lab.sqlite"], "history"),
        (["--history", "/dev/full"], "history"),
        (["--history", "x", "--no-history"], "contradict"),
        (["--quiet", "--timestamps"], "contradict"),
        (["--pid1", "--no-isolation"], "--pid1"),
        (["--arch", "vax"], "vax"),
        (["--arch", "native,,i386"], "empty name"),
        (["--arch", "native,native"], "twice"),
    ],
)
def test_what_can_not_be_done_is_said_before_the_command_starts(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = lab("run", *options, "--", "touch", tmp_path / "ran")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()


def test_no_command_is_wrong_usage(state: Path) -> None:
    done = lab("run", "--pty")
    assert done.returncode == 2
    assert "Missing argument 'COMMAND...'" in done.stderr


def test_a_reader_that_leaves_changes_no_verdict(state: Path) -> None:
    process = subprocess.Popen(
        [*LAB, "run", "--", "sh", "-c", "echo 1; echo 2; exit 3"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_lab_that_is_told_to_stop_ends_what_it_runs(
    state: Path, tmp_path: Path, number: signal.Signals
) -> None:
    note = tmp_path / "pid"
    command = [
        *LAB,
        "run",
        "--no-isolation",
        "--",
        "sh",
        "-c",
        f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 100",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + PATIENCE
        while not note.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}" in said
    assert not Path(f"/proc/{note.read_text().strip()}").exists()


def test_help_explains_the_statuses_of_the_verdicts() -> None:
    done = lab("run", "--help")
    assert done.returncode == 0
    for part in (
        "122    spinning",
        "123    stalled",
        "124    timed out",
        "125    leaked",
        "127    not started",
    ):
        assert part in done.stdout


def test_the_group_lists_its_commands_without_importing_them() -> None:
    code = (
        "import sys; from mungos.cli.program import run; run(['lab', '--help']); "
        "sys.exit(any(name.startswith('mungos.cli.lab_') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0
    for name in ("run", "compare", "arch", "history", "report", "rules", "selftest"):
        assert f"  {name} " in done.stdout


def test_a_run_that_passes_imports_neither_click_nor_rich(state: Path) -> None:
    code = (
        "import gc, sys; from mungos.cli.lab_run_start import start\n"
        "assert start(['--', 'true']) == 0\n"
        "assert gc.isenabled()\n"
        "unwanted = {'click', 'rich', 'json', 'mungos.lab.findings', 'mungos.lab.autopsy'}\n"
        "sys.exit(' '.join(sorted(unwanted.intersection(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


def history_of(path: Path) -> None:
    with History(str(path)) as history:
        history.add([made.passed(), made.stalled(), made.hostile(), made.flaky()])


def run_history(*arguments: str) -> str:
    done = lab("history", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_history_lists_runs(state: Path) -> None:
    state.parent.mkdir(parents=True)
    history_of(state)
    text = run_history()
    assert "2025-06-15 15:06" in text
    assert "worker tests" in text
    assert "pipe-ring, zombie" in " ".join(text.split())
    assert "\x1b" not in text
    assert len(run_history("--last", "1").splitlines()) < len(text.splitlines())


def test_history_tells_rates(state: Path) -> None:
    state.parent.mkdir(parents=True)
    history_of(state)
    text = run_history("--rates")
    assert "2 runs: 50 % passed" in text
    assert "50 % flaky" in text
    assert "2025-06-15" in text
    assert "first seen" in text
    assert "worker tests" in run_history("--rates", "--name", "worker tests", "--since", "2025-01-01")


def test_history_forgets(state: Path) -> None:
    state.parent.mkdir(parents=True)
    history_of(state)
    done = lab("history", "--forget", "1")
    assert "4 runs forgotten" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["history"], 1, "no history yet"),
        (["history", "--since", "yesterday"], 2, "neither like"),
        (["report", "/no/such.json"], 2, "does not exist"),
        (["rules", "no-such-rule"], 2, "there is no rule"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_mistakes_are_named(state: Path, arguments: Sequence[str], status: int, message: str) -> None:
    done = lab(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"format": "other"}))
    done = lab("report", path)
    assert (done.returncode, "not a report of the lab" in done.stderr) == (1, True)
    path.write_text(records_to_json([made.passed()]))
    done = lab("report", path, "--html", "/proc/x")
    assert (done.returncode, "can't be written" in done.stderr) == (2, True)


def test_a_matrix_ends_a_report_of_several(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(records_to_json([made.passed(), made.emulated()]))
    assert "byte order" in lab("report", path).stdout


def test_rules_are_listed_and_explained() -> None:
    listed = lab("rules")
    assert listed.returncode == 0, listed.stderr
    assert "abort-as-pid1" in listed.stdout
    one = lab("rules", "abort-as-pid1")
    assert one.returncode == 0
    assert len(one.stdout.splitlines()) > 2
