"""Which tests reach a line, and how long each takes: one run of all of them under `coverage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage

from mutants.judging import TIME_FACTOR

__all__ = ["Coverage", "measure"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one run of the tests has told.

    Args:
        tests: for each file (absolute) and line, the ids of the tests that reach it.
        seconds: how long each test took.
    """

    tests: dict[str, dict[int, tuple[str, ...]]]
    seconds: dict[str, float]

    def of(self, path: str, line: int) -> list[str]:
        """The tests that reach a line, quickest first."""
        return sorted(self.tests.get(path, {}).get(line, ()), key=lambda name: self.seconds.get(name, 0.0))


def measure(folder: Path, tests: Sequence[str], sources: Sequence[Path], *, processes: int) -> Coverage:
    """Run the tests once under coverage.

    Args:
        folder: for its data; made when missing.
        tests: paths.
        sources: folders whose lines count.
        processes: of pytest-xdist.

    Raises RuntimeError when a test fails: then nothing could be told from a deletion.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, times = folder / "coverage", folder / "seconds.json"
    for old in folder.iterdir():
        old.unlink()
    settings = folder / "coveragerc"
    settings.write_text(f"[run]\nbranch = false\ndata_file = {data}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "-p", "mutants.seconds"]
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=1", "--cov-context=test", "--cov-report="]
    command += [f"--cov-config={settings}", *(f"--cov={source}" for source in sources), *tests]
    done = subprocess.run(command, check=False, env=_environment(times), timeout=3600)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"with nothing deleted the tests ended with {done.returncode}")
    return _read(data, times)


def _environment(times: Path) -> dict[str, str]:
    return {**os.environ, "MUNGOS_MUTANTS_SECONDS": str(times), "MUNGOS_TEST_TIME_FACTOR": TIME_FACTOR}


def _read(data: Path, times: Path) -> Coverage:
    stored = coverage.CoverageData(basename=str(data))
    stored.read()
    found: dict[str, dict[int, tuple[str, ...]]] = {}
    for path in stored.measured_files():
        lines = stored.contexts_by_lineno(path)
        found[path] = {
            line: tuple(sorted({context.partition("|")[0] for context in contexts if context}))
            for line, contexts in lines.items()
        }
    seconds: dict[str, float] = json.loads(times.read_text())
    return Coverage(found, seconds)
