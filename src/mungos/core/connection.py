"""A connection: one stream, the protocol it speaks, its deadlines; what applications call."""

from __future__ import annotations

from mungos import checking
from mungos.core.lifecycle import Handler
from mungos.core.options import judge_tls
from mungos.core.plain import PlainProtocol
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.securing import Securing, open_tls_session
from mungos.core.states import Phase, ReadSide, WriteSide
from mungos.core.stream import Stream
from mungos.errors import Closed, Misuse
from mungos.protocol import Buffer, Protocol
from mungos.tls import contract as tls
from mungos.tls.config import ClientConfig, ServerConfig

__all__ = ["Connection", "Handler"]

_RESOLVING, _CONNECTING, _SECURING = Phase.RESOLVING, Phase.CONNECTING, Phase.SECURING
_OPEN, _CLOSING, _CLOSED = Phase.OPEN, Phase.CLOSING, Phase.CLOSED


class Connection(Stream):
    """Made by `Manager.connect`, `listen` and `adopt`; stays a valid object after it is closed.

    Attributes:
        id: a number, never used twice in a manager.
        manager: whose it is.
        url: what was connected to or listened at.
        is_client: which role it plays.
        phase, read_side, write_side: the three states (`mungos.core.states`).
        local, remote: both ends' addresses, once they are known.
        protocol: what it speaks.
        reason: how it ended; None until then.
        user: yours.
        bytes_received, bytes_sent: on the wire.
        since: when the present phase began, on the manager's clock.
    """

    __slots__ = ()

    def send(self, *parts: Buffer) -> bool:
        """Queue bytes to be sent, in order.

        Returns:
            True if there is room for more; False above `send_high`: everything was taken all the same, wait
            for `Writable` before the next.

        Raises:
            Closed: after `end`, `close` or `abort`, or once the connection has ended.
            Misuse: above `send_hard` (nothing was taken), or when a protocol owns the stream.
        """
        self.manager.check_owner()
        if self.phase is _CLOSED:
            raise Closed(f"{self} has ended: {self.reason}")
        protocol = self.protocol
        if type(protocol) is not PlainProtocol:
            raise Misuse(f"{self} speaks {type(protocol).__name__}: send through it, not around it")
        if self._output_lost or (not protocol.ended and self.write_side is not WriteSide.OPEN):
            raise Closed(f"{self} can't send any more: {self._verdict}")
        secure = self._secure
        waiting = self._out_size if secure is None else self._out_size + secure.waiting_out
        room = protocol.send(parts, waiting)
        if not room:
            self._stalled = True
        return room

    def end(self) -> None:
        """Half-close: our direction ends after what is queued, the peer's goes on. Idempotent."""
        self.manager.check_owner()
        protocol = self.protocol
        if self.phase is _CLOSED or protocol.ended:
            return
        if type(protocol) is not PlainProtocol:
            raise Misuse(f"{self} speaks {type(protocol).__name__}: end it through that")
        self._half_closed = True
        protocol.end()

    def close(self, within: float | None = None) -> None:
        """End gracefully: what is queued is sent, the protocol and TLS take their leave.

        At most `within` seconds (`Limits.close_within` when None); then it becomes `abort()`, and the reason
        says so. Idempotent, legal in every state and from any thread; a later call can only shorten the
        deadline.
        """
        if within is not None:
            checking.seconds("within", within, zero=True)
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.close, within)
            return
        if self.phase is _CLOSED:
            return
        now = manager.refresh()
        deadline = now + (self._limits.close_within if within is None else within)
        if self.phase is _CLOSING:
            self._set_deadline(min(self._deadline, deadline))
            self.wake()
            return
        if self.phase in {_RESOLVING, _CONNECTING, Phase.TUNNELLING}:
            self.finish(CloseKind.ABORTED)
            return
        if self.phase is _SECURING:
            self._verdict = CloseReason(CloseKind.ABORTED, "securing")
            if self._secure is not None:
                self._secure.cancel()
                if self.phase is not _SECURING:
                    return
            self.protocol.close(now)
            self.protocol.take(1 << 62)
        else:
            self.protocol.close(now)
        self._set_phase(_CLOSING)
        self._set_deadline(deadline)
        self._interrupt = True
        if not self.protocol.ended and self._paused:
            self._paused = False
        self.wake()

    def abort(self, message: str = "") -> None:
        """End now: nothing more is sent, and the peer sees a reset. Idempotent, legal from any thread."""
        manager = self.manager
        if not manager.is_owner():
            manager.call_soon(self.abort, message)
            return
        self.finish(CloseKind.ABORTED, Closed(message) if message else None, reset=True)

    def pause(self) -> None:
        """Hand out no more events until `resume`.

        The protocol's buffer fills up to its cap, then nothing is read any more and the peer must wait.
        """
        self.manager.check_owner()
        self._paused = True
        self._interrupt = True

    def resume(self) -> None:
        """Go on after `pause`; held events come from the next turn."""
        self.manager.check_owner()
        if self._paused:
            self._paused = False
            self.wake()

    def start_tls(
        self, config: ClientConfig | ServerConfig, *, server_name: str | None = None, engine: str = "auto"
    ) -> None:
        """STARTTLS: what is queued goes out in plain text, everything after is TLS.

        `Opened` comes again when it is verified. Bytes received but not yet handed out are taken for TLS:
        nothing can be injected. A connection in plain text on which this raises is ended: who has asked for
        TLS sends nothing in the clear from there on.

        Args:
            config: a server's or a client's configuration decides the role.
            server_name: the name that the certificate must bear; a client that verifies needs one.
            engine: which TLS engine.

        Raises:
            Misuse: when the connection is not open, speaks a protocol, has ended its direction or is secured
                already; when the configuration can't work, or the thread is wrong.
        """
        self.manager.check_owner()
        if self._secure is not None:
            raise Misuse(f"{self} can't start TLS: it is secured already")
        try:
            judge_tls(config, server_name, name="config", none=False, accepted=not self.is_client)
            checking.text("engine", engine, write='an engine\'s name: "auto"')
            if self.phase is not _OPEN or type(self.protocol) is not PlainProtocol or self.protocol.ended:
                raise Misuse(
                    f"{self} can't start TLS now: it must be open in both directions, plain and without a "
                    "protocol"
                )
            self._move_out()
            self._secure = secure = Securing(self, open_tls_session(config, server_name, engine))
            early = self.protocol.leftover() + self._held
            self._held = b""
            self._interrupt = True
            self._set_phase(_SECURING)
            self._begin_securing(secure, early)
            self._update_interest()
        except BaseException as error:
            self.finish(CloseKind.BROKEN, error, reset=True)
            raise

    def upgrade(self, protocol: Protocol, handler: Handler | None = None, *, face: object = None) -> None:
        """Speak another protocol from here on.

        What the old one queued goes out first; what it received but did not consume is the new one's first
        input.

        Args:
            protocol: the new one.
            handler: the new handler; None keeps the old.
            face: what the handler is called with; the protocol itself when None.
        """
        self.manager.check_owner()
        checking.function("handler", handler, write="a function", none=True)
        if self.phase is _CLOSED:
            raise Closed(f"{self} has ended: {self.reason}")
        self._move_out()
        early = self.protocol.leftover()
        self.protocol.wake = None
        self.set_protocol(protocol, face if face is not None else protocol)
        if handler is not None:
            self._handler = handler
        self._interrupt = True
        now = self.manager.refresh()
        protocol.start(now)
        if self.phase is _OPEN:
            self._watch_idleness(now)
        if early:
            self._offer(early, now)
        if self.read_side is not ReadSide.OPEN and not self._held:
            protocol.receive_eof(now, self.read_side is ReadSide.TRUNCATED)
        self.wake()

    @property
    def negotiated(self) -> tls.Negotiated | None:
        """What TLS agreed on; None without TLS or before it is established."""
        return self._secure.negotiated if self._secure is not None else None
