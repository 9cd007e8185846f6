"""The history: written by many at once, readable for later versions, and never at the price of the run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mungos.lab.record import Record
from mungos.lab.reports import history as module
from mungos.lab.reports.history import History
from mungos.lab.reports.history_place import APPLICATION, Unwritable, check_history, default_history
from mungos.lab.reports.past import past_runs
from mungos.lab.reports.rates import rates
from mungos.lab.verdicts import Verdict
from tests.lab import lab_reports_records as made

DAY = 86400.0


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(str(tmp_path / "lab.sqlite")) as opened:
        yield opened


def on_day(run: Record, day: int) -> Record:
    return replace(run, started=made.STARTED + day * DAY)


def test_a_run_comes_back(history: History) -> None:
    history.add([made.stalled()])
    [run] = past_runs(history)
    assert (run.name, run.processor, run.verdict, run.exit_status) == (
        "worker tests",
        "amd64",
        Verdict.STALLED,
        123,
    )
    assert run.command == ("python3", "-m", "pytest", "tests/test_worker.py")
    assert run.started == made.STARTED
    assert run.duration == pytest.approx(61.9)
    assert run.explained_in == pytest.approx(0.31)
    assert [(each.rule, each.certainty) for each in run.findings] == [
        ("pipe-ring", "certain"),
        ("zombie", "likely"),
    ]


def test_every_kind_of_run_can_be_kept(history: History) -> None:
    history.add(made.every())
    assert [run.verdict for run in past_runs(history)] == [run.verdict for run in made.every()]


def test_hostile_names_come_back_harmless(history: History) -> None:
    history.add([made.hostile()])
    [run] = past_runs(history)
    assert run.command[:2] == ("sh", "-c")
    assert run.name == made.HOSTILE.replace("\udcff", "\\udcff")


def test_numbers_that_are_none_are_zero(history: History) -> None:
    run = made.passed()
    nan = float("nan")
    history.add([replace(run, attempts=(replace(run.attempts[0], duration=nan, cpu=nan),))])
    assert past_runs(history)[0].duration == 0.0


def test_runs_are_chosen_by_name_time_and_number(history: History) -> None:
    history.add([on_day(made.stalled(), 0), on_day(made.passed(), 1), on_day(made.stalled(), 2)])
    assert len(past_runs(history, name="worker tests")) == 2
    assert [run.verdict for run in past_runs(history, since=made.STARTED + DAY)] == [
        Verdict.PASSED,
        Verdict.STALLED,
    ]
    [last] = past_runs(history, last=1)
    assert (last.verdict, len(last.findings)) == (Verdict.STALLED, 2)
    assert past_runs(history, name="no such") == ()


def test_the_file_says_what_it_is(history: History) -> None:
    history.add([made.passed()])
    history.close()
    header = Path(history.path).read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == APPLICATION
    assert int.from_bytes(header[60:64], "big") == 1
    assert check_history(history.path)


def test_prune_forgets_what_is_old_with_its_findings(history: History) -> None:
    history.add([on_day(made.stalled(), day) for day in range(5)])
    assert history.prune(before=made.STARTED + 1.5 * DAY) == 2
    assert history.prune(before=0.0, keep=1) == 2
    [run] = past_runs(history)
    assert run.started == made.STARTED + 4 * DAY
    with sqlite3.connect(history.path) as database:
        assert database.execute("SELECT count(*) FROM findings").fetchone() == (2,)
    database.close()


def test_now_and_then_a_run_prunes(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRUNE_EVERY", 4)
    monkeypatch.setattr(module, "KEEP_RUNS", 3)
    monkeypatch.setattr(module, "KEEP_DAYS", 10**6)
    for _ in range(4):
        history.add([made.passed()])
    assert len(past_runs(history)) == 3


def test_adding_is_all_or_nothing(history: History) -> None:
    def fails() -> Iterator[Record]:
        yield made.passed()
        raise KeyError

    with pytest.raises(KeyError):
        history.add(fails())
    assert past_runs(history) == ()


WRITER = """
import sys
from mungos.lab.reports.history import History
from tests.lab import lab_reports_records as made
for _ in range(10):
    with History(sys.argv[1]) as history:
        history.add([made.stalled()])
