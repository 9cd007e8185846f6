"""What C programs wait for, in words: one planted program a system call."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mungos.lab.facts import Process
from tests.lab.autopsy_programs import PATIENCE, autopsy, build, call_of, only, running, settle

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    # Not under pytest's own folder: another user has to read it.
    with tempfile.TemporaryDirectory(prefix="mungos-autopsy-") as folder:
        os.chmod(folder, 0o755)
        yield build(Path(folder))


@pytest.fixture
def planted(program: str, tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Starts the program in a mode, and gives what is found of it."""
    with contextlib.ExitStack() as stack:

        def start(mode: str) -> Process:
            pid = stack.enter_context(running([program, mode, str(tmp_path / "file")]))
            return autopsy(pid).processes[0]

        yield start


def test_read_on_a_pipe_of_its_own(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("read"))
    assert call.name == "read"
    assert call.described.startswith("read on pipe 3 whose write end is held by itself alone (descriptor 4)")
    assert call.forever


def test_write_on_a_full_pipe(planted: Callable[[str], Process]) -> None:
    process = planted("write")
    call = call_of(process)
    assert call.described.startswith("write of 1024 bytes on pipe 4 whose read end is held by itself alone")
    assert "65536 of 65536 bytes unread in it" in call.described
    pipe = next(each.pipe for each in process.descriptors if each.number == 3)
    assert pipe is not None
    assert (pipe.end, pipe.unread, pipe.capacity) == ("read", 65536, 65536)


def test_send_on_a_full_socket(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("send"))
    assert call.name == "sendto"
    assert "on socket 5 (ESTABLISHED, nothing unread, " in call.described
    assert "bytes unsent) whose other end is held by itself (descriptor 6)" in call.described


def test_receive_with_data_at_the_other_end(planted: Callable[[str], Process]) -> None:
    process = planted("recv")
    assert call_of(process).described.startswith("recvfrom on socket 6")
    sockets = {each.number: each.socket for each in process.descriptors if each.socket is not None}
    assert sockets[5].unread == 3
    assert sockets[6].unsent == 3
    assert [(each.pid, each.descriptor) for each in sockets[5].others] == [(process.pid, 6)]


def test_a_lock_and_who_holds_it(planted: Callable[[str], Process]) -> None:
    process = planted("mutex")
    holder = process.threads[1]
    call = call_of(process)
    assert call.name == "futex"
    assert f"(a lock held by thread {holder.tid} (planted)), without a time-out" in call.described
    assert call.holder == holder.tid
    assert call_of(process, 1).name == "pause"


def test_a_lock_held_by_itself(planted: Callable[[str], Process]) -> None:
    process = planted("mutex-own")
    assert f"(a lock held by itself, thread {process.pid} " in call_of(process).described
    assert call_of(process).holder == process.pid


def test_two_locks_in_two_orders(planted: Callable[[str], Process]) -> None:
    process = planted("order")
    end = time.monotonic() + PATIENCE
    while any(call_of(process, each).name != "futex" for each in (0, 1)) and time.monotonic() < end:
        process = autopsy(process.pid).processes[0]  # each holds its first for a moment
    first, second = process.threads
    assert call_of(process, 0).holder == second.tid
    assert call_of(process, 1).holder == first.tid


def test_join(planted: Callable[[str], Process]) -> None:
    process = planted("join")
    assert f"(a join: the end of thread {process.threads[1].tid} (planted))" in call_of(process).described
    assert call_of(process).holder == process.threads[1].tid


def test_a_condition(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("condition"))
    assert "a condition, a semaphore or a lock: its word is" in call.described
    assert call.forever


def test_a_condition_with_a_time_out(planted: Callable[[str], Process]) -> None:
    process = planted("condition-timed")
    call = call_of(process)
    assert call.timeout is not None
    assert 60 < call.timeout <= 100
    assert not call.forever
    assert [(each.kind, each.within is not None) for each in process.timers] == [
        ("wait's own time-out", True)
    ]


def test_sigsuspend(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("sigsuspend"))
    assert call.described == "rt_sigsuspend until a signal comes (SIGABRT)"
    assert call.forever


def test_pause(planted: Callable[[str], Process]) -> None:
    assert call_of(planted("pause")).described == "pause until a signal comes"


def test_sigtimedwait(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("sigtimedwait"))
    assert call.described == "rt_sigtimedwait for SIGUSR2, at most 50 s"
    assert call.timeout == 50


def test_nanosleep(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("nanosleep"))
    assert call.described in {"clock_nanosleep for 300 s", "nanosleep for 300 s"}
    assert call.timeout == 300


def test_poll_without_a_time_out(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("poll"))
    assert call.described == "poll on 1 pipe and 1 socket, none readable, without a time-out"
    assert [(each.descriptor, each.events, each.ready) for each in call.polled] == [(3, 1, 0), (5, 1, 0)]
    assert call.forever


