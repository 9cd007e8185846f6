"""What is found of whole trees: who holds which end, sockets and their peers, orphans, limits, bounds."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mungos.lab.facts import Descriptor, Process, Socket
from tests.lab.autopsy_programs import autopsy, call_of, only, python, running, settle

pytestmark = pytest.mark.timeout(30)

READY = "print('ready', flush=True)\n"


def by_number(process: Process) -> dict[int, Descriptor]:
    return {each.number: each for each in process.descriptors}


def sockets_of(process: Process) -> list[Socket]:
    return [each.socket for each in process.descriptors if each.socket is not None]


def test_a_pipe_whose_write_end_a_child_holds() -> None:
    code = (
        "import os, subprocess\n"
        "a, b = os.pipe()\n"
        "subprocess.Popen(['sleep', '1000'], pass_fds=[b]); os.close(b)\n" + READY + "os.read(a, 1)\n"
    )
    with python(code) as pid:
        found = autopsy(pid)
        parent, child = found.processes
        assert (parent.pid, child.parent) == (pid, pid)
        described = call_of(parent).described
        assert described == f"read on pipe 3 whose write end is held by {child.pid} (sleep 1000)"
        pipe = by_number(parent)[3].pipe
        assert pipe is not None
        assert [(each.pid, each.command) for each in pipe.others] == [(child.pid, "sleep 1000")]
        assert found.took < 5
        assert found.at == 1.5


def test_a_pipe_that_the_lab_reads() -> None:
    with python(READY + "import time; time.sleep(1000)") as pid:
        process = only(autopsy(pid))
        pipe = by_number(process)[1].pipe
        assert pipe is not None
        assert pipe.end == "write"
        assert [(each.pid, each.command) for each in pipe.others] == [(os.getpid(), "the lab")]


def test_ends_held_by_helpers_of_the_lab_and_by_others_outside_the_tree() -> None:
    readable, writable = os.pipe()
    helper = subprocess.Popen(["sleep", "1000"], pass_fds=[writable])
    try:
        os.close(writable)
        child = subprocess.Popen(["cat"], stdin=readable, stdout=subprocess.DEVNULL)
        os.close(readable)
        try:
            settle(child.pid)
            assert "whose write end is held by" in call_of(only(autopsy(child.pid))).described
            assert f"{helper.pid} (sleep 1000)" in call_of(only(autopsy(child.pid))).described
            found = only(autopsy(child.pid, own=frozenset({helper.pid})))
            pipe = by_number(found)[0].pipe
            assert pipe is not None
            assert [(each.pid, each.command) for each in pipe.others] == [(helper.pid, "the lab")]
        finally:
            child.kill()
            child.wait()
    finally:
        helper.kill()
        helper.wait()


def test_nobody_holds_the_other_end() -> None:
    code = "import os\na, b = os.pipe(); os.close(a)\n" + READY + "import time; time.sleep(1000)\n"
    with python(code) as pid:
        pipe = by_number(only(autopsy(pid)))[4].pipe
        assert pipe is not None
        assert (pipe.end, pipe.others) == ("write", ())


def test_tcp_both_ends_and_what_is_unread() -> None:
    code = (
        "import socket, time\n"
        "s = socket.create_server(('127.0.0.1', 0)); k = socket.create_connection(s.getsockname())\n"
        "t, _ = s.accept(); k.send(b'x' * 128); other = socket.create_connection(s.getsockname())\n"
        + READY
        + "k.recv(1)\n"
    )
    with python(code) as pid:
        process = only(autopsy(pid))
        listener, client, server, waiting = sockets_of(process)
        assert (listener.state, listener.unread, listener.unsent) == ("LISTEN", 1, 128)
        assert (client.state, client.remote, client.local) == ("ESTABLISHED", server.local, server.remote)
        assert (server.unread, client.unread, client.unsent) == (128, 0, 0)
        assert server.received_ago is not None
        assert server.received_ago < 30
        assert [(each.pid, each.descriptor) for each in client.others] == [(pid, 5)]
        assert waiting.others == ()
        call = call_of(process)
        assert call.name in {"recv", "recvfrom"}
        assert call.described.startswith(f"{call.name} on socket 4 {client.local} ↔ {client.remote} (")


def test_hidden_data_in_a_socket_outside_the_set() -> None:
    code = (
        "import select, socket\n"
        "s = socket.create_server(('127.0.0.1', 0)); k = socket.create_connection(s.getsockname())\n"
        "t, _ = s.accept(); k.send(b'x' * 128); e = select.epoll(); e.register(s, 1); e.register(k, 1)\n"
        + READY
        + "e.poll()\n"
    )
    with python(code) as pid:
        process = only(autopsy(pid))
        port = sockets_of(process)[0].local
        described = call_of(process).described
        assert described.startswith("epoll_wait on 2 sockets, none readable, 128 bytes unread in socket 5")
        assert f"{port}, which is not in the set" in described
        assert [each.ready for each in by_number(process)[6].epoll] == [0, 0]


def test_the_peer_has_closed() -> None:
    code = (
        "import socket, time\n"
        "s = socket.create_server(('127.0.0.1', 0)); k = socket.create_connection(s.getsockname())\n"
        "t, _ = s.accept(); t.close()\n" + READY + "time.sleep(1000)\n"
    )
    with python(code) as pid:
        found = autopsy(pid)
        client = sockets_of(only(found))[1]
        assert client.state == "CLOSE_WAIT"
        assert (client.others, client.peer_known) == ((), True)
        # There may be others: ports are used again, and who had them before may still be in TIME_WAIT.
        assert ("FIN_WAIT2", client.local) in [(each.state, each.remote) for each in found.sockets]


def test_time_wait_on_our_ports() -> None:
    code = (
        "import socket, time\n"
        "s = socket.create_server(('127.0.0.1', 0)); k = socket.create_connection(s.getsockname())\n"
        "t, _ = s.accept(); t.close(); k.recv(1); k.close()\n" + READY + "time.sleep(1000)\n"
    )
    with python(code) as pid:
        found = autopsy(pid)
        server = sockets_of(only(found))[0]
        left = next(each for each in found.sockets if each.local == server.local)
        assert left.state == "TIME_WAIT"
        assert left.timer is not None
        assert left.timer.startswith("gone in ")


def test_ipv6_udp_unix_and_netlink() -> None:
    code = (
        "import socket, time\n"
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0))\n"
        "x = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "x.bind('\\0mungos-%d' % __import__('os').getpid())\n"
        "x.listen(3); n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); n.bind((0, 0))\n"
        "if socket.has_ipv6: v = socket.create_server(('::1', 0), family=socket.AF_INET6)\n"
        + READY
        + "time.sleep(1000)\n"
    )
    with python(code) as pid:
        udp, unix, netlink, *six = sockets_of(only(autopsy(pid)))
        assert (udp.family, udp.kind, udp.state) == ("inet", "datagram", "UNCONNECTED")
        assert udp.local.startswith("127.0.0.1:")
        assert (unix.family, unix.kind, unix.state) == ("unix", "seqpacket", "LISTEN")
        assert unix.local == f"@mungos-{pid}"
        assert netlink.family == "netlink"
        for each in six:
            assert (each.family, each.state) == ("inet6", "LISTEN")
            assert each.local.startswith("[::1]:")


def test_a_socket_shared_with_a_child() -> None:
    code = (
        "import socket, subprocess, time\n"
        "a, b = socket.socketpair(); subprocess.Popen(['sleep', '1000'], pass_fds=[a.fileno()])\n"
        + READY
        + "b.recv(1)\n"
    )
    with python(code) as pid:
        parent, child = autopsy(pid).processes
        ours, theirs = sockets_of(parent)
        assert [each.pid for each in ours.sharers] == [child.pid]
        assert {each.pid for each in theirs.others} == {pid, child.pid}
        assert theirs.sharers == ()
        assert f"held by {child.pid} (sleep 1000), itself (descriptor 3)" in call_of(parent).described


def test_an_orphan_and_the_command() -> None:
    # This process is the lab's helper here: it is left out, what stands below it is not.
    code = READY + "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(1000)\ntime.sleep(1000)\n"
    with python(code) as pid:
        found = autopsy(os.getpid(), own=frozenset({os.getpid()}))
        command = next(each for each in found.processes if each.pid == pid)
        child = next(each for each in found.processes if each.parent == pid)
        try:
            assert os.getpid() not in {each.pid for each in found.processes}
            assert not command.orphan
            assert not child.orphan
            assert (command.group, command.session, child.session) == (pid, pid, child.pid)
        finally:
            os.kill(child.pid, signal.SIGKILL)


def test_parents_before_children_and_each_once() -> None:
    code = "import os, time\n" + READY + "for _ in range(3):\n    if os.fork(): break\ntime.sleep(1000)\n"
    with python(code) as pid:
        time.sleep(0.1)
        first = autopsy(pid).processes
        found = autopsy(first[-1].pid, pid).processes
        assert [each.pid for each in found] == [each.pid for each in first]
        assert len(found) == 4
        for parent, child in itertools.pairwise(found):
            assert child.parent == parent.pid


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    found = autopsy(child.pid)
    assert found.processes == ()


def test_a_zombie_alone() -> None:
    child = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        process = only(autopsy(child.pid))
        assert (process.state, process.command) == ("Z", "[true]")
        assert process.descriptors == ()
    finally:
        child.wait()


def test_ten_thousand_descriptors_in_bounded_time() -> None:
    code = (
        "import os, resource, select\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (10_100, 10_100))\n"
        "a, b = os.pipe()\n"
        "for _ in range(9_990): os.dup(a)\n" + READY + "p = select.poll(); p.register(9_990, 1); p.poll()\n"
    )
    try:
        with python(code) as pid:
            process = only(autopsy(pid, budget=1.0))
    except AssertionError:
        pytest.skip("so many descriptors are not allowed here")
    assert process.descriptors_open == 9_995
    assert process.descriptor_limit == 10_100
    assert any("known by name only" in line for line in process.missing)
    assert len(process.descriptors) > 1000


def test_descriptors_of_every_kind(tmp_path: Path) -> None:
    code = (
        "import os, select, time, pty\n"
        "kept = [open('/dev/null'), select.epoll(), os.eventfd(5), os.pidfd_open(os.getpid())]\n"
        "kept += [os.memfd_create('m'), pty.openpty(), os.open('/', os.O_RDONLY)]\n"
        "kept += [open('/proc/self/ns/net')]\n"
        f"kept += [open({str(tmp_path / 'f')!r}, 'w')]\n" + READY + "time.sleep(1000)\n"
    )
    with python(code) as pid:
        process = only(autopsy(pid))
        wanted = {"device", "epoll", "eventfd", "pidfd", "memory", "terminal", "namespace", "file"}
        assert wanted <= {each.kind for each in process.descriptors}
        assert next(each.eventfd for each in process.descriptors if each.kind == "eventfd") == 5


def test_a_named_fifo_is_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    code = (
        f"import os, time\na = os.open({str(path)!r}, os.O_RDWR); os.write(a, b'abc')\n"
        + READY
        + "time.sleep(99)\n"
    )
    with python(code) as pid:
        each = by_number(only(autopsy(pid)))[3]
        assert (each.kind, each.target) == ("pipe", str(path))
        assert each.pipe is not None
        assert (each.pipe.end, each.pipe.unread) == ("both", 3)


def test_data_in_a_pipe_stay_there() -> None:
    code = "import os, time\na, b = os.pipe(); os.write(b, b'abc')\n" + READY + "time.sleep(1000)\n"
    with python(code) as pid:
        for _ in range(2):
            pipe = by_number(only(autopsy(pid)))[3].pipe
            assert pipe is not None
            assert pipe.unread == 3


def test_the_time_of_a_native_tree_of_five(time_factor: float) -> None:
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(5)]
    try:
        settle(os.getpid())
        took = min(autopsy(*(each.pid for each in children), budget=0.7).took for _ in range(3))
    finally:
        for each in children:
            each.kill()
            each.wait()
    assert took < 0.7 * max(time_factor, 1)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_in_namespaces_of_its_own_as_process_1() -> None:
    line = ["unshare", "--map-root-user", "--pid", "--net", "--fork", "--kill-child"]
    if subprocess.run([*line, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("the kernel allows no namespaces here")
    code = (
        "import os, signal, socket, subprocess, sys\n"
        "a, b = socket.socketpair(); b.send(b'abc')\n"
        "s = socket.socket(); s.bind(('', 0)); s.listen()\n"
        "child = subprocess.Popen(['sleep', '1000'])\n" + READY + "child.wait()\n"
    )
    with running([*line, sys.executable, "-u", "-c", code]) as pid:
        processes = autopsy(pid).processes
        process = next(each for each in processes if each.inner == 1)
        sleep = next(each for each in processes if each.command == "sleep 1000")
        assert sleep.inner == 2
        assert call_of(process).described == f"wait4 for child {sleep.pid} (sleep 1000)"
        assert call_of(process).forever
        first, second, listener = sockets_of(process)
        assert (first.unread, second.unsent) == (3, 3)
        assert [(each.pid, each.descriptor) for each in first.others] == [(process.pid, 4)]
        assert (listener.state, listener.family) == ("LISTEN", "inet")


def test_process_1_that_suspends_itself() -> None:
    line = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*line, "true"], check=False, capture_output=True).returncode != 0
    ):
        pytest.skip("the kernel allows no namespaces here")
    with running([*line, sys.executable, "-u", "-c", READY + "import signal; signal.pause()"]) as pid:
        process = next(each for each in autopsy(pid).processes if each.inner == 1)
        assert call_of(process).described == "pause until a signal comes, as process 1"


def test_nothing_is_left_and_nothing_changed() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))):
        before = os.listdir("/proc/self/fd")
        with python(READY + "import time; time.sleep(1000)") as pid:
            inside = os.listdir("/proc/self/fd")
            process = only(autopsy(pid))
            settle(pid)
            again = only(autopsy(pid))
            assert os.listdir("/proc/self/fd") == inside
            assert process.pid == again.pid
            assert process.state == again.state == "S"
            assert call_of(process).arguments == call_of(again).arguments
        assert os.listdir("/proc/self/fd") == before


def test_a_budget_that_is_over_at_once_still_says_who_is_there() -> None:
    with running([sys.executable, "-c", READY + "import time; time.sleep(1000)"]) as pid:
        process = only(autopsy(pid, budget=0.0))
        assert process.state == "S"
        assert call_of(process).name in {"clock_nanosleep", "pselect6", "select"}
        assert process.missing
