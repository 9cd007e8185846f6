"""Strict DER (X.690 section 10), as much of it as keys are made of."""

from __future__ import annotations

__all__ = ["BIT_STRING", "INTEGER", "NULL", "OCTET_STRING", "OID", "SEQUENCE", "NotDER", "Reader", "pack"]

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
SEQUENCE = 0x30

_MOST_LENGTH_BYTES = 3  # sixteen megabytes: no key is near


class NotDER(ValueError):
    """The bytes are not what was expected, or not in their one encoding."""


class Reader:
    """Walks the values of one constructed value, in order.

    Every method raises NotDER when the next value is not what it asks for.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next_is(self, tag: int) -> bool:
        """Whether a value with this tag follows."""
        return self._data[self._at : self._at + 1] == bytes((tag,))

    def content(self, tag: int) -> bytes:
        """The content of the next value, which has this tag."""
        data, start = self._data, self._at + 2
        if not self.next_is(tag) or len(data) < start:
            raise NotDER(f"no value with tag 0x{tag:02x} at offset {self._at}")
        length = data[start - 1]
        if length >= 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[start : start + count], "big")
            # In the shortest form, and never indefinite (section 10.1).
            if not 0 < count <= _MOST_LENGTH_BYTES or length < 0x80 or length >> 8 * (count - 1) == 0:
                raise NotDER(f"a length that is not in its shortest form at offset {self._at}")
            start += count
        if len(data) < start + length:
            raise NotDER(f"a value of {length} bytes at offset {self._at} is cut off")
        self._at = start + length
        return data[start : self._at]

    def enter(self, tag: int) -> Reader:
        """A reader of the content of the next value."""
        return Reader(self.content(tag))

    def element(self) -> bytes:
        """The next value with its header, whatever it is."""
        start = self._at
        if start >= len(self._data):
            raise NotDER(f"no value at offset {start}")
        self.content(self._data[start])
        return self._data[start : self._at]

    def natural(self) -> int:
        """A non-negative INTEGER in its shortest form (section 8.3.2)."""
        content = self.content(INTEGER)
        if not content or content[0] >= 0x80 or (content[0] == 0 and len(content) > 1 and content[1] < 0x80):
            raise NotDER("an INTEGER that is negative or not in its shortest form")
        return int.from_bytes(content, "big")

    def bits(self, tag: int = BIT_STRING) -> bytes:
        """A BIT STRING of whole bytes."""
        content = self.content(tag)
        if content[:1] != b"\0":
            raise NotDER("a BIT STRING that is not of whole bytes")
        return content[1:]

    def close(self) -> None:
        """Raises when something is left over."""
        if self._at != len(self._data):
            raise NotDER(f"{len(self._data) - self._at} bytes are left over")


def pack(tag: int, *parts: bytes) -> bytes:
    """A value from the parts of its content."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
