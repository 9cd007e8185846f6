"""Certificates compressed by zlib (RFC 8879)."""

from __future__ import annotations

import zlib

from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import BadCompression, IllegalParameter
from mungos.tls.engines.builtin.messages.registry import HandshakeType, frame

__all__ = ["MAX_CERTIFICATE", "OFFER_ZLIB", "compressed", "inflated", "parse_algorithms", "takes_zlib"]

MAX_CERTIFICATE = 131_072
"""Bytes of a Certificate message once it is inflated."""

_ZLIB = 1

OFFER_ZLIB = b"\2\0\1"
"""compress_certificate with zlib as the one algorithm (section 3)."""


def parse_algorithms(body: bytes) -> list[int]:
    """compress_certificate (section 3)."""
    reader = Reader(body, "compress_certificate")
    algorithms = reader.uints(1, 2, "algorithms")
    reader.close()
    return algorithms


def takes_zlib(body: bytes | None) -> bool:
    """Whether an extension, where it is there, offers zlib."""
    return body is not None and _ZLIB in parse_algorithms(body)


def compressed(message: bytes) -> bytes:
    """A Certificate message as a CompressedCertificate (section 4)."""
    body = message[4:]
    writer = Writer()
    writer.uint(2, _ZLIB)
    writer.uint(3, len(body))
    writer.vector(3, zlib.compress(body, 9))
    return frame(HandshakeType.compressed_certificate, writer.getvalue())


def inflated(body: bytes) -> bytes:
    """The body of the Certificate in the body of a CompressedCertificate; never more than it says it is."""
    reader = Reader(body, "CompressedCertificate")
    algorithm = reader.uint(2, "algorithm")
    length = reader.uint(3, "uncompressed_length")
    packed = reader.vector(3, "compressed_certificate_message", 1)
    reader.close()
    # Section 4: an algorithm that was not offered: illegal_parameter.
    if algorithm != _ZLIB:
        raise IllegalParameter(f"CompressedCertificate: algorithm {algorithm} was not offered")
    if length > MAX_CERTIFICATE:
        raise BadCompression(f"a certificate of {length} bytes; the limit is {MAX_CERTIFICATE} bytes")
    # Section 4: neither more nor less than it says: bad_certificate.
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(packed, length + 1)
    except zlib.error as error:
        raise BadCompression(f"a compressed certificate can't be inflated: {error}") from None
    if len(found) != length or not stream.eof or stream.unused_data:
        raise BadCompression(f"a compressed certificate is not exactly the {length} bytes that it says it is")
    return found
