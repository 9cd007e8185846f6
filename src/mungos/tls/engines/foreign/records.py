"""Ciphertext on its way to a library, which gets it one whole record at a time (RFC 8446 section 5.1)."""

from __future__ import annotations

from typing import Protocol as Contract

from mungos.protocol import Buffer

__all__ = ["HANDSHAKE", "HEADER", "LARGEST_RECORD", "HeldRecords", "Sink", "is_record_header"]

HEADER = 5
"""Bytes: type, version, length."""

HANDSHAKE = 22
"""RFC 8446 section 5.1: ContentType."""

_ALERT = 21
_QUIET = frozenset({20, _ALERT})  # change_cipher_spec and warnings

_LARGEST_FRAGMENT = (
    1 << 14
) + 2048  # RFC 5246 section 6.2.3; RFC 8446 section 5.2 allows less, the libraries know

LARGEST_RECORD = HEADER + _LARGEST_FRAGMENT
"""Bytes."""

_FIRST_TYPE, _LAST_TYPE = 20, 24  # change_cipher_spec to heartbeat


def is_record_header(data: Buffer, at: int = 0) -> bool:
    """Whether the five bytes at `at` can begin a record."""
    return (
        _FIRST_TYPE <= data[at] <= _LAST_TYPE
        and data[at + 1] == 3
        and (data[at + 3] << 8 | data[at + 4]) <= _LARGEST_FRAGMENT
    )


class Sink(Contract):
    """Where a library takes ciphertext from."""

    def write(self, data: Buffer, /) -> object:
        """Add bytes, which are copied."""


class HeldRecords:
    """Bytes received and not consumed yet, and how many of them are whole records.

    What is no record will never be complete: from there on everything counts as one, and grows.
    """

    __slots__ = ("_at", "_complete", "_data", "_foreign")

    def __init__(self) -> None:
        self._data = bytearray()  # what lies before _at is consumed
        self._at = 0
        self._complete = 0  # the end of the last whole record
        self._foreign = -1  # where the first byte that begins no record stands, -1 while there is none

    def __len__(self) -> int:
        return len(self._data) - self._at

    @property
    def ready(self) -> int:
        """Bytes that can be consumed now."""
        return self._complete - self._at

    @property
    def at_foreign(self) -> bool:
        """Whether what comes next is no record."""
        return 0 <= self._foreign <= self._at

    @property
    def at_plain_alert(self) -> bool:
        """Whether a whole record comes next that is an alert of two bytes: an encrypted one is longer."""
        data, at = self._data, self._at
        return (
            at < self._complete
            and data[at] == _ALERT
            and data[at + 3] == 0
            and data[at + 4] == 2
            and not self.at_foreign
        )

    @property
    def at_quiet(self) -> bool:
        """Whether a whole record comes next that brings a handshake no further, but does not end it."""
        data, at = self._data, self._at
        return at < self._complete and not self.at_foreign and data[at] in _QUIET

    @property
    def at_empty(self) -> bool:
        """Whether a record without content comes next."""
        data, at = self._data, self._at
        return at < self._complete and not self.at_foreign and not data[at + 3] | data[at + 4]

    def append(self, data: Buffer) -> None:
        """Add bytes, and find the records that they complete."""
        held = self._data
        done = self._at
        if done:
            del held[:done]
            self._complete -= done
            self._at = 0
            if self._foreign >= 0:
                self._foreign = max(self._foreign - done, 0)
        held += data
        size = len(held)
        at = self._complete
        while at < size and self._foreign < 0:
            if size - at < HEADER:
                if not _FIRST_TYPE <= held[at] <= _LAST_TYPE:
                    self._foreign = at
                break
            if not is_record_header(held, at):
                self._foreign = at
                break
            end = at + HEADER + (held[at + 3] << 8 | held[at + 4])
            if end > size:
                break
            at = end
        self._complete = at if self._foreign < 0 else size

    def _end(self) -> int:
        at = self._at
        if 0 <= self._foreign <= at:
            return self._complete
        return at + HEADER + (self._data[at + 3] << 8 | self._data[at + 4])

    def next(self) -> bytes:
        """Consume the next record; all there is where it is none. Only while `ready` is not 0."""
        at, end = self._at, self._end()
        self._at = end
        return bytes(memoryview(self._data)[at:end])

    def feed(self, sink: Sink) -> int:
        """Consume the next record into `sink`. Returns its size in bytes, 0 where none is whole."""
        at, data = self._at, self._data
        if at == self._complete:
            return 0
        end = self._end()
        if end - at == len(data):
            sink.write(data)
        else:
            with memoryview(data) as view, view[at:end] as record:
                sink.write(record)
        self._at = end
        return end - at

    def rest(self) -> bytes:
        """Consume everything, whole records or not."""
        rest = bytes(memoryview(self._data)[self._at :])
        self.clear()
        return rest

    def clear(self) -> None:
        """Drop everything."""
        self._data = bytearray()
        self._at = self._complete = 0
        self._foreign = -1
