"""The command line that runs a command on another processor."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mungos.lab.processors.architectures import NATIVE, architecture
from mungos.lab.processors.places import Root, find_root

__all__ = ["wrap"]

_ENTER = Path(__file__).with_name("enter.py")


def wrap(
    name: str,
    command: Sequence[str],
    directory: str | None = None,
    *,
    show: Sequence[str] = (),
    pid1: bool = False,
    root: Root | None = None,
) -> tuple[str, ...]:
    """The command line that runs `command` there. What it starts becomes the command itself.

    It works in the lab's namespaces and outside them, as root and as an ordinary user. What the run makes
    outside of `directory` and of what is shown goes with it, but for the root's own /var.

    Args:
        name: Debian's name of the architecture, or "native".
        command: as it is called there.
        directory: is the current folder there, under its own path and as /src; None for the current one.
        show: folders that are seen there under their own paths, too. The one that MUNGOS_LAB names always is.
        pid1: it may be process 1; else it refuses to.
        root: the root to take, if it is not the architecture's own.

    Raises:
        Misuse: an unknown architecture.
        Unavailable: no root has been built, or there is no emulator.
    """
    if name == NATIVE:
        return tuple(command)
    known = architecture(name)
    root = root or find_root(name)
    emulator = known.emulator()
    where = os.path.realpath(directory or os.getcwd())
    shown = [os.path.realpath(path) for path in show]
    line = [sys.executable, "-I", "-S", str(_ENTER), f"root={root.path}", f"architecture={name}"]
    line += [f"directory={where}", *(f"show={path}" for path in shown)]
    if emulator is not None:
        line += [f"emulator={emulator}", f"register={known.registration(emulator)}"]
    if known.word_size == 32 and emulator is None:
        line.append("linux32=1")
    if emulator is not None and known.cpu:
        line.append(f"cpu={known.cpu}")
    if pid1:
        line.append("pid1=1")
    if not known.proot:
        line.append("proot_useless=1")
    elif proot := shutil.which("proot"):
        line.append(f"proot={proot}")
    return (*line, "--", *command)
