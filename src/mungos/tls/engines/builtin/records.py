"""The record layer's protection: sealing and opening single records (RFC 8446 section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from mungos.crypto.contract import AEAD, TAG_LENGTH
from mungos.protocol import Buffer
from mungos.tls.engines.builtin.faults import NotTls, RecordOverflow, UnexpectedMessage

__all__ = [
    "HEADER_LENGTH",
    "MAX_CIPHERTEXT",
    "MAX_PLAINTEXT",
    "OVERHEAD",
    "SMALL",
    "SMALL_HEADERS",
    "ContentType",
    "Opener",
    "Sealer",
    "check_header",
    "plain_record",
    "split_inner",
]

HEADER_LENGTH = 5
MAX_PLAINTEXT = 1 << 14
"""Bytes of content in one record, section 5.1."""

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
"""Bytes of content up to which a record is sealed in one piece."""

_KNOWN_TYPES = frozenset(ContentType)
_DATA = b"\x17"
_DATA_HEADER = b"\x17\x03\x03"
_CONTENT_TYPES = {kind: bytes((kind,)) for kind in ContentType}

SMALL_HEADERS = tuple(_DATA_HEADER + (size + 1 + TAG_LENGTH).to_bytes(2, "big") for size in range(SMALL + 1))
"""The headers of protected records, by the bytes of their content."""


def check_header(header: Buffer) -> int:
    """The length that a record's header tells. Its version is ignored (section 5.1)."""
    kind = header[0]
    length = header[3] << 8 | header[4]
    if kind not in _KNOWN_TYPES:
        # Section 5: an unexpected record type: unexpected_message.
        raise NotTls(f"record of unknown type {kind}: {bytes(header)!r}")
    limit = MAX_CIPHERTEXT if kind == ContentType.application_data else MAX_PLAINTEXT
    if length > limit:
        raise RecordOverflow(f"record of {length} bytes; the limit is {limit} bytes")
    return length


def plain_record(kind: ContentType, content: Buffer, version: int = 0x0303) -> bytes:
    """A record before keys are on (section 5.1)."""
    return b"".join((bytes((kind,)), version.to_bytes(2, "big"), len(content).to_bytes(2, "big"), content))


def split_inner(plain: bytes) -> tuple[int, bytes]:
    """The content type and the content of a TLSInnerPlaintext, its padding dropped (section 5.4)."""
    if len(plain) > MAX_PLAINTEXT + 1:
        raise RecordOverflow(f"{len(plain)} bytes of inner plaintext; the limit is {MAX_PLAINTEXT + 1} bytes")
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

    __slots__ = ("_encrypt_into", "encrypt", "iv", "limit", "sequence")

    def __init__(self, aead: AEAD, iv: bytes, limit: int) -> None:
        self.encrypt = aead.encrypt
        self._encrypt_into = aead.encrypt_into
        self.iv = int.from_bytes(iv, "big")
        self.sequence = 0
        self.limit = limit

    def seal(self, kind: ContentType, content: Buffer) -> bytes:
        """One record of any type; `content` is at most `MAX_PLAINTEXT` bytes."""
        header = _DATA_HEADER + (len(content) + 1 + TAG_LENGTH).to_bytes(2, "big")
        nonce = (self.iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self.encrypt(nonce, b"".join((content, _CONTENT_TYPES[kind])), header)

    def seal_records(self, contents: Iterable[list[Buffer]], sizes: list[int]) -> list[bytearray]:
        """Several records of application data, sealed where they will lie.

        Args:
            contents: for each record the pieces of its content.
            sizes: for each record the bytes of its content.

        Returns:
            Buffers of up to four records each.
        """
        out: list[bytearray] = []
        encrypt_into = self._encrypt_into
        iv = self.iv
        sequence = self.sequence
        view = memoryview(b"")
        at = end = 0
        for index, pieces in enumerate(contents):
            if index % _BATCH == 0:
                batch = sizes[index : index + _BATCH]
                buffer = bytearray(sum(batch) + OVERHEAD * len(batch))
                out.append(buffer)
                view = memoryview(buffer)
                end = 0
            at = end
            length = sizes[index] + 1 + TAG_LENGTH
            end = at + HEADER_LENGTH + length
            header = _DATA_HEADER + length.to_bytes(2, "big")
            body = at + HEADER_LENGTH
            view[at:body] = header
            nonce = (iv ^ sequence).to_bytes(12, "big")
            sequence += 1
            encrypt_into(nonce, b"".join((*pieces, _DATA)), header, view[body:end])
        self.sequence = sequence
        return out


class Opener:
    """One key of the peer's direction.

    Attributes:
        decrypt: the AEAD's function, under this key.
        iv: the write IV as a number; with `sequence` it makes the nonce (section 5.3).
        sequence: records opened so far, and the number of the next.
    """

    __slots__ = ("decrypt", "iv", "sequence")

    def __init__(self, aead: AEAD, iv: bytes) -> None:
        self.decrypt = aead.decrypt
        self.iv = int.from_bytes(iv, "big")
        self.sequence = 0

    def open(self, header: Buffer, body: Buffer) -> bytes:
        """The TLSInnerPlaintext of one record, authenticated with its header as it came. Raises BadTag."""
        sequence = self.sequence
        plain = self.decrypt((self.iv ^ sequence).to_bytes(12, "big"), body, header)
        self.sequence = sequence + 1
        return plain
