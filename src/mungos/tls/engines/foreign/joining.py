"""Handshake records in the clear, put together for a library that wants each message in one record.

RFC 8446 section 5.1: "Handshake messages MAY be coalesced into a single TLSPlaintext record or fragmented
across several records". The handshake's hash covers messages, not records (section 4.4.1).
"""

from __future__ import annotations

from mungos.tls.engines.foreign.records import HANDSHAKE, HEADER

__all__ = ["Joiner", "in_few_records"]

_CHANGE_CIPHER_SPEC = 20
_APPLICATION_DATA = 23
_MESSAGE_HEADER = 4
_LARGEST = 1 << 14  # bytes of one record's content
_MOST = 128 * 1024  # bytes held; what is larger goes to the library in its pieces


class Joiner:
    """Of one direction, until it is encrypted.

    Attributes:
        done: what comes is encrypted, and passes as it is.
    """

    __slots__ = ("_at", "_held", "_message", "_pieces", "done")

    def __init__(self) -> None:
        self.done = False
        self._at = 0  # where in `_message` the last message begins, or the next
        self._held = bytearray()
        self._message = bytearray()
        self._pieces = 0

    def add(self, record: bytes) -> bytes:
        """Take a whole record. Returns what the library gets now, which may be nothing."""
        if self.done:
            return record
        kind = record[0]
        if kind != HANDSHAKE or len(record) == HEADER:
            self.done = kind in {_CHANGE_CIPHER_SPEC, _APPLICATION_DATA}
            return self._flush(as_it_came=True) + record
        self._held += record
        self._message += record[HEADER:]
        self._pieces += 1
        if len(self._held) >= _MOST:
            self.done = True
            return self._flush(as_it_came=True)
        return self._flush(as_it_came=self._pieces == 1) if self._whole() else b""

    def _whole(self) -> bool:
        message, at = self._message, self._at
        while at + _MESSAGE_HEADER <= len(message):
            end = at + _MESSAGE_HEADER + int.from_bytes(message[at + 1 : at + _MESSAGE_HEADER], "big")
            if end > len(message):
                break
            at = end
        self._at = at
        return at == len(message)

    def _flush(self, *, as_it_came: bool) -> bytes:
        held, message = bytes(self._held), bytes(self._message)
        self._held.clear()
        self._message.clear()
        self._at = self._pieces = 0
        return held if as_it_came else in_few_records(held[:3], message)


def in_few_records(head: bytes, message: bytes) -> bytes:
    """A message in as few records as hold it; `head` is their type and version."""
    pieces = (message[at : at + _LARGEST] for at in range(0, len(message), _LARGEST))
    return b"".join(head + len(piece).to_bytes(2, "big") + piece for piece in pieces)
