"""A stage on which our built-in TLS engine meets programs that are not ours: one loop waits for both.

Nothing here sleeps: a test waits until what it wants is there (`Stage.until`), and the loop wakes by our
connections and by what the program prints.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mungos import Manager
from mungos.core import Connection, Listener
from mungos.core.events import Closed, Ended, Opened, Received
from mungos.core.reasons import CloseKind, CloseReason
from mungos.tls import ClientConfig, Negotiated, ServerConfig
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import ReadSide, WriteSide
from mungos.tls.engines.builtin.engine import BuiltinEngine

SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
GROUPS = ("x25519", "secp256r1", "secp384r1")
PATIENCE = 8.0
"""Seconds that a test waits for one thing, below the deadline of the test itself."""

# Lines of printable characters: some programs treat some characters at the beginning of a line as commands.
MEGABYTE = b"".join(b"= %07d %s\n" % (number, b"mungos " * 7) for number in range(17_000))


class Program:
    """A program that is not ours; all that it prints, on both outputs, is in `output`.

    Args:
        command: what to run.
        environment: added to ours.
        folder: where it runs.

    Attributes:
        process: it.
        output: what it printed so far.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self.command = command
        self.output = bytearray()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            start_new_session=True,  # what it starts ends with it
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in: int | None = self.process.stdin.fileno()
        self._out: int | None = self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._pending = bytearray()
        self._shut = False

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.decode("utf-8", "replace")

    @property
    def silent(self) -> bool:
        """Whether it closed its output: it has ended, or is about to."""
        return self._out is None

    def write(self, data: bytes) -> None:
        """To its standard input, as fast as it reads."""
        self._pending += data
        self._feed()

    def shut(self) -> None:
        """End its standard input, after what was written."""
        self._shut = True
        self._feed()

    def descriptors(self) -> tuple[list[int], list[int]]:
        """What to wait for: its output, and its input while something waits for it."""
        return (
            [self._out] if self._out is not None else [],
            [self._in] if self._in is not None and self._pending else [],
        )

    def move(self) -> None:
        """Read what it printed, and write what waits."""
        while self._out is not None:
            try:
                data = os.read(self._out, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                self._out = None
            self.output += data
        self._feed()

    def _feed(self) -> None:
        try:
            while self._pending and self._in is not None:
                del self._pending[: os.write(self._in, self._pending)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._pending.clear()
        if self._shut and self._in is not None:
            self._in = None
            assert self.process.stdin is not None
            self.process.stdin.close()

    def finish(self) -> None:
        """Kill it, if it still runs, and give back what the test holds of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        self.process.wait(PATIENCE)


class End:
    """Our end of a connection: its handler, and all that it was told.

    Attributes:
        connection: it, from the first event on.
        data: bytes received.
        ended: how the peer's direction ended: "", "clean" or "truncated".
        reason: how it ended, once it has.
        negotiated: what the handshake agreed on.
        answer: called with each piece of data; its result is sent back.
    """

    def __init__(self, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.connection: Connection | None = None
        self.data = bytearray()
        self.ended = ""
        self.reason: CloseReason | None = None
        self.negotiated: Negotiated | None = None
        self.answer = answer
        self._engine: BuiltinEngine | None = None

    def __call__(self, connection: object, event: object) -> None:
        assert isinstance(connection, Connection)
        self.connection = connection
        if connection._secure is not None:
            engine = connection._secure.engine
            assert isinstance(engine, BuiltinEngine)
            self._engine = engine
        if isinstance(event, Opened):
            self.negotiated = connection.negotiated
        elif isinstance(event, Received):
            self.data += event.data
            if self.answer is not None and (back := self.answer(event.data)):
                connection.send(back)
        elif isinstance(event, Ended):
            self.ended = event.how
        elif isinstance(event, Closed):
            self.reason = event.reason

    @property
    def open(self) -> bool:
        """Whether the handshake is through."""
        return self.negotiated is not None

    @property
    def engine(self) -> BuiltinEngine:
        """The TLS session."""
        assert self._engine is not None
        return self._engine

    @property
    def agreed(self) -> Negotiated:
        """What the handshake agreed on."""
        assert self.negotiated is not None, self.reason
        return self.negotiated

    def send(self, data: bytes) -> None:
        """To the peer."""
        assert self.connection is not None
        self.connection.send(data)

    def close(self) -> None:
        """Take our leave."""
        assert self.connection is not None
        self.connection.close()

    def ended_cleanly(self) -> None:
        """Check that the connection has ended, and that close_notify went both ways."""
        assert self.reason is not None
        assert self.reason.kind is CloseKind.CLEAN, self.reason
        assert self.engine.read_side is ReadSide.ENDED
        assert self.engine.write_side is WriteSide.ENDED

    def was_truncated(self) -> None:
        """Check that the peer's end came without close_notify (RFC 8446 section 6.1)."""
        assert self.reason is not None
        assert self.reason.kind is CloseKind.TRUNCATED, self.reason
        assert self.ended == "truncated"

    def alert(self) -> AlertDescription | None:
        """The alert by which the session failed."""
        return self.engine.ending.alert if self.engine.ending is not None else None

    def failed(
        self, error: type[BaseException] | tuple[type[BaseException], ...], alert: str, *, by_peer: bool
    ) -> str:
        """Check that the session failed by this alert, from that side. Returns what the error says."""
        assert self.reason is not None
        assert self.reason.kind is CloseKind.TLS_ALERT, self.reason
        assert isinstance(self.reason.error, error), self.reason
        assert self.engine.ending is not None
        assert self.engine.ending.sent_by_peer is by_peer, self.engine.ending
        told = self.alert()
        assert told is not None
        assert told.name == alert, self.reason
        return str(self.reason.error)


class Door:
    """Our server: one `End` a connection.

    Attributes:
        ends: in the order in which they came.
        port: where it listens.
    """

    def __init__(self, answer: Callable[[bytes], bytes] | None) -> None:
        self.ends: list[End] = []
        self.port = 0
        self._answer = answer

    def __call__(self, connection: object, event: object) -> None:
        assert isinstance(connection, Connection)
        end = connection.user
        if not isinstance(end, End):
            end = connection.user = End(self._answer)
            self.ends.append(end)
        end(connection, event)

    @property
    def end(self) -> End:
        """The newest."""
        return self.ends[-1]

    @property
    def open(self) -> bool:
        """Whether the newest is open."""
        return bool(self.ends) and self.end.open

    @property
    def closed(self) -> bool:
        """Whether anyone came, and all are gone."""
        return bool(self.ends) and all(end.reason is not None for end in self.ends)


class Stage:
    """One manager of ours, and programs beside it.

    Args:
        factor: by what all patience is multiplied.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.manager = Manager()
        self._factor = factor
        self._programs: list[Program] = []

    def run(self, *command: str, folder: Path | None = None, **environment: str) -> Program:
        """Start a program."""
        program = Program(command, environment, folder)
        self._programs.append(program)
        return program

    def listen(self, config: ServerConfig, answer: Callable[[bytes], bytes] | None = None) -> Door:
        """A server of ours, on 127.0.0.1."""
        door = Door(answer)
        listener = self.manager.listen("tls://127.0.0.1:0", door, tls=config, engine="builtin")
        assert isinstance(listener, Listener)
        door.port = listener.url.port
        return door

    def connect(
        self,
        port: int,
        config: ClientConfig,
        *,
        server_name: str = "localhost",
        answer: Callable[[bytes], bytes] | None = None,
    ) -> End:
        """A client of ours; `until` waits for what comes of it."""
        end = End(answer)
        connection = self.manager.connect(
            f"tls://127.0.0.1:{port}",
            end,
            tls=config,
            server_name=server_name,
            engine="builtin",
        )
        assert isinstance(connection, Connection)
        return end

    def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Go on until it holds. Fails, with everything that is known, when it takes too long."""
        end = time.monotonic() + patience * self._factor
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError("it did not come to that:\n" + self.story())
            self._turn(left)

    def says(self, program: Program, pattern: str, times: int = 1) -> re.Match[str]:
        """Go on until the program has printed this (a regular expression, `^` and `$` at lines) so often."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            found[:] = re.finditer(pattern, program.text, re.MULTILINE)
            if len(found) >= times:
                return True
            # What ended says nothing more.
            assert not program.silent, f"it ended without {pattern!r}:\n{self.story()}"
            return False

        self.until(there)
        return found[times - 1]

    def ends(self, program: Program, patience: float = PATIENCE) -> str:
        """Go on until the program has ended. Returns all that it printed."""
        self.until(lambda: program.silent, patience)
        program.process.wait(PATIENCE * self._factor)
        return program.text

    def story(self) -> str:
        """What every program printed, and what our connections are."""
        told = [f"{' '.join(each.command)}\n{each.text[-8000:]}" for each in self._programs]
        told += [f"ours: {each}" for each in self.manager.connections.values()]
        return "\n".join(told)

    def _turn(self, within: float) -> None:
        readable: list[int] = [self.manager.fileno()]
        writable: list[int] = []
        for program in self._programs:
            reads, writes = program.descriptors()
            readable += reads
            writable += writes
        select.select(readable, writable, [], self.manager.wait_time(within))
        self.manager.turn()
        for program in self._programs:
            program.move()

    def close(self) -> None:
        """End everything; nothing of ours may be left."""
        for program in self._programs:
            program.finish()
        report = self.manager.close(2.0)
        assert report.ok, str(report)


@contextmanager
def stage(factor: float) -> Iterator[Stage]:
    """A stage, and its end."""
    made = Stage(factor)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at, for programs that can't ask the system for one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def echo(data: bytes) -> bytes:
    """Send it back as it came."""
    return bytes(data)
