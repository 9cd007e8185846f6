"""PEM (RFC 7468): the certificates in a text."""

from __future__ import annotations

import binascii

from mungos.errors import Malformed

__all__ = ["MAX_CERTIFICATES", "MAX_TEXT", "certificates_from_pem"]

MAX_TEXT = 16 * 1024 * 1024
"""Bytes of one text; a system's bundle has about 220,000."""

MAX_CERTIFICATES = 10_000
"""Certificates in one text."""

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_WHITE = b" \t\r\n\x0b\x0c"  # RFC 7468 section 3: W


def certificates_from_pem(text: bytes) -> list[bytes]:
    """The DER of every CERTIFICATE block, in order; other blocks and the text between are passed over.

    Raises Malformed when a block is not closed or not base64, or a limit is passed. May return an empty list.
    """
    if len(text) > MAX_TEXT:
        raise Malformed(f"PEM of {len(text)} bytes is over the limit of {MAX_TEXT} bytes")
    found: list[bytes] = []
    at = text.find(_BEGIN)
    while at >= 0:
        if len(found) >= MAX_CERTIFICATES:
            raise Malformed(f"over {MAX_CERTIFICATES} certificates in one PEM text")
        start = at + len(_BEGIN)
        stop = text.find(_END, start)
        if stop < 0:
            raise Malformed(f"certificate {len(found) + 1} of the PEM text has no end line")
        body = text[start:stop].translate(None, _WHITE)
        try:
            found.append(binascii.a2b_base64(body, strict_mode=True))
        except binascii.Error as error:
            raise Malformed(f"certificate {len(found) + 1} of the PEM text is not base64: {error}") from None
        at = text.find(_BEGIN, stop + len(_END))
    return found
