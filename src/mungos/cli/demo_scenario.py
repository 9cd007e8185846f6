"""The story that the demo plays on any wire: connections opened, used, closed in every way, and counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from mungos.cli.demo_ends import EchoServer, End, describe
from mungos.cli.demo_payloads import SIZES, binary, first_difference, sized, text
from mungos.cli.demo_results import Failure, PairResult, RunResult, State
from mungos.cli.demo_versions import newest_in_common
from mungos.core import Connection, Limits, Manager
from mungos.errors import Misuse, MungosError
from mungos.tls import ClientConfig, Credential, ServerConfig
from mungos.websocket import attach
from mungos.wires import KernelWire, Wire

__all__ = ["Demo"]

log = logging.getLogger("mungos.demo")

ONE_BYTE_FRAMES = 256
_LOOK = 0.1
_GRACE = 1.0

# Who begins each closing handshake, and the status codes that client and server begin it with: an answer
# carries the code that it answers (RFC 6455 section 5.5.1).
_CLOSES = (("client", 4001, None), ("server", None, 4002), ("both", 4003, 4004))


class _Failed(Exception):
    """A step did not do what it should."""


class _OutOfBudget(_Failed):
    """There is no time left for anything else either."""


class _Interrupted(Exception):
    """A signal asks for the end."""


@dataclass(slots=True)
class Demo:
    """One run.

    Args:
        pairs: names of TLS engines, client and server; None for plain text.
        credential: the server's; its chain is what the client trusts. Not needed for plain text.
        budget: seconds for everything.
        step_within: seconds for each step; a third of the budget when None.
        wire: makes a wire for each manager.
        clock: monotonic seconds, the wires' own.
        server: makes the echo server of each pair.
        on_change: called when there is something new to show, and ten times a second while waiting.

    Attributes:
        result: what is known so far.
        playing: the pair that is on.
    """

    pairs: Sequence[tuple[str, str] | None]
    credential: Credential | None = None
    budget: float = 30.0
    step_within: float | None = None
    wire: Callable[[], Wire] = KernelWire
    clock: Callable[[], float] = time.monotonic
    server: Callable[[], EchoServer] = EchoServer
    on_change: Callable[[], None] = lambda: None
    result: RunResult = field(init=False)
    playing: _Pair | None = None
    began: float = 0.0

    def __post_init__(self) -> None:
        results = [PairResult(None, None) if pair is None else PairResult(*pair) for pair in self.pairs]
        self.result = RunResult(results, self.budget)
        if self.step_within is None:
            self.step_within = self.budget / 3

    def play(self) -> RunResult:
        """Play all pairs, one after another, each in a manager of its own.

        Raises:
            Misuse: there is no credential, and a pair wants TLS.
        """
        if self.credential is None and any(pair is not None for pair in self.pairs):
            raise Misuse("TLS wants a credential")
        self.began = self.clock()
        result = self.result
        for pair in result.pairs:
            if result.interrupted or self.left <= 0:
                break
            self.playing = _Pair(self, pair)
            self.playing.play()
            result.seconds = self.clock() - self.began
            self.on_change()
        self.playing = None
        for pair in result.pairs:
            for step in pair.steps.values():
                if step.state is State.WAITING:
                    step.state = State.SKIPPED
        skipped = [pair.name for pair in result.pairs if pair.report is None]
        if result.seconds > self.budget or (skipped and not result.interrupted):
            late = f"{result.seconds:.3f} s went by, the budget is {self.budget:g} s"
            result.failures.append(
                Failure("", "", late + (f"; never played: {', '.join(skipped)}" if skipped else ""))
            )
        self.on_change()
        return result

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.began + self.budget - self.clock()

    def interrupt(self, number: int) -> None:
        """End soon; a second call: at once. Legal in a signal handler."""
        again = self.result.interrupted != 0
        self.result.interrupted = number
        if self.playing is not None:
            self.playing.hurry(again)


class _Pair:
    """One client and one server in one manager, from the first socket to the census."""

    def __init__(self, demo: Demo, result: PairResult) -> None:
        self._demo = demo
        self._result = result
        self._manager = Manager(demo.wire())
        self._server = demo.server()
        self._clients: dict[str, End] = {}
        self._sockets: dict[int, Connection] = {}
        self._step = ""
        self._deadline = 0.0
        self._url = ""
        self._within = demo.step_within or demo.budget

    def hurry(self, at_once: bool) -> None:
        """Wake whoever waits; the second time, cut the close short."""
        if at_once:
            self._manager.call_soon(self._manager.begin_close, 0.0)
        else:
            self._manager.call_soon(lambda: None)

    # The frame around the steps.

    def play(self) -> None:
        """All steps; whatever happens, the manager is closed."""
        log.info("%s begins", self._result.name)
        within = _GRACE
        try:
            with self._timed("handshake"):
                self._listen()
                main = self._open("/echo")
            with self._timed("echo"):
                self._echo(*main)
            with self._timed("fragments"):
                self._fragments(*main)
            with self._timed("ping"):
                self._ping(*main)
            with self._timed("closes"):
                self._closes()
            within = self._within
        except _OutOfBudget:
            within = min(_GRACE, self._within)
        except (_Failed, _Interrupted):
            pass
        finally:
            self._close(within)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        step = self._result.steps[name]
        began = self._demo.clock()
        self._step = name
        self._deadline = began + self._within
        step.state = State.RUNNING
        self._demo.on_change()
        try:
            yield
            step.state = State.PASSED
        except _Interrupted:
            step.state = State.SKIPPED
            raise
        except (_Failed, MungosError, OSError) as error:
            step.state = State.FAILED
            what = str(error) if isinstance(error, _Failed) else f"{type(error).__name__}: {error}"
            log.warning("%s", what)
            self._demo.result.failures.append(Failure(self._result.name, name, what, describe(self._manager)))
            raise (error if isinstance(error, _Failed) else _Failed(what)) from error
        finally:
            step.seconds = self._demo.clock() - began
            step.progress = ""
            self._demo.on_change()

    def _wait(self, what: str, done: Callable[[], bool], *ends: End) -> None:
        """Turn until it is done, or it can't be any more."""
        demo, manager = self._demo, self._manager
        while not done():
            if demo.result.interrupted:
                raise _Interrupted
            now = demo.clock()
            if demo.left <= 0:
                raise _OutOfBudget(f"the budget of {demo.budget:g} s ran out while waiting for {what}")
            if now >= self._deadline:
                raise _Failed(f"waited {self._within:g} s in vain for {what}")
            for end in ends:
                if end.closed is not None:
                    raise _Failed(f"the {end.role} ended while waiting for {what}: {end.closed.reason}")
            manager.poll(min(_LOOK, max(self._deadline - now, 0.0), max(demo.left, 0.0)))
            self._meet()
            demo.on_change()

    def _meet(self) -> None:
        """Keep hold of every connection, to count its bytes after its end."""
        for number, connection in self._manager.connections.items():
            if number not in self._sockets and isinstance(connection, Connection):
                self._sockets[number] = connection
        self._result.moved = sum(connection.bytes_sent for connection in self._sockets.values())

    def _progress(self, text: str) -> None:
        self._result.steps[self._step].progress = text
        self._demo.on_change()

    # The steps.

    def _listen(self) -> None:
        result, credential = self._result, self._demo.credential
        tls = None
        if result.server is not None and credential is not None:
            tls = ServerConfig((credential,), minimum_version=self._version(), handshake_timeout=self._within)
        listener = attach.listen(
            self._manager,
            f"{'ws' if tls is None else 'wss'}://127.0.0.1:0/",
            self._server,
            tls=tls,
            engine=result.server or "auto",
            limits=self._limits(),
            close_timeout=self._within / 3,
        )
        self._url = f"{listener.url.scheme}://127.0.0.1:{listener.url.port}"
        # A timer that nobody waits for: the manager's close has to cancel it.
        self._manager.call_later(3600.0, log.error, "an hour went by")

    def _version(self) -> Literal["TLSv1.2", "TLSv1.3"]:
        """The newest that both speak, and no older one."""
        names = [name for name in (self._result.client, self._result.server) if name is not None]
        return newest_in_common(*names) or "TLSv1.3"

    def _limits(self) -> Limits:
        # Each wait below ends, and says why, before the step's own does.
        within = self._within
        return Limits(connect_within=within, close_within=within / 3, linger=min(1.0, within / 6))

    def _open(self, path: str) -> tuple[End, End]:
        """A WebSocket: both ends of it, once both say that it is established."""
        result, credential = self._result, self._demo.credential
        client = self._clients[path] = End("client", path)
        tls = None
        if result.client is not None and credential is not None:
            tls = ClientConfig(
                roots=credential.chain, minimum_version=self._version(), handshake_timeout=self._within
            )
        attach.connect(
            self._manager,
            self._url + path,
            client.on_event,
            tls=tls,
            engine=result.client or "auto",
            limits=self._limits(),
            close_timeout=self._within / 3,
        )
        result.connections += 1
        ends = self._server.ends
        self._wait(f"the handshake of {path}", lambda: client.session is not None and path in ends, client)
        if result.negotiated is None:
            result.negotiated = client.negotiated
        if result.client is not None and client.negotiated is None:
            raise _Failed(f"TLS was asked for, {path} has none")
        return client, ends[path]

    def _echo(self, client: End, server: End) -> None:
        """Messages of both kinds and all sizes, there and back."""
        for size in SIZES:
            self._progress(_short(size))
            label = f"{self._result.name}, {size} bytes"
            for sent in (text(label, size), binary(label, size)):
                session = _session(client)
                session.send(sent)
                log.debug("%s → %s", session.connection, sized(sent))
                self._expect(f"the echo of a {sized(sent)}", sent, client, server)

    def _expect(self, what: str, sent: str | bytes, client: End, server: End) -> None:
        self._wait(what, lambda: bool(client.messages), client, server)
        difference = first_difference(sent, client.messages.popleft())
        if difference is not None:
            raise _Failed(f"{what} differs: {difference}")

    def _fragments(self, client: End, server: End) -> None:
        """One message in frames of a byte each, with a Ping between any two."""
        session = _session(client)
        sent = binary(f"{self._result.name}, fragments", ONE_BYTE_FRAMES)
        seen = server.pings
        for at in range(ONE_BYTE_FRAMES):
            if at:
                session.ping(b"after byte %d" % at)
            session.send_fragment(sent[at : at + 1], fin=at == ONE_BYTE_FRAMES - 1)
        pings = ONE_BYTE_FRAMES - 1
        log.debug(
            "%s → binary of %d bytes in as many frames, %d pings between",
            session.connection,
            len(sent),
            pings,
        )
        self._expect(f"the echo of a message of {ONE_BYTE_FRAMES} frames of a byte", sent, client, server)
        if server.pings - seen != pings:
            raise _Failed(f"{pings} pings were sent between the frames, {server.pings - seen} arrived")
        # RFC 6455 section 5.5.3: a peer may answer only the latest of several Pings.
        last = b"after byte %d" % pings
        self._wait(
            "the pong of the last ping between the frames", lambda: last in client.pongs, client, server
        )
        client.pongs.clear()

    def _ping(self, client: End, server: End) -> None:
        """A Ping of the largest size from each side, and one without a payload."""
        for size in (0, 125):
            for end in (client, server):
                payload = binary(f"{self._result.name}, ping of the {end.role}", size)
                _session(end).ping(payload)
                log.debug("%s → ping of %d bytes", _session(end).connection, size)
                what = f"the pong to the {end.role}'s ping of {size} bytes"
                self._wait(what, partial(_has_pong, end), client, server)
                pong = end.pongs.popleft()
                if pong != payload:
                    raise _Failed(f"{what} differs: {first_difference(payload, pong)}")

    def _closes(self) -> None:
        """The closing handshake, begun by either side, and by both at once."""
        for who, from_client, from_server in _CLOSES:
            self._progress(who)
            client, server = self._open(f"/close-by-{who}")
            for end, code in ((client, from_client), (server, from_server)):
                if code is not None:
                    log.debug("%s → close %d", _session(end).connection, code)
                    _session(end).close_with(code, f"{end.role} says goodbye")
            self._wait(
                f"both ends of the connection that is closed by {_BY[who]}",
                partial(_over, client, server),
            )
            for end in (client, server):
                if end.closed is not None and not end.closed.reason.clean:
                    raise _Failed(f"closed by {_BY[who]}, the {end.role}'s end was: {end.closed.reason}")
            for end, code in ((server, from_client or from_server), (client, from_server or from_client)):
                if end.close_code != code:
                    raise _Failed(
                        f"closed by {_BY[who]}, the {end.role} was told {end.close_code}, expected {code}"
                    )

    def _close(self, within: float) -> None:
        """The manager's close, with a connection and a timer still alive; then the census."""
        manager, result, demo = self._manager, self._result, self._demo
        self._meet()
        step = result.steps["manager"]
        began = demo.clock()
        step.state = State.RUNNING
        demo.on_change()
        was_played = result.steps["closes"].state is State.PASSED
        # Pauses between two looks, not longer: signals and the table are seen to here as elsewhere.
        closing = manager.begin_close(within)
        while not closing.done:
            manager.poll(_LOOK)
            demo.on_change()
        report = result.report = closing.report
        self._meet()
        result.made, result.freed = dict(manager.ledger.made), dict(manager.ledger.freed)
        step.seconds = demo.clock() - began
        now = manager.wire.now()
        entries = [f"{entry}, alive for {now - entry.since:.3f} s" for entry in manager.ledger]
        left = (*entries, *report.left[len(entries) :])
        what = []
        if left:
            what.append(f"{len(left)} left after the manager's close")
        if was_played and not demo.result.interrupted:
            unclean = [str(end) for end in report.ends if not end.reason.clean]
            if unclean:
                what.append(f"{len(unclean)} of {len(report.ends)} connections did not end cleanly")
                left = (*left, *unclean)
            elif len(report.ends) != 2 or report.cancelled_timers != 1:
                what.append(
                    f"2 ends and 1 timer were to be closed, they were {len(report.ends)} and "
                    f"{report.cancelled_timers}"
                )
        step.state = State.FAILED if what else State.PASSED
        if what:
            demo.result.failures.append(Failure(result.name, "manager", "; ".join(what), left))
        log.info("%s is over: %s", result.name, "passed" if result.ok else "failed")
        demo.on_change()


_BY = {"client": "the client", "server": "the server", "both": "both at once"}


def _has_pong(end: End) -> bool:
    return bool(end.pongs)


def _over(one: End, other: End) -> bool:
    """Both have ended, or one in a way that the other need not be waited for."""
    reasons = [end.closed.reason for end in (one, other) if end.closed is not None]
    return len(reasons) == 2 or any(not reason.clean for reason in reasons)


def _session(end: End) -> attach.ClientConnection | attach.ServerConnection:
    if end.session is None:
        raise _Failed(f"the {end.role} of {end.path} has no session")
    return end.session


def _short(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"
