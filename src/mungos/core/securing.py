"""TLS on a connection: ciphertext up, plaintext down, in order, with nothing hidden.

A connection that is to be secured is made with its TLS session, before there is anything to read or to send
by. So there is no moment at which it could speak in the clear, whatever fails: without an engine there is no
connection, and an engine that fails takes its connection with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from mungos.core.plain import PlainProtocol
from mungos.core.states import Phase
from mungos.protocol import Buffer
from mungos.tls import contract as tls
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines import select

if TYPE_CHECKING:
    from mungos.core.stream import Stream

__all__ = ["Securing", "TLSSession", "open_tls_session", "server_tls_session"]

log = logging.getLogger("mungos.connection")

_JOIN = 64 * 1024  # bytes
_MOST_PARTS = 4096
_PIECE = 16 * 1024  # bytes of ciphertext at a time, where others wait: in small records they are much work


class TLSSession(NamedTuple):
    """A TLS session that has not begun: what a connection is made with that is to be secured.

    Attributes:
        engine: the session.
        kind: the name of the factory that made it.
        early: whether its configuration allows 0-RTT data to be sent.
    """

    engine: tls.Engine
    kind: str
    early: bool


def server_tls_session(factory: tls.EngineFactory, config: ServerConfig) -> TLSSession:
    """A server's TLS session. Raises Misuse when the configuration can't work."""
    return TLSSession(factory.server(config), factory.name, early=False)


def open_tls_session(config: ClientConfig | ServerConfig, server_name: str | None, engine: str) -> TLSSession:
    """A TLS session by a configuration, which decides the role.

    Raises:
        Misuse: the configuration can't work with the engine, or there is no such engine.
    """
    factory = select(engine, config.provider)
    if isinstance(config, ServerConfig):
        return server_tls_session(factory, config)
    return TLSSession(factory.client(config, server_name), factory.name, early=config.early_data != "off")


class Securing:
    """One engine between a connection's wire and its protocol.

    Whatever the engine raises ends the connection at once; no method here raises it.

    Attributes:
        engine: the session.
        held: bytes received that the engine was not given, or did not take.
        leaving: our close_notify is queued, or sent.
        waiting_out: bytes of plaintext that the engine has not accepted.
    """

    __slots__ = (
        "_connection",
        "_early",
        "_early_allowed",
        "_entry",
        "_eof",
        "_next",
        "_out",
        "_told",
        "engine",
        "held",
        "leaving",
        "waiting_out",
    )

    def __init__(self, connection: Stream, tls_session: TLSSession) -> None:
        self.engine = tls_session.engine
        self._connection = connection
        self.held = b""
        self._next: tls.Event | None = None  # seen while data was put together
        self._early = bytearray()  # 0-RTT data, until it is sure that they are no replay
        self._early_allowed = tls_session.early
        self._eof = False
        self._told = False
        self._out: list[Buffer] = []
        self.waiting_out = 0
        self.leaving = False
        manager = connection.manager
        self._entry = manager.ledger.enter(
            "engine", f"{connection} TLS session of {tls_session.kind}", connection.origin, manager.now
        )

    @property
    def full(self) -> bool:
        """Ciphertext waits here because the engine takes no more: the wire must not be read."""
        return bool(self.held)

    @property
    def waiting(self) -> int:
        """Bytes received that have not come out as plaintext."""
        try:
            unread = self.engine.unread
        except Exception:  # noqa: BLE001 - asked for a log line or a report, also of one that has failed
            unread = 0
        return len(self.held) + unread + len(self._early)

    @property
    def deadline(self) -> float | None:
        """When the engine wants `expire` to be called, if at all."""
        try:
            return self.engine.deadline
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return None

    @property
    def negotiated(self) -> tls.Negotiated | None:
        """What the handshake agreed on, once it is complete."""
        try:
            return self.engine.negotiated
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return None

    def failed(self, error: BaseException) -> None:
        """The engine raised, which none may for a peer's fault: its connection ends at once."""
        connection = self._connection
        connection.fail(error, "its TLS engine failed")

    def begin(self, early: bytes, now: float) -> None:
        """Start the handshake.

        Args:
            early: bytes that the peer has sent already.
            now: seconds on the manager's clock.
        """
        try:
            self.engine.start(now)
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing goes in or out
            self.failed(error)
            return
        if early:
            self.receive(early, now)

    def receive(self, data: Buffer, now: float) -> None:
        """Ciphertext from the wire."""
        if self.held:
            self.held += bytes(data)
            return
        try:
            piece = data
            if len(data) > _PIECE and self._connection.manager.scheduler.crowded:
                piece = memoryview(data)[:_PIECE]
            taken = self.engine.receive(piece, now)
            if taken < len(data):
                self.held = bytes(memoryview(data)[taken:])
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)

    def transport_ended(self, now: float) -> None:
        """The wire's end; the engine hears of it after everything before it."""
        self._eof = True
        if not self.held:
            try:
                self.engine.receive_eof(now)
            except BaseException as error:  # noqa: BLE001 - as everywhere here
                self.failed(error)

    def expire(self, now: float) -> None:
        """Tell the engine of its deadline, if that has come."""
        engine = self.engine
        try:
            if engine.deadline is not None and engine.deadline <= now:
                engine.expire(now)
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)

    def pull(self, now: float) -> bool:
        """Move the engine's next event on. False when nothing more can happen without the wire."""
        connection, engine = self._connection, self.engine
        try:
            event = self._next
            if event is None:
                event = engine.next_event()
            else:
                self._next = None
            if event is None:
                if self.held:
                    taken = engine.receive(memoryview(self.held)[:_PIECE], now)
                    if taken:
                        self.held = self.held[taken:]
                        if not self.held and self._eof:
                            engine.receive_eof(now)
                        return True
                if self._told or engine.read_side is not tls.ReadSide.TRUNCATED:
                    return False
            elif type(event) is tls.Data and engine.unread and type(connection.protocol) is not PlainProtocol:
                event = self._join(event)
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return False
        if event is None:
            self._told = True
            connection.peer_ended(True, now)
        elif type(event) is tls.Data:
            connection.receive_plaintext(event.data, now)
        elif isinstance(event, tls.EarlyData):
            # RFC 8446 section 8: anybody can send it again, but nobody else can finish the handshake. Once
            # that is done, it is no replay, and the application gets it as any other data.
            self._early += event.data
        elif isinstance(event, tls.Established):
            connection.secured(now)
            early, self._early = self._early, bytearray()
            if early:
                connection.receive_plaintext(bytes(early), now)
        elif isinstance(event, tls.PeerClosed):
            self._peer_closed(now)
        elif isinstance(event, tls.Failed):
            self._told = True
            connection.secure_failed(event)
        return True

    def _peer_closed(self, now: float) -> None:
        self._told = True
        try:
            over = self.engine.write_side is not tls.WriteSide.OPEN
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return
        if over:
            # TLS 1.2: our close_notify has answered, and what still waits is discarded (RFC 5246 section
            # 7.2.1). It stays counted as unsent.
            self.leaving = True
            self._connection.writing_ended()
        self._connection.peer_ended(False, now)

    def _join(self, first: tls.Data) -> tls.Data:
        """All data that were decrypted, as one, up to a bound: a protocol looks at what it has once, and not
        once for each byte that came in a record of its own."""
        parts, size = [first.data], len(first.data)
        while size < _JOIN and len(parts) < _MOST_PARTS:
            event = self.engine.next_event()
            if type(event) is not tls.Data:
                self._next = event
                break
            parts.append(event.data)
            size += len(event.data)
        return tls.Data(b"".join(parts)) if len(parts) > 1 else first

    def take(self, limit: int) -> list[Buffer]:
        """Ciphertext to send; plaintext is taken from the protocol as the engine has room for it."""
        engine, connection = self.engine, self._connection
        try:
            parts = engine.take(limit)
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return []
        if parts or self.leaving:
            return parts
        protocol = connection.protocol
        securing = connection.phase is Phase.SECURING
        if securing and not (self._early_allowed and type(protocol) is PlainProtocol):
            return parts
        if not self._out:
            if not protocol.unsent:
                return parts
            self._out = protocol.take(limit)
            self.waiting_out = sum(map(len, self._out))
        try:
            if engine.ending is None:
                # Before the handshake is complete: 0-RTT data, of a connection without a protocol. What the
                # engine does not accept waits.
                self._accepted((engine.write_early if securing else engine.write)(self._out))
            return engine.take(limit)
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return []

    def _accepted(self, count: int) -> None:
        self.waiting_out -= count
        if not self.waiting_out:
            self._out = []
            return
        out = self._out
        while count:
            if len(out[0]) > count:
                out[0] = memoryview(out[0])[count:]
                return
            count -= len(out.pop(0))

    def queue(self, parts: list[Buffer]) -> None:
        """Plaintext of a protocol that is about to be replaced."""
        self._out.extend(parts)
        self.waiting_out += sum(map(len, parts))

    def drop_output(self) -> None:
        """What the application still wanted to say is lost."""
        self._out = []
        self.waiting_out = 0

    def cancel(self) -> None:
        """Our direction ends before the handshake is complete."""
        try:
            self.engine.close_write()
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)

    def end(self) -> bool:
        """Take our leave (close_notify, RFC 8446 section 6.1). True once all of it was handed to the wire."""
        engine = self.engine
        try:
            if engine.ending is None and not self.leaving:
                if self._out:
                    return False
                self.leaving = True
                engine.close_write()
            # One that is owed is still to come.
            over = engine.write_side is tls.WriteSide.ENDED or engine.ending is not None
            sent = engine.unsent == 0
        except BaseException as error:  # noqa: BLE001 - as everywhere here
            self.failed(error)
            return False
        return over and sent

    def release(self) -> None:
        """Drop the TLS session: once, at the end."""
        if self._entry:
            manager = self._connection.manager
            manager.ledger.strike(self._entry)
            self._entry = 0
            self.held = b""
            self._early = bytearray()
            self._out = []
            self.waiting_out = 0
            try:
                self.engine.release()
            except Exception:
                log.exception("%s: its TLS engine failed to let go", self._connection)
            except BaseException as error:  # noqa: BLE001 - raised again at the end of the turn
                manager.raise_later(error)
