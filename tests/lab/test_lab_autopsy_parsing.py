"""The texts and structures that the autopsy reads, as the kernel and gdb write them."""

from __future__ import annotations

import signal
import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mungos.lab.autopsy.answers import directory_of
from mungos.lab.autopsy.emulation import guest_of
from mungos.lab.autopsy.native_stacks import from_gdb, gdb_command, real_timers
from mungos.lab.autopsy.network import _address, _internet, _unix
from mungos.lab.autopsy.objects import socket_address
from mungos.lab.autopsy.proc import Stat, parse_stat
from mungos.lab.autopsy.scene import mask_to_set, signals_in_words
from mungos.lab.autopsy.system_calls import MACHINES, call_name, machine_of
from mungos.lab.autopsy.tree import orphans, parents_first
from mungos.lab.autopsy.unix_peers import parse


# From the kernel's tables of each machine; a few that differ everywhere.
@pytest.mark.parametrize(
    ("machine", "numbers"),
    [
        (
            "x86_64",
            {0: "read", 202: "futex", 232: "epoll_wait", 130: "rt_sigsuspend", 61: "wait4", 47: "recvmsg"},
        ),
        ("i386", {3: "read", 240: "futex", 256: "epoll_wait", 179: "rt_sigsuspend", 102: "socketcall"}),
        ("aarch64", {63: "read", 98: "futex", 22: "epoll_pwait", 133: "rt_sigsuspend", 260: "wait4"}),
        ("riscv64", {63: "read", 98: "futex", 22: "epoll_pwait", 133: "rt_sigsuspend", 260: "wait4"}),
        ("s390x", {3: "read", 238: "futex", 251: "epoll_wait", 179: "rt_sigsuspend", 114: "wait4"}),
        ("ppc64", {3: "read", 221: "futex", 238: "epoll_wait", 178: "rt_sigsuspend", 114: "wait4"}),
        ("arm", {3: "read", 240: "futex", 252: "epoll_wait", 179: "rt_sigsuspend", 114: "wait4"}),
        ("mips64", {5000: "read", 5194: "futex", 5209: "epoll_wait", 5128: "rt_sigsuspend", 5059: "wait4"}),
    ],
)
def test_numbers_of_system_calls(machine: str, numbers: dict[int, str]) -> None:
    assert machine in MACHINES
    assert {number: call_name(machine, number) for number in numbers} == numbers


def test_a_number_of_no_call_in_which_programs_wait() -> None:
    assert call_name("x86_64", 999) == "system call 999"
    assert call_name("vax", 3) == "system call 3"


@pytest.mark.parametrize(
    ("kind", "order", "number", "wanted"),
    [
        (2, 1, 62, ("x86_64", 8)),
        (1, 1, 3, ("i386", 4)),
        (2, 2, 22, ("s390x", 8)),
        (2, 1, 183, ("aarch64", 8)),
        (1, 1, 40, ("arm", 4)),
        (2, 1, 21, ("ppc64", 8)),
        (2, 1, 8, ("mips64", 8)),
        (1, 1, 8, ("", 4)),
    ],
)
def test_machine_by_elf_header(kind: int, order: int, number: int, wanted: tuple[str, int]) -> None:
    header = b"\x7fELF" + bytes([kind, order]) + bytes(10)
    header += struct.pack(">HH" if order == 2 else "<HH", 2, number)
    assert machine_of(header, "x86_64") == wanted


def test_machine_without_a_header() -> None:
    assert machine_of(b"", "x86_64") == ("x86_64", 8)
    assert machine_of(b"#!", "ppc64le") == ("ppc64", 8)
    assert machine_of(b"", "i686") == ("i386", 4)


def test_a_name_that_holds_anything() -> None:
    line = b"42 (a) R (b) S 7 8 9 0 -1 4194304 " + b"0 " * 4 + b"150 50 " + b"0 " * 6 + b"900 0"
    found = parse_stat(line)
    assert found is not None
    assert (found.name, found.state, found.parent, found.group) == ("a) R (b", "S", 7, 8)
    assert found.started == 900
    assert parse_stat(b"") is None
    assert parse_stat(b"42 (a) S") is None


@given(st.binary(max_size=200))
def test_stat_of_any_bytes(data: bytes) -> None:
    if not any(byte in data for byte in b"()"):
        assert parse_stat(data) is None


