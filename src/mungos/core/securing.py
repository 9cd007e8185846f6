"""TLS on a connection: ciphertext up, plaintext down, in order, with nothing hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mungos.core.plain import PlainProtocol
from mungos.core.states import Phase
from mungos.protocol import Buffer
from mungos.tls import contract as tls
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines import select

if TYPE_CHECKING:
    from mungos.core.stream import Stream

__all__ = ["Securing"]


class Securing:
    """One engine between a connection's wire and its protocol.

    Attributes:
        engine: the session.
        leaving: our close_notify is queued, or sent.
        waiting_out: bytes of plaintext that the engine has not accepted.
    """

    __slots__ = (
        "_connection",
        "_early",
        "_early_allowed",
        "_entry",
        "_eof",
        "_held",
        "_out",
        "_told",
        "engine",
        "leaving",
        "waiting_out",
    )

    def __init__(
        self,
        connection: Stream,
        config: ClientConfig | ServerConfig,
        server_name: str | None,
        engine: str,
    ) -> None:
        factory = select(engine, config.provider)
        self.engine: tls.Engine
        if isinstance(config, ServerConfig):
            self.engine = factory.server(config)
        else:
            self.engine = factory.client(config, server_name)
        self._connection = connection
        manager = connection.manager
        self._entry = manager.ledger.enter(
            "engine", f"{connection} TLS session of {factory.name}", connection.origin, manager.now
        )
        self._held = b""
        self._early: list[Buffer] = []  # 0-RTT data, until it is sure that they are no replay
        self._early_allowed = isinstance(config, ClientConfig) and config.early_data != "off"
        self._eof = False
        self._told = False
        self._out: list[Buffer] = []
        self.waiting_out = 0
        self.leaving = False

    @property
    def full(self) -> bool:
        """Ciphertext waits here because the engine takes no more: the wire must not be read."""
        return bool(self._held)

    @property
    def waiting(self) -> int:
        """Bytes received that have not come out as plaintext."""
        return len(self._held) + self.engine.unread + sum(map(len, self._early))

    def receive(self, data: Buffer, now: float) -> None:
        """Ciphertext from the wire."""
        if self._held:
            self._held += bytes(data)
            return
        taken = self.engine.receive(data, now)
        if taken < len(data):
            self._held = bytes(memoryview(data)[taken:])

    def transport_ended(self, now: float) -> None:
        """The wire's end; the engine hears of it after everything before it."""
        self._eof = True
        if not self._held:
            self.engine.receive_eof(now)

    def pull(self, now: float) -> bool:
        """Move the engine's next event on. False when nothing more can happen without the wire."""
        connection, engine = self._connection, self.engine
        event = engine.next_event()
        if event is None:
            if self._held:
                taken = engine.receive(self._held, now)
                if taken:
                    self._held = self._held[taken:]
                    if not self._held and self._eof:
                        engine.receive_eof(now)
                    return True
            if engine.read_side is tls.ReadSide.TRUNCATED and not self._told:
                self._told = True
                connection.peer_ended(True, now)
                return True
            return False
        kind = type(event)
        if kind is tls.Data:
            connection.receive_plaintext(event.data, now)  # type: ignore[union-attr]
        elif isinstance(event, tls.EarlyData):
            # RFC 8446 section 8: anybody can send it again, but nobody else can finish the handshake. Once
            # that is done, it is no replay, and the application gets it as any other data.
            self._early.append(event.data)
        elif isinstance(event, tls.Established):
            connection.secured(now)
            early, self._early = self._early, []
            if early:
                connection.receive_plaintext(b"".join(early), now)
        elif isinstance(event, tls.PeerClosed):
            self._told = True
            if engine.write_side is not tls.WriteSide.OPEN:
                # TLS 1.2: our close_notify has answered, and what still waits is discarded (RFC 5246 section
                # 7.2.1). It stays counted as unsent.
                self.leaving = True
                connection.writing_ended()
            connection.peer_ended(False, now)
        elif isinstance(event, tls.Failed):
            self._told = True
            connection.secure_failed(event)
        return True

    def take(self, limit: int) -> list[Buffer]:
        """Ciphertext to send; plaintext is taken from the protocol as the engine has room for it."""
        engine, connection = self.engine, self._connection
        parts = engine.take(limit)
        if parts or self.leaving:
            return parts
        if connection.phase is Phase.SECURING:
            return self._take_early(limit)
        if not self._out:
            if not connection.protocol.unsent:
                return parts
            self._out = connection.protocol.take(limit)
            self.waiting_out = sum(map(len, self._out))
        if engine.ending is None:
            self._accepted(engine.write(self._out))
        return engine.take(limit)

    def _take_early(self, limit: int) -> list[Buffer]:
        """As `take`, before the handshake is complete: what was sent on a connection without a protocol,
        where the configuration allows 0-RTT data. What the engine does not accept waits."""
        engine, protocol = self.engine, self._connection.protocol
        if not self._early_allowed or type(protocol) is not PlainProtocol or engine.ending is not None:
            return []
        if not self._out:
            if not protocol.unsent:
                return []
            self._out = protocol.take(limit)
            self.waiting_out = sum(map(len, self._out))
        self._accepted(engine.write_early(self._out))
        return engine.take(limit)

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

    def end(self) -> bool:
        """Take our leave (close_notify, RFC 8446 section 6.1). True once all of it was handed to the wire."""
        engine = self.engine
        if engine.ending is None and not self.leaving:
            if self._out:
                return False
            self.leaving = True
            engine.close_write()
        # One that is owed is still to come.
        return engine.unsent == 0 and (engine.write_side is tls.WriteSide.ENDED or engine.ending is not None)

    def release(self) -> None:
        """Drop the session: once, at the end."""
        if self._entry:
            self.engine.release()
            self._connection.manager.ledger.strike(self._entry)
            self._entry = 0
            self._held = b""
            self._early = []
            self._out = []
            self.waiting_out = 0
