"""What stands between the lab's start and the command's: few imports, and little CPU."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace

import pytest

from mungos.lab.order import Order
from mungos.lab.plain import dataclass as plain
from mungos.lab.record import Line

RUN = ("-m", "mungos", "lab", "run", "--no-history", "-q", "--", "true")
HEAVY = {
    "ast",
    "click",
    "ctypes",
    "dataclasses",
    "inspect",
    "json",
    "re",
    "rich",
    "sqlite3",
    "subprocess",
    "typing",
}
CAUSED_BY_PYTHON = {"re", "typing"}  # which some versions' `-m` or site-packages import themselves
ALLOWED = 12  # times the CPU of a Python that does nothing; 4 where it is quiet


def imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    return {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }


@pytest.mark.timeout(60)
def test_a_run_that_passes_imports_little() -> None:
    already = imported("-c", "import runpy, importlib.util")
    found = imported(*RUN) - already
    assert found & HEAVY == set()
    assert not any(
        name.startswith(("mungos.lab.autopsy", "mungos.lab.findings", "mungos.core")) for name in found
    )
    assert "mungos.lab.watch.run" in found


@pytest.mark.timeout(60)
def test_a_run_that_passes_takes_little_cpu() -> None:
    def cpu(*arguments: str) -> float:
        best = 1e9
        for _ in range(3):
            pid = os.posix_spawn(
                sys.executable, [sys.executable, *arguments], os.environ,
                file_actions=[(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
            )  # fmt: skip
            _, status, usage = os.wait4(pid, 0)
            assert status == 0
            best = min(best, usage.ru_utime + usage.ru_stime)  # of its keeper and its command, too
        return best

    # Before the next run its modules are compiled, where that is kept.
    nothing, all_of_it = cpu("-c", "pass"), cpu(*RUN)
    assert all_of_it <= (ALLOWED if not sys.dont_write_bytecode else 3 * ALLOWED) * nothing


@plain(frozen=True, slots=True)
class Made:
    """One of ours."""

    first: int
    second: str = "two"

    @property
    def both(self) -> str:
        return f"{self.first} {self.second}"


@dataclass(frozen=True, slots=True)
class Real:
    """The same by the standard library."""

    first: int
    second: str = "two"


def test_what_is_made_is_like_a_dataclass() -> None:
    made = Made(1)
    assert (made.first, made.second, made.both) == (1, "two", "1 two")
    assert made == Made(1, second="two")
    assert made != Made(2)
    assert made != object()
    assert hash(made) == hash(Made(1))
    assert repr(made) == "Made(first=1, second='two')"
    assert [(each.name, each.type, each.default) for each in fields(made)] == [
        (each.name, each.type, each.default) for each in fields(Real)
    ]
    assert is_dataclass(made)
    assert replace(made, second="b") == Made(1, "b")
    assert pickle.loads(pickle.dumps(made)) == made
    assert not hasattr(made, "__dict__")
    assert Made.__match_args__ == ("first", "second")
    assert Made.__init__.__module__ == Made.__module__
    with pytest.raises(FrozenInstanceError):
        made.first = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del made.first
    with pytest.raises(TypeError):
        Made()  # type: ignore[call-arg]


def test_orders_and_lines_are_dataclasses() -> None:
    assert replace(Order(("a",)), stall=1.0).stall == 1.0
    assert [each.name for each in fields(Line)] == ["at", "stream", "text", "complete"]