def test_ppoll_with_a_time_out(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("ppoll"))
    assert call.described.startswith("ppoll on pipe 3 whose write end is held by itself alone")
    assert call.described.endswith("not ready, at most 40 s")


def test_select(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("select"))
    assert call.name in {"pselect6", "select", "_newselect"}
    assert "on pipe 3 whose write end" in call.described
    assert call.timeout == pytest.approx(30)


def test_epoll(planted: Callable[[str], Process]) -> None:
    call = call_of(planted("epoll"))
    assert call.described.startswith("epoll_wait on socket 5 (ESTABLISHED, nothing unread)")
    assert call.described.endswith("not ready, without a time-out")


def test_epoll_edge_triggered_with_data_left(planted: Callable[[str], Process]) -> None:
    process = planted("epoll-edge")
    call = call_of(process)
    assert "but 5 is readable (edge-triggered)" in call.described
    assert "3 bytes unread" in call.described
    (entry,) = call.polled
    assert entry.events & 1 << 31
    assert entry.ready == 1


def test_wait_for_one_child(planted: Callable[[str], Process]) -> None:
    process = planted("child")
    assert call_of(process).described.startswith("wait4 for child ")
    assert "planted child" in call_of(process).described


def test_wait_for_any_child(planted: Callable[[str], Process]) -> None:
    assert call_of(planted("any-child")).described.startswith("wait4 for any child: ")


def test_zombie(planted: Callable[[str], Process]) -> None:
    process = planted("zombie")
    assert len(process.zombies) == 1


def test_accept(planted: Callable[[str], Process]) -> None:
    process = planted("accept")
    call = call_of(process)
    assert call.name.startswith("accept")
    assert f"on socket 7 @mungos-autopsy-{process.pid}" in call.described
    listener = process.descriptors[-1].socket
    assert listener is not None
    assert (listener.state, listener.unread, listener.unsent) == ("LISTEN", 0, 5)


def test_flock(program: str, tmp_path: Path) -> None:
    with running([program, "flock", str(tmp_path / "file")]) as pid:
        parent, child = autopsy(pid).processes
        assert f"flock of file {child.descriptors[-1].number} {tmp_path}/file" in call_of(child).described
        assert f"locked by {parent.pid} (" in call_of(child).described


def test_fcntl(program: str, tmp_path: Path) -> None:
    with running([program, "fcntl", str(tmp_path / "file")]) as pid:
        parent, child = autopsy(pid).processes
        assert "(waits for a lock) on file" in call_of(child).described
        assert f"locked by {parent.pid} (" in call_of(child).described


def test_open_of_a_fifo(planted: Callable[[str], Process], tmp_path: Path) -> None:
    call = call_of(planted("fifo"))
    assert f"of {tmp_path}/file, which nobody has opened at its other end" in call.described


def test_eventfd(planted: Callable[[str], Process]) -> None:
    process = planted("eventfd")
    assert call_of(process).described == "read on eventfd 7 (counter 0)"
    assert process.descriptors[-1].eventfd == 0


def test_timerfd(planted: Callable[[str], Process]) -> None:
    process = planted("timerfd")
    assert call_of(process).described.startswith("read on timerfd 7 (fires in ")
    (timer,) = process.timers
    assert timer.kind == "timerfd"
    assert timer.within is not None
    assert 30 < timer.within <= 60
    assert timer.interval == 7


def test_posix_timer(planted: Callable[[str], Process]) -> None:
    process = planted("timer")
    assert [each.kind for each in process.timers] == ["POSIX timer"]


def test_message_queue(planted: Callable[[str], Process], tmp_path: Path) -> None:
    try:
        assert call_of(planted("message")).described.startswith("msgrcv on a System V message queue")
    finally:
        subprocess.run(["ipcrm", "-q", (tmp_path / "file").read_text()], check=False)


def test_signals_in_sets(planted: Callable[[str], Process]) -> None:
    process = planted("signals")
    signals = process.signals
    assert signals.pending == {signal.SIGUSR1}
    assert {signal.SIGUSR1, signal.SIGTERM} <= signals.blocked
    assert signal.SIGHUP in signals.ignored
    assert signal.SIGINT in signals.caught
    assert process.threads[0].pending == {signal.SIGUSR1}


def test_a_spin(planted: Callable[[str], Process]) -> None:
    process = planted("spin")
    (thread,) = process.threads
    assert thread.state == "R"
    assert thread.recent_cpu is not None
    assert thread.recent_cpu > 0.05
    assert thread.call is None or thread.running


