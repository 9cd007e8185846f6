"""The wire format of one frame: its header read and written (RFC 6455 section 5.2).

A leaf: `scan_frame` may have a compiled twin; name, arguments and results are fixed.
"""

from __future__ import annotations

from struct import Struct

from mungos.errors import Malformed, PeerMisbehaved, ProtocolError
from mungos.protocol import Buffer

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "FIN",
    "MASKED",
    "MAX_CONTROL_PAYLOAD",
    "PING",
    "PONG",
    "RSV1",
    "TEXT",
    "FrameHeader",
    "encode_header",
    "next_look",
    "scan_frame",
]

# Opcodes, RFC 6455 section 11.8.
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
"""The bit of a header's first byte that says: the last fragment of its message."""

MASKED = 0x80
"""The bit of a header's second byte that says: a masking key follows."""

RSV1 = 0x40
"""The reserved bit that permessage-deflate uses (RFC 7692 section 6), on the first frame of a message."""

MAX_CONTROL_PAYLOAD = 125
"""Bytes that a Close, Ping or Pong may carry at most (RFC 6455 section 5.5)."""

FrameHeader = tuple[bool, int, int, bool, bytes, int, int]
"""fin, rsv (0 to 7, RSV1 counts 4), opcode, masked, masking key (empty if not masked), index of the payload's
first byte, payload length in bytes."""

_pack_16 = Struct("!BBH").pack
_pack_64 = Struct("!BBQ").pack
_from_bytes = int.from_bytes


def _is_legal(first: int) -> bool:
    opcode = first & 0x0F
    if opcode in (TEXT, BINARY):
        return not first & 0x30
    if opcode == CONTINUATION:
        return not first & 0x70
    return opcode in (CLOSE, PING, PONG) and first & 0xF0 == FIN


_LEGAL_FIRST = bytes(_is_legal(first) for first in range(256))


def _what_is_wrong(first: int) -> ProtocolError:
    opcode = first & 0x0F
    if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        return PeerMisbehaved(f"opcode {opcode:#x} is reserved (RFC 6455 section 5.2)")
    if first & 0x70:
        return PeerMisbehaved(
            f"reserved bits {first & 0x70:#04x} are set on opcode {opcode:#x} (RFC 6455 section 5.2)"
        )
    return PeerMisbehaved(f"control frame with opcode {opcode:#x} is fragmented (RFC 6455 section 5.5)")


def scan_frame(buffer: Buffer, start: int) -> FrameHeader | None:
    """Read the header of the frame that begins at `start`; the payload is not looked at.

    RSV1 on the first frame of a message is handed out, for whoever negotiated an extension; who did not must
    refuse it. Reserved bits that no extension known here uses are refused already.

    Args:
        buffer: bytes from the peer.
        start: index of the header's first byte.

    Returns:
        The header's fields, or None when more bytes are needed. A fault is seen with the byte that shows it.

    Raises:
        PeerMisbehaved: a reserved bit or opcode, a fragmented or oversized control frame.
        Malformed: a length that is not in its shortest form, or beyond 63 bits.

    Source: RFC 6455 sections 5.2 and 5.5.
    """
    size = len(buffer)
    at = start + 2
    if size < at:
        if size > start and not _LEGAL_FIRST[buffer[start]]:
            raise _what_is_wrong(buffer[start])
        return None
    first = buffer[start]
    if not _LEGAL_FIRST[first]:
        raise _what_is_wrong(first)
    second = buffer[start + 1]
    length = second & 0x7F
    if length > 125:
        # RFC 6455 section 5.5: control frames have a payload of 125 bytes or less.
        if first & 0x08:
            raise PeerMisbehaved(f"control frame with opcode {first & 0x0F:#x} announces more than 125 bytes")
        # RFC 6455 section 5.2: the minimal number of bytes must be used; the most significant bit must be 0.
        if length == 126:
            at += 2
            if size < at:
                return None
            length = buffer[at - 2] << 8 | buffer[at - 1]
            if length < 126:
                raise Malformed(f"payload length {length} is written in 16 bits, 7 are enough")
        else:
            at += 8
            if size < at:
                return None
            length = _from_bytes(buffer[at - 8 : at], "big")
            if length >> 63:
                raise Malformed(f"payload length {length:#x} has its most significant bit set")
            if length < 65536:
                raise Malformed(f"payload length {length} is written in 64 bits, 16 are enough")
    if second < MASKED:
        return first >= FIN, first >> 4 & 7, first & 0x0F, False, b"", at, length
    payload = at + 4
    if size < payload:
        return None
    return first >= FIN, first >> 4 & 7, first & 0x0F, True, bytes(buffer[at:payload]), payload, length


def next_look(buffer: Buffer, start: int) -> int:
    """Where `scan_frame` returned None: how many bytes have to be here before it can see more."""
    size = len(buffer) - start
    if size < 2:
        return 2
    length = buffer[start + 1] & 0x7F
    wide = 2 if length < 126 else 4 if length == 126 else 10
    return wide if size < wide else wide + 4


def encode_header(first: int, length: int, masked: int) -> bytes:
    """Write a frame's header, without the masking key.

    Args:
        first: FIN, reserved bits and opcode.
        length: of the payload, in bytes, below 2**63.
        masked: `MASKED` if a masking key will follow, else 0.

    Returns:
        2, 4 or 10 bytes: the shortest form.

    Source: RFC 6455 section 5.2.
    """
    if length < 126:
        return bytes((first, masked | length))
    if length < 65536:
        return _pack_16(first, masked | 126, length)
    return _pack_64(first, masked | 127, length)
