"""The scripts that CI and `make` are made of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL_SCRIPTS = [
    ROOT / ".ci" / "run",
    *(ROOT / "scripts" / "s390x" / name for name in ("build_root", "run_in", "test")),
]


@pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_parse_and_stop_at_the_first_failure(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.stat().st_mode & 0o111, f"{path} is not executable"
    assert "\nset -euo pipefail\n" in path.read_text()


@pytest.mark.parametrize("name", ["packages.txt", "tests.txt"])
def test_lists_for_s390x_are_sorted_and_name_each_thing_once(name: str) -> None:
    lines = (ROOT / "scripts" / "s390x" / name).read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    assert entries
    assert entries == sorted(set(entries))


def test_nothing_is_emulated_as_process_1() -> None:
    # A fatal signal that an emulated process 1 sends to itself is dropped, and it waits for ever.
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    done = subprocess.run(
        [*alone, str(ROOT / "scripts" / "s390x" / "run_in"), "/nowhere", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "must not be process 1" in done.stderr


def groups_in(folder: Path, pyproject: str, *names: str) -> subprocess.CompletedProcess[str]:
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "dependency_group.py", folder / "scripts")
    (folder / "pyproject.toml").write_text(pyproject)
    return subprocess.run(
        [sys.executable, str(folder / "scripts" / "dependency_group.py"), *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_dependency_groups_are_printed_with_those_that_they_include(tmp_path: Path) -> None:
    text = '[dependency-groups]\na = ["one>=1", {include-group = "b"}]\nb = ["two", "three"]\n'
    assert groups_in(tmp_path, text, "a", "b").stdout == "one>=1\ntwo\nthree\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[dependency-groups]\nb = ["two"]\n', "no dependency group 'a'"),
        ('[dependency-groups]\na = [{include-group = "a"}]\n', "a includes itself"),
    ],
)
def test_dependency_groups_that_make_no_sense_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    done = groups_in(tmp_path, text, "a")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_the_packages_for_s390x_satisfy_what_the_tests_import() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    listed = (ROOT / "scripts" / "s390x" / "packages.txt").read_text().split()
    for requirement in settings["dependency-groups"]["test"]:
        assert f"python3-{requirement.split('>')[0]}" in listed
