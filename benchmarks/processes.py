"""Starting and ending the servers and load processes: by pid, each with a deadline, whatever happens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from benchmarks.contestants import ROOT

__all__ = ["ANY_CPU", "Child", "ChildFailed", "cpus_for", "free_port"]

ANY_CPU = -1
STOP_SECONDS = 5.0
LOOK_SECONDS = 0.01


class ChildFailed(Exception):
    """A server or load process did not start, did not answer rightly, or did not finish in time."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def cpus_for() -> tuple[int, int]:
    """The processors for the server and for the load; ANY_CPU for both where there are not two."""
    if not hasattr(os, "sched_getaffinity"):
        return ANY_CPU, ANY_CPU
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (ANY_CPU, ANY_CPU)


class Child:
    """A process, ended when the `with` block is left: SIGTERM, STOP_SECONDS of patience, then SIGKILL.

    Its output goes to a file without a name, so that it can never block on a full pipe.

    Args:
        name: what messages call it.
        arguments: a Python script (or `-m` and a module) and its arguments.
        cpu: the processor that it is bound to, or ANY_CPU.
    """

    def __init__(self, name: str, arguments: Sequence[str], *, cpu: int) -> None:
        self.name = name
        self.killed = False
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        launcher = str(Path(__file__).with_name("launch.py"))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, launcher, str(cpu), str(os.getpid()), sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            cwd=ROOT,
            env=environment,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._output.close()
        self._errors.close()

    def output(self) -> list[str]:
        return _whole(self._output).splitlines()

    def complaint(self) -> str:
        """The end of what it wrote to standard error, for a message."""
        return "\n".join(_whole(self._errors).strip().splitlines()[-6:])

    def wait_ready(self, within: float) -> None:
        """Until it has printed `ready` on a line of its own.

        Raises:
            ChildFailed: it ended, or `within` seconds passed.
        """
        end = time.monotonic() + within
        while "ready" not in self.output():
            status = self._process.poll()
            if status is not None:
                raise ChildFailed(
                    f"{self.name} ended with status {status} before it was ready\n{self.complaint()}"
                )
            if time.monotonic() > end:
                raise ChildFailed(f"{self.name} was not ready within {within:g} s\n{self.complaint()}")
            time.sleep(LOOK_SECONDS)

    def wait_done(self, within: float) -> str:
        """The last line that it printed, once it has ended by itself with status 0.

        Raises:
            ChildFailed: it ended otherwise, printed nothing, or `within` seconds passed.
        """
        try:
            status = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"{self.name} did not finish within {within:g} s\n{self.complaint()}") from None
        lines = self.output()
        if status != 0 or not lines:
            raise ChildFailed(f"{self.name} ended with status {status}\n{self.complaint()}")
        return lines[-1]

    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL at once."""
        self._process.kill()
        self._process.wait()

    def stop(self, within: float = STOP_SECONDS) -> None:
        """End it: SIGTERM, then after `within` seconds SIGKILL (which `killed` then tells)."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.killed = True
        finally:
            if self._process.poll() is None:
                self.kill()


def _whole(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(
        "utf-8", "replace"
    )  # the child shares the offset: leave it alone
