"""What a command sees: a process 1, a /proc and a network of its own."""

from __future__ import annotations

import os

import pytest

from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from mungos.lab.watch import run
from tests.lab.lab_watch_programs import checked, only, python, shell, texts


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    isolation = only(run(Order(("true",)))).isolation
    if isolation.startswith("none"):
        pytest.skip(f"no namespaces here: {isolation}")


def test_a_real_process_1_and_a_fresh_proc() -> None:
    record = checked(Order(shell("echo $$ $PPID; cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l")))
    numbers, first, count = texts(only(record))
    assert numbers == "2 1"
    assert first == "mungos-guard"
    assert int(count) <= 5
    assert only(record).isolation == "own processes and network"


def test_the_command_as_process_1() -> None:
    record = checked(Order(shell("echo $$; exec >&-; exec 2>&-; exit 5"), pid1=True))
    assert texts(only(record)) == ["1"]
    assert record.exit_status == 5


def test_process_1_does_not_die_of_its_own_signal() -> None:
    # The kernel drops a default action's signal that process 1 sends to itself.
    record = checked(Order(shell("kill -TERM $$; echo alive"), pid1=True))
    assert (record.verdict, texts(only(record))) == (Verdict.PASSED, ["alive"])


def test_process_1_that_stalls_is_ended() -> None:
    record = checked(Order(("sleep", "1000"), pid1=True, stall=0.4, grace=0.1))
    assert record.verdict is Verdict.STALLED


def test_what_process_1_leaves_ends_with_it() -> None:
    assert checked(Order(shell("sleep 1000 & exit 0"), pid1=True)).verdict is Verdict.PASSED


def test_a_loopback_of_its_own() -> None:
    text = (
        "import socket\n"
        "print(sorted(n for _, n in socket.if_nameindex()))\n"
        "for family, where in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n"
        "    with socket.create_server((where, 8080), family=family) as s:\n"
        "        socket.create_connection(s.getsockname()[:2]).close()\n"
        "        print('connected')\n"
    )
    attempt = only(checked(Order(python(text))))
    assert texts(attempt)[0] == "['lo']", attempt.lines
    assert "connected" in texts(attempt)


def test_the_machines_network() -> None:
    attempt = only(checked(Order(("readlink", "/proc/self/ns/net"), network="host")))
    assert texts(attempt) == [os.readlink("/proc/self/ns/net")]
    assert attempt.isolation == "own processes, the machine's network"


def test_the_user_stays_the_same() -> None:
    attempt = only(checked(Order(shell("id -u; id -g"))))
    assert texts(attempt) == [str(os.getuid()), str(os.getgid())]


def test_mounts_do_not_come_back() -> None:
    before = os.listdir("/proc/self/ns")
    checked(Order(("true",)))
    assert os.path.exists(f"/proc/{os.getpid()}/ns")
    assert os.listdir("/proc/self/ns") == before


def test_refused_namespaces_are_said_and_done_without() -> None:
    # A user namespace that may have no namespaces below it refuses the lab in it.
    inner = (
        "from mungos.lab.watch import run; from mungos.lab.order import Order\n"
        "for pid1 in (False, True):\n"
        "    r = run(Order(('true',), pid1=pid1)); a = r.attempts[0]\n"
        "    print(r.verdict.value, '|', a.isolation, '|', a.problem)\n"
    )
    outer = (
        "import ctypes, os, sys\n"
        "user = os.geteuid()\n"
        "assert ctypes.CDLL(None).unshare(0x10000000) == 0\n"
        "open('/proc/self/setgroups', 'w').write('deny')\n"
        "open('/proc/self/uid_map', 'w').write(f'{user} {user} 1')\n"
        "open('/proc/sys/user/max_pid_namespaces', 'w').write('0')\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {inner!r}])\n"
    )
    attempt = only(checked(Order(python(outer), isolated=False)))
    first, second = texts(attempt) or [str(attempt.lines)] * 2
    assert first.startswith("passed | none: unshare"), attempt.lines
    assert second.startswith("not started"), attempt.lines
    assert "unshare" in second.rpartition("|")[2]
