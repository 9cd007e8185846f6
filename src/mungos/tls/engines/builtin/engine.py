"""One session of the built-in TLS 1.3: what alerts and messages mean, and how it ends (RFC 8446 section 6).

The handshake (`client`, `server`) is an object that is dropped when it is through.
"""

from __future__ import annotations

from mungos.errors import Broken, Misuse, PeerMisbehaved, ProtocolError, TimedOut
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import (
    Established,
    Failed,
    PeerClosed,
    ReadSide,
    WriteSide,
)
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.established import After, TicketKeeper, check_allowed
from mungos.tls.engines.builtin.faults import DecodeError, UnexpectedMessage, alert_for, received
from mungos.tls.engines.builtin.handshake import Outcome
from mungos.tls.engines.builtin.messages import HandshakeType, KeyUpdate, NewSessionTicket
from mungos.tls.engines.builtin.messages.extensions import parse_uint32
from mungos.tls.engines.builtin.messages.registry import ExtensionType
from mungos.tls.engines.builtin.preparation import PreparedClient, PreparedServer
from mungos.tls.engines.builtin.reading import ReadingHalf
from mungos.tls.engines.builtin.server import ServerHandshake, ServerState

__all__ = ["BuiltinEngine"]


class BuiltinEngine(ReadingHalf):
    """A session, made by `BUILTIN.client` or `BUILTIN.server`; see `mungos.tls.contract.Engine`.

    A cap on unread or unsent bytes below one record counts as one record. A record is taken when
    its size on the wire fits below the cap on unread bytes.
    """

    __slots__ = (
        "_after",
        "_exporter",
        "_handshake",
        "_handshake_timeout",
        "_prepared",
        "_released",
        "_server_name",
        "_tickets",
        "ending",
        "exact_alerts",
    )

    def __init__(
        self,
        prepared: PreparedClient | PreparedServer,
        server_name: str | None = None,
        sni: str | None = None,
    ) -> None:
        super().__init__(prepared)
        self.exact_alerts = True
        self.ending: Failed | None = None
        self._prepared = prepared
        self._handshake_timeout = prepared.handshake_timeout
        self._server_name = server_name
        self._handshake: ClientHandshake | ServerHandshake | None
        if isinstance(prepared, PreparedClient):
            self._after = After.CLIENT
            # Section 5.1: the first ClientHello's record may say 0x0301, for servers of old.
            self._version = 0x0301
            self._handshake = ClientHandshake(prepared, self, server_name, sni)
        else:
            self._after = After.SERVER
            self._handshake = ServerHandshake(prepared, self)
        self._exporter = b""
        self._tickets: TicketKeeper | None = None
        self._released = False

    def __repr__(self) -> str:
        return (
            f"<BuiltinEngine {self._after.value}, read side {self.read_side.value}, "
            f"write side {self.write_side.value}, {self.unread} bytes unread, {self.unsent} bytes unsent>"
        )

    # The contract, but for what the two halves do

    def start(self, now: float) -> None:
        """Begin: a client queues its ClientHello. The handshake's deadline is `now` plus its timeout."""
        if self._handshake is None or self.deadline is not None:
            raise Misuse("start is called once, before anything else")
        self.deadline = now + self._handshake_timeout
        self._handshake.start()
        self.flush()

    def receive_eof(self, now: float) -> None:
        """The stream ended; without a close_notify before it, that is a truncation (section 6.1)."""
        if self._deaf:
            return
        if self.negotiated is None:
            self._die(Failed(Broken("the stream ended before the handshake was complete")))
            return
        self._truncated = True
        self._stop_reading()
        if not self._events:
            self.read_side = ReadSide.TRUNCATED

    def close_write(self) -> None:
        """Queue close_notify. Idempotent. Before the handshake is complete it cancels: user_canceled and
        close_notify are queued, and nothing more is handed out."""
        if self._closed_here:
            return
        self._closed_here = True
        if self.write_side is not WriteSide.OPEN:
            return
        if self.negotiated is None:
            # Section 6.1: user_canceled is followed by a close_notify.
            self.queue_alert(AlertDescription.user_canceled)
            self.queue_alert(AlertDescription.close_notify)
            self.read_side = ReadSide.FAILED
            self._stop_reading()
        else:
            self.queue_alert(AlertDescription.close_notify)
        self.end_writing()

    def fail(self, alert: AlertDescription) -> None:
        """Queue a fatal alert of the caller's choice and end the session as failed."""
        if self.ending is not None or self.read_side is ReadSide.FAILED or self._released:
            return
        error = PeerMisbehaved(f"this side ended the session with the alert {alert.name}")
        sent = self._say(alert)
        self._closed_here = True
        self._die(Failed(error, alert if sent else None))

    def expire(self, now: float) -> None:
        """Fail the handshake with `TimedOut("securing")` if its deadline has passed."""
        if self.deadline is not None and now >= self.deadline:
            # Whatever is complete but was not handed out is too late.
            self._events.clear()
            self.unread = 0
            self.negotiated = None
            self._die(Failed(TimedOut("securing", limit=self._handshake_timeout)))

    def release(self) -> None:
        """Drop keys and buffers. Idempotent."""
        self._released = True
        self.deadline = None
        self.end_writing()
        self.drop_output()
        self._stop_reading()
        self._events.clear()
        self.unread = 0
        self._foreign = bytearray()
        self._foreign_lost = True
        self._exporter = b""

    def export(self, label: bytes, context: bytes, length: int) -> bytes:
        """Keying material that both sides can derive (section 7.5).

        Args:
            label: from the registry of exporter labels, or beginning with "EXPERIMENTAL".
            context: what distinguishes several uses of one label.
            length: bytes wanted.

        Raises Misuse before the handshake is complete, after a failure and after `release`.
        """
        if self._kdf is None or not self._exporter:
            raise Misuse("nothing can be exported before the handshake is complete, or after the end")
        return self._kdf.export(self._exporter, label, context, length)

    def channel_binding(self) -> bytes:
        """The "tls-exporter" binding, 32 bytes (RFC 9266 section 4.1). Raises as `export`."""
        return self.export(b"EXPORTER-Channel-Binding", b"", 32)

    # What the handshake asks for (`handshake.Channel`), but for what the two halves do

    def complete(self, outcome: Outcome) -> None:
        """The handshake is through: keep what the open session needs, drop the rest."""
        self.flush()
        self._suite = outcome.suite
        self._kdf = outcome.kdf
        self._read_secret = outcome.read_secret
        self._exporter = outcome.exporter
        if outcome.negotiated.early_data == "resent":
            self.send_early_again()
        self.open_writing(outcome.write_secret)
        if isinstance(self._prepared, PreparedClient):
            self._tickets = TicketKeeper.of(self._prepared, self._server_name, outcome)
        self._handshake = None
        self._skip = self._quiet = 0
        self.negotiated = outcome.negotiated
        self._push(Established(outcome.negotiated))

    # What was received

    def _may_despair(self) -> bool:
        """A client that can't use our ServerHello has no key to say so under: until it has shown that it has
        one, an alert in the clear is believed. The session fails by it, and is never closed cleanly."""
        return (
            isinstance(self._handshake, ServerHandshake)
            and self._opener is not None
            and self._opener.sequence == 0
        )

    def _may_change_cipher_spec(self) -> bool:
        """Between the first ClientHello and the peer's Finished (appendix D.4)."""
        handshake = self._handshake
        return handshake is not None and handshake.state is not ServerState.AWAIT_CLIENT_HELLO

    def _alert(self, content: bytes) -> None:
        if not content:
            raise UnexpectedMessage("empty alert")  # section 5.4
        if len(content) != 2:
            # Section 5.1: alerts are neither fragmented nor coalesced.
            raise DecodeError(f"alert of {len(content)} bytes, must be 2 bytes")
        # Section 6: the level is ignored; all but close_notify and user_canceled are fatal.
        code = content[1]
        if code in (AlertDescription.close_notify, AlertDescription.user_canceled):
            self._check_no_fragment()
        if code == AlertDescription.close_notify:
            if self.negotiated is None:
                error = Broken("the peer closed the session before the handshake was complete")
                self._die(Failed(error, AlertDescription.close_notify, sent_by_peer=True))
                return
            self._closed_there = True
            self._stop_reading()
            self._push(PeerClosed())
        elif code == AlertDescription.user_canceled:
            self._count_quiet()
        else:
            known = AlertDescription(code) if code in _KNOWN_ALERTS else None
            # Section 6.2: nothing more is sent after a fatal alert.
            self.drop_output()
            self._die(Failed(received(code, known.name if known else "unknown"), known, sent_by_peer=True))

    def _check_expected(self, kind: int) -> None:
        """Refuse by its header what may not come, before it is collected."""
        handshake = self._handshake
        if handshake is None:
            check_allowed(self._after, kind)
        elif not handshake.expects(kind):
            raise UnexpectedMessage(f"handshake message of type {kind} in state {handshake.state.value}")

    def _message(self, kind: int, message: bytes) -> None:
        if self._handshake is not None:
            self._handshake.handle(kind, message)
            if self._flight:
                self.flush()
            return
        check_allowed(self._after, kind)
        self._count_quiet()
        if kind == HandshakeType.key_update:
            self._key_update(KeyUpdate.parse(message[4:]))
            return
        ticket = NewSessionTicket.parse(message[4:])
        early = ticket.extensions.get(ExtensionType.early_data)
        max_early_data = parse_uint32(early, "early_data") if early is not None else 0
        if self._tickets is not None:
            self._tickets.keep(ticket, max_early_data)

    def _key_update(self, update: KeyUpdate) -> None:
        if self._suite is None or self._kdf is None:
            raise Misuse("KeyUpdate before the handshake is complete")
        self._read_secret = self._kdf.next_generation(self._read_secret)
        self.read_with(self._suite, self._kdf, self._read_secret)
        if update.requested:
            self.answer_key_update()

    # Ends

    def _fault(self, error: ProtocolError) -> None:
        """The peer broke a rule: say which, then end."""
        # The frames of the traceback hold views of the caller's buffer.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        alert = alert_for(error)
        self._die(Failed(error, alert if self._say(alert) else None))

    def _say(self, alert: AlertDescription) -> bool:
        """Queue a fatal alert, unless our close_notify went before it."""
        if self.write_side is not WriteSide.OPEN:
            return False
        self._flight.clear()
        self.queue_alert(alert)
        return True

    def _die(self, verdict: Failed) -> None:
        self.ending = verdict
        self.deadline = None
        if self._tickets is not None:
            self._tickets.forget()
        self.read_side = ReadSide.FAILED
        self._stop_reading()
        self.stop_writing()
        self._exporter = b""
        self._push(verdict)

    def _stop_reading(self) -> None:
        super()._stop_reading()
        self._handshake = None
        self._tickets = None
        if self.negotiated is None:
            self.deadline = None


_KNOWN_ALERTS = frozenset(AlertDescription)
