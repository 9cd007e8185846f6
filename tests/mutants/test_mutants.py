"""What is deleted, and that deleting it is noticed."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mutants.branches import Branch, find, without
from mutants.deleting import install
from mutants.judging import KILLED, SURVIVED, judge_all

ROOT = Path(__file__).parents[2]
SOURCE = textwrap.dedent(
    """
    class Reader:
        def take(self, size):
            if size < 0:
                raise ValueError(size)
            elif size > 9:
                self.fail("too long")
            else:
                for _ in range(size):
                    if _ == 7:
                        raise KeyError
            try:
                pass
            except OSError as error:
                raise ValueError from error
            if size == 3:
                return 3
            def later():
                raise LookupError
            return later
    """
)


def test_branches_that_raise_or_alert_are_found_once_each_in_order() -> None:
    assert [branch.key for branch in find("m", SOURCE)] == [
        "m:Reader.take:if size < 0",
        "m:Reader.take:if size > 9",
        "m:Reader.take:if _ == 7",
        "m:Reader.take:except OSError",
    ]


def test_equal_conditions_of_one_function_have_different_keys() -> None:
    source = "def f(a):\n    if a: raise A\n    if a: raise B\n"
    assert [branch.key for branch in find("m", source)] == ["m:f:if a", "m:f:if a #2"]


@pytest.mark.parametrize("index", range(4))
def test_only_the_named_branch_is_emptied(index: int) -> None:
    changed = ast.unparse(without(SOURCE, index))
    gone = [
        "raise ValueError(size)",
        "self.fail('too long')",
        "raise KeyError",
        "raise ValueError from error",
    ]
    assert [text not in changed for text in gone] == [place == index for place in range(4)]
    assert "raise LookupError" in changed


def test_a_branch_that_is_not_there_cannot_be_deleted() -> None:
    with pytest.raises(IndexError):
        without(SOURCE, 4)


def test_a_module_that_is_there_already_is_not_silently_left_whole() -> None:
    with pytest.raises(RuntimeError, match="imported already"):
        install("mutants.branches", 0)


CHECKED = "def halve(number):\n    if number % 2:\n        raise ValueError(number)\n    return number // 2\n"
TEST = """
import pytest, checked_by_mutants
def test_odd():
    with pytest.raises(ValueError):
        checked_by_mutants.halve(3)
def test_even():
    assert checked_by_mutants.halve(4) == 2
"""


@pytest.mark.parametrize(("test", "verdict"), [("test_odd", KILLED), ("test_even", SURVIVED)])
@pytest.mark.timeout(60)
def test_a_test_that_needs_the_branch_notices_and_another_does_not(
    test: str, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checked_by_mutants.py").write_text(CHECKED)
    (tmp_path / "test_checked_by_mutants.py").write_text(TEST)
    script = tmp_path / "judge.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            from pathlib import Path
            from mutants.branches import find
            from mutants.judging import judge_all, warm_up
            here = Path({str(tmp_path)!r})
            sys.path.insert(0, str(here))
            branch, = find("checked_by_mutants", (here / "checked_by_mutants.py").read_text())
            work = [(branch, [str(here / "test_checked_by_mutants.py") + "::{test}"])]
            for judged in judge_all(work, here, processes=1):
                print(judged.verdict)
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.stdout.splitlines() == [verdict], done.stderr


def test_a_module_that_was_there_already_gives_no_verdict(tmp_path: Path) -> None:
    # In the forked process nothing could be deleted: that is not "noticed".
    branch = Branch("mutants.branches", 0, 1, "mutants.branches:f:if a")
    with pytest.raises(RuntimeError, match="could not run its tests"):
        list(judge_all([(branch, ["any"])], tmp_path, processes=1))


def test_a_branch_that_no_test_reaches_survives(tmp_path: Path) -> None:
    branch = Branch("m", 0, 1, "m:f:if a")
    (judged,) = judge_all([(branch, [])], tmp_path, processes=1)
    assert judged.verdict == SURVIVED
    assert judged.said == "no test reaches it"
