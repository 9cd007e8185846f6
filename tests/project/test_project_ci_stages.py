"""What `.ci/run` makes of a stage on another processor: its functions, the real script, our mirror."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mungos.lab.processors import ARCHITECTURES, host_architecture
from tests.lab.debian_mirror import Mirror

ROOT = Path(__file__).parents[2]
NAME = host_architecture()

pytestmark = [pytest.mark.foreign("mmdebstrap"), pytest.mark.timeout(40)]


def ci(folder: Path, *stages: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run these stages, and nothing else of it, in a folder that looks like the project's."""
    whole = (ROOT / ".ci" / "run").read_text()
    functions, begins, rest = whole.partition("start=$SECONDS\nif ! install_packages")
    end, ends, summary = rest.partition('echo "summary:"')
    assert begins
    assert ends
    assert "on_processor s390x " in end
    (folder / ".ci").mkdir()
    (folder / ".cache").mkdir()
    (folder / ".ci" / "run").write_text(functions + "\n".join(stages) + "\n" + ends + summary)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("scripts", "src"):
        (folder / name).symlink_to(ROOT / name)
    return subprocess.run(
        ["bash", str(folder / ".ci" / "run")],
        env={**os.environ, "MUNGOS_CACHE": str(folder / ".cache"), **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=35, check=False,
    )  # fmt: skip


def summary_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.rpartition("summary:\n")[2]


def test_stage_whose_root_is_in_no_release_is_not_run_and_fails_nothing(tmp_path: Path) -> None:
    if NAME not in ARCHITECTURES:
        pytest.skip("this machine's processor is not in the table")
    empty = Mirror(tmp_path / "debian", NAME, [])
    empty.folder.mkdir()
    with empty.served() as url:
        done = ci(
            tmp_path,
            f"on_processor {NAME} 600 30 20 --hypothesis-seed=1 tests/crypto",
            "stage last private 60 20 20 true",
            MUNGOS_DEBIAN_MIRROR=url,
        )
    assert done.returncode == 0, done.stdout
    told = summary_of(done)
    today = datetime.now(UTC).date().isoformat()
    assert f"NOT RUN on {today}: the mirror lacks files of every Debian release" in told
    assert f"{NAME}: NOT RUN on {today}: the mirror {url} lacks, for {NAME}, " in told
    for suite in ARCHITECTURES[NAME].suites:
        assert f"dists/{suite}/Release" in told
    assert "passed" in told.splitlines()[-1]


def test_stage_that_can_not_be_set_up_for_another_reason_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = ci(
        tmp_path,
        f"on_processor {NAME} 600 30 20",
        "stage last private 60 20 20 true",
        MUNGOS_CACHE=str(tmp_path / "file"),
        MUNGOS_DEBIAN_MIRROR="http://127.0.0.1:9/debian",
    )
    assert done.returncode == 1, done.stdout
    assert "can't write to" in done.stdout
    told = summary_of(done)
    assert "FAILED with status 2" in told
    assert "NOT RUN" not in told
    assert "passed" in told.splitlines()[-1]


def test_a_stage_on_no_other_processor_that_ends_like_one_that_lacks_files_failed(tmp_path: Path) -> None:
    done = ci(
        tmp_path,
        "stage alone private 60 20 20 sh -c 'exit 77'",
        "stage last private 60 20 20 true",
    )
    assert done.returncode == 1, done.stdout
    told = summary_of(done)
    assert "FAILED with status 77" in told
    assert "NOT RUN" not in told
    assert "passed" in told.splitlines()[-1]


def test_status_of_a_stage_through_make_is_never_taken_for_not_run(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("lacking:\n\t@exit 77\n")
    done = ci(tmp_path, "stage made private 60 20 20 make lacking")
    assert done.returncode == 1, done.stdout
    assert "FAILED with status 2" in summary_of(done)
