"""Stacks of Python threads: as py-spy reads them from outside, and as faulthandler prints them."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping

from mungos.lab.facts import Frame, Stack

__all__ = ["from_faulthandler", "from_py_spy", "py_spy"]

MOST_FRAMES = 100
MOST_LOCALS = 20
LOCAL_SHOWN = 120  # characters
NAME_SHOWN = 4096  # characters: a program gives its code what names and files it likes
MOST_STACKS = 1024
_THREAD = re.compile(r"(?:Current thread|Thread) (0x[0-9a-f]+)(?: \[(.*?)\])? \(most recent call first\):")
_FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)')


def py_spy() -> str | None:
    """Where py-spy is: beside this Python, among its scripts, or on PATH."""
    for folder in (os.path.dirname(sys.executable), sysconfig.get_path("scripts")):
        path = os.path.join(folder, "py-spy")
        if os.access(path, os.X_OK):
            return path
    return shutil.which("py-spy")


def from_py_spy(data: bytes, threads: Mapping[int, tuple[int, str]]) -> tuple[Stack, ...]:
    """The output of `py-spy dump --json`; nothing when it is none.

    Args:
        data: what it printed.
        threads: inner thread number to outer number and name.
    """
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return ()
    outer = {number for number, _ in threads.values()}
    stacks = []
    for each in parsed[:MOST_STACKS] if isinstance(parsed, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("frames"), list):
            continue
        number = each.get("os_thread_id") or 0
        if number not in outer:
            number = threads[number][0] if number in threads else 0
        frames = tuple(_frame(frame) for frame in each["frames"][:MOST_FRAMES] if isinstance(frame, dict))
        name = str(each.get("thread_name") or "")[:NAME_SHOWN]
        stacks.append(Stack(number, name, "python", "py-spy", frames))
    return tuple(stacks)


def _frame(frame: dict[str, object]) -> Frame:
    shown = []
    found = frame.get("locals")
    for each in found[:MOST_LOCALS] if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("repr") is not None:
            shown.append((str(each.get("name"))[:NAME_SHOWN], str(each["repr"])[:LOCAL_SHOWN]))
    line = frame.get("line")
    return Frame(
        str(frame.get("name"))[:NAME_SHOWN],
        str(frame.get("filename"))[:NAME_SHOWN],
        line if isinstance(line, int) and line > 0 else None,
        tuple(shown),
    )


def from_faulthandler(text: str, names: Mapping[int, tuple[int, str]]) -> tuple[Stack, ...]:
    """What faulthandler printed at its last dump.

    Args:
        text: all that it printed.
        names: thread as the program names it (pthread_self) to outer number and name.
    """
    stacks: dict[int, Stack] = {}
    current: int | None = None
    frames: list[Frame] = []
    label = ""

    def end() -> None:
        if current is not None:
            number, name = names.get(current, (0, label))
            stacks[current] = Stack(number, name or label, "python", "faulthandler", tuple(frames))

    for line in text.splitlines():
        head = _THREAD.match(line)
        if head is not None:
            end()
            current, frames, label = int(head[1], 16), [], head[2] or ""
            continue
        found = _FRAME.match(line)
        if found is not None and current is not None and len(frames) < MOST_FRAMES:
            frames.append(Frame(found[3], found[1], int(found[2]) if found[2].isdigit() else None))
    end()
    return tuple(stacks.values())
