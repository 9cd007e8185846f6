"""Runs small programs under the lab's watch, and looks whether anything of them is left."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mungos.lab.order import Order
from mungos.lab.record import Attempt, Record
from mungos.lab.watch import run

PATIENCE = 8.0  # seconds for a tree that is being ended to be gone
MARK = "LAB_WATCH_TEST"


def python(text: str) -> tuple[str, ...]:
    """A command that runs this."""
    return (sys.executable, "-I", "-S", "-c", text)


def shell(text: str) -> tuple[str, ...]:
    """A command that runs this."""
    return ("/bin/sh", "-c", text)


def only(record: Record) -> Attempt:
    """Its attempt, of which there must be one."""
    (attempt,) = record.attempts
    return attempt


def texts(attempt: Attempt, stream: str = "stdout") -> list[str]:
    """What was printed there."""
    return [line.text for line in attempt.lines if line.stream == stream]


def mark() -> str:
    """A value for the environment variable `MARK` by which processes are found again."""
    return os.urandom(8).hex()


def marked(value: str) -> list[str]:
    """The live processes whose environment has this mark."""
    wanted = f"{MARK}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                has_it = wanted in (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if has_it and state not in "ZX":
                found.append(f"{entry.name} {command}")
    return found


def wait_for(value: str, count: int) -> list[str]:
    """Wait until at least so many processes have this mark; they, or what there is when patience ends."""
    end = time.monotonic() + PATIENCE
    while len(found := marked(value)) < count and time.monotonic() < end:
        time.sleep(0.02)
    return found


def left_of(value: str) -> list[str]:
    """Wait until no process has this mark; those that still have it when patience ends."""
    end = time.monotonic() + PATIENCE
    while (found := marked(value)) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def checked(order: Order) -> Record:
    """Run it, and see that nothing of it is left and that its directory is gone."""
    value = mark()
    environment = dict(os.environ if order.environment is None else order.environment)
    environment[MARK] = value
    places = {"environment": environment}
    # In a folder of its own: under another PID namespace, others' directories bear our number, too.
    with (
        tempfile.TemporaryDirectory(prefix="mungos-test-") as folder,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("TMPDIR", folder)
        record = run(Order(**{name: getattr(order, name) for name in order.__slots__} | places))
        assert marked(value) == []
        assert os.listdir(folder) == []
    return record
