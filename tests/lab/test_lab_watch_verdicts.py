"""Every verdict, by real programs, with namespaces and without."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mungos.errors import Misuse
from mungos.lab.order import Order
from mungos.lab.record import Line
from mungos.lab.verdicts import Verdict
from mungos.lab.watch import run
from mungos.lab.watch.explanation import BUDGET, LEAST_BUDGET, dissect
from tests.lab.lab_watch_programs import MARK, checked, mark, marked, only, python, shell, texts

LONG = 30.0  # seconds: longer than any test may take
both = pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "plain"])


@both
def test_passed(isolated: bool) -> None:
    record = checked(Order(shell("echo one; echo two >&2"), isolated=isolated))
    attempt = only(record)
    assert (record.verdict, record.exit_status, attempt.status, attempt.signal) == (
        Verdict.PASSED,
        0,
        0,
        None,
    )
    assert (texts(attempt), texts(attempt, "stderr")) == (["one"], ["two"])
    assert (attempt.problem, attempt.left, attempt.autopsy, attempt.findings) == ("", (), None, ())


@both
def test_failed_with_its_own_status(isolated: bool) -> None:
    record = checked(Order(shell("exit 42"), isolated=isolated))
    assert (record.verdict, record.exit_status, only(record).signal) == (Verdict.FAILED, 42, None)


@both
def test_failed_by_a_signal(isolated: bool) -> None:
    record = checked(Order(shell("kill -KILL $$"), isolated=isolated))
    assert (record.verdict, record.exit_status) == (Verdict.FAILED, 137)
    assert (only(record).status, only(record).signal) == (137, signal.SIGKILL)


@both
def test_stalled_in_sleep(isolated: bool) -> None:
    record = checked(Order(shell("echo begun; sleep 1000"), stall=0.6, deadline=LONG, isolated=isolated))
    attempt = only(record)
    assert (record.verdict, record.exit_status) == (Verdict.STALLED, 123)
    assert (attempt.status, attempt.signal) == (None, None)
    assert attempt.explained_in is not None
    assert (attempt.problem, attempt.isolation == "none: it was not asked for") == ("", not isolated)
    assert attempt.autopsy is not None
    assert "sleep 1000" in {each.command for each in attempt.autopsy.processes}
    assert attempt.stopped_at is not None
    assert attempt.stopped_at < 0.6 + attempt.duration / 2
    assert 0.6 <= attempt.duration < LONG


@pytest.mark.timeout(40)  # on a crowded machine it gets its CPU late
@both
def test_spinning(isolated: bool) -> None:
    record = checked(
        Order(
            python("print('begun', flush=True)\nwhile 1: pass"), stall=1.0, deadline=LONG, isolated=isolated
        )
    )
    assert (record.verdict, record.exit_status) == (Verdict.SPINNING, 122)
    assert only(record).cpu > 0


def test_busy_with_io_does_not_spin() -> None:
    text = "import os\nf=os.open('/dev/zero',0)\nwhile 1: os.read(f, 65536)"
    assert checked(Order(python(text), stall=0.3, deadline=1.5)).verdict is Verdict.TIMED_OUT


def test_busy_on_the_loopback_does_not_spin() -> None:
    text = (
        "import socket\ns=socket.create_server(('127.0.0.1',0));c=socket.create_connection(s.getsockname())\n"
        "a=s.accept()[0]\nwhile 1: c.send(b'x'*65536); a.recv(65536, socket.MSG_WAITALL)"
    )
    record = checked(Order(python(text), stall=0.3, deadline=1.5))
    assert record.verdict is Verdict.TIMED_OUT
    assert max(sample.sockets or 0 for sample in only(record).samples) >= 3


def test_output_now_and_then_is_no_stall() -> None:
    record = checked(Order(shell("for i in 1 2 3 4; do sleep 0.4; echo $i; done"), stall=2.0, deadline=LONG))
    assert record.verdict is Verdict.PASSED


@both
def test_timed_out(isolated: bool) -> None:
    record = checked(Order(("sleep", "1000"), deadline=0.5, isolated=isolated))
    assert (record.verdict, record.exit_status) == (Verdict.TIMED_OUT, 124)


@pytest.mark.parametrize("text", ["import time; time.sleep(1000)", "while 1: pass"], ids=["idle", "busy"])
def test_idle_ok_leaves_the_deadline_alone(text: str) -> None:
    record = checked(Order(python(text), stall=0.2, deadline=1.0, idle_ok=True))
    assert record.verdict is Verdict.TIMED_OUT


def test_the_factor_stretches_both_clocks() -> None:
    record = checked(Order(("sleep", "0.5"), stall=0.1, deadline=0.3, factor=20.0))
    assert record.verdict is Verdict.PASSED


@both
def test_leaked(isolated: bool) -> None:
    record = checked(Order(shell("sleep 1000 & exit 0"), isolated=isolated))
    attempt = only(record)
    assert (record.verdict, record.exit_status, attempt.status) == (Verdict.LEAKED, 125, 0)
    assert [each.partition(" ")[2] for each in attempt.left] == ["sleep 1000"]


@both
def test_a_failure_that_leaves_processes_is_a_failure(isolated: bool) -> None:
    record = checked(Order(shell("sleep 1000 & exit 3"), isolated=isolated))
    assert (record.verdict, record.exit_status) == (Verdict.FAILED, 3)
    assert [each.partition(" ")[2] for each in only(record).left] == ["sleep 1000"]


def test_what_outlives_the_command_for_a_moment_is_no_leak() -> None:
    assert checked(Order(shell("sleep 0.2 & exit 0"))).verdict is Verdict.PASSED


@pytest.mark.parametrize("options", [{}, {"isolated": False}, {"pid1": True}], ids=["init", "plain", "pid1"])
@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("mungos-no-such-program", "No such file or directory"),
        ("/etc/passwd", "Permission denied"),
        ("/proc", "Permission denied"),
    ],
)
def test_not_started(options: dict[str, bool], command: str, why: str) -> None:
    record = checked(Order((command,), retries=3, **options))  # type: ignore[arg-type] # flags only
    assert (record.verdict, record.exit_status) == (Verdict.NOT_STARTED, 127)
    assert only(record).problem == f"can't run {command}: {why}"


def test_not_started_without_its_directory(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    record = checked(Order(("true",), directory=gone))
    assert only(record).problem == f"can't run {gone}: No such file or directory"


def test_a_processor_that_is_none() -> None:
    with pytest.raises(Misuse):
        run(Order(("true",), processor="pdp11"))


def test_nothing_to_run() -> None:
    assert run(Order(())).verdict is Verdict.NOT_STARTED


def test_process_1_wants_a_namespace() -> None:
    record = run(Order(("true",), pid1=True, isolated=False))
    assert record.verdict is Verdict.NOT_STARTED
    assert "namespace" in only(record).problem


def test_a_retry_that_passes_is_flaky(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    record = checked(Order(shell(f"test -e {flag} || {{ touch {flag}; exit 7; }}"), retries=3))
    assert (record.verdict, record.exit_status) == (Verdict.FLAKY, 1)
    assert [attempt.status for attempt in record.attempts] == [7, 0]


def test_retries_end() -> None:
    record = checked(Order(("false",), retries=2))
    assert (record.verdict, record.exit_status, len(record.attempts)) == (Verdict.FAILED, 1, 3)


def test_where_it_runs_and_with_what(tmp_path: Path) -> None:
    environment = {"ONLY": "this\udcff", "PATH": os.environ["PATH"]}
    record = checked(Order(shell("pwd; env | sort"), directory=str(tmp_path), environment=environment))
    where, *rest = texts(only(record))
    assert where == str(tmp_path)
    assert "ONLY=this\\xff" in rest
    assert {line.partition("=")[0] for line in rest} <= {
        "ONLY",
        "PATH",
        "PWD",
        "MUNGOS_LAB",
        "LAB_WATCH_TEST",
    }


def test_the_directory_of_the_run_may_be_used() -> None:
    record = checked(
        Order(shell('test -d "$MUNGOS_LAB" && mkdir "$MUNGOS_LAB/a" && echo x > "$MUNGOS_LAB/a/b"'))
    )
    assert record.verdict is Verdict.PASSED


def test_it_inherits_no_descriptor_and_reads_nothing() -> None:
    number = os.open("/dev/null", os.O_RDONLY)
    try:
        os.set_inheritable(number, True)
        record = checked(
            Order(python("import os; print(sorted(os.listdir('/proc/self/fd'))); print(repr(input()))"))
        )
    finally:
        os.close(number)
    attempt = only(record)
    assert texts(attempt) == ["['0', '1', '2', '3']"]  # 3 is the listing itself
    assert any("EOFError" in line for line in texts(attempt, "stderr"))


def test_no_signal_is_blocked_or_ignored() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        record = checked(Order(("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")))
    finally:
        signal.signal(signal.SIGUSR2, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert [int(line.split()[1], 16) for line in texts(only(record))] == [0, 0]


def test_a_terminal() -> None:
    record = checked(
        Order(
            shell("tty; test -t 0 && test -t 1 && test -t 2 && stty size; exec >/dev/tty; echo x"),
            terminal=True,
        )
    )
    attempt = only(record)
    assert record.verdict is Verdict.PASSED
    where, size, last = texts(attempt, "terminal")
    assert where.startswith("/dev/")
    assert (size, last, attempt.pipes) == ("24 80", "x", False)


def test_lines_are_handed_on_as_they_come() -> None:
    got: list[Line] = []
    record = run(Order(shell("echo a; sleep 0.3; echo b; printf c")), got.append)
    assert [(line.text, line.complete) for line in got] == [("a", True), ("b", True), ("c", False)]
    assert tuple(got) == only(record).lines
    assert got[1].at - got[0].at >= 0.25


@both
def test_who_takes_the_lines_may_fail(isolated: bool) -> None:
    def refuse(line: Line) -> None:
        raise RuntimeError(line.text)

    value = mark()
    environment = {**os.environ, MARK: value}
    with pytest.raises(RuntimeError, match="y"):
        run(Order(shell("yes & yes"), environment=environment, isolated=isolated), refuse)
    assert marked(value) == []


def test_in_another_thread() -> None:
    # There it can't have signals: neither to stop by, nor to read by while it examines.
    found: list[Verdict] = []

    def work() -> None:
        order = Order(shell("yes; sleep 1000"), deadline=0.2)
        for each in (order, replace(order, pid1=True), replace(order, isolated=False)):
            found.append(run(each).verdict)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [Verdict.TIMED_OUT] * 3


def test_the_platform_and_the_version() -> None:
    import mungos

    record = run(Order(("true",)))
    assert record.platform.machine == os.uname().machine
    assert record.platform.emulator is None
    assert record.version == mungos.__version__


def test_who_is_late_to_explain_has_less_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[float] = []

    def examine(_roots: list[int], *, budget: float, **_more: object) -> None:
        budgets.append(budget)

    monkeypatch.setattr("mungos.lab.autopsy.examine", examine)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    for late in (0.0, 0.3, 9.0):
        assert dissect(1, at=1.0, late=late, init="", own=frozenset(), emulated=False) == (None, "")
    assert budgets == [BUDGET, BUDGET - 0.3, LEAST_BUDGET]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
