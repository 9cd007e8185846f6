"""The programs in C, compiled when they are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["Unavailable", "compile_program", "find_compiler"]

_PATIENCE = 60.0  # seconds for one program


class Unavailable(Exception):
    """A program can't be had here; the text says why."""


def find_compiler(foreign: str = "") -> str:
    """The C compiler for this processor, or the cross compiler for a foreign one.

    Raises:
        Unavailable: there is none.
    """
    names = [f"{foreign}-linux-gnu-gcc"] if foreign else [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    for name in names:
        if name and (found := shutil.which(name)):
            return found
    raise Unavailable(f"no C compiler here ({', '.join(name for name in names if name)})")


def compile_program(source: Path, folder: Path, foreign: str = "") -> Path:
    """Compile one program, once.

    Args:
        source: its file.
        folder: where the result goes.
        foreign: GNU's name of another processor; a program for it is linked statically.

    Returns:
        The executable.

    Raises:
        Unavailable: there is no compiler, or it failed.
    """
    target = folder / (f"{source.stem}-{foreign}" if foreign else source.stem)
    if target.exists():
        return target
    fresh = target.with_name(f"{target.name}.{os.getpid()}")  # others may want the same one, right now
    options = ["-static"] if foreign else []
    command = [find_compiler(foreign), "-g", "-O1", "-w", "-pthread", *options, "-o", str(fresh), str(source)]
    try:
        done = subprocess.run(  # noqa: S603 - the compiler that was found, on a file of ours
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took over {_PATIENCE:g} s for {source.name}") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise Unavailable(f"{command[0]} fails on {source.name}: {last[0]}")
    fresh.rename(target)
    return target
