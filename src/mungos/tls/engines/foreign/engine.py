"""One session of a library over memory: its states, order and caps; the library is behind a contract.

Ciphertext is held outside the library and handed in one whole record at a time, each drained before the next.
That tells truthfully whether another `receive` is needed, keeps what follows the peer's close_notify, and
lets a library be told of our own end while it holds nothing of the peer's: some fail otherwise, and so does
every later read. It is told exactly once; afterwards there is only reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from mungos.errors import Broken, Closed, Malformed, Misuse, PeerIncompatible, PeerMisbehaved, TimedOut
from mungos.printable import quoted_names
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.bounds import MAX_ANSWERS, MAX_QUIET
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import (
    Data,
    Established,
    Event,
    Failed,
    Negotiated,
    PeerClosed,
    ReadSide,
    WriteSide,
)
from mungos.tls.engines.foreign.client_hello import FirstMessage, Offer
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.records import LARGEST_RECORD, HeldRecords
from mungos.tls.engines.foreign.session import Ended, LibrarySession, MustRead, Outgoing
from mungos.tls.engines.foreign.verdicts import FATAL, plain_alert, received_plain_alert

__all__ = ["LibraryEngine"]

_PLAINTEXT = 1 << 14  # bytes of one record's content at most, RFC 8446 section 5.1
_OVERHEAD = 64  # bytes that protection adds to a record at most, with the suites that are enabled
# With less room than a record, a session would come to a stand.
_LEAST_UNREAD = LARGEST_RECORD
_LEAST_UNSENT = _PLAINTEXT + _OVERHEAD

_EMPTY = Outbox()  # stands in for that of a released session; nothing is ever written to it


class _Stage(Enum):
    CLIENT_HELLO = "a server waits for the client's first message"
    FINISHED = "the handshake waits for the peer"
    DATA = "open"
    NOTHING = "the peer's direction is over: what still comes is not for this session"
    RELEASED = "keys and buffers are gone"


class LibraryEngine:
    """A session, made by the factory of a library's engine; see `mungos.tls.contract.Engine`.

    A cap on unread or unsent bytes that is smaller than one record counts as one record. Where the library
    lacks it, `fail` can put its alert on the wire only while nothing is encrypted; later the peer sees the
    stream end without a close_notify. Under TLS 1.2 the peer's close_notify is answered at once (RFC 5246
    section 7.2.1): `write_side` leaves OPEN and `write` accepts nothing more.
    """

    __slots__ = (
        "_alpn",
        "_closed_here",
        "_eof",
        "_events",
        "_fed",
        "_first",
        "_held",
        "_max_unread",
        "_max_unsent",
        "_name",
        "_open",
        "_outgoing",
        "_overflowed",
        "_owing",
        "_quiet",
        "_session",
        "_stage",
        "_timeout",
        "_versions",
        "deadline",
        "ending",
        "exact_alerts",
        "negotiated",
        "read_side",
        "write_side",
    )

    def __init__(
        self,
        config: ClientConfig | ServerConfig,
        outgoing: Outgoing,
        *,
        exact_alerts: bool,
        session: LibrarySession | None = None,
        server_name: str | None = None,
        alpn: frozenset[bytes] = frozenset(),
        versions: frozenset[int] = frozenset(),
        open_session: Callable[[Offer], LibrarySession] | None = None,
    ) -> None:
        """
        Args:
            config: for the caps and the handshake's limit.
            outgoing: where the library's sessions leave their ciphertext.
            exact_alerts: as the contract says.
            session: a client's, which begins at once.
            server_name: what a client sends.
            alpn: what a server speaks.
            versions: of TLS, for a server whose library does not look at the client's list of them; empty
                where it does.
            open_session: makes a server's session, once the client has said whom it wants.
        """
        self.exact_alerts = exact_alerts
        self.deadline: float | None = None
        self.read_side = ReadSide.OPEN
        self.write_side = WriteSide.OPEN
        self.negotiated: Negotiated | None = None
        self.ending: Failed | None = None
        self._timeout = config.handshake_timeout
        self._max_unread = max(config.max_unread, _LEAST_UNREAD)
        self._max_unsent = max(config.max_unsent, _LEAST_UNSENT)
        self._name = server_name
        self._alpn = alpn
        self._versions = versions
        self._open = open_session
        self._session = session
        self._outgoing = outgoing
        self._stage = _Stage.FINISHED if open_session is None else _Stage.CLIENT_HELLO
        self._events: deque[Event] = deque()
        self._held = HeldRecords()
        self._eof = False
        # The library has seen bytes of the peer: from then on it may have switched on its keys.
        self._fed = False
        self._first = FirstMessage()
        self._closed_here = False
        self._overflowed = False
        self._quiet = 0  # records of the handshake that bring it no further
        self._owing = False  # close_notify waits until the library has read a message that came by half

    @property
    def unread(self) -> int:
        """Bytes of whole records not yet looked at, and events not yet handed out (one each). Half a record
        does not count: it yields nothing without another `receive`."""
        if self._stage is _Stage.NOTHING or self._stage is _Stage.RELEASED:
            return len(self._events)
        return self._held.ready + len(self._events)

    @property
    def unsent(self) -> int:
        """Bytes that `take` would hand out."""
        return self._outgoing.pending

    def start(self, now: float) -> None:
        """Begin: a client queues its ClientHello. The handshake's deadline is `now` plus its timeout."""
        self.deadline = now + self._timeout
        if self._session is not None:
            self._handshake(self._session)

    def receive(self, data: Buffer, now: float) -> int:
        """Store ciphertext. Returns bytes taken: fewer than given when `max_unread` bytes are held."""
        size = len(data)
        if self._stage is _Stage.RELEASED or self.read_side is ReadSide.FAILED:
            return size
        room = self._max_unread - len(self._held)
        if self._stage is _Stage.NOTHING:
            # Kept for `unwrap` alone, up to the cap.
            if size > room:
                self._held.clear()
                self._overflowed = True
            elif not self._overflowed:
                self._held.append(data)
            return size
        if size > room:
            if room <= 0:
                return 0
            data = memoryview(data)[:room]
            size = room
        self._held.append(data)
        return size

    def receive_eof(self, now: float) -> None:
        """The stream ended. It takes effect when the records before it have been pulled: `read_side` is final
        once `next_event` returned None."""
        self._eof = True
        if not self._held.ready:
            self._end_of_stream()

    def next_event(self) -> Event | None:
        """The next event, or None. Records are decrypted here, one for each Data."""
        session = self._session
        if self._stage is _Stage.DATA and session is not None and not self._events:
            return self._read(session)
        while not self._events:
            step = _STEPS.get(self._stage)
            if step is None or not step(self):
                return None
        return self._events.popleft()

    def write_early(self, parts: Sequence[Buffer]) -> int:
        """0: there is no early data. Raises Closed after `close_write` or `release`."""
        if self._closed_here:
            raise Closed("write after close_notify")
        return 0

    def write(self, parts: Sequence[Buffer]) -> int:
        """Encrypt in records of up to 16 KiB; small parts share one. Returns plaintext bytes accepted, whole
        records only once `max_unsent` nears; none where the library first has to read the rest of a message.
        Raises Closed after `close_write` or `release`."""
        if self._closed_here:
            raise Closed("write after close_notify")
        session = self._session
        if self.negotiated is None or session is None or self.write_side is not WriteSide.OPEN:
            return 0
        room = self._max_unsent - self._outgoing.pending
        accepted = 0
        record: list[Buffer] = []  # parts that will share the next record
        size = 0
        try:
            for part in parts:
                length = len(part)
                if size + length <= _PLAINTEXT:
                    if length:
                        record.append(part)
                        size += length
                    continue
                view = memoryview(part)
                at = 0
                if size:
                    if room < _LEAST_UNSENT:
                        return accepted
                    at = _PLAINTEXT - size
                    record.append(view[:at])
                    session.encrypt(b"".join(record))
                    accepted += _PLAINTEXT
                    room -= _LEAST_UNSENT
                    record.clear()
                    size = 0
                whole = min((length - at) // _PLAINTEXT, room // _LEAST_UNSENT)
                end = at + whole * _PLAINTEXT
                while at < end:
                    count = session.encrypt(view[at:end])
                    at += count
                    accepted += count
                room -= whole * _LEAST_UNSENT
                if length - at > _PLAINTEXT:
                    return accepted
                if at < length:
                    record.append(view[at:])
                    size = length - at
            if size and room >= size + _OVERHEAD:
                accepted += session.encrypt(record[0] if len(record) == 1 else b"".join(record))
        except MustRead:
            pass  # to be offered again, as after a cap
        except Ended as ended:
            self._fail(ended.verdict)
        return accepted

    def close_write(self) -> None:
        """Queue close_notify. Idempotent. Before the handshake is complete it cancels, and nothing more is
        handed out: user_canceled and close_notify are sent where nothing is encrypted yet."""
        self._closed_here = True
        if self.write_side is not WriteSide.OPEN:
            return
        session = self._session
        if self.negotiated is None or session is None:
            if not self._fed:
                # RFC 8446 section 6.1: user_canceled is a warning, and is followed by close_notify.
                self._outgoing.write(plain_alert(AlertDescription.user_canceled, level=1))
                self._outgoing.write(plain_alert(AlertDescription.close_notify, level=1))
            self._die()
            return
        self._queue_close_notify(session)

    def fail(self, alert: AlertDescription) -> None:
        """End the session as failed; `alert` goes out while nothing is encrypted, else where it can."""
        if self.ending is not None or self._stage is _Stage.RELEASED:
            return
        error = PeerMisbehaved(f"this side ended the session with the alert {alert.name}")
        self._fail(Failed(error, alert if self._say(alert) else None))

    def _say(self, alert: AlertDescription) -> bool:
        """Queue an alert of our own choice. False where that can't be, or our close_notify went before."""
        session = self._session
        if self.write_side is not WriteSide.OPEN:
            return False
        if not self._fed:
            self._outgoing.write(plain_alert(alert))
            return True
        return session is not None and session.alert(alert)

    def expire(self, now: float) -> None:
        """Fail the handshake with `TimedOut("securing")` if its deadline has passed."""
        if self.deadline is not None and now >= self.deadline:
            self._fail(Failed(TimedOut("securing", limit=self._timeout)))

    def take(self, limit: int) -> list[Buffer]:
        """Hand out ciphertext, at most `limit` bytes, and at least one."""
        if not self._outgoing.pending:
            return []
        data = self._outgoing.read(max(limit, 1))
        if self.write_side is WriteSide.FLUSHING and not self._outgoing.pending and not self._owing:
            self.write_side = WriteSide.ENDED
        return [data]

    def unwrap(self) -> bytes:
        """The bytes that followed the peer's close_notify. Raises Misuse before both close_notify have
        passed, and when more than `max_unread` bytes followed."""
        if self.read_side is not ReadSide.ENDED or self.write_side is not WriteSide.ENDED:
            raise Misuse(
                f"unwrap: read side {self.read_side.value}, write side {self.write_side.value}, not ended"
            )
        if self._overflowed:
            raise Misuse(f"unwrap: more than {self._max_unread} bytes followed the peer's close_notify")
        return self._held.rest()

    def release(self) -> None:
        """Drop keys and buffers. Idempotent."""
        self._stage = _Stage.RELEASED
        self._closed_here = True
        self.deadline = None
        self.write_side = WriteSide.ENDED
        self._drop()
        self._outgoing = _EMPTY
        self._events.clear()
        self._first = FirstMessage()
        self._held.clear()

    # Handshake

    def _await_client_hello(self) -> bool:
        open_session = self._open
        if open_session is None or not self._held.ready:
            return False
        if self._held.at_foreign and not self._first.records:
            self._refuse(self._held.next())
            return True
        record = self._held.next()
        if not self._first.records:
            # Libraries take an alert in this place for an unexpected message, whatever it says.
            received = received_plain_alert(record)
            if received is not None:
                if received.alert is not AlertDescription.user_canceled:
                    self._fail(received)
                else:
                    self._count_quiet()
                return True
        offer = self._first.add(record)
        refusal = self._first.refusal
        if refusal is not None and refusal.alert is not None:
            self._outgoing.write(plain_alert(refusal.alert))
            self._fail(refusal)
        elif offer is not None:
            self._choose(offer, open_session)
        return True

    def _refuse(self, received: bytes) -> None:
        """The first bytes are no TLS record: unexpected_message (RFC 8446 section 5)."""
        words = f"not a TLS record: it begins with {received[:16]!r}"
        self._end_with(AlertDescription.unexpected_message, words)

    def _end_with(self, alert: AlertDescription, words: str) -> None:
        self._outgoing.write(plain_alert(alert))
        self._fail(Failed(Malformed(words), alert))

    def _choose(self, offer: Offer, open_session: Callable[[Offer], LibrarySession]) -> None:
        """Refuse ALPN without overlap; else make the session that suits, and hand it the first message."""
        if self._alpn and offer.alpn is not None and self._alpn.isdisjoint(offer.alpn):
            # RFC 7301 section 3.2: the server SHALL respond with a fatal no_application_protocol.
            self._outgoing.write(plain_alert(AlertDescription.no_application_protocol))
            words = f"no application protocol in common: the client offers {quoted_names(offer.alpn)}"
            error = PeerIncompatible(words)
            self._fail(Failed(error, AlertDescription.no_application_protocol))
            return
        if self._versions and offer.versions is not None and not self._versions.intersection(offer.versions):
            # RFC 8446 section 4.2.1: such a server MUST abort with protocol_version.
            self._outgoing.write(plain_alert(AlertDescription.protocol_version))
            listed = ", ".join(f"0x{version:04x}" for version in offer.versions[:8])
            error = PeerIncompatible(f"no version of TLS in common: the client lists {listed}")
            self._fail(Failed(error, AlertDescription.protocol_version))
            return
        session = self._session = open_session(offer)
        self._open = None
        self._name = offer.server_name
        session.write(self._first.whole())
        self._first = FirstMessage()
        self._fed = True
        self._stage = _Stage.FINISHED
        self._handshake(session)

    def _await_finished(self) -> bool:
        if self._held.at_foreign and self._held.ready and not self._fed:
            self._refuse(self._held.next())
            return True
        session = self._session
        if session is None or not self._held.ready:
            return False
        if self._held.at_empty and not self._fed:
            # RFC 8446 section 5.1, RFC 5246 section 6.2.1: "MUST NOT send zero-length fragments".
            self._end_with(AlertDescription.unexpected_message, "a record of 0 bytes")
            return True
        if self._held.at_quiet and not self._count_quiet():
            return True
        if self._held.at_plain_alert:
            # The peer's keys may not be on when ours are, and not every library bears that.
            record = self._held.next()
            received = received_plain_alert(record)
            if received is not None and (record[5] == FATAL or record[6] == AlertDescription.close_notify):
                self._fail(received)
                return True
            session.write(record)
        else:
            self._held.feed(session)
        self._fed = True
        self._handshake(session)
        return True

    def _count_quiet(self) -> bool:
        """Libraries pass over warnings and change_cipher_spec, some without end. Whether it goes on."""
        self._quiet += 1
        if self._quiet <= MAX_QUIET:
            return True
        alert = AlertDescription.unexpected_message
        error = PeerMisbehaved(f"more than {MAX_QUIET} records that bring the handshake no further")
        self._fail(Failed(error, alert if self._say(alert) else None))
        return False

    def _handshake(self, session: LibrarySession) -> None:
        try:
            complete = session.handshake()
        except Ended as ended:
            self._fail(ended.verdict)
            return
        if complete:
            self.deadline = None
            self.negotiated = session.negotiated(self._name)
            self._stage = _Stage.DATA
            self._events.append(Established(self.negotiated))
        if self._eof and not self._held.ready:
            self._end_of_stream()

    # Data

    def _read(self, session: LibrarySession) -> Event | None:
        held = self._held
        try:
            while size := held.feed(session):
                data = session.decrypt(size)  # a record never holds more plaintext than it has bytes
                if data:
                    return Data(data)
                if data is not None:
                    return self._peer_closed(session)
                # a ticket, a key update, an empty record
                if self._outgoing.pending > self._max_unsent + MAX_ANSWERS:
                    # `write` queues nothing above `max_unsent`: these are answers.
                    self._drown()
                    return self._events.popleft()
                if self._owing:
                    self._queue_close_notify(session)
        except Ended as ended:
            self._fail(ended.verdict)
            return self._events.popleft()
        if self._eof:
            self._end_of_stream()
        return self._events.popleft() if self._events else None

    def _drown(self) -> None:
        """The peer makes the library answer, and reads no answer."""
        error = PeerMisbehaved(
            f"over {MAX_ANSWERS} bytes of answers wait above the {self._max_unsent} bytes that may be unsent"
        )
        alert = AlertDescription.unexpected_message
        self._fail(Failed(error, alert if self._say(alert) else None))

    def _peer_closed(self, session: LibrarySession) -> Event:
        self.read_side = ReadSide.ENDED
        self._stage = _Stage.NOTHING
        negotiated = self.negotiated
        if negotiated is not None and negotiated.version != "TLSv1.3" and self.write_side is WriteSide.OPEN:
            # RFC 5246 section 7.2.1: the other party MUST respond with a close_notify alert of its own.
            self._queue_close_notify(session)
        return PeerClosed()

    def _queue_close_notify(self, session: LibrarySession) -> None:
        self.write_side = WriteSide.FLUSHING
        self._owing = False
        try:
            session.close_notify()
        except MustRead:
            self._owing = True
            return
        except Ended as ended:
            self._fail(ended.verdict)
        if not self._outgoing.pending:
            self.write_side = WriteSide.ENDED

    # Ends

    def _end_of_stream(self) -> None:
        if self._stage is _Stage.DATA:
            self.read_side = ReadSide.TRUNCATED
            if self._owing:
                self._give_up_writing()
        elif self._stage in _STEPS and self.ending is None:
            self._fail(Failed(Broken("the stream ended before the handshake was complete")))

    def _fail(self, verdict: Failed) -> None:
        self.ending = verdict
        self._events.append(verdict)
        self._die()

    def _die(self) -> None:
        """Nothing is read or written any more; what is queued may still be taken."""
        self.deadline = None
        self.read_side = ReadSide.FAILED
        self._give_up_writing()
        self._stage = _Stage.NOTHING
        self._drop()
        self._first = FirstMessage()
        self._held.clear()

    def _give_up_writing(self) -> None:
        self._owing = False
        self.write_side = WriteSide.FLUSHING if self._outgoing.pending else WriteSide.ENDED

    def _drop(self) -> None:
        session, self._session, self._open = self._session, None, None
        if session is not None:
            session.free()


_STEPS: dict[_Stage, Callable[[LibraryEngine], bool]] = {
    _Stage.CLIENT_HELLO: LibraryEngine._await_client_hello,
    _Stage.FINISHED: LibraryEngine._await_finished,
}
