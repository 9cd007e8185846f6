"""XOR masking of payloads (RFC 6455 section 5.3), in plain Python.

A leaf: bytes in, bytes out. A compiled twin may stand in for `mask`; name, arguments and results are fixed.
"""

from __future__ import annotations

from mungos.protocol import Buffer

__all__ = ["mask"]

_SMALL = 400
"""Bytes up to which one XOR of two long integers beats four strided translations. Measured: they meet between
350 and 450 bytes; at 64 bytes the integers take a half of the time, at 8 KiB they take half as much again."""

_from_bytes = int.from_bytes

_ALL = _from_bytes(bytes(range(256)), "big")

_XOR_WITH = tuple((_ALL ^ _from_bytes(bytes([key]) * 256, "big")).to_bytes(256, "big") for key in range(256))
"""For each key byte, the table that `translate` needs to XOR with it: 64 KiB in all."""


def mask(buffer: Buffer, key: bytes, offset: int) -> bytes:
    """Mask or unmask a payload, or a piece of one: the operation is its own inverse.

    Args:
        buffer: the bytes to be masked; they stay as they are. A `memoryview` must be one of single bytes.
        key: the four bytes of the masking key, in wire order.
        offset: where in the payload the buffer begins: byte i is combined with key byte (offset + i) modulo
            4.

    Returns:
        As many masked bytes.

    Source: RFC 6455 section 5.3.
    """
    size = len(buffer)
    if offset & 3:
        turn = offset & 3
        key = key[turn:] + key[:turn]
    if size <= _SMALL:
        keys = (key * ((size >> 2) + 1))[:size]
        return (_from_bytes(buffer, "big") ^ _from_bytes(keys, "big")).to_bytes(size, "big")
    if not isinstance(buffer, bytearray):
        buffer = bytearray(buffer)
    first, second, third, fourth = key
    masked = buffer.translate(_XOR_WITH[first])
    masked[1::4] = buffer[1::4].translate(_XOR_WITH[second])
    masked[2::4] = buffer[2::4].translate(_XOR_WITH[third])
    masked[3::4] = buffer[3::4].translate(_XOR_WITH[fourth])
    return bytes(masked)
