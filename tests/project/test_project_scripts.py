"""The scripts that CI and `make` are made of."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mungos.lab.processors import ARCHITECTURES
from tests.conftest import TLS_ENGINES

ROOT = Path(__file__).parents[2]
SHELL_SCRIPTS = [ROOT / ".ci" / "run"]


@pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_parse_and_stop_at_the_first_failure(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.stat().st_mode & 0o111, f"{path} is not executable"
    assert "\nset -euo pipefail\n" in path.read_text()


def test_packages_of_the_roots_are_sorted_and_named_once() -> None:
    lines = (ROOT / "scripts" / "processors" / "packages.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    assert entries
    assert entries == sorted(set(entries))


def left_out() -> dict[str, object]:
    with (ROOT / "scripts" / "processors" / "left_out.toml").open("rb") as file:
        return tomllib.load(file)


def test_what_is_left_out_on_other_processors_exists_and_has_a_reason() -> None:
    entries = left_out()["left_out"]
    assert isinstance(entries, list)
    for entry in entries:
        assert set(entry) <= {"tests", "programs", "engines", "processors", "suites", "reason"}
        assert len(entry["reason"]) > 10
        assert entry.get("tests") or entry.get("programs") or entry.get("engines")
        assert TLS_ENGINES.issuperset(entry.get("engines", ()))
        for processor in entry.get("processors", ()):
            assert processor in ARCHITECTURES
        for suite in entry.get("suites", ()):
            assert any(suite in each.suites for each in ARCHITECTURES.values())
        for path in entry.get("tests", ()):
            name, _, function = path.partition("::")
            assert list(ROOT.glob(name)), path
            if function:
                assert f"def {function}(" in (ROOT / name).read_text(), path


def test_every_foreign_program_is_in_the_roots_or_left_out_with_its_reason() -> None:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.foreign":
                found |= {str(part.value) for part in node.args if isinstance(part, ast.Constant)}
    known = left_out()
    assert isinstance(known["left_out"], list)
    listed = {program for entry in known["left_out"] for program in entry.get("programs", ())}
    assert isinstance(known["present_programs"], list)
    assert found - set(known["present_programs"]) == listed


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


def test_the_packages_of_the_roots_satisfy_what_the_tests_import() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    listed = (ROOT / "scripts" / "processors" / "packages.txt").read_text().split()
    for requirement in settings["dependency-groups"]["test"]:
        assert f"python3-{requirement.split('>')[0]}" in listed
