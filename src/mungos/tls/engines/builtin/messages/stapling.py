"""OCSP stapling in TLS 1.3 (RFC 6066 section 8, RFC 8446 section 4.4.2.1)."""

from __future__ import annotations

from mungos.tls.engines.builtin.codec import Reader
from mungos.tls.engines.builtin.faults import BadStaple, DecodeError

__all__ = ["ASK_STAPLE", "MAX_STAPLE", "pack_staple", "parse_staple", "staple_asked"]

MAX_STAPLE = 32_768
"""Bytes of an OCSPResponse; those in use have between 300 bytes and 4 KiB."""

_OCSP = 1

ASK_STAPLE = b"\1\0\0\0\0"
"""CertificateStatusRequest: OCSP, of any responder, without extensions."""


def staple_asked(body: bytes) -> bool:
    """Whether a ClientHello's status_request asks for an OCSPResponse; of other types nothing is known."""
    reader = Reader(body, "status_request")
    if reader.uint(1, "status_type") != _OCSP:
        return False
    responders = reader.vector(2, "responder_id_list")
    at, end = 0, len(responders)
    while at < end:
        size = responders[at] << 8 | responders[at + 1] if at + 1 < end else 0
        at += 2 + size
        if not size or at > end:
            raise DecodeError("status_request: responder_id_list is no list of names behind their lengths")
    reader.vector(2, "request_extensions")
    reader.close()
    return True


def pack_staple(staple: bytes) -> bytes:
    """CertificateStatus, as it stands in a CertificateEntry."""
    return b"".join((bytes((_OCSP,)), len(staple).to_bytes(3, "big"), staple))


def parse_staple(body: bytes) -> bytes:
    """The OCSPResponse in a CertificateStatus, DER and unread."""
    reader = Reader(body, "status_request")
    kind = reader.uint(1, "status_type")
    # RFC 6066 section 8: one that can't be used: bad_certificate_status_response.
    if kind != _OCSP:
        raise BadStaple(f"a certificate status of type {kind} was not asked for")
    staple = reader.vector(3, "response", 1)
    reader.close()
    if len(staple) > MAX_STAPLE:
        raise BadStaple(f"an OCSP response of {len(staple)} bytes; the limit is {MAX_STAPLE} bytes")
    return staple
