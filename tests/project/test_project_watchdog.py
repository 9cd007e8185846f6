"""scripts/watchdog.py against planted hangs: it ends in time, explains, and leaves nothing."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WATCHDOG = Path(__file__).parents[2] / "scripts" / "watchdog.py"
DEADLINE = 0.5  # seconds for commands that never end
PATIENCE = 30.0  # seconds in which everything here has to be over, on a busy machine too


def watched(
    program: str, *, deadline: float, time_factor: float, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a Python program under the watchdog; returns only when nobody holds its output any more."""
    limit = deadline * time_factor
    return subprocess.run(
        [sys.executable, str(WATCHDOG), f"--deadline={limit}", *options, "--", sys.executable, "-c", program],
        capture_output=True, text=True, timeout=PATIENCE * time_factor, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("status", [0, 1, 3, 124])
def test_watchdog_passes_on_the_status_and_the_output(status: int, time_factor: float) -> None:
    done = watched(f"import sys; print('said'); sys.exit({status})", deadline=20, time_factor=time_factor)
    assert (done.returncode, done.stdout, done.stderr) == (status, "said\n", "")


def test_watchdog_passes_on_an_ending_by_signal_as_a_shell_does(time_factor: float) -> None:
    done = watched("import os; os.kill(os.getpid(), 9)", deadline=20, time_factor=time_factor)
    assert done.returncode == 128 + signal.SIGKILL


def test_watchdog_passes_on_the_input() -> None:
    done = subprocess.run(
        [sys.executable, str(WATCHDOG), "--deadline=20", "cat"],
        input=b"through", capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"through")


def test_watchdog_says_when_the_command_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, str(WATCHDOG), "--deadline=5", "--", "/nowhere/at-all"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 127
    assert "can't be started" in done.stderr


@pytest.mark.parametrize("deadline", ["0", "-1", "inf", "nan", "soon"])
def test_watchdog_takes_no_deadline_that_is_none(deadline: str) -> None:
    done = subprocess.run(
        [sys.executable, str(WATCHDOG), f"--deadline={deadline}", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--deadline" in done.stderr


def test_watchdog_gives_the_command_no_blocked_or_ignored_signals(time_factor: float) -> None:
    program = """
import signal
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
print([line.split()[1] for line in open('/proc/self/status') if line.startswith('SigBlk')])
"""
    done = watched(program, deadline=20, time_factor=time_factor)
    assert done.stdout == "set()\n['0000000000000000']\n"


def test_watchdog_ends_a_sleeper_at_the_deadline_and_explains_it(time_factor: float) -> None:
    start = time.monotonic()
    done = watched("import time; time.sleep(600)", deadline=DEADLINE, time_factor=time_factor)
    assert done.returncode == 124
    assert time.monotonic() - start < PATIENCE * time_factor
    assert "the deadline of" in done.stderr
    assert "1 process(es) running" in done.stderr
    assert "time.sleep(600)" in done.stderr
    assert "thread " in done.stderr
    assert "descriptors: 0 /dev/null" in done.stderr


def test_watchdog_shows_the_python_stacks_of_who_registered_for_them(time_factor: float) -> None:
    program = """
import faulthandler, signal, time
faulthandler.register(signal.SIGUSR1)
def waits_for_godot():
    time.sleep(600)
waits_for_godot()
"""
    done = watched(program, deadline=2, time_factor=time_factor)
    assert done.returncode == 124
    assert "waits_for_godot" in done.stderr


def test_watchdog_kills_who_ignores_sigterm(time_factor: float) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    done = watched(program, deadline=2, time_factor=time_factor, options=("--grace=0.2",))
    assert done.returncode == 124


def test_watchdog_ends_a_stopped_process(time_factor: float) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    done = watched(program, deadline=2, time_factor=time_factor)
    assert done.returncode == 124
    assert "state T" in done.stderr


GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={session})
print(child.pid, flush=True)
{then}
"""


def test_watchdog_ends_a_grandchild_in_a_session_of_its_own_at_the_deadline(time_factor: float) -> None:
    program = GRANDCHILD.format(session=True, then="time.sleep(600)")
    done = watched(program, deadline=2, time_factor=time_factor)
    assert done.returncode == 124
    assert "2 process(es) running" in done.stderr
    assert gone(int(done.stdout))


@pytest.mark.parametrize("session", [False, True])
def test_watchdog_ends_an_orphan_that_holds_a_pipe_and_names_it(session: bool, time_factor: float) -> None:
    # Without the watchdog this run would last as long as the orphan: it holds our standard output.
    program = GRANDCHILD.format(session=session, then="child.returncode = 0")
    done = watched(program, deadline=20, time_factor=time_factor, options=("--settle=0.1",))
    assert done.returncode == 125
    assert "left processes running" in done.stderr
    assert f"process {int(done.stdout)} " in done.stderr
    assert "pipe:" in done.stderr
    assert gone(int(done.stdout))


def test_watchdog_keeps_the_status_of_a_command_that_failed_and_left_something(time_factor: float) -> None:
    program = GRANDCHILD.format(session=True, then="child.returncode = 0; sys.exit(3)")
    done = watched(program, deadline=20, time_factor=time_factor, options=("--settle=0.1",))
    assert done.returncode == 3
    assert gone(int(done.stdout))


def test_watchdog_ends_a_daemon_that_forked_twice(time_factor: float) -> None:
    program = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
"""
    done = watched(program, deadline=20, time_factor=time_factor, options=("--settle=2",))
    assert done.returncode == 125
    assert gone(int(done.stdout))


def test_watchdog_waits_for_children_that_end_by_themselves(time_factor: float) -> None:
    program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
child.returncode = 0
"""
    done = watched(program, deadline=20, time_factor=time_factor, options=(f"--settle={10 * time_factor}",))
    assert (done.returncode, done.stderr) == (0, "")


def test_watchdog_told_to_stop_takes_the_tree_with_it(time_factor: float) -> None:
    program = GRANDCHILD.format(session=True, then="time.sleep(600)")
    with subprocess.Popen(
        [sys.executable, str(WATCHDOG), "--deadline=600", "--", sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as watchdog:  # fmt: skip
        assert watchdog.stdout is not None
        ready, _, _ = select.select([watchdog.stdout], [], [], PATIENCE * time_factor)
        assert ready
        pid = int(watchdog.stdout.readline())
        watchdog.send_signal(signal.SIGTERM)
        _, said = watchdog.communicate(timeout=PATIENCE * time_factor)
    assert watchdog.returncode == 128 + signal.SIGTERM
    assert "told to stop by SIGTERM" in said
    assert gone(pid)
