"""Runs a Python program that answers when the lab asks for its stacks: `answering.py PROGRAM [ARGUMENT ...]`.

Python's stacks can't be read from outside without py-spy; with it or without, the same has to be found. So
the program is given what a program of Mungos has by itself: at SIGURG it writes its threads and their stacks
into the directory that the environment names in MUNGOS_LAB.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from types import FrameType

_held: list[int] = []


def _answer(number: int, frame: FrameType | None) -> None:
    """Say which threads there are: their stacks name them in another way than the kernel does."""
    del number, frame
    threading = sys.modules.get("threading")
    threads = [] if threading is None else threading.enumerate()
    listed = [f'{{"ident": {each.ident}, "native": {each.native_id}}}' for each in threads]
    path = f"{os.environ['MUNGOS_LAB']}/{os.getpid()}.json"
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(f'{{"threads": [{", ".join(listed)}]}}\n')
    os.rename(f"{path}.new", path)


def _listen() -> None:
    """Open this process's file, and register for the signal."""
    path = f"{os.environ['MUNGOS_LAB']}/{os.getpid()}.stacks"
    stacks = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    faulthandler.register(signal.SIGURG, file=stacks, all_threads=True, chain=True)
    for former in _held:
        os.close(former)
    _held[:] = [stacks]


def main(program: str) -> None:
    """Run it as if it had been started itself."""
    if os.path.isdir(os.environ.get("MUNGOS_LAB", "")):
        signal.signal(signal.SIGURG, _answer)
        _listen()
        os.register_at_fork(after_in_child=_listen)
    with open(program, encoding="utf-8") as file:
        code = compile(file.read(), program, "exec")
    exec(code, {"__name__": "__main__", "__file__": program})  # noqa: S102 - a program of ours


if __name__ == "__main__":
    del sys.argv[0]
    main(sys.argv[0])
