"""The record layer's protection: sealing and opening single records (RFC 8446 section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from mungos.crypto.contract import AEAD, TAG_LENGTH, BadTag
from mungos.protocol import Buffer
from mungos.tls.engines.builtin.faults import NotTls, RecordOverflow, UnexpectedMessage

__all__ = [
    "DATA",
    "HEADER_LENGTH",
    "MAX_CIPHERTEXT",
    "MAX_INNER",
    "MAX_PLAINTEXT",
    "OVERHEAD",
    "SMALL",
    "SMALL_HEADERS",
    "ContentType",
    "Opener",
    "Sealer",
    "check_header",
    "data_header",
    "plain_record",
    "split_inner",
]

HEADER_LENGTH = 5
MAX_PLAINTEXT = 1 << 14
"""Bytes of content in one record, section 5.1."""

MAX_INNER = MAX_PLAINTEXT + 1
"""Bytes of a TLSInnerPlaintext, section 5.2: the content, its type, the padding."""

MAX_CIPHERTEXT = MAX_PLAINTEXT + 256
"""Bytes of a protected record behind its header, section 5.2."""

OVERHEAD = HEADER_LENGTH + 1 + TAG_LENGTH
"""Bytes that a protected record adds to its content: header, content type, tag. No padding is sent."""

_BATCH = 4
"""Full records that share one buffer: below 128 KiB the allocator reuses memory instead of mapping it."""


class ContentType(IntEnum):
    """Section 5.1."""

    change_cipher_spec = 20
    alert = 21
    handshake = 22
    application_data = 23


SMALL = 1024
"""Bytes of content up to which the headers of records are kept ready."""

# A module's own numbers are found quicker than an enumeration's members.
_APPLICATION_DATA = int(ContentType.application_data)
_KNOWN_TYPES = frozenset(map(int, ContentType))
DATA = b"\x17"
"""The content type of application data, as it stands behind the content (section 5.2)."""

_DATA_HEADER = b"\x17\x03\x03"
_CONTENT_TYPES = {kind: bytes((kind,)) for kind in ContentType}
_PLAIN_START = Struct("!BHH")  # a record's header: type, version, length


def data_header(size: int) -> bytes:
    """The header of a protected record with `size` bytes of content (section 5.2)."""
    return _DATA_HEADER + (size + 1 + TAG_LENGTH).to_bytes(2, "big")


_FULL_HEADER = data_header(MAX_PLAINTEXT)
SMALL_HEADERS = tuple(map(data_header, range(SMALL + 1)))
"""The headers of protected records, by the bytes of their content."""


def check_header(header: Buffer) -> int:
    """The length that a record's header tells. Its version is ignored (section 5.1)."""
    kind = header[0]
    length = header[3] << 8 | header[4]
    if kind not in _KNOWN_TYPES:
        # Section 5: an unexpected record type: unexpected_message.
        raise NotTls(f"record of unknown type {kind}: {bytes(header)!r}")
    limit = MAX_CIPHERTEXT if kind == _APPLICATION_DATA else MAX_PLAINTEXT
    if length > limit:
        raise RecordOverflow(f"record of {length} bytes; the limit is {limit} bytes")
    return length


def plain_record(kind: ContentType, content: Buffer, version: int = 0x0303) -> bytes:
    """A record before keys are on (section 5.1)."""
    return b"".join((_PLAIN_START.pack(kind, version, len(content)), content))


def split_inner(plain: bytes, limit: int = MAX_INNER) -> tuple[int, bytes]:
    """The content type and the content of a TLSInnerPlaintext, its padding dropped (section 5.4); it has at
    most `limit` bytes (RFC 8449 section 4)."""
    if len(plain) > limit:
        raise RecordOverflow(f"{len(plain)} bytes of inner plaintext; the limit is {limit} bytes")
    if plain and plain[-1]:
        return plain[-1], plain[:-1]
    stripped = plain.rstrip(b"\0")
    # Section 5.4: "If a receiving implementation does not find a non-zero octet": unexpected_message.
    if not stripped:
        raise UnexpectedMessage(f"inner plaintext of {len(plain)} zeros")
    return stripped[-1], stripped[:-1]


class Sealer:
    """One key of our direction.

    Attributes:
        encrypt: the AEAD's function, under this key.
        iv: the write IV as a number; with `sequence` it makes the nonce (section 5.3).
        sequence: records sealed so far, and the number of the next.
        limit: records after which the key must be changed (section 5.5).
    """

    __slots__ = ("_aead", "encrypt", "iv", "limit", "sequence")

    def __init__(self, aead: AEAD, iv: bytes, limit: int) -> None:
        self.encrypt = aead.encrypt
        self._aead = aead
        self.iv = int.from_bytes(iv, "big")
        self.sequence = 0
        self.limit = limit

    def seal(self, kind: ContentType, content: Buffer) -> bytes:
        """One record of any type; `content` is at most `MAX_PLAINTEXT` bytes."""
        size = len(content)
        header = SMALL_HEADERS[size] if size <= SMALL else data_header(size)
        nonce = (self.iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self.encrypt(nonce, b"".join((content, _CONTENT_TYPES[kind])), header)

    def seal_records(self, inners: Iterator[bytes], sizes: list[int]) -> list[bytearray]:
        """Several records of application data, sealed where they will lie.

        Args:
            inners: for each record its content, and `DATA` behind it.
            sizes: for each record the bytes of its content.

        Returns:
            Buffers of up to four records each.
        """
        out: list[bytearray] = []
        encrypt_into = self._aead.encrypt_into
        iv, sequence = self.iv, self.sequence
        for start in range(0, len(sizes), _BATCH):
            batch = sizes[start : start + _BATCH]
            buffer = bytearray(sum(batch) + OVERHEAD * len(batch))
            out.append(buffer)
            view = memoryview(buffer)
            at = 0
            for size in batch:
                header = _FULL_HEADER if size == MAX_PLAINTEXT else data_header(size)
                body = at + HEADER_LENGTH
                view[at:body] = header
                at += size + OVERHEAD
                encrypt_into((iv ^ sequence).to_bytes(12, "big"), next(inners), header, view[body:at])
                sequence += 1
        self.sequence = sequence
        return out


class Opener:
    """One key of the peer's direction.

    Attributes:
        decrypt: the AEAD's function, under this key, as bare as its library has it.
        fault: what `decrypt` raises where the tag does not fit.
        iv: the write IV as a number; with `sequence` it makes the nonce (section 5.3).
        sequence: records opened so far, and the number of the next.
    """

    __slots__ = ("decrypt", "fault", "iv", "sequence")

    def __init__(self, aead: AEAD, iv: bytes) -> None:
        self.decrypt = aead.bare_decrypt
        self.fault = aead.bare_fault
        self.iv = int.from_bytes(iv, "big")
        self.sequence = 0

    def open(self, header: Buffer, body: Buffer) -> bytes:
        """The TLSInnerPlaintext of one record, authenticated with its header as it came. Raises BadTag."""
        sequence = self.sequence
        try:
            plain = self.decrypt((self.iv ^ sequence).to_bytes(12, "big"), body, header)
        except self.fault:
            raise self.refused() from None
        self.sequence = sequence + 1
        return plain

    def refused(self) -> BadTag:
        """What to make of a `fault`."""
        return BadTag(f"record {self.sequence} under its key: the tag does not fit")
