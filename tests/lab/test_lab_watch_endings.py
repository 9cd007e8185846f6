"""Whatever happens, nothing of the tree is left: programs that resist, a lab that is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from tests.lab.lab_watch_programs import (
    MARK,
    checked,
    left_of,
    mark,
    marked,
    only,
    python,
    shell,
    texts,
    wait_for,
)

both = pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "plain"])
IGNORE = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
    "time.sleep(1000)"
)
ESCAPE = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        os.setsid(); {then}\n"
    "        time.sleep(1000)\n"
    "    os._exit(0)\n"
    "os.wait(); time.sleep({stay})"
)


@both
def test_ignored_sigterm(isolated: bool) -> None:
    record = checked(Order(python(IGNORE), stall=0.4, grace=0.3, isolated=isolated))
    assert record.verdict is Verdict.STALLED
    assert texts(only(record)) == ["deaf"]


@both
def test_sigterm_is_heard_before_sigkill(isolated: bool) -> None:
    text = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))\n"
        "time.sleep(1000)"
    )
    record = checked(Order(python(text), stall=0.5, grace=8.0, isolated=isolated))
    assert texts(only(record)) == ["bye"]


@both
def test_a_stopped_process(isolated: bool) -> None:
    record = checked(Order(shell("kill -STOP $$"), stall=0.4, isolated=isolated))
    assert record.verdict is Verdict.STALLED


@both
def test_an_orphan_in_a_session_of_its_own(isolated: bool) -> None:
    record = checked(Order(python(ESCAPE.format(then="pass", stay=0)), isolated=isolated))
    assert record.verdict is Verdict.LEAKED
    assert len(only(record).left) == 1


@both
def test_an_orphan_beside_a_stall(isolated: bool) -> None:
    record = checked(Order(python(ESCAPE.format(then="pass", stay=1000)), stall=0.5, isolated=isolated))
    assert record.verdict is Verdict.STALLED


@pytest.mark.parametrize("network", ["private", "host"])
def test_an_orphan_that_holds_a_port(network: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    then = f"import socket; s = socket.create_server(('127.0.0.1', {port}))"
    record = checked(Order(python(ESCAPE.format(then=then, stay=0.3)), network=network))
    assert record.verdict is Verdict.LEAKED
    socket.create_server(("127.0.0.1", port)).close()


@both
def test_a_process_whose_first_thread_ended(isolated: bool) -> None:
    # /proc calls it a zombie, and it is none.
    number = {"x86_64": 60, "s390x": 1, "i686": 1, "armv7l": 1, "ppc64le": 1}.get(os.uname().machine, 93)
    text = (
        "import ctypes, os, threading, time\n"
        "if os.fork() == 0:\n"
        "    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        f"    ctypes.CDLL(None).syscall({number}, 0)\n"
    )
    record = checked(Order(python(text), isolated=isolated))
    assert record.verdict is Verdict.LEAKED
    assert len(only(record).left) == 1


@both
def test_a_bounded_fork_bomb(isolated: bool) -> None:
    text = "import os, time\nfor _ in range(5): os.fork()\ntime.sleep(1000)"
    record = checked(Order(python(text), stall=0.7, grace=0.5, isolated=isolated))
    assert record.verdict is Verdict.STALLED
    assert max(sample.processes for sample in only(record).samples) == 32


@both
def test_a_tree_that_goes_on_forking(isolated: bool) -> None:
    # Every process lives for a moment and starts its successor: signals sent one by one come too late.
    text = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(400):\n"
        "    if os.fork(): time.sleep(0.02); os._exit(0)\n"
        "time.sleep(1000)"
    )
    record = checked(Order(python(text), deadline=0.6, grace=0.1, isolated=isolated))
    assert record.verdict in {Verdict.TIMED_OUT, Verdict.LEAKED}


@both
def test_closed_output_and_then_a_stall(isolated: bool) -> None:
    record = checked(Order(shell("echo x; exec >&- 2>&-; sleep 1000"), stall=0.5, isolated=isolated))
    assert record.verdict is Verdict.STALLED
    assert texts(only(record)) == ["x"]


def test_who_holds_the_pipe_from_outside_does_not_hold_up_the_lab(tmp_path: Path) -> None:
    # The end of the output is with somebody who is not of the tree.
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        text = (
            f"import socket\ns = socket.socket(socket.AF_UNIX); s.connect({path!r})\n"
            "socket.send_fds(s, [b'x'], [1])"
        )
        began = time.monotonic()
        record = checked(Order(python(text)))
        took = time.monotonic() - began
        other, _ = listener.accept()
        with other:
            _, held, _, _ = socket.recv_fds(other, 1, 1)
            os.close(held[0])
    assert record.verdict is Verdict.PASSED
    assert took < 5


class _Lab:
    """A lab in a process of its own, and the mark of what it runs."""

    def __init__(self, tmp_path: Path) -> None:
        self.mark = mark()
        self.folder = tmp_path

    def start(self, command: tuple[str, ...], count: int, **options: object) -> subprocess.Popen[str]:
        text = (
            "import sys\nfrom mungos.lab.order import Order\nfrom mungos.lab.watch import run\n"
            f"run(Order({command!r}, **{options!r}), lambda line: print(line.text, flush=True))"
        )
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        for _ in range(count):
            assert self.process.stdout.readline() == "here\n"
        return self.process


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[_Lab]:
    made = _Lab(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.communicate()


TREE = shell(
    "(trap '' TERM HUP; echo here; while :; do sleep 1000; done) & "
    "setsid sh -c 'echo here; sleep 1000' & echo here; wait"
)
kinds = pytest.mark.parametrize(
    "options", [{}, {"isolated": False}, {"pid1": True}], ids=["init", "plain", "pid1"]
)


@pytest.mark.timeout(30)
@kinds
def test_a_killed_lab_leaves_nothing(lab: _Lab, options: dict[str, bool]) -> None:
    process = lab.start(TREE, 3, **options)
    assert len(marked(lab.mark)) >= 5
    process.kill()
    process.wait()
    assert left_of(lab.mark) == []
    assert list(lab.folder.iterdir()) == []


@pytest.mark.timeout(30)
@kinds
def test_a_killed_lab_whose_fork_lives_on(tmp_path: Path, options: dict[str, bool]) -> None:
    # The fork holds the lab's ends of all pipes open: only the changed parent tells.
    value = mark()
    text = (
        "import os, time\nfrom mungos.lab.order import Order\nfrom mungos.lab.watch import run\n"
        "def fork(line):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: time.sleep(6); os._exit(0)\n"
        "    print(pid, flush=True)\n"
        f"run(Order({shell('echo here; sleep 1000')!r}, **{options!r}), fork)"
    )
    environment = {**os.environ, MARK: value, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        fork = int(process.stdout.readline())
        process.kill()
        process.wait()
        end = time.monotonic() + 5
        while len(left := marked(value)) > 1 and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(fork, signal.SIGKILL)
    assert [each.partition(" ")[0] for each in left] == [str(fork)]
    assert left_of(value) == []


@pytest.mark.timeout(30)
@kinds
def test_a_killed_keeper_leaves_nothing(lab: _Lab, options: dict[str, bool]) -> None:
    process = lab.start(TREE, 3, **options)
    (keeper,) = (
        int(each.split()[0]) for each in marked(lab.mark) if _name(each.split()[0]) == "mungos-keeper"
    )
    os.kill(keeper, signal.SIGKILL)
    process.wait(PATIENCE)
    assert left_of(lab.mark) == []


PATIENCE = 15


@pytest.mark.timeout(30)
@pytest.mark.parametrize("options", [{}, {"isolated": False}], ids=["init", "plain"])
def test_a_killed_guard_leaves_nothing(lab: _Lab, options: dict[str, bool]) -> None:
    process = lab.start(TREE, 3, **options)
    (guard,) = (int(each.split()[0]) for each in marked(lab.mark) if _name(each.split()[0]) == "mungos-guard")
    os.kill(guard, signal.SIGKILL)
    process.wait(PATIENCE)
    assert left_of(lab.mark) == []


def _name(pid: str) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.timeout(30)
@kinds
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_lab_that_is_told_to_stop(lab: _Lab, options: dict[str, bool], number: signal.Signals) -> None:
    process = lab.start(TREE, 3, grace=0.3, **options)
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (128 + number, "")
    assert marked(lab.mark) == []
    assert list(lab.folder.iterdir()) == []


@pytest.mark.timeout(30)
def test_a_second_signal_spares_the_grace(lab: _Lab) -> None:
    process = lab.start(TREE, 3, grace=1000.0)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert marked(lab.mark) == []


def test_the_mark_is_found_where_it_is() -> None:
    value = mark()
    with subprocess.Popen(["sleep", "1000"], env={MARK: value}) as process:
        assert len(wait_for(value, 1)) == 1
        process.kill()
    assert marked(value) == []
