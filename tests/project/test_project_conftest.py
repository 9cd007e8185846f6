"""tests/conftest.py and tests/leftovers.py themselves: a check that can't fail checks nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.leftovers import holdings, left_behind

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inner(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs pytest on a little test file under our conftest, in a copy of the project's settings."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "leftovers.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run(text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "tests" / "test_inner.py").write_text(text)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MUNGOS_", "PYTEST_")) and name != "CI"
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path, env={**clean, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_conftest_nothing_is_left_behind_by_a_tidy_block() -> None:
    before = holdings()
    with socket.socket(), open(os.devnull, "rb"):
        pass
    assert left_behind(before, 0) == []


def test_conftest_a_descriptor_is_named() -> None:
    before = holdings()
    number = os.open(os.devnull, os.O_RDONLY)
    try:
        assert left_behind(before, 0) == [f"descriptor {number}: /dev/null"]
    finally:
        os.close(number)


def test_conftest_a_thread_is_named_and_one_that_ends_in_time_is_forgiven() -> None:
    before = holdings()
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="waiter", daemon=True)
    thread.start()
    try:
        assert left_behind(before, 0) == ["thread 'waiter' (daemon)"]
    finally:
        go.set()
    assert left_behind(before, 60) == []


def test_conftest_a_child_process_is_named() -> None:
    before = holdings()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        assert [line for line in left_behind(before, 0) if line.startswith(f"child process {child.pid}: ")]
    finally:
        child.communicate()


@pytest.mark.timeout(60)
def test_conftest_a_test_that_leaks_fails_and_the_next_one_does_not(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner("import os\ndef test_leaks(): os.pipe()\ndef test_tidy(): pass\n")
    assert done.returncode == 1
    assert "left behind: descriptor" in done.stdout
    assert "pipe:[" in done.stdout
    assert "2 passed, 1 error" in done.stdout


@pytest.mark.timeout(60)
def test_conftest_deadlines_are_stretched_by_the_time_factor(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    text = """
import pytest
def limits(request): return [(m.args, m.kwargs) for m in request.node.iter_markers("timeout")][0]
def test_usual(request): assert limits(request) == ((30,), {})
@pytest.mark.timeout(2, method="thread")
def test_own(request): assert limits(request) == ((6,), {"method": "thread"})
@pytest.mark.timeout(timeout=4)
def test_by_name(request): assert limits(request) == ((12,), {})
"""
    done = inner(text, MUNGOS_TEST_TIME_FACTOR="3")
    assert "3 passed" in done.stdout, done.stdout


@pytest.mark.timeout(60)
def test_conftest_the_profile_scales_examples_also_where_a_test_names_its_number(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    text = """
import hypothesis, hypothesis.strategies as st
counts = {"usual": 0, "own": 0}
@hypothesis.given(st.binary(min_size=4))
def test_a_usual(data): counts["usual"] += 1
@hypothesis.settings(max_examples=200)
@hypothesis.given(st.binary(min_size=4))
def test_b_own(data): counts["own"] += 1
def test_c_counts(): assert counts == {"usual": 10, "own": 20}
"""
    done = inner(text, MUNGOS_HYPOTHESIS_PROFILE="s390x")
    assert "3 passed" in done.stdout, done.stdout
    assert "hypothesis profile s390x, --hypothesis-seed=" in done.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ci", ["true", "false"])
def test_conftest_the_seed_that_is_printed_is_the_seed_that_is_used(
    ci: str, inner: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    text = """
import hypothesis.core
def test_seed(request):
    assert str(hypothesis.core.global_force_seed) == request.config.getoption("--hypothesis-seed")
    assert not hypothesis.settings.default.derandomize
"""
    done = inner(text, CI=ci)
    assert "1 passed" in done.stdout, done.stdout


MISSING = """
import pytest
@pytest.mark.foreign("no-such-program")
def test_missing(foreign_program): foreign_program("no-such-program")
@pytest.mark.foreign
def test_unnamed(): pass
@pytest.mark.foreign("sh")
def test_there(foreign_program): assert foreign_program("sh").endswith("/sh")
"""


@pytest.mark.timeout(60)
def test_conftest_a_missing_program_skips_its_test_and_names_the_package(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner(MISSING)
    assert "2 passed, 1 skipped" in done.stdout
    assert "install the Debian package no-such-program" in done.stdout


@pytest.mark.timeout(60)
def test_conftest_a_missing_program_fails_its_test_in_ci(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner(MISSING, CI="true")
    assert "1 failed, 2 passed" in done.stdout


@pytest.mark.timeout(60)
def test_conftest_only_the_foreign_programs_listed_are_run(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner(MISSING, MUNGOS_FOREIGN_PROGRAMS="openssl,sh", CI="true")
    assert "1 passed, 2 deselected" in done.stdout


@pytest.mark.timeout(60)
def test_conftest_stacks_are_printed_on_sigusr1(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner("import os, signal\ndef test_asks_for_stacks(): os.kill(os.getpid(), signal.SIGUSR1)\n")
    assert "1 passed" in done.stdout
    assert "in test_asks_for_stacks" in done.stderr


ENGINE_TESTS = """
import pytest
@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_with(engine): pass
def test_without(): pass
"""


def test_conftest_tests_of_other_engines_are_left_out(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert "3 passed" in inner(ENGINE_TESTS).stdout
    assert "2 passed, 1 deselected" in inner(ENGINE_TESTS, MUNGOS_TEST_ENGINES="builtin").stdout


def test_conftest_an_unknown_engine_is_an_error_and_not_an_empty_choice(
    inner: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = inner(ENGINE_TESTS, MUNGOS_TEST_ENGINES="opensl")
    assert done.returncode != 0
    assert "opensl is no TLS engine" in done.stdout + done.stderr