@pytest.mark.parametrize(
    ("arguments", "auxiliary", "command"),
    [
        (["qemu-s390x-static", "/bin/ls", "-l"], b"", "/bin/ls -l"),
        (["qemu-s390x-static", "-L", "/root", "-strace", "/bin/ls", "-l"], b"", "/bin/ls -l"),
        (["/usr/libexec/qemu-binfmt/s390x-binfmt-P", "/bin/ls", "ls", "-l"], b"", "ls -l"),
        (["/usr/bin/qemu-s390x-static", "/bin/ls", "ls", "-l"], struct.pack("=4Q", 8, 1, 0, 0), "ls -l"),
        (["/usr/bin/qemu-s390x-static", "/bin/ls", "-l"], struct.pack("=4Q", 8, 0, 0, 0), "/bin/ls -l"),
    ],
)
def test_guests(arguments: list[str], auxiliary: bytes, command: str) -> None:
    guest = guest_of("/usr/bin/qemu-s390x-static", arguments, auxiliary, 8)
    assert guest is not None
    assert (guest.architecture, guest.program, guest.command) == ("s390x", "/bin/ls", command)


@pytest.mark.parametrize(
    ("executable", "architecture"),
    [
        ("/usr/bin/qemu-aarch64-static", "arm64"),
        ("/usr/bin/qemu-arm", "armhf"),
        ("/usr/bin/qemu-ppc64le-static (deleted)", "ppc64el"),
        ("/usr/bin/qemu-x86_64", "amd64"),
        ("/usr/bin/qemu-system-s390x", None),
        ("/usr/bin/qemu-img", None),
        ("/usr/bin/python3", None),
    ],
)
def test_which_programs_are_emulators(executable: str, architecture: str | None) -> None:
    guest = guest_of(executable, ["x", "/bin/ls"], b"", 8)
    assert (guest.architecture if guest is not None else None) == architecture


def test_an_emulator_without_a_guest() -> None:
    assert guest_of("/usr/bin/qemu-arm", ["qemu-arm"], b"", 8) is None
    assert guest_of("/usr/bin/qemu-arm", ["qemu-arm", "-L"], b"", 8) is None


GDB = """
@@process 812
0x00007f in read () from /lib/libc.so.6

Thread 2 (LWP 813 "worker"):
#0  0x00007f8af6033503 in pause () from /lib/x86_64-linux-gnu/libc.so.6
#1  0x000055d0 in hold (argument=0x55, text=0x1 "a, b") at /src/a b.c:31

Thread 1 (Thread 0x7f5 (LWP 812) "main (x)"):
#0  0x00007f8af6033503 in foo::bar(int) (this=0x0) at x.cc:4
#1  main () at x.cc:9
#2  0x1 in ?? ()

@@timer
$1 = 0
0x7ffc353cd318:\t3\t500000
0x7ffc353cd328:\t12\t250000
[Inferior 1 (process 812) detached]

@@process 900
ptrace: Operation not permitted.

@@timer
No symbol "getitimer" in current context.

@@process 901

Thread 1 (process 901 "sleep"):
#0  0x00007fc4653c1503 in clock_nanosleep () from /lib/libc.so.6

@@timer
$1 = 0
0x7ffc353cd318 <x+8>:\t0\t0
0x7ffc353cd328:\t0\t0
"""


def test_gdb_output() -> None:
    found = from_gdb(GDB)
    assert set(found) == {812, 901}
    worker, main = found[812]
    assert (worker.thread, worker.name, worker.source, worker.language) == (813, "worker", "gdb", "native")
    assert (worker.frames[0].function, worker.frames[0].file) == ("pause", "/lib/x86_64-linux-gnu/libc.so.6")
    assert (worker.frames[1].function, worker.frames[1].file, worker.frames[1].line) == (
        "hold",
        "/src/a b.c",
        31,
    )
    assert worker.frames[1].locals[0] == ("argument", "0x55")
    assert (main.thread, main.name) == (812, "main (x)")
    assert [each.function for each in main.frames] == ["foo::bar(int)", "main", "??"]
    assert found[901][0].thread == 901
    assert real_timers(GDB) == {812: (12.25, 3.5), 901: (0.0, 0.0)}


def test_gdb_command_line() -> None:
    line = gdb_command("/usr/bin/gdb", [(7, True), (8, False)])
    assert line[:4] == ["/usr/bin/gdb", "-nx", "-q", "-batch"]
    assert line.count("detach") == 2
    assert len([each for each in line if "getitimer" in each]) == 1
    assert from_gdb("") == {}
    assert real_timers("") == {}


