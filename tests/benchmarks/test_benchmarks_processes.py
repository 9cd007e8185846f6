"""Children are started, bound, waited for and ended; one real round of each case on the bare loops."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cases import CASES, Case, Entry, entries
from benchmarks.cputime import cpu_seconds, ticks_in_proc
from benchmarks.processes import ANY_CPU, Child, ChildFailed, free_port
from benchmarks.rounds import Plan, load_command, play, run_once

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the benchmark needs epoll and /proc"
)

SHORT = Plan(rounds=1, seconds=5.0, warm_up=0.0, requests=200, longest=5.0)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
)


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "child.py"
    path.write_text(text, encoding="utf-8")
    return [str(path)]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_child_is_ended_when_the_block_is_left(tmp_path: Path) -> None:
    with Child("x", script(tmp_path, "import time; print('ready'); time.sleep(60)"), cpu=ANY_CPU) as child:
        child.wait_ready(9)
        assert not gone(child.pid)
    assert gone(child.pid)
    assert not child.killed


def test_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with Child("x", script(tmp_path, STUBBORN), cpu=ANY_CPU) as child:
        child.wait_ready(9)
        child.stop(0.1)
        assert child.killed
    assert gone(child.pid)


def test_child_that_fails_says_why(tmp_path: Path) -> None:
    with (
        Child("the server", script(tmp_path, "raise SystemExit('no such port')"), cpu=ANY_CPU) as child,
        pytest.raises(ChildFailed, match=r"the server ended with status 1 before it was ready\nno such port"),
    ):
        child.wait_ready(9)


def test_child_that_is_never_ready_meets_its_deadline(tmp_path: Path) -> None:
    text = "import time; print('already'); time.sleep(60)"
    with (
        Child("x", script(tmp_path, text), cpu=ANY_CPU) as child,
        pytest.raises(ChildFailed, match=r"not ready within 0\.2 s"),
    ):
        child.wait_ready(0.2)
    assert gone(child.pid)


def test_child_is_bound_to_its_processor(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    text = "import os; print(sorted(os.sched_getaffinity(0)))"
    with Child("x", script(tmp_path, text), cpu=cpu) as child:
        assert child.wait_done(9) == f"[{cpu}]"


def test_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = (
        "import sys, time\nfrom benchmarks.processes import Child\n"
        f"child = Child('x', [{str(tmp_path / 'grandchild.py')!r}], cpu=-1)\n"
        "child.wait_ready(9)\nprint(child.pid, flush=True)\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    (tmp_path / "grandchild.py").write_text("import time; print('ready'); time.sleep(60)", encoding="utf-8")
    with Child("parent", script(tmp_path, parent), cpu=ANY_CPU) as child:
        child.wait_ready(9)
        grandchild = int(child.output()[0])
        child.kill()
        end = time.monotonic() + 5
        while alive(grandchild) and time.monotonic() < end:
            os.sched_yield()
        assert not alive(grandchild)


def alive(pid: int) -> bool:
    """Not gone, and not a zombie that nobody has waited for."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_cpu_seconds_of_this_process_agree() -> None:
    before = time.process_time()
    measured = cpu_seconds(os.getpid())
    assert before <= measured <= time.process_time()
    assert abs(ticks_in_proc(os.getpid()) - measured) < 1


def test_cpu_seconds_of_nobody(tmp_path: Path) -> None:
    with Child("x", script(tmp_path, "print('done')"), cpu=ANY_CPU) as child:
        child.wait_done(9)
    with pytest.raises(ProcessLookupError):
        cpu_seconds(child.pid)


def test_free_port_is_a_port() -> None:
    assert 1024 <= free_port() <= 65535


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_one_round_of_the_bare_loop(case: Case) -> None:
    small = replace(case, connections=4, pool=16)
    entry = entries(small, subject="bare loop")[0]
    measured, remarks = run_once(small, entry, SHORT, seed=1)
    assert measured.requests == 200
    assert measured.server_cpu > 0
    assert remarks == []


def test_one_round_with_idle_connections() -> None:
    small = replace(CASES[-1], connections=2, pool=16, idle=50)
    entry = entries(small, subject="bare loop")[0]
    assert entry.idle == 50
    measured, remarks = run_once(small, entry, SHORT, seed=1)
    assert measured.requests == 200
    assert remarks == []


def test_wrong_server_spoils_its_round_only() -> None:
    """The WebSocket echo under HTTP load, beside the server that fits."""
    http, websocket = CASES[0], CASES[1]
    small = replace(http, connections=2, pool=16)
    right = entries(small, subject="bare loop")[0]
    wrong = Entry("wrong", entries(websocket, subject="bare loop")[0].server)
    steps: list[str] = []
    outcome = play([(small, [right, wrong])], SHORT, step=steps.append)[0]
    assert len(steps) == 2
    assert outcome.rows[0].good()
    assert outcome.rows[1].rounds == [None]
    assert "wrong" in outcome.faults[0]


def test_load_command_bounds_requests_by_time() -> None:
    command = load_command(CASES[2], SHORT, port=1, server_pid=2, seed=3)
    assert command[command.index("--seconds") + 1] == "5.0"
    assert command[command.index("--requests") + 1] == "200"
    assert command[command.index("--size") + 1] == "8192"
