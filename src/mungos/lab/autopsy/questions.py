"""Programs that are asked about a process, and processes that are asked about themselves: all at once."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Command", "Question", "pose"]

OUTPUT_LIMIT = 8 << 20  # bytes of one program's output
LOOK = 0.004  # seconds between looks for answers
LEAST = 0.02  # seconds: with less left a program is not started
LAST_WAIT = 0.2  # seconds for a killed program to end


@dataclass(slots=True)
class Command:
    """A program that looks at processes from outside.

    Attributes:
        arguments: its command line.
        output, errors: what it printed.
        done: whether it ended by itself; False when the budget ended first.
        status: its exit status.
    """

    arguments: Sequence[str]
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    done: bool = False
    status: int | None = None
    failed: str = ""


@dataclass(slots=True)
class Question:
    """A process that answers a signal by writing files.

    Attributes:
        ask: sends the signal; False when it can't be sent.
        answered: looks for the answer.
        patience: seconds to wait for it.
        after: the command that must be over first: it looks at the same process.
    """

    ask: Callable[[], bool]
    answered: Callable[[], bool]
    patience: float
    after: Command | None = None
    asked_at: float | None = None
    over: bool = False


def pose(commands: Sequence[Command], questions: Sequence[Question], until: float) -> None:
    """Run all of it side by side, until the last is answered or the instant `until` (monotonic)."""
    running: dict[int, tuple[Command, subprocess.Popen[bytes]]] = {}
    streams: dict[int, bytearray] = {}
    poller = select.poll()
    try:
        for command in commands:
            if time.monotonic() + LEAST >= until:
                command.failed = "no time was left"
                continue
            _start(command, running, streams, poller)
        while True:
            now = time.monotonic()
            waiting = _step(questions, now)
            if now >= until or not (running or waiting):
                return
            rest = min(until - now, LOOK if waiting else until - now)
            for descriptor, _ in poller.poll(max(rest, 0.001) * 1000):
                _receive(descriptor, streams, poller)
            for pid, (command, child) in list(running.items()):
                open_streams = {child.stdout, child.stderr} if child.stdout and child.stderr else set()
                if any(stream.fileno() in streams for stream in open_streams):
                    continue
                try:
                    command.status = child.wait(max(until - time.monotonic(), 0.001))
                except subprocess.TimeoutExpired:
                    continue
                command.done = True
                del running[pid]
                _close(child)
    finally:
        for _, child in running.values():
            child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(LAST_WAIT)
            _close(child)


def _start(
    command: Command,
    running: dict[int, tuple[Command, subprocess.Popen[bytes]]],
    streams: dict[int, bytearray],
    poller: select.poll,
) -> None:
    try:
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        command.failed = str(error)
        return
    running[child.pid] = (command, child)
    for stream, target in ((child.stdout, command.output), (child.stderr, command.errors)):
        if stream is not None:
            streams[stream.fileno()] = target
            poller.register(stream.fileno(), select.POLLIN)


def _receive(descriptor: int, streams: dict[int, bytearray], poller: select.poll) -> None:
    data = os.read(descriptor, 65536)
    if data:
        if len(streams[descriptor]) < OUTPUT_LIMIT:
            streams[descriptor] += data
        return
    poller.unregister(descriptor)
    del streams[descriptor]


def _close(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def _step(questions: Sequence[Question], now: float) -> bool:
    """Ask who may be asked by now, and look for answers; whether some are outstanding."""
    outstanding = False
    for each in questions:
        if each.over:
            continue
        if each.asked_at is None:
            if each.after is None or each.after.done or each.after.failed:
                each.asked_at = now
                each.over = not each.ask()
            outstanding = outstanding or not each.over
        elif each.answered() or now >= each.asked_at + each.patience:
            each.over = True
        else:
            outstanding = True
    return outstanding
