"""User-mode emulation: which guest a qemu process plays, and what program the guest runs."""

from __future__ import annotations

import os
import re
import shlex
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mungos.lab.autopsy.proc import shortened

__all__ = ["Guest", "guest_of"]

_NAME = re.compile(r"qemu-([a-z0-9_]+?)(?:-static)?(?: \(deleted\))?")
_DEBIAN = {
    "aarch64": "arm64",
    "alpha": "alpha",
    "arm": "armhf",
    "hppa": "hppa",
    "i386": "i386",
    "loongarch64": "loong64",
    "m68k": "m68k",
    "mips": "mips",
    "mips64": "mips64",
    "mips64el": "mips64el",
    "mipsel": "mipsel",
    "ppc": "powerpc",
    "ppc64": "ppc64",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "sh4": "sh4",
    "sparc64": "sparc64",
    "x86_64": "amd64",
}
_WITH_VALUE = frozenset(
    "-g -L -s -cpu -E -U -0 -r -B -R -d -dfilter -D -p -plugin -seed -trace -tb-size -t -accel".split()  # noqa: SIM905
)
_AT_FLAGS = 8
_PRESERVE_ARGV0 = 1  # linux/binfmts.h: the kernel put the program's path before its own first argument


@dataclass(frozen=True, slots=True)
class Guest:
    """A program under emulation."""

    architecture: str  # Debian's name
    program: str
    command: str
    emulator: str
    name: str  # the program's own first argument


def guest_of(executable: str, arguments: Sequence[str], auxiliary: bytes, word: int) -> Guest | None:
    """The guest, or None when the process is no emulator.

    Args:
        executable: where /proc/PID/exe leads.
        arguments: of the emulator's process.
        auxiliary: /proc/PID/auxv.
        word: bytes of a pointer in it.
    """
    match = _NAME.fullmatch(os.path.basename(executable))
    if match is None or match[1] not in _DEBIAN or len(arguments) < 2:
        return None
    rest = list(arguments[1:])
    named = None
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option.replace("--", "-", 1) in _WITH_VALUE and rest:
            value = rest.pop(0)
            if option == "-0":
                named = value
    if not rest:
        return None
    program = rest[0]
    if _flags(auxiliary, word) & _PRESERVE_ARGV0 or arguments[0].endswith("-binfmt-P"):
        rest = rest[1:] or [program]
    shown = shortened(shlex.join(rest))
    return Guest(_DEBIAN[match[1]], program, shown, executable, named or rest[0])


def _flags(auxiliary: bytes, word: int) -> int:
    layout = struct.Struct("=QQ" if word == 8 else "=II")
    for at in range(0, len(auxiliary) - layout.size + 1, layout.size):
        key, value = layout.unpack_from(auxiliary, at)
        if key == _AT_FLAGS:
            return int(value)
    return 0
