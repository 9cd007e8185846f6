"""One cell: the engine under test in its role, a scripted peer in the other, and what is owed at the end."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self

from mungos import Closed as ClosedEvent
from mungos import CloseKind, CloseReason, Connection, Limits, Listener, Manager
from mungos.core import Handler
from mungos.testing.tls import papers
from mungos.testing.tls.forging import ForgingPeer, Hook, can_forge
from mungos.testing.tls.oracles import Crowd, ended, exact_prefix
from mungos.testing.tls.peers import EnginePeer, LibraryPeer, Peer, cut
from mungos.testing.tls.seats import seated
from mungos.testing.tls.verdicts import LibraryDoes, NotApplicable, Unmet
from mungos.testing.tls.watched import Watch, WatchedFactory
from mungos.testing.tls.world import Notes, RawPeer, WireName, World
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls.contract import Engine, EngineFactory

__all__ = ["BRIEF", "HALF_OPEN", "PATIENCE", "Role", "Stand"]

Role = Literal["client", "server"]

BRIEF = Limits(linger=0.1)
"""Lingers briefly."""

HALF_OPEN = Limits(linger=0.1, half_open=True)
"""Stays open for sending when the peer's direction has ended."""

PATIENCE = 0.2
"""Seconds for a handshake, where the peer falls silent."""


