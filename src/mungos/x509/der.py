"""Strict DER (X.690 section 10): definite lengths in their shortest form, nothing left over, bounded depth.

A `Reader` walks one constructed value. Inner values are entered as blocks that check their own end:

    with reader.enter(SEQUENCE) as inner:
        inner.integer()
    # leaving the block raises when bytes are left over
"""

from __future__ import annotations

from mungos.x509.errors import CertificateMalformed

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "GENERALIZED_TIME",
    "INTEGER",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "NULL",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "SET",
    "UTC_TIME",
    "Reader",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

MAX_INTEGER = 32
"""Bytes of a number that is no key's: the largest is a serial number, of 21. Numbers stand in messages, and
Python refuses to write one of over 4,300 digits."""

MAX_DEPTH = 16
"""Blocks inside blocks; no structure of RFC 5280 comes near."""


class Reader:
    """Walks the values between two offsets of one buffer, in order, without copying.

    Every method raises CertificateMalformed, naming the offset, when the next value is not what it asks for.
    """

    __slots__ = ("data", "depth", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None, depth: int = 0) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end
        self.depth = depth

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, _value: object, _traceback: object) -> None:
        if kind is None and self.position != self.end:
            self.close()

    def close(self) -> None:
        """As leaving the block: raises when bytes are left over."""
        if self.position != self.end:
            raise CertificateMalformed(
                f"{self.end - self.position} bytes left over at offset {self.position}"
            )

    def more(self) -> bool:
        """Whether a value follows."""
        return self.position < self.end

    def next_is(self, tag: int) -> bool:
        """Whether the next value has this tag."""
        return self.position < self.end and self.data[self.position] == tag

    def bounds(self, tag: int) -> tuple[int, int]:
        """Step over a value with this tag; returns where its content begins and ends."""
        at = self.position
        data = self.data
        end = self.end
        start = at + 2
        # The usual case first: a short length. The others are sorted out below.
        if start <= end and data[at] == tag and (length := data[at + 1]) < 0x80:
            stop = start + length
            if stop <= end:
                self.position = stop
                return start, stop
        if at + 2 > self.end:
            raise CertificateMalformed(
                f"the data ends at offset {self.end} where tag 0x{tag:02x} is expected"
            )
        if data[at] != tag:
            raise CertificateMalformed(f"tag 0x{data[at]:02x} at offset {at} where 0x{tag:02x} is expected")
        length = data[at + 1]
        if length >= 0x80:
            start, length = self._long_length(start, length & 0x7F)
        stop = start + length
        if stop > self.end:
            raise CertificateMalformed(
                f"the value at offset {at} has {length} bytes of which {self.end - start} are there"
            )
        self.position = stop
        return start, stop

    def _long_length(self, start: int, count: int) -> tuple[int, int]:
        """X.690 section 8.1.3.5, with the restriction of section 10.1."""
        if not 1 <= count <= 4:
            raise CertificateMalformed(
                f"a length of {count} bytes at offset {start} (0 is indefinite; limit 4)"
            )
        stop = start + count
        if stop > self.end:
            raise CertificateMalformed(f"the data ends within the length at offset {start}")
        length = int.from_bytes(self.data[start:stop], "big")
        if length < 0x80 or self.data[start] == 0:
            raise CertificateMalformed(f"the length at offset {start} is not in its shortest form")
        return stop, length

    def any(self) -> tuple[int, int, int]:
        """Step over the next value, whatever it is; returns its tag and where its content begins and ends."""
        if self.position >= self.end:
            raise CertificateMalformed(f"the data ends at offset {self.end} where a value is expected")
        tag = self.data[self.position]
        if tag & 0x1F == 0x1F:
            raise CertificateMalformed(f"a tag of more than one byte at offset {self.position}")
        return tag, *self.bounds(tag)

    def content(self, tag: int) -> bytes:
        """The content of a value with this tag."""
        start, stop = self.bounds(tag)
        return self.data[start:stop]

    def element(self, tag: int) -> bytes:
        """A whole value with this tag, header included."""
        at = self.position
        self.bounds(tag)
        return self.data[at : self.position]

    def elements(self, tags: tuple[int, ...]) -> list[bytes]:
        """Whole values with these tags, one after another, headers included."""
        data, end, at = self.data, self.end, self.position
        found = []
        for tag in tags:
            stop = at + 2
            # As in `bounds`, the usual case first.
            if stop <= end and data[at] == tag and data[at + 1] < 0x80:
                stop += data[at + 1]
            else:
                stop = end + 1
            if stop > end:
                self.position = at
                stop = self.bounds(tag)[1]
            found.append(data[at:stop])
            at = stop
        self.position = at
        return found

    def enter(self, tag: int) -> Reader:
        """A reader of the content of a constructed value; this reader stands behind it at once."""
        if self.depth >= MAX_DEPTH:
            raise CertificateMalformed(f"over {MAX_DEPTH} values inside each other at offset {self.position}")
        start, stop = self.bounds(tag)
        return Reader(self.data, start, stop, self.depth + 1)

    def into(self, tag: int) -> None:
        """Go on inside the next value, which is constructed and must be the last."""
        start, stop = self.bounds(tag)
        if stop != self.end:
            self.close()
        self.position = start

    def boolean(self) -> bool:
        """BOOLEAN: 0x00 or 0xff (X.690 section 11.1)."""
        content = self.content(BOOLEAN)
        if content == b"\xff":
            return True
        if content == b"\x00":
            return False
        raise CertificateMalformed(f"BOOLEAN {content[:4].hex()!r} at offset {self.position}")

    def integer(self, most: int = MAX_INTEGER) -> int:
        """INTEGER of at most `most` bytes, in its shortest form (X.690 section 8.3.2)."""
        content = self.content(INTEGER)
        if len(content) > most:
            raise CertificateMalformed(
                f"an INTEGER of {len(content)} bytes before offset {self.position} (limit {most} bytes)"
            )
        if not content:
            raise CertificateMalformed(f"an empty INTEGER at offset {self.position}")
        if len(content) > 1 and (
            (content[0] == 0 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80)
        ):
            raise CertificateMalformed(
                f"the INTEGER before offset {self.position} is not in its shortest form"
            )
        return int.from_bytes(content, "big", signed=True)

    def oid(self) -> bytes:
        """OBJECT IDENTIFIER, its encoded content; each part in its shortest form (X.690 section 8.19.2)."""
        content = self.content(OID)
        # A part begins where the byte before it had its high bit clear, and may not begin with 0x80.
        if not content or content[-1] >= 0x80 or content[0] == 0x80:
            raise CertificateMalformed(f"the OBJECT IDENTIFIER before offset {self.position} is broken")
        at = content.find(0x80, 1)
        while at > 0:
            if content[at - 1] < 0x80:
                raise CertificateMalformed(f"the OBJECT IDENTIFIER before offset {self.position} is broken")
            at = content.find(0x80, at + 1)
        return content

    def bit_string(self, tag: int = BIT_STRING) -> tuple[bytes, int]:
        """BIT STRING: its bytes and how many bits of the last are unused, which are zero (X.690 section
        11.2)."""
        content = self.content(tag)
        if not content:
            raise CertificateMalformed(f"an empty BIT STRING at offset {self.position}")
        unused = content[0]
        if unused > 7 or (unused and (len(content) == 1 or content[-1] & ((1 << unused) - 1))):
            raise CertificateMalformed(f"the BIT STRING before offset {self.position} has wrong unused bits")
        return content[1:], unused
