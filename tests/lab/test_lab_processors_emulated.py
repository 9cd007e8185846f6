"""What a root that was built really is; each test wants the project's root of its processor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mungos.lab.processors import Unavailable, find_root, platform, prove, wrap
from tests.lab.processor_roots import built_root

pytestmark = [pytest.mark.foreign("mmdebstrap", "qemu-s390x-static"), pytest.mark.timeout(60)]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def make(name: str) -> None:
        cache = built_root(name)
        if cache is None:
            pytest.skip(f"no root for {name}: make lab-{name}, or mungos lab arch add {name}")
        monkeypatch.setenv("MUNGOS_CACHE", str(cache))

    return make


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mungos", "lab", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("name", ["i386", "s390x"])
def test_processor_is_proven_and_measured(name: str, use: Callable[[str], None]) -> None:
    use(name)
    proven = platform(name)
    expected = {"i386": ("i686", "little", 32), "s390x": ("s390x", "big", 64)}[name]
    assert (proven.machine, proven.byte_order, proven.word_size) == expected
    assert proven.factor >= 1.0
    assert (proven.emulator is None) == (name == "i386")
    assert platform(name) == proven


def test_emulator_is_named_with_its_version(use: Callable[[str], None]) -> None:
    use("s390x")
    emulator = platform("s390x").emulator or ""
    assert emulator.startswith("qemu-s390x")
    assert emulator.split()[1][0].isdigit()


def test_root_of_another_processor_is_no_proof(use: Callable[[str], None]) -> None:
    use("s390x")
    false = replace(find_root("s390x"), architecture="mips64el", suite="false")
    with pytest.raises(Unavailable, match="mips64el"):
        prove(false)


def test_status_and_signals_come_through(use: Callable[[str], None]) -> None:
    use("s390x")
    for script, status in (("exit 9", 9), ("ulimit -c 0; kill -ABRT $$", -6), ("kill -TERM $$", -15)):
        done = subprocess.run(wrap("s390x", ["sh", "-c", script]), capture_output=True, check=False)
        assert done.returncode == status


def test_run_names_the_processor(use: Callable[[str], None]) -> None:
    use("s390x")
    done = run("run", "--no-history", "--arch", "s390x", "--", "uname", "-m")
    assert (done.returncode, done.stdout) == (0, "s390x\n"), done.stderr
    assert f"on s390x (Debian {find_root('s390x').suite}, qemu-s390x" in done.stderr


def test_compare_of_what_is_alike(use: Callable[[str], None], tmp_path: Path) -> None:
    use("s390x")
    (tmp_path / "program.py").write_text(
        "import os, sys\nprint(2**70, os.path.basename(os.getcwd()), sys.argv[1:])\n"
    )
    done = run("compare", "--arch", "native,s390x", "--", "python3", "program.py", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "native and s390x: identical"), done.stdout


def test_compare_of_byte_orders_and_what_is_ignored(use: Callable[[str], None], tmp_path: Path) -> None:
    use("s390x")
    line = ["--", "python3", "-c", "import sys; print('order', sys.byteorder, '{arch}'[:0])"]
    done = run("compare", "--arch", "native,s390x", *line, cwd=tmp_path)
    assert done.returncode == 1
    assert "differ at line 1, column 7 (byte 7)" in done.stdout
    ignored = run("compare", "--arch", "native,s390x", "--ignore", "little|big", *line, cwd=tmp_path)
    assert ignored.returncode == 0, ignored.stdout


def test_program_may_be_process_1_when_asked(use: Callable[[str], None]) -> None:
    use("s390x")
    done = run("run", "--no-history", "--arch", "s390x", "--pid1", "--", "sh", "-c", "echo $$")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="i386 runs without an emulator on x86_64")
def test_i386_knows_no_time_beyond_32_bits(use: Callable[[str], None]) -> None:
    use("i386")
    done = run(
        "compare", "--arch", "native,i386", "--pipe", "--", "python3", "-c", "import sys; print(sys.maxsize)"
    )
    assert done.returncode == 1
    assert "9223372036854775807" in done.stdout
    assert "2147483647" in done.stdout
