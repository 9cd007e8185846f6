"""Ends of the built-in TLS with injected randomness, under watch: what must hold whatever a peer sends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

from fuzz.certificates import WALL, authority
from fuzz.target import require, told
from mungos.errors import Broken, ProtocolError, TimedOut
from mungos.tls.alerts import AlertDescription
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Data, Established, Event, Failed, PeerClosed, ReadSide
from mungos.tls.engines.builtin import BuiltinEngine, BuiltinFactory
from mungos.tls.engines.builtin.records import ContentType

__all__ = ["NAME", "End", "Watched", "configs", "make_client", "make_server", "pump"]

NAME = "localhost"
TURNS = 12
MOST_QUEUED = 512 * 1024
"""Bytes that may wait in an engine in either direction: its caps, and a flight."""


class Watched(BuiltinEngine):
    """An engine that counts the alerts that it sends."""

    __slots__ = ("alerts",)

    alerts: list[AlertDescription]

    def queue_alert(self, alert: AlertDescription) -> None:
        self.alerts.append(alert)
        super().queue_alert(alert)


Kind = TypeVar("Kind", bound=Watched)


def configs(
    *, client_auth: bool = False, groups: tuple[str, ...] = ("x25519",), cookie: bool = False
) -> tuple[ClientConfig, ServerConfig]:
    """A client's and a server's configuration that fit each other."""
    made = authority()
    client = ClientConfig(
        roots=made.roots,
        credential=made.client if client_auth else None,
        groups=groups,
        alpn=("a", "b"),
    )
    server = ServerConfig(
        (made.server,),
        client_roots=made.roots if client_auth else None,
        client_auth="required" if client_auth else "none",
        groups=groups[-1:],
        alpn=("b",),
        retry_cookie=cookie,
    )
    return client, server


def factory(seed: int) -> BuiltinFactory:
    """The same bytes of randomness at every run."""
    source = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    return BuiltinFactory(source.randbytes, lambda: WALL)


def _watched(kind: type[Kind], made: BuiltinEngine, *names: str) -> Kind:
    engine = kind(made._prepared, *names)
    engine.alerts = []
    return engine


def make_client(kind: type[Kind], config: ClientConfig, seed: int = 1) -> Kind:
    """A client of a class of ours."""
    return _watched(kind, factory(seed).client(config, NAME), NAME, NAME)


def make_server(kind: type[Kind], config: ServerConfig, seed: int = 2) -> Kind:
    """A server of a class of ours."""
    return _watched(kind, factory(seed).server(config))


class End:
    """An engine and what it handed out, checked at every step.

    Args:
        engine: not started yet.
        judged: False for the end that misbehaves on purpose.
    """

    def __init__(self, engine: Watched, *, judged: bool = True) -> None:
        self.engine = engine
        self.judged = judged
        self.events: list[Event] = []
        self.data = bytearray()
        engine.start(0.0)

    def give(self, data: bytes) -> None:
        """Receive all of it."""
        while data:
            taken = self.engine.receive(data, 0.0)
            require(0 <= taken <= len(data), f"{taken} of {len(data)} bytes taken")
            data = data[taken:]
            before = len(self.events) + len(self.data)
            self.pull()
            moved = taken or len(self.events) + len(self.data) > before
            require(bool(moved), "nothing taken, nothing handed out")
        self.check()

    def pull(self) -> None:
        """Hand out what is there."""
        while (event := self.engine.next_event()) is not None:
            over = bool(self.events) and isinstance(self.events[-1], Failed)
            require(not over, f"{event!r} after a failure")
            if isinstance(event, Data):
                self.data += event.data
            else:
                self.events.append(event)
        require(self.engine.unread == 0, f"{self.engine.unread} bytes unread after all was pulled")

    def take(self) -> bytes:
        """Everything queued."""
        return b"".join(bytes(part) for part in self.engine.take(1 << 30))

    def eof(self) -> None:
        """The stream ends."""
        self.engine.receive_eof(0.0)
        self.pull()
        self.check()
        require(self.engine.read_side is not ReadSide.OPEN, "the read side is open after the stream's end")

    @property
    def established(self) -> bool:
        return any(isinstance(event, Established) for event in self.events)

    @property
    def failure(self) -> Failed | None:
        return next((event for event in self.events if isinstance(event, Failed)), None)

    def check(self) -> None:
        """What holds at any time."""
        engine = self.engine
        if not self.judged:
            return
        for kind in (Established, Failed, PeerClosed):
            count = sum(isinstance(event, kind) for event in self.events)
            require(count <= 1, f"{count} events {kind.__name__}")
        fatal = [alert for alert in engine.alerts if alert is not AlertDescription.close_notify]
        require(len(fatal) <= 1, f"alerts {fatal}")
        require(engine.unread <= MOST_QUEUED and engine.unsent <= MOST_QUEUED, "the queues grow")
        failure = self.failure
        require(engine.ending is failure, f"ending {engine.ending!r}, handed out {failure!r}")
        if failure is None:
            require(not fatal, f"alert {fatal} without a failure")
            return
        require(
            isinstance(failure.error, ProtocolError | Broken | TimedOut), f"failed with {failure.error!r}"
        )
        require(engine.read_side is ReadSide.FAILED, "failed, and the read side has not")
        require(engine.deadline is None, "failed, and there is a deadline")
        require(engine.write((b"x",)) == 0 if not engine._closed_here else True, "failed, and it writes")
        internal = AlertDescription.internal_error
        require(failure.sent_by_peer or failure.alert is not internal, f"internal_error: {failure.error!r}")
        if isinstance(failure.error, ProtocolError) and not failure.sent_by_peer:
            require(fatal == [failure.alert], f"alerts {fatal}, told {failure.alert!r}")
        else:
            require(not fatal, f"alerts {fatal} where none is due")

    def ending(self) -> str:
        """How it went, in a few words."""
        if self.failure is not None:
            return f"{self.established} {told(self.failure.error)}"
        return f"{self.established} {[type(event).__name__ for event in self.events]} {bool(self.data)}"

    def release(self) -> None:
        """The end of its life."""
        self.engine.release()
        require(self.engine.unread == self.engine.unsent == 0, "not empty after release")


def pump(one: End, other: End, change: Callable[[End, bytes], bytes] | None = None) -> None:
    """Carry bytes until nothing moves.

    Args:
        change: sees what an end sends, and gives what is carried instead.
    """
    for _ in range(TURNS):
        moved = False
        for source, sink in ((one, other), (other, one)):
            source.pull()
            data = source.take()
            if change is not None and data:
                data = change(source, data)
            moved = moved or bool(data)
            sink.give(data)
        if not moved:
            return


def inject(engine: BuiltinEngine, kind: int, content: bytes, padding: int = 0) -> bytes:
    """A record that the engine would never send, under its current key; in the clear before there is one."""
    sealer = engine._sealer
    if sealer is None:
        return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content
    inner = content + bytes((kind,)) + bytes(padding)
    header = bytes((ContentType.application_data, 3, 3)) + (len(inner) + 16).to_bytes(2, "big")
    nonce = (sealer.iv ^ sealer.sequence).to_bytes(12, "big")
    sealer.sequence += 1
    return header + sealer.encrypt(nonce, inner, header)
