"""Child processes for the tests of the command line: `mungos` itself, and programs that are not ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

MUNGOS = (sys.executable, "-m", "mungos")
PATIENCE = 9.0
"""Seconds that a child may take for what it is waited for; the test's own deadline is not much more."""


def mungos(
    *arguments: str | Path, stdin: bytes = b"", patience: float = PATIENCE
) -> subprocess.CompletedProcess[bytes]:
    """Run `mungos` to its end."""
    return run([*MUNGOS, *map(str, arguments)], stdin=stdin, patience=patience)


def run(
    command: Sequence[str], *, stdin: bytes = b"", patience: float = PATIENCE
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; it is killed, and the test fails, when that takes over `patience` seconds."""
    return subprocess.run(command, input=stdin, capture_output=True, timeout=patience, check=False)


class Child:
    """A program that runs beside the test.

    Attributes:
        process: it.
        seen: the lines of its standard output so far.
    """

    def __init__(self, command: Sequence[str], errors: IO[bytes], *, merged: bool = False) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else errors,
        )
        self.seen: list[str] = []
        self._errors = errors
        self._said = b""

    def line(self, pattern: str) -> re.Match[str]:
        """Read lines until one matches. Fails, with all that was printed, when the program ends first."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self.seen.append(raw.decode("utf-8", "replace").rstrip("\n"))
            found = re.search(pattern, self.seen[-1])
            if found:
                return found
        raise AssertionError(f"no line like {pattern!r} among {self.seen}\n{self.errors()}")

    def errors(self) -> str:
        """Its standard error so far."""
        if not self._errors.closed:
            # Not by seeking: the child writes where this file's position is.
            descriptor = self._errors.fileno()
            self._said = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        return self._said.decode("utf-8", "replace")

    def finish(self) -> None:
        """Kill it if it still runs, and give back what the test holds of it."""
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self.process.wait(PATIENCE)
        self.errors()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self, patience: float = PATIENCE) -> int:
        """Its status, once it has ended."""
        return self.process.wait(patience)


@contextmanager
def child(command: Sequence[str], *, merged: bool = False) -> Iterator[Child]:
    """A program that is killed, if it still runs, when the block is left."""
    with tempfile.TemporaryFile() as errors:
        made = Child(command, errors, merged=merged)
        try:
            yield made
        finally:
            made.finish()


class Server(Child):
    """`mungos serve` or `mungos echo`.

    Attributes:
        urls: where it listens, in the order of its options.
        facts: what it said about its development certificate, by the words before the colon.
    """

    urls: list[str]
    facts: dict[str, str]

    def url(self, scheme: str) -> str:
        """The first address of a scheme."""
        return next(url for url in self.urls if url.startswith(scheme + ":"))

    def port(self, scheme: str) -> int:
        """The port of the first address of a scheme."""
        return int(self.url(scheme).rstrip("/").rpartition(":")[2])


@contextmanager
def server(*arguments: str | Path) -> Iterator[Server]:
    """A server of ours, listening. At the end of the block it gets SIGTERM unless it has ended, and must exit
    with 0, having closed everything."""
    command = [*MUNGOS, *map(str, arguments)]
    with tempfile.TemporaryFile() as errors:
        made = Server(command, errors)
        try:
            made.urls = [made.line(r"^listening at (\S+)$")[1] for _ in range(command.count("--listen") or 1)]
            made.facts = dict(line.split(": ", 1) for line in made.seen if ": " in line)
            yield made
            if made.process.poll() is None:
                made.signal()
            assert made.ended() == 0, made.errors()
            assert "left:" not in made.errors()
            assert "Traceback" not in made.errors()
            if not {"-q", "--quiet"}.intersection(command):
                assert made.errors().endswith("All connections closed\n")
        finally:
            made.finish()