"""


@pytest.mark.timeout(60)
def test_several_processes_make_it_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lab.sqlite"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], env=environment) for _ in range(4)]
    assert [writer.wait(50) for writer in writers] == [0, 0, 0, 0]
    with History(str(path)) as history:
        assert len(past_runs(history)) == 40


def test_default_place_follows_the_base_directories() -> None:
    home = {"HOME": "/h"}
    assert default_history({**home, "XDG_STATE_HOME": "/s"}) == "/s/mungos/lab.sqlite"
    assert default_history(home) == "/h/.local/state/mungos/lab.sqlite"
    assert default_history({**home, "XDG_STATE_HOME": "relative"}) == "/h/.local/state/mungos/lab.sqlite"


def test_a_missing_file_is_fine_and_a_folder_is_not(tmp_path: Path) -> None:
    assert check_history(str(tmp_path / "a" / "b" / "lab.sqlite"))
    with pytest.raises(Unwritable, match="Is a directory"):
        check_history(str(tmp_path))


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unwritable, match="can't be written"):
        check_history(str(tmp_path / "file" / "lab.sqlite"))


def test_a_device_that_is_always_full_is_refused() -> None:
    with pytest.raises(Unwritable):
        check_history("/dev/full")


def test_no_right_to_write_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write everywhere but where nobody may.
        with pytest.raises(Unwritable):
            check_history("/proc/lab.sqlite")
        return
    tmp_path.chmod(0o500)
    with pytest.raises(Unwritable, match="no right"):
        check_history(str(tmp_path / "lab.sqlite"))


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\0", b"hello\n" * 40])
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(Unwritable, match="no history"):
        check_history(str(path))
    assert path.read_bytes() == content


def test_anothers_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (x)")
    database.commit()
    database.close()
    content = path.read_bytes()
    assert not check_history(str(path))  # only opening it tells
    with pytest.raises(Unwritable, match="no history"):
        History(str(path))
    assert path.read_bytes() == content


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "lab.sqlite")
    History(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 9")
    database.commit()
    database.close()
    with pytest.raises(Unwritable, match="version 9"):
        History(path)


def test_a_writer_that_never_ends_is_waited_for_in_bounds(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.05)
    other = sqlite3.connect(history.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with History(history.path) as second, pytest.raises(Unwritable, match="locked"):
            second.add([made.passed()])
    finally:
        other.close()


def test_rates_count_by_name_and_processor(history: History) -> None:
    named = replace(made.passed(), name="worker tests")
    history.add([on_day(made.stalled(), 0), on_day(named, 0), on_day(named, 1), on_day(made.emulated(), 1)])
    history.add([on_day(replace(made.flaky(), name="worker tests"), 3)])
    first, second = rates(past_runs(history))
    assert (first.processor, second.name) == ("s390x", "worker tests")
    assert (second.runs, second.passed, second.flaky) == (4, 0.5, 0.25)
    assert second.typical == pytest.approx(0.21)
    assert [day.runs for day in second.days] == [2, 1, 1]
    assert second.days[0].verdicts == {Verdict.STALLED: 1, Verdict.PASSED: 1}
    ring = next(each for each in second.findings if each.rule == "pipe-ring")
    assert (ring.runs, ring.first, ring.last) == (2, made.STARTED, made.STARTED + 3 * DAY)


def test_a_file_that_another_holds_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "lab.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.01)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", wait)
    with History(path) as history:
        assert past_runs(history) == ()
    other.close()
    assert len(waits) == 3


def test_a_file_that_another_holds_for_ever_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "lab.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.05)
    with pytest.raises(Unwritable, match="locked"):
        History(path)
    other.close()
