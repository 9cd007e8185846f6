"""Debian's architectures that the lab can run: what a program for each looks like, and what executes it."""

from __future__ import annotations

import os
import platform as host
import shutil
import sys
from dataclasses import dataclass
from typing import Literal

from mungos.errors import Broken, Misuse

__all__ = ["ARCHITECTURES", "NATIVE", "Architecture", "Unavailable", "architecture", "host_architecture"]

NATIVE = "native"
_BOTH = ("trixie", "bookworm")


class Unavailable(Broken):
    """A processor can't be had here: a package, a root or something of the kernel's; the text says it."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A Debian architecture.

    Args:
        name: Debian's.
        suites: the Debian releases that have it and a Python that is new enough, newest first.
        machine: what `uname -m` says there.
        byte_order: "little" or "big".
        word_size: bits of a pointer.
        elf_machine: e_machine of its programs (System V ABI, and the supplement of each processor).
        qemu: the emulator's name for it.
        runs_on: values of `uname -m` whose processors execute its programs themselves.
        proot: the emulator works under proot, too.
        cpu: the model that is emulated, where the emulator's own choice is slow.
    """

    name: str
    suites: tuple[str, ...]
    machine: str
    byte_order: Literal["little", "big"]
    word_size: int
    elf_machine: int
    qemu: str
    runs_on: frozenset[str]
    proot: bool = True
    cpu: str = ""

    @property
    def emulated(self) -> bool:
        """This machine's processor can't execute its programs."""
        # One name of a machine may stand for both byte orders (mips64).
        return host.machine() not in self.runs_on or sys.byteorder != self.byte_order

    def emulator(self) -> str | None:
        """Path of the emulator; None when it needs none. Raises Unavailable when there is none."""
        if not self.emulated:
            return None
        for name in (f"qemu-{self.qemu}-static", f"qemu-{self.qemu}"):
            found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin"]))
            if found is not None:
                return found
        raise Unavailable(
            f"qemu-{self.qemu}-static is missing: install the Debian package qemu-user-static (or qemu-user)"
        )

    def registration(self, emulator: str) -> str:
        """The line that makes the kernel hand its programs to `emulator` (Linux, admin-guide/binfmt-misc)."""
        order = self.byte_order
        kind, machine = (2).to_bytes(2, order), self.elf_machine.to_bytes(2, order)
        magic = (
            b"\x7fELF"
            + bytes([self.word_size // 32, 2 if order == "big" else 1, 1])
            + bytes(9)
            + kind
            + machine
        )
        # Whatever the ABI byte says; programs at a fixed address (type 2) and at any (type 3).
        mask = b"\xff" * 7 + b"\0" + b"\xff" * 8 + (0xFFFE).to_bytes(2, order) + b"\xff\xff"
        # P: argument 0 is kept. F: the emulator is opened now, outside the root.
        return f":{self.name}:M::{_escaped(magic)}:{_escaped(mask)}:{emulator}:PF"


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture("amd64", _BOTH, "x86_64", "little", 64, 62, "x86_64", frozenset({"x86_64"})),
        # The default model has pointer authentication, which qemu 7 calculates at every call: ten times
        # slower.
        Architecture(
            "arm64",
            _BOTH,
            "aarch64",
            "little",
            64,
            183,
            "aarch64",
            frozenset({"aarch64"}),
            cpu="cortex-a72",
        ),
        Architecture(
            "armhf", _BOTH, "armv7l", "little", 32, 40, "arm", frozenset({"armv7l", "armv8l"}), proot=False
        ),
        Architecture("i386", _BOTH, "i686", "little", 32, 3, "i386", frozenset({"x86_64", "i686"})),
        Architecture(
            "mips64el",
            ("bookworm",),
            "mips64",
            "little",
            64,
            8,
            "mips64el",
            frozenset({"mips64"}),
            proot=False,
        ),
        Architecture("ppc64el", _BOTH, "ppc64le", "little", 64, 21, "ppc64le", frozenset({"ppc64le"})),
        Architecture("riscv64", ("trixie",), "riscv64", "little", 64, 243, "riscv64", frozenset({"riscv64"})),
        Architecture("s390x", _BOTH, "s390x", "big", 64, 22, "s390x", frozenset({"s390x"})),
    )
}


def architecture(name: str) -> Architecture:
    """The one of this name. Raises Misuse when there is none."""
    found = ARCHITECTURES.get(name)
    if found is None:
        raise Misuse(f"{name!r} is no architecture that the lab knows; known are {', '.join(ARCHITECTURES)}")
    return found


def host_architecture() -> str:
    """Debian's name for this machine's processor, or its own name where Debian has none here."""
    machine = host.machine()
    for each in ARCHITECTURES.values():
        if each.machine == machine and each.byte_order == sys.byteorder:
            return each.name
    return machine
