"""The presentation language of TLS (RFC 8446 section 3): numbers, vectors and blocks, read and written.

Every length is checked once, where its block is opened; whatever is left over when a block is closed is an
error. A reader raises `DecodeError`; a writer that is handed a value out of range raises `Misuse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.tls.engines.builtin.faults import DecodeError

__all__ = ["Reader", "Writer"]


class Reader:
    """Reads one message, or one block of it."""

    __slots__ = ("_at", "_data", "_end", "what")

    def __init__(self, data: Buffer, what: str) -> None:
        """`what` names the structure in the texts of errors."""
        self._data = memoryview(data)
        self._at = 0
        self._end = len(self._data)
        self.what = what

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self._end - self._at

    def uint(self, size: int, field: str) -> int:
        """A number of `size` bytes, network byte order."""
        return int.from_bytes(self._take(size, field), "big")

    def opaque(self, size: int, field: str) -> bytes:
        """Exactly `size` bytes."""
        return bytes(self._take(size, field))

    def vector(self, prefix: int, field: str, least: int = 0, most: int | None = None) -> bytes:
        """A vector whose length stands in `prefix` bytes before it, and lies between `least` and `most`."""
        return bytes(self._vector(prefix, field, least, most))

    def block(self, prefix: int, field: str, least: int = 0, most: int | None = None) -> Reader:
        """As `vector`, to be read piece by piece: call `close` when through."""
        return Reader(self._vector(prefix, field, least, most), f"{self.what}.{field}")

    def uints(self, prefix: int, size: int, field: str, least: int = 1) -> list[int]:
        """A vector of numbers of `size` bytes each; `least` numbers at the least."""
        raw = self._vector(prefix, field, least * size, None)
        if len(raw) % size:
            raise DecodeError(f"{self.what}.{field}: {len(raw)} bytes are not a multiple of {size} bytes")
        return [int.from_bytes(raw[at : at + size], "big") for at in range(0, len(raw), size)]

    def close(self) -> None:
        """The block must be used up."""
        if self._at != self._end:
            raise DecodeError(f"{self.what}: {self.left} bytes are left over")

    def _vector(self, prefix: int, field: str, least: int, most: int | None) -> memoryview:
        length = self.uint(prefix, field)
        if length < least or (most is not None and length > most):
            wanted = f"at least {least}" if most is None else f"{least} to {most}"
            raise DecodeError(f"{self.what}.{field}: {length} bytes, must be {wanted} bytes")
        return self._take(length, field)

    def _take(self, size: int, field: str) -> memoryview:
        at = self._at
        if size > self._end - at:
            raise DecodeError(f"{self.what}.{field}: {size} bytes wanted, {self._end - at} bytes are left")
        self._at = at + size
        return self._data[at : at + size]


class Writer:
    """Writes one message."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def uint(self, size: int, value: int) -> None:
        """A number in `size` bytes, network byte order."""
        self._out += value.to_bytes(size, "big")

    def opaque(self, data: Buffer) -> None:
        """Bytes as they stand."""
        self._out += data

    def vector(self, prefix: int, data: Buffer) -> None:
        """Bytes behind their length in `prefix` bytes."""
        with self.block(prefix):
            self._out += data

    def uints(self, prefix: int, size: int, values: list[int] | tuple[int, ...]) -> None:
        """Numbers of `size` bytes each behind their length in bytes."""
        with self.block(prefix):
            for value in values:
                self.uint(size, value)

    @contextmanager
    def block(self, prefix: int) -> Iterator[None]:
        """Whatever is written inside stands behind its length in `prefix` bytes."""
        at = len(self._out)
        self._out += bytes(prefix)
        yield
        length = len(self._out) - at - prefix
        if length >> (8 * prefix):
            raise Misuse(f"a block of {length} bytes does not fit a length of {prefix} bytes")
        self._out[at : at + prefix] = length.to_bytes(prefix, "big")

    def getvalue(self) -> bytes:
        """What was written so far."""
        return bytes(self._out)
