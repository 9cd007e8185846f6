"""Our direction of a session: what is queued for the peer, under which key, up to close_notify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mungos.crypto.contract import Provider
from mungos.errors import Closed, Misuse
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import WriteSide
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.messages import KeyUpdate
from mungos.tls.engines.builtin.records import (
    DATA,
    MAX_PLAINTEXT,
    OVERHEAD,
    SMALL,
    SMALL_HEADERS,
    ContentType,
    Sealer,
    data_header,
    plain_record,
)
from mungos.tls.engines.builtin.suites import Suite

__all__ = ["WritingHalf"]

_WARNING, _FATAL = 1, 2
_WARNINGS = frozenset({AlertDescription.close_notify, AlertDescription.user_canceled})
_HANDSHAKE = ContentType.handshake
_CHANGE_CIPHER_SPEC = plain_record(ContentType.change_cipher_spec, b"\x01")
_LEAST_UNSENT = MAX_PLAINTEXT + OVERHEAD  # bytes of a full record on the wire


class WritingHalf:
    """The half of an engine that writes."""

    __slots__ = (
        "_closed_here",
        "_early_room",
        "_early_sent",
        "_flight",
        "_kdf",
        "_max_content",
        "_max_unsent",
        "_outgoing",
        "_provider",
        "_sealer",
        "_suite",
        "_tell_taken",
        "_update_queued",
        "_version",
        "_write_secret",
        "_writer",
        "unsent",
        "write_side",
    )

    def __init__(self, provider: Provider, max_unsent: int) -> None:
        self.unsent = 0
        self.write_side = WriteSide.OPEN
        self._provider = provider
        self._max_unsent = max(max_unsent, _LEAST_UNSENT)
        self._outgoing: list[Buffer] = []
        self._flight = bytearray()  # handshake messages that will share records
        self._version = 0x0303  # in the headers of the next flight, while it is not protected
        self._max_content = MAX_PLAINTEXT  # bytes of content in one record
        self._early_room = 0  # bytes of 0-RTT data that may still be sent
        self._early_sent: list[bytes] = []  # what was sent so, as long as it may have to be sent again
        self._suite: Suite | None = None
        self._kdf: Kdf | None = None
        self._sealer: Sealer | None = None
        self._writer: Sealer | None = None  # the sealer, while application data may be written
        self._write_secret = b""
        self._update_queued = False  # a KeyUpdate of ours has not been taken yet
        self._tell_taken = False  # something follows from everything being taken
        self._closed_here = False

    def write(self, parts: Sequence[Buffer]) -> int:
        """Encrypt in records of up to 16 KiB; parts share them. Returns plaintext bytes accepted, whole
        records only once `max_unsent` nears. Raises Closed after `close_write`, `fail` or `release`."""
        sealer = self._writer
        if sealer is None:
            if self._closed_here:
                raise Closed("write after close_notify")
            return 0
        # The common case, spelled out because it is the hot path: one record.
        content = parts[0] if len(parts) == 1 else None
        size = len(content) if content is not None else sum(map(len, parts))
        unsent = self.unsent + size + OVERHEAD
        sequence = sealer.sequence
        if 0 < size <= self._max_content and unsent <= self._max_unsent and sequence < sealer.limit:
            sealer.sequence = sequence + 1
            header = SMALL_HEADERS[size] if size <= SMALL else data_header(size)
            inner = content + DATA if type(content) is bytes else b"".join((*parts, DATA))
            nonce = (sealer.iv ^ sequence).to_bytes(12, "big")
            self._outgoing.append(header + sealer.encrypt(nonce, inner, header))
            self.unsent = unsent
            return size
        return self._write_records(sealer, parts)

    def write_early(self, parts: Sequence[Buffer]) -> int:
        """Encrypt 0-RTT data. Returns bytes accepted: no more than the ticket and `max_unsent` allow. Raises
        Closed as `write`."""
        if self._closed_here:
            raise Closed("write after close_notify")
        sealer = self._sealer
        if not self._early_room or sealer is None:
            return 0
        data = b"".join(parts)[: self._early_room]
        accepted = 0
        for at in range(0, len(data), MAX_PLAINTEXT):
            content = data[at : at + MAX_PLAINTEXT]
            if self.unsent + len(content) + OVERHEAD > self._max_unsent:
                break
            self._queue(sealer.seal(ContentType.application_data, content))
            self._early_sent.append(content)
            accepted += len(content)
        self._early_room -= accepted
        return accepted

    def take(self, limit: int) -> list[Buffer]:
        """Hand out ciphertext, at most `limit` bytes, and at least one."""
        taken = self._outgoing
        if self.unsent <= limit or not taken:
            self._outgoing = []
            self.unsent = 0
            if self._tell_taken:
                self._all_taken()
            return taken
        size = count = 0
        while size + len(taken[count]) <= limit:
            size += len(taken[count])
            count += 1
        whole = taken[:count]
        if room := max(limit - size, not count):
            view = memoryview(taken[count])
            whole.append(view[:room])
            taken[count] = view[room:]
            size += room
        del taken[:count]
        self.unsent -= size
        return whole

    # What the handshake asks for (`handshake.Channel`)

    def send(self, message: bytes) -> None:
        """Queue a handshake message."""
        self._flight += message

    def send_change_cipher_spec(self) -> None:
        """Queue the record of RFC 8446 appendix D.4."""
        self.flush()
        self._queue(_CHANGE_CIPHER_SPEC)

    def write_with(self, suite: Suite, kdf: Kdf, secret: bytes) -> None:
        """A new key for our direction; what was sent so far goes out under the old one."""
        if self._flight:
            self.flush()
        key, iv = kdf.traffic_keys(secret, suite.key_length)
        self._sealer = Sealer(self._provider.aead(suite.aead, key), iv, suite.record_limit)

    def write_early_with(self, suite: Suite, kdf: Kdf, secret: bytes, limit: int) -> None:
        """The key of our 0-RTT data, of which up to `limit` bytes may be sent."""
        self.write_with(suite, kdf, secret)
        self._early_room = limit

    def end_early_data(self) -> None:
        """No more 0-RTT data."""
        self._early_room = 0

    def write_in_clear(self) -> None:
        """What follows is not protected."""
        self._sealer = None

    def limit_writing(self, limit: int) -> None:
        """Our records hold at most `limit` bytes, content type included; never more than TLS allows."""
        self._max_content = min(limit - 1, MAX_PLAINTEXT)

    # What the reading half asks for

    def flush(self) -> None:
        """Put the messages sent so far into records."""
        if not self._flight:
            return
        flight, self._flight = memoryview(self._flight), bytearray()
        sealer = self._sealer
        most = self._max_content if sealer is not None else MAX_PLAINTEXT
        for at in range(0, len(flight), most):
            fragment = flight[at : at + most]
            if sealer is None:
                self._queue(plain_record(_HANDSHAKE, fragment, self._version))
            else:
                self._queue(sealer.seal(_HANDSHAKE, fragment))
        self._version = 0x0303

    def send_early_again(self) -> None:
        """What the peer refused as 0-RTT data, as ordinary data (section 4.2.10), once."""
        if self._sealer is None:
            raise Misuse("nothing can be sent again without a key")
        data = b"".join(self._early_sent)
        for at in range(0, len(data), self._max_content):
            content = data[at : at + self._max_content]
            self._queue(self._sealer.seal(ContentType.application_data, content))

    def open_writing(self, secret: bytes) -> None:
        """The handshake is through: application data may be written."""
        self._write_secret = secret
        self._writer = self._sealer
        self._early_sent = []

    def queue_alert(self, alert: AlertDescription) -> None:
        """An alert under the key that is on (RFC 8446 section 6)."""
        content = bytes((_WARNING if alert in _WARNINGS else _FATAL, alert))
        if self._sealer is None:
            self._queue(plain_record(ContentType.alert, content))
        else:
            self._queue(self._sealer.seal(ContentType.alert, content))

    def end_writing(self) -> None:
        """Nothing more is queued; what is there may still be taken."""
        self._closed_here = True
        self.stop_writing()

    def stop_writing(self) -> None:
        """Forget the keys of our direction."""
        self._sealer = self._writer = None
        self._write_secret = b""
        self._flight = bytearray()
        self._early_room = 0
        self._early_sent = []
        if self.write_side is WriteSide.OPEN:
            self.write_side = WriteSide.FLUSHING if self._outgoing else WriteSide.ENDED
            self._tell_taken = True

    def drop_output(self) -> None:
        """Throw away what was not taken."""
        self._outgoing = []
        self.unsent = 0
        self._all_taken()

    def _all_taken(self) -> None:
        self._tell_taken = False
        self._update_queued = False
        if self.write_side is WriteSide.FLUSHING:
            self.write_side = WriteSide.ENDED

    def update_keys(self, *, requested: bool) -> Sealer:
        """KeyUpdate, and a new key for what follows (RFC 8446 section 4.6.3)."""
        if self._sealer is None or self._suite is None or self._kdf is None:
            raise Misuse("keys can't be updated before the handshake is complete, or after close_notify")
        self._queue(self._sealer.seal(ContentType.handshake, KeyUpdate(requested).pack()))
        self._update_queued = self._tell_taken = True
        self._write_secret = self._kdf.next_generation(self._write_secret)
        self.write_with(self._suite, self._kdf, self._write_secret)
        sealer = self._writer = self._sealer
        return sealer

    def answer_key_update(self) -> None:
        """Section 4.6.3: answer a request before the next data. While an answer waits to be taken, one is
        enough: the queue for a peer that does not read can't grow."""
        if self._writer is not None and not self._update_queued:
            self.update_keys(requested=False)

    def _queue(self, record: Buffer) -> None:
        self._outgoing.append(record)
        self.unsent += len(record)

    def _write_records(self, sealer: Sealer, parts: Sequence[Buffer]) -> int:
        total = sum(map(len, parts))
        room = self._max_unsent - self.unsent
        most = self._max_content
        full, rest = divmod(total, most)
        fitting = min(full, max(room, 0) // (most + OVERHEAD))
        sizes = [most] * fitting
        if fitting == full and 0 < rest <= room - fitting * (most + OVERHEAD) - OVERHEAD:
            sizes.append(rest)
        if not sizes:
            return 0
        if sealer.sequence + len(sizes) > sealer.limit:
            sealer = self.update_keys(requested=False)
        for buffer in sealer.seal_records(_inners(parts, sizes), sizes):
            self._queue(buffer)
        return sum(sizes)


def _inners(parts: Sequence[Buffer], sizes: list[int]) -> Iterator[bytes]:
    """The TLSInnerPlaintext (RFC 8446 section 5.2) of records with `sizes` bytes of `parts`."""
    if len(parts) == 1:
        view, at = memoryview(parts[0]), 0
        for size in sizes:
            yield b"".join((view[at : at + size], DATA))
            at += size
        return
    rest = iter(parts)
    view = memoryview(b"")
    for size in sizes:
        pieces: list[Buffer] = []
        wanted = size
        while wanted:
            if not view:
                view = memoryview(next(rest))
                continue
            pieces.append(view[:wanted])
            taken = min(wanted, len(view))
            view = view[taken:]
            wanted -= taken
        pieces.append(DATA)
        yield b"".join(pieces)
