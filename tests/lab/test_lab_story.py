"""The story that the lab was built for, from its end to its beginning.

A program for a big-endian processor reads key bytes as native words. Its own two ends agree; a peer that is
not its own does not. It says so through a pipe, aborts, and is process 1: the text is lost, and nothing ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.processor_roots import built_root

pytestmark = [
    pytest.mark.foreign("qemu-s390x-static", "s390x-linux-gnu-gcc"),
    pytest.mark.timeout(120),
]

SOURCE = Path(__file__).with_name("story") / "x25519.c"
ANSWER = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"  # RFC 7748 section 6.1
STALL = 1.0  # seconds
EXPLAINED_WITHIN = 15.0  # seconds of the stall clock
NAMED = ("abort-as-pid1", "unflushed-pipe", "no-timer-armed")


@pytest.fixture(scope="module")
def folder(foreign_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the program for both processors: x25519-native and x25519-s390x."""
    made = tmp_path_factory.mktemp("story")
    native = "gcc" if os.uname().machine == "x86_64" else "cc"
    for name, compiler in (("s390x", "s390x-linux-gnu-gcc"), ("native", native)):
        line = [
            foreign_program(compiler),
            "-O1",
            "-Wall",
            "-Wextra",
            "-static",
            "-o",
            f"x25519-{name}",
            str(SOURCE),
        ]
        done = subprocess.run(line, cwd=made, capture_output=True, text=True, check=False)
        if "stdlib.h" in done.stderr or "cannot find -lc" in done.stderr:
            pytest.skip(
                f"{compiler} has no C library: install the Debian package libc6-dev-s390x-cross or libc6-dev"
            )
        assert (done.returncode, done.stderr) == (0, "")
    return made


@pytest.fixture
def root_cache() -> Path:
    found = built_root("s390x")
    if found is None:
        pytest.skip("no root for s390x: make lab-s390x, or mungos lab arch add s390x")
    return found


def lab(folder: Path, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    if cache is not None:
        environment["MUNGOS_CACHE"] = str(cache)
    return subprocess.run(
        [sys.executable, "-m", "mungos", "lab", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def seconds(factor: float = 1.0) -> list[str]:
    return ["--stall", f"{STALL / factor:g}", "--deadline", "60", "--no-history"]


def test_story_on_the_native_processor_nothing_is_wrong(folder: Path) -> None:
    done = subprocess.run([folder / "x25519-native", ANSWER], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.splitlines()[3:] == [f"secret {ANSWER}", "All connections closed"]


def test_story_without_the_lab_nothing_is_seen(folder: Path, foreign_program: Callable[[str], str]) -> None:
    # Not as process 1, it ends at least; of what it said, only the emulator's word is there.
    done = subprocess.run(
        [foreign_program("qemu-s390x-static"), "./x25519-s390x", ANSWER],
        cwd=folder, capture_output=True, text=True, check=False, preexec_fn=_no_core,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-6, "")


def _no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def assert_explained(done: subprocess.CompletedProcess[str], took: float, time_factor: float) -> None:
    assert done.returncode == 123, done.stderr
    places = [done.stderr.find(f"[{name}]") for name in NAMED]
    assert all(place >= 0 for place in places), done.stderr
    assert places[0] == min(places), "the abort is the first thing to know"
    assert "SIGABRT" in done.stderr
    assert "s390x" in done.stderr
    assert took < (STALL + EXPLAINED_WITHIN) * time_factor


def test_story_the_lab_explains_the_stall(folder: Path, time_factor: float) -> None:
    start = time.monotonic()
    done = lab(folder, "run", "--pid1", *seconds(), "--", "qemu-s390x-static", "./x25519-s390x", ANSWER)
    assert_explained(done, time.monotonic() - start, time_factor)


def test_story_the_lab_explains_the_stall_on_its_own_s390x(
    folder: Path, root_cache: Path, time_factor: float
) -> None:
    start = time.monotonic()
    line = ["run", "--arch", "s390x", "--pid1", *seconds(10), "--", "./x25519-s390x", ANSWER]
    done = lab(folder, *line, cache=root_cache)
    assert_explained(done, time.monotonic() - start, time_factor)


def test_story_with_an_init_it_ends_and_a_terminal_loses_nothing(folder: Path) -> None:
    done = lab(folder, "run", "--pty", *seconds(), "--", "qemu-s390x-static", "./x25519-s390x", ANSWER)
    assert done.returncode == 134, done.stderr
    assert "FAILED: its secret is another one" in done.stdout


def test_story_compare_names_the_answer_that_differs(folder: Path, root_cache: Path) -> None:
    done = lab(folder, "compare", "--arch", "native,s390x", "--", "./x25519-{arch}", ANSWER, cache=root_cache)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "native (x86_64, little-endian, 64 bits): 5 lines, passed"
        or os.uname().machine != "x86_64"
    )
    emulated = r"s390x \(s390x, big-endian, 64 bits, Debian [a-z]+\): 6 lines, was ended by signal 6"
    assert re.fullmatch(emulated, lines[1])
    assert lines[2] == "native and s390x differ at line 4, column 8 (byte 8) of the terminal"
    answer = next(line for line in lines if line.startswith("4 | "))
    assert f"secret {ANSWER}" in answer
    assert answer.count("secret") == 2
