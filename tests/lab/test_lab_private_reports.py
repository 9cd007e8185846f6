"""What reports hold, and who can read them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mungos.lab.order import Order
from mungos.lab.reports.history_place import Unwritable, check_history
from mungos.lab.reports.json_document import records_from_json, to_json
from mungos.lab.reports.report_files import UnwritableReport, check_report_files, write_report
from mungos.lab.watch import run

pytestmark = pytest.mark.timeout(60)

PASSWORD = "hunter2-in-a-variable"
ELSEWHERE = "hunter2-in-the-environment"
KINDS = ("json", "junit", "html")
# In the shell, which begins at once: the autopsy waits for no program that takes long.
PY_SPY = f"""#!/bin/sh
for pid; do :; done
echo '[{{"os_thread_id": '$pid', "thread_name": "MainThread", "frames": [{{"name": "log_in",
"filename": "app.py", "line": 3, "locals": [{{"name": "password", "repr": "{PASSWORD}"}}]}}]}}]'
"""
PROGRAM = "import os, time\ndel os.environ['SECRET']\nprint('begun', flush=True)\ntime.sleep(1000)\n"


def lab(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run that stalls, with a py-spy that sees a password; SECRET stands in the lab's environment alone."""
    spy = folder / "bin" / "py-spy"
    spy.parent.mkdir()
    spy.write_text(PY_SPY, encoding="utf-8")
    spy.chmod(0o755)
    files = [word for kind in KINDS for word in (f"--{kind}", str(folder / f"run.{kind}"))]
    environment = {**os.environ, "PATH": f"{spy.parent}:{os.environ['PATH']}", "SECRET": ELSEWHERE}
    clocks = ("--stall", "0.5", "--grace", "0.2")
    kept = ("--history", str(folder / "state" / "h.sqlite"))
    command = ("--", sys.executable, "-c", PROGRAM)
    return subprocess.run(
        [sys.executable, "-m", "mungos", "lab", "run", *clocks, *files, *options, *kept, *command],
        capture_output=True, text=True, check=False, timeout=50, umask=0, env=environment,
    )  # fmt: skip


@pytest.fixture
def spied() -> None:
    if os.access(os.path.join(os.path.dirname(sys.executable), "py-spy"), os.X_OK):
        pytest.skip("a py-spy beside this Python goes before ours")


@pytest.mark.usefixtures("spied")
def test_no_report_holds_what_a_variable_or_the_environment_does(tmp_path: Path) -> None:
    done = lab(tmp_path)
    assert done.returncode == 123
    written = [(tmp_path / f"run.{kind}").read_text(encoding="utf-8") for kind in KINDS]
    history = (tmp_path / "state" / "h.sqlite").read_bytes().decode("latin-1")
    for text in (done.stdout, done.stderr, *written, history):
        assert "hunter2" not in text
    assert "log_in" in written[0]


@pytest.mark.usefixtures("spied")
def test_values_are_shown_to_who_asks_for_them(tmp_path: Path) -> None:
    lab(tmp_path, "--locals")
    for kind in ("json", "html"):
        text = (tmp_path / f"run.{kind}").read_text(encoding="utf-8")
        assert PASSWORD in text
        assert ELSEWHERE not in text


def test_reports_and_the_history_are_their_owner_s_alone(tmp_path: Path) -> None:
    """Whatever the umask says."""
    (tmp_path / "run.json").write_text("an older one", encoding="utf-8")
    lab(tmp_path)
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (*(tmp_path / f"run.{kind}" for kind in KINDS), *(tmp_path / "state").iterdir())
    }
    assert set(modes) >= {"run.json", "run.junit", "run.html", "state/h.sqlite"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_record_keeps_no_environment() -> None:
    record = run(Order(("true",), environment={"TOKEN": "hunter2"}))
    assert record.order.environment is None
    assert "hunter2" not in to_json(record)


def test_reports_of_before_the_option_are_still_read() -> None:
    document = json.loads(to_json(run(Order(("true",)))))
    del document["runs"][0]["order"]["locals"]
    (record,) = records_from_json(json.dumps(document))
    assert record.order.locals is False


def test_a_link_at_the_draft_s_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="ascii")
    report = tmp_path / "report.json"
    (tmp_path / f".report.json.{os.getpid()}").symlink_to(victim)
    check_report_files([str(report)])
    write_report(str(report), "told")
    assert victim.read_text(encoding="ascii") == "kept"
    assert report.read_text(encoding="utf-8") == "told"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes links of others")
def test_a_report_does_not_go_where_somebody_else_s_link_leads(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="ascii")
    report = tmp_path / "report.json"
    report.symlink_to(victim)
    os.chown(report, 12345, 12345, follow_symlinks=False)
    with pytest.raises(UnwritableReport, match="a link that somebody else made"):
        check_report_files([str(report)])
    with pytest.raises(UnwritableReport, match="a link that somebody else made"):
        write_report(str(report), "told")
    assert victim.read_text(encoding="ascii") == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes links of others")
def test_a_history_does_not_go_where_somebody_else_s_link_leads(tmp_path: Path) -> None:
    link = tmp_path / "h.sqlite"
    link.symlink_to(tmp_path / "victim")
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(Unwritable, match="a link that somebody else made"):
        check_history(str(link))
    assert os.listdir(tmp_path) == ["h.sqlite"]
