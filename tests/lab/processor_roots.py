"""Roots for tests: a bare one that shows the machine's own programs, and those of the project's cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mungos.lab.processors import Root, host_architecture, wrap
from mungos.lab.processors.places import NOTE

PROJECT = Path(__file__).parents[2]
# What the machine's own programs need, seen in a root that has none.
SHOWN = tuple(path for path in ("/usr", "/nix") if os.path.isdir(path))
MERGED = ("bin", "lib", "lib32", "lib64", "sbin")


def bare_root(folder: Path, *, architecture: str = "") -> Root:
    """A root without a program; with `SHOWN`, those of this machine run in it."""
    name = architecture or host_architecture()
    path = folder / f"bare-{name}"
    for part in ("mnt", "etc", "var/tmp", "var/cache"):
        (path / part).mkdir(parents=True)
    for part in MERGED:
        if os.path.islink(f"/{part}"):
            (path / part).symlink_to(f"usr/{part}")
    root = Root(path, name, "bare", (), "", "2026-01-01T00:00:00+00:00", "none")
    root.write_note(path)
    return root


def inside(
    root: Root,
    *command: str,
    directory: str | None = None,
    show: Sequence[str] = SHOWN,
    pid1: bool = False,
    before: Sequence[str] = (),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a root; `before` stands in front of the command line."""
    line = wrap(root.architecture, command, directory, show=show, pid1=pid1, root=root)
    return subprocess.run(
        [*before, *line],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def built_root(architecture: str) -> Path | None:
    """The project's own cache, when it has a root for this architecture."""
    for cache in (os.environ.get("MUNGOS_CACHE"), str(PROJECT / ".cache")):
        if cache and list(Path(cache).glob(f"roots/*-{architecture}/{NOTE}")):
            return Path(cache)
    return None


def note(root: Root) -> dict[str, object]:
    """What was written into a root about it."""
    known = json.loads((root.path / NOTE).read_text())
    assert isinstance(known, dict)
    return known


def interpreter_for_everybody(source: Path) -> str:
    """A Python new enough that an ordinary user may execute; skips the test where there is none, or where he
    can't read the library in `source`."""
    if not all(folder.stat().st_mode & 1 for folder in (source, *source.parents)):
        pytest.skip("an ordinary user can't read the library")
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        for folder in ("/usr/bin", "/usr/local/bin"):
            path = f"{folder}/{name}"
            check = "import sys; sys.exit(sys.version_info < (3, 11))"
            if shutil.which(path) and subprocess.run([path, "-c", check], check=False).returncode == 0:
                return path
    pytest.skip("no interpreter that an ordinary user may execute")