def test_addresses() -> None:
    def words(raw: bytes) -> str:
        return "".join(
            f"{int.from_bytes(raw[at : at + 4], sys.byteorder):08X}" for at in range(0, len(raw), 4)
        )

    assert _address(words(socket.inet_aton("127.0.0.1")) + ":1F90") == ("127.0.0.1:8080",) * 2
    assert _address("00000000:0000") == ("", "")
    assert _address(words(socket.inet_pton(socket.AF_INET6, "::1")) + ":0050") == ("[::1]:80",) * 2
    mapped = _address(words(socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.1")) + ":0050")
    assert mapped == ("[::ffff:10.0.0.1]:80", "10.0.0.1:80")


def test_a_table_of_another_shape() -> None:
    assert list(_internet("head\nx y z\n 0: a:b c:d e f g h i j k l\n", "inet", "stream")) == []
    assert list(_unix("head\nx y\na: b c d e f g h\n")) == []


def test_unix_sockets_with_spaces_in_their_path() -> None:
    text = "Num RefCount Protocol Flags Type St Inode Path\n0: 00000002 00000000 00010000 0001 01 55 /a b\n"
    (row,) = _unix(text)
    assert (row.inode, row.state, row.local) == (55, "LISTEN", "/a b")


@given(st.binary(max_size=300))
def test_unix_diagnosis_of_any_bytes(data: bytes) -> None:
    parse(data)


def test_unix_diagnosis() -> None:
    attributes = struct.pack("=HHI", 8, 2, 78) + struct.pack("=HHII", 12, 4, 3, 512)
    message = struct.pack("=BBBBIII", 1, 1, 1, 0, 77, 0, 0) + attributes
    data = struct.pack("=IHHII", 16 + len(message), 20, 2, 1, 0) + message
    assert parse(data)[77].peer == 78
    assert (parse(data)[77].unread, parse(data)[77].unsent) == (3, 512)
    for cut in range(len(data)):
        parse(data[:cut])


def test_socket_addresses() -> None:
    family = struct.pack("=H", socket.AF_INET)
    assert socket_address(family + b"\x00\x50" + bytes([10, 0, 0, 1]) + bytes(8)) == "10.0.0.1:80"
    family = struct.pack("=H", socket.AF_INET6)
    assert socket_address(family + b"\x00\x50" + bytes(4) + bytes(15) + b"\x01" + bytes(4)) == "[::1]:80"
    family = struct.pack("=H", socket.AF_UNIX)
    assert socket_address(family + b"/run/x\0rest") == "/run/x"
    assert socket_address(family + b"\0name") == "@name"
    assert socket_address(b"") == "?"


def test_signal_masks() -> None:
    assert mask_to_set(1 << signal.SIGTERM - 1 | 1 << 63) == {signal.SIGTERM, 64}
    assert signals_in_words({signal.SIGTERM, signal.SIGINT, 33}) == "SIGINT, SIGTERM, signal 33"


def test_the_directory_of_the_lab() -> None:
    assert directory_of(b"A=1\0MUNGOS_LAB=/tmp/x/\0B=2\0") == "/tmp/x"
    assert directory_of(b"XMUNGOS_LAB=/tmp/x\0") == ""
    assert directory_of(b"MUNGOS_LAB=relative\0") == ""


def seen(pid: int, parent: int, *, group: int = 0, started: int = 10) -> Stat:
    return Stat(pid, "x", "S", parent, group or pid, 0, 0, 0.0, started)


def test_orphans_below_an_init_of_a_namespace() -> None:
    # 50 is the init; 51 its number 2, 60 and 61 lost their parents.
    kept = [seen(51, 50), seen(55, 51), seen(60, 50, started=5), seen(61, 50)]
    inner = {51: (51, 2), 55: (55, 3), 60: (60, 9), 61: (61, 12)}
    assert orphans(kept, [50], {50}, inner) == {60, 61}
    gone = [seen(60, 50), seen(61, 50)]
    assert orphans(gone, [50], {50}, inner) == {60, 61}


def test_orphans_without_a_namespace() -> None:
    kept = [seen(51, 50), seen(60, 50, group=51, started=11), seen(61, 50, started=20)]
    inner = {51: (51,), 60: (60,), 61: (61,)}
    assert orphans(kept, [50], {50}, inner) == {60, 61}
    assert orphans(kept, [51, 50], {50}, inner) == {60, 61}
    assert orphans([seen(51, 7), seen(70, 1)], [51, 70], set(), {}) == frozenset()


def test_a_chain_of_processes_may_be_as_long_as_it_likes() -> None:
    chain = [Stat(pid, "x", "S", pid - 1, 1, 1, 0, 0.0, 1) for pid in range(5000, 1, -1)]
    assert [each.pid for each in parents_first(chain)] == list(range(2, 5001))
    circle = [Stat(2, "x", "S", 3, 1, 1, 0, 0.0, 1), Stat(3, "x", "S", 2, 1, 1, 0, 0.0, 1)]
    assert len(parents_first(circle)) == 2
