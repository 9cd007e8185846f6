"""The presentation language of TLS (RFC 8446 section 3): numbers, vectors and blocks, read and written.

Every length is checked once, where its block is opened; whatever is left over when a block is closed is an
error. A reader raises `DecodeError`; a writer that is handed a value out of range raises `Misuse`.
"""

from __future__ import annotations

from struct import unpack

from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.tls.engines.builtin.faults import DecodeError

__all__ = ["Reader", "Writer"]


class Reader:
    """Reads one message, or one block of it."""

    __slots__ = ("_at", "_data", "_end", "what")

    def __init__(self, data: Buffer, what: str) -> None:
        """`what` names the structure in the texts of errors."""
        self._data = data if type(data) is bytes else bytes(data)
        self._at = 0
        self._end = len(self._data)
        self.what = what

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self._end - self._at

    def uint(self, size: int, field: str) -> int:
        """A number of `size` bytes, network byte order."""
        at = self._at
        end = at + size
        if end > self._end:
            raise self._short(size, field)
        self._at = end
        return int.from_bytes(self._data[at:end], "big")

    def opaque(self, size: int, field: str) -> bytes:
        """Exactly `size` bytes."""
        at = self._at
        end = at + size
        if end > self._end:
            raise self._short(size, field)
        self._at = end
        return self._data[at:end]

    def vector(self, prefix: int, field: str, least: int = 0, most: int | None = None) -> bytes:
        """A vector whose length stands in `prefix` bytes before it, and lies between `least` and `most`."""
        at = self._at + prefix
        # The usual case first; the others are sorted out below.
        if at <= self._end:
            end = at + int.from_bytes(self._data[self._at : at], "big")
            if end <= self._end and least <= end - at and (most is None or end - at <= most):
                self._at = end
                return self._data[at:end]
        length = self.uint(prefix, field)
        if length < least or (most is not None and length > most):
            wanted = f"at least {least}" if most is None else f"{least} to {most}"
            raise DecodeError(f"{self.what}.{field}: {length} bytes, must be {wanted} bytes")
        return self.opaque(length, field)

    def block(self, prefix: int, field: str, least: int = 0, most: int | None = None) -> Reader:
        """As `vector`, to be read piece by piece: call `close` when through."""
        return Reader(self.vector(prefix, field, least, most), f"{self.what}.{field}")

    def uints(self, prefix: int, size: int, field: str, least: int = 1) -> list[int]:
        """A vector of numbers of `size` bytes each; `least` numbers at the least."""
        raw = self.vector(prefix, field, least * size)
        if len(raw) % size:
            raise DecodeError(f"{self.what}.{field}: {len(raw)} bytes are not a multiple of {size} bytes")
        if size == 2:
            return list(unpack(f"!{len(raw) // 2}H", raw))
        return [int.from_bytes(raw[at : at + size], "big") for at in range(0, len(raw), size)]

    def close(self) -> None:
        """The block must be used up."""
        if self._at != self._end:
            raise DecodeError(f"{self.what}: {self.left} bytes are left over")

    def _short(self, size: int, field: str) -> DecodeError:
        return DecodeError(f"{self.what}.{field}: {size} bytes wanted, {self.left} bytes are left")


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
        length = len(data)
        if length >> (8 * prefix):
            raise Misuse(f"a vector of {length} bytes does not fit a length of {prefix} bytes")
        self._out += length.to_bytes(prefix, "big")
        self._out += data

    def uints(self, prefix: int, size: int, values: list[int] | tuple[int, ...]) -> None:
        """Numbers of `size` bytes each behind their length in bytes."""
        self.vector(prefix, b"".join([value.to_bytes(size, "big") for value in values]))

    def getvalue(self) -> bytes:
        """What was written so far."""
        return bytes(self._out)