class _Log(logging.Handler):
    """Keeps what is logged from warnings on."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())


class Stand:
    """The world of one cell. Leaving it checks what every row owes.

    Args:
        factory: of the engine under test.
        role: its role.
        how: the cut, "" where none belongs to the case.
        wire: "memory" or "kernel".
        foreign: whether the engine stands around somebody else's library, which decides what is left open.
        other: an engine that plays the peer where any correct one will do; None: the standard library.

    Attributes:
        world: managers and bare peers.
        engine: the name by which the managers know the engine.
        watch: what was seen of its sessions.
        log: warnings and errors that were logged.
        version: the newest version of TLS that the engine speaks.
    """

    def __init__(
        self,
        factory: EngineFactory,
        role: Role,
        how: str = "",
        wire: WireName = "memory",
        *,
        foreign: bool = False,
        other: EngineFactory | None = None,
        time_factor: float = 1.0,
    ) -> None:
        self.factory = factory
        self.other = other
        self.role = role
        self.how = how
        self.foreign = foreign
        self.world = World(wire, time_factor)
        self.watch = Watch()
        self.log: list[str] = []
        self.lacks = factory.availability().lacks
        self.version = "TLSv1.2" if "TLSv1.3" in self.lacks else "TLSv1.3"
        self._own_wall = not any("civil time" in each for each in self.lacks)
        self._stack = ExitStack()
        self.engine = ""
        self._notes: list[Notes] = []
        self._crowds: list[Crowd] = []
        self._pairs: list[tuple[Notes, Peer]] = []

    def __enter__(self) -> Self:
        logger, handler = logging.getLogger("mungos"), _Log(self.log)
        logger.addHandler(handler)
        self._stack.callback(logger.removeHandler, handler)
        self.engine = self._stack.enter_context(seated(WatchedFactory(self.factory, self.watch)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._settle()
            else:
                self._abandon()
        finally:
            self._stack.close()

    # What every row owes.

    def _settle(self) -> None:
        self.world.close()
        self._check_notes()
        for crowd in self._crowds:
            for events in crowd.told.values():
                _one_end(events)
        if self.watch.complaints:
            raise Unmet("the contract is kept at every call", "; ".join(self.watch.complaints))
        if self.watch.alive:
            raise Unmet("every session is released", f"{len(self.watch.alive)} of {self.watch.made} are not")

    def _check_notes(self) -> None:
        for notes in self._notes:
            for face in notes.faces:
                _one_end(
                    [event for event, whose in zip(notes.events, notes.owners, strict=True) if whose is face]
                )
        for notes, peer in self._pairs:
            exact_prefix(notes.data, peer.said)
            exact_prefix(peer.data, notes.sent)

    def _abandon(self) -> None:
        for manager in self.world.managers:
            for connection in list(manager.connections.values()):
                connection.abort()
        try:
            self.world.close()
        except AssertionError:
            return  # the case has failed by something better known

    def ends(self) -> str:
        """How both sides ended."""
        told = []
        for notes in self._notes:
            words = [str(event.reason.kind.value) for event in notes.events if isinstance(event, ClosedEvent)]
            told += [f"engine {word}" for word in words[:1]]
        told += [f"peer {peer.ending}" for _, peer in self._pairs]
        return ", ".join(dict.fromkeys(told))

    # Who lives in it.

    def notes(self, **answers: Callable[..., object]) -> Notes:
        """A handler of one connection."""
        made = Notes(**answers)
        self._notes.append(made)
        return made

    def forget(self, notes: Notes) -> None:
        """Nothing is owed for this one any more."""
        self._notes.remove(notes)

    def crowd(self) -> Crowd:
        """A handler of many."""
        made = Crowd()
        self._crowds.append(made)
        return made

    def serve(
        self, notes: Handler, *, limits: Limits | None = None, manager: Manager | None = None, **options: Any
    ) -> Listener:
        """Our server; `options` replace those of its configuration."""
        listener = (manager or self.world.manager()).listen(
            "tls://127.0.0.1:0", notes, tls=self.server_config(**options), engine=self.engine, limits=limits
        )
        if not isinstance(listener, Listener):
            raise TypeError("a listener for TLS is a Listener")
        return listener

    def dial(
        self,
        port: int,
        notes: Handler,
        *,
        limits: Limits | None = None,
        manager: Manager | None = None,
        **options: Any,
    ) -> Connection:
        """Our client."""
        connection = (manager or self.world.manager()).connect(
            f"tls://127.0.0.1:{port}",
            notes,
            tls=self.client_config(**options),
            server_name="localhost",
            engine=self.engine,
            limits=limits,
        )
        if not isinstance(connection, Connection):
            raise TypeError("a connection over TLS is a Connection")
        return connection

    def server_config(self, **options: Any) -> ServerConfig:
        """What our server is told."""
        config = papers.server_config(self._own_wall)
        return replace(config, **options) if options else config

    def client_config(self, **options: Any) -> ClientConfig:
        """What our client is told."""
        config = papers.client_config(self._own_wall)
        return replace(config, **options) if options else config

    def raw(self, notes: Handler, *, limits: Limits | None = None, **options: Any) -> RawPeer:
        """Our end, its peer bare: TCP is there, nobody has spoken."""
        if self.role == "server":
            return self.world.connect(str(self.serve(notes, limits=limits, **options).url))
        listener = self.world.listener()
        self.dial(listener.port, notes, limits=limits, **options)
        return self.world.accept(listener)

    def meet(
        self,
        notes: Handler,
        *,
        context: ssl.SSLContext | None = None,
        version: str = "",
        limits: Limits | None = None,
        chunk: int = 0,
        budget: int | None = None,
        **options: Any,
    ) -> Peer:
        """Our end, its peer any correct one, the handshake not begun."""
        raw = self.raw(notes, limits=limits, **options)
        peer: Peer
        version = version or self.version
        if self.other is not None and context is None and version == "TLSv1.3":
            peer = EnginePeer(self.world, raw, self._other_engine(self.other), chunk=chunk, budget=budget)
        else:
            peer = self.library(raw, context or version, chunk=chunk, budget=budget)
        self._join(notes, peer)
        return peer

    def _other_engine(self, factory: EngineFactory) -> Engine:
        own_wall = not any("civil time" in each for each in factory.availability().lacks)
        if self.role == "client":
            return factory.server(papers.server_config(own_wall))
        return factory.client(papers.client_config(own_wall), "localhost")

    def library(
        self,
        raw: RawPeer,
        context: ssl.SSLContext | str = "",
        *,
        chunk: int = 0,
        budget: int | None = None,
    ) -> LibraryPeer:
        """The standard library's session over a bare peer of our end."""
        if isinstance(context, str):
            context = papers.foreign_context(self.role == "client", context or self.version)
        server = self.role == "client"
        return LibraryPeer(self.world, raw, context, server=server, chunk=chunk, budget=budget)

    def open(self, notes: Notes, *, version: str = "", limits: Limits | None = None, **options: Any) -> Peer:
        """The same with the handshake done."""
        peer = self.meet(notes, version=version, limits=limits, **options)
        self.world.run(lambda: peer.established and bool(notes.of("Opened")))
        return peer

    def forge(
        self,
        notes: Handler,
        hooks: Mapping[Any, Hook] | None = None,
        *,
        limits: Limits | None = BRIEF,
        chunk: int = 0,
        budget: int | None = None,
        theirs: dict[str, Any] | None = None,
        **options: Any,
    ) -> ForgingPeer:
        """Our end, its peer one that says what it is told, the handshake not begun.

        Args:
            hooks: by the type of the handshake message.
            theirs: options of the peer's configuration.
        """
        if self.version != "TLSv1.3":
            raise NotApplicable("the engine has no TLS 1.3, which the forging peer speaks")
        if not can_forge():
            raise NotApplicable("the forging peer needs the package cryptography")
        raw = self.raw(notes, limits=limits, **options)
        config = papers.server_config() if self.role == "client" else papers.client_config()
        config = replace(config, groups=("x25519", "secp256r1"))
        if theirs:
            config = replace(config, **theirs)
        peer = ForgingPeer(self.world, raw, config, hooks=hooks, chunk=chunk, budget=budget)
        self._join(notes, peer)
        return peer

    def forge_open(self, notes: Notes, **options: Any) -> ForgingPeer:
        """The same with the handshake done."""
        peer = self.forge(notes, **options)
        self.world.run(lambda: peer.established and bool(notes.of("Opened")))
        return peer

    def ours(
        self, server: Notes, client: Notes, *, limits: Limits | None = None
    ) -> tuple[Connection, Connection]:
        """Both ends the engine's, each in a manager of its own, open: the client's, and the server's."""
        listener = self.serve(server, limits=limits)
        connection = self.dial(listener.address.port, client, limits=limits)
        self.world.run(lambda: bool(server.of("Opened")) and bool(client.of("Opened")))
        return connection, server.connection

    def _join(self, notes: Handler, peer: Peer) -> None:
        if isinstance(notes, Notes):
            self._pairs.append((notes, peer))

    def context(self, server: bool, **options: Any) -> ssl.SSLContext:
        """The standard library's, of the version that the engine speaks."""
        return papers.foreign_context(server, self.version, **options)

    def cut(self, raw: RawPeer) -> None:
        """The cut of this cell."""
        cut(raw, self.how)

    # What a case demands.

    def ended(
        self,
        notes: Notes,
        *kinds: CloseKind,
        library: dict[CloseKind, str] | None = None,
        within: float = 5.0,
    ) -> CloseReason:
        """Our end has an allowed verdict, in time, once.

        Args:
            library: further verdicts that a foreign library may bring about, and what it does then.
        """
        allowed: Collection[CloseKind] = {*kinds, *(library or {})}
        reason = ended(self.world, notes, allowed, within=within)
        if reason.kind not in kinds:
            self.policy(False, " or ".join(kind.value for kind in kinds), (library or {})[reason.kind])
        return reason

    def policy(self, holds: bool, wanted: str, seen: str) -> None:
        """What this project decided, or what the library below decides in its place.

        Raises:
            LibraryDoes: it does not hold, and the library is foreign: `seen` is what it does.
            Unmet: it does not hold, and the engine is our own.
        """
        if holds:
            return
        if self.foreign:
            raise LibraryDoes(seen)
        raise Unmet(wanted, seen)

    def told(self, peer: Peer, alert: str) -> None:
        """The peer died of this alert. Another fatal one is the library's choice; none is nobody's."""
        self.world.run(lambda: bool(peer.failure) or peer.raw.ended or peer.raw.reset)
        seen = peer.ending
        if peer.saw_alert(alert):
            return
        if "alert" in peer.failure.lower():
            self.policy(
                False, f"the alert {alert} reaches the peer", f"fatal, but not {alert}: the peer saw {seen}"
            )
        raise Unmet(f"the alert {alert} reaches the peer", f"the peer saw: {seen}")

    def needs(self, feature: str, reason: str = "") -> None:
        """Not applicable where the engine says that it has not got it."""
        for each in self.lacks:
            if feature.lower() in each.lower():
                raise NotApplicable(reason or f"the engine has no {each}")


def _one_end(events: Collection[object]) -> None:
    last = [event for event in events if isinstance(event, ClosedEvent)]
    if len(last) != 1 or list(events)[-1] is not last[0]:
        raise Unmet(
            "exactly one Closed, and nothing behind it", [type(event).__name__ for event in events].__repr__()
        )