def test_native_stack(program: str) -> None:
    with running([program, "read"]) as pid:
        process = only(autopsy(pid))
        if not any("gdb" in line for line in process.missing):
            (stack,) = process.stacks
            assert (stack.thread, stack.language, stack.source) == (pid, "native", "gdb")
            named = {frame.function: frame for frame in stack.frames}
            frame = named["wait_in_a_function_of_its_own"]
            assert frame.file.endswith("planted.c")
            assert frame.line
            assert dict(frame.locals)["number"] == "3"
            assert "main" in named
        assert process.language == "native"


def test_native_stacks_of_each_thread(program: str) -> None:
    with running([program, "mutex"]) as pid:
        process = only(autopsy(pid))
        if not any("gdb" in line for line in process.missing):
            assert {each.thread for each in process.stacks} == {each.tid for each in process.threads}


def test_alarm(program: str) -> None:
    with running([program, "alarm"]) as pid:
        process = only(autopsy(pid))
        if process.real_timer is None:
            assert platform.machine() != "x86_64"
            assert "whether alarm() or setitimer() runs: /proc does not show it" in process.missing
        else:
            assert process.real_timer
            (timer,) = process.timers
            assert timer.kind == "ITIMER_REAL"
            assert timer.within is not None
            assert 30 < timer.within <= 90


def test_no_alarm_and_the_wait_goes_on(program: str) -> None:
    with running([program, "pause"]) as pid:
        process = only(autopsy(pid))
        assert process.real_timer is not True
        assert process.timers == ()
        settle(pid)
        assert call_of(only(autopsy(pid))).name == "pause"


@pytest.mark.foreign("qemu-s390x-static")
def test_a_guest_that_aborts_as_process_1(foreign_program: Callable[[str], str], tmp_path: Path) -> None:
    emulator = foreign_program("qemu-s390x-static")
    compiler = shutil.which("s390x-linux-gnu-gcc") or shutil.which("s390x-linux-gnu-gcc-12")
    line = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if compiler is None:
        pytest.skip("no compiler for s390x: install the Debian package gcc-s390x-linux-gnu")
    if subprocess.run([*line, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("the kernel allows no namespaces here")
    (tmp_path / "guest.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        'int main(void) { printf("ready\\n"); fflush(stdout); abort(); }\n'
    )
    guest = str(tmp_path / "guest")
    subprocess.run([compiler, "-static", "-o", guest, str(tmp_path / "guest.c")], check=True, timeout=60)
    with running([*line, emulator, guest, "one"]) as pid:
        process = next(each for each in autopsy(pid).processes if each.inner == 1)
    assert (process.emulated, process.emulator) == ("s390x", os.path.realpath(emulator))
    assert (process.command, process.executable, process.language) == (f"{guest} one", guest, "native")
    call = call_of(process)
    assert call.described == "rt_sigsuspend until a signal comes (SIGABRT), as process 1"
    assert call.forever
    assert process.timers == ()
    assert process.threads[1].name.endswith("(the emulator's own)")
    assert "the guest's stacks: its emulator does not show them" in process.missing
    assert process.real_timer is False or platform.machine() != "x86_64"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="i386 runs on x86_64")
def test_i386_on_x86_64(tmp_path: Path) -> None:
    try:
        small = build(
            tmp_path, _SMALL, "-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector"
        )
    except subprocess.CalledProcessError:
        pytest.skip("the compiler makes no 32-bit programs")
    with running([small]) as pid:
        call = call_of(only(autopsy(pid)))
        assert call.described == "nanosleep for 500 s"


_BARE = ("-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector")
# Without a C library: there is none for it on most machines.
_SMALL = r"""
static long call(long number, long first, long second, long third) {
    long answer;
    __asm__ volatile(
        "int $0x80" : "=a"(answer) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
    return answer;
}
void _start(void) {
    long limit[2] = {500, 0};
    call(4, 1, (long)"ready\n", 6);
    call(162, (long)limit, 0, 0);
    call(1, 0, 0, 0);
}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_an_ordinary_user_on_his_own_processes(program: str) -> None:
    readable, writable = os.pipe()
    with running([program, "read"], user=65534) as pid, open(readable, "rb") as answer:
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                os.write(writable, call_of(only(autopsy(pid))).described.encode())
            finally:
                os._exit(0)
        os.close(writable)
        os.waitpid(child, 0)
        said = answer.read().decode()
    assert said.startswith("read on pipe 3 whose write end is held by itself alone (descriptor 4)")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_users_process_says_what_is_missing(program: str) -> None:
    readable, writable = os.pipe()
    with running([program, "read"]) as pid, open(readable, "rb") as answer:
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                os.write(writable, "; ".join(only(autopsy(pid)).missing).encode())
            finally:
                os._exit(0)
        os.close(writable)
        os.waitpid(child, 0)
        said = answer.read().decode()
    assert "its files in /proc may not be read: it belongs to another user" in said
    assert "what its threads wait for in the kernel may not be read" in said
