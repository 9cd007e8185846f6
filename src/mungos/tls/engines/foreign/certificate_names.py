"""The DNS names of a certificate's subjectAltName (RFC 5280 section 4.2.1.6), for choosing among our own.

No library shows them in a way that all share. These certificates are ours: what can't be read has no names,
and its credential is then chosen only when it is the first.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["covers", "dns_names"]

_SEQUENCE = 0x30
_OBJECT_IDENTIFIER = 0x06
_OCTET_STRING = 0x04
_EXTENSIONS = 0xA3  # RFC 5280 section 4.1: TBSCertificate.extensions, [3] EXPLICIT
_DNS_NAME = 0x82  # RFC 5280 section 4.2.1.6: GeneralName.dNSName, [2] IMPLICIT IA5String
_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents of the elements in `der`, one after another; ends at what does not fit."""
    at = 0
    while at + 2 <= len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or at + count > len(der):
                return
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + size > len(der):
            return
        yield tag, der[at : at + size]
        at += size


def _content(der: bytes, wanted: int) -> bytes:
    return next((content for tag, content in _elements(der) if tag == wanted), b"")


def dns_names(der: bytes) -> tuple[str, ...]:
    """The dNSNames of a certificate, in lower case. Empty where there are none or the DER can't be read."""
    to_be_signed = _content(_content(der, _SEQUENCE), _SEQUENCE)
    extensions = _content(_content(to_be_signed, _EXTENSIONS), _SEQUENCE)
    for tag, extension in _elements(extensions):
        if tag != _SEQUENCE or _content(extension, _OBJECT_IDENTIFIER) != _SUBJECT_ALT_NAME:
            continue
        names = _content(_content(extension, _OCTET_STRING), _SEQUENCE)
        return tuple(
            name.decode("ascii").lower()
            for tag, name in _elements(names)
            if tag == _DNS_NAME and name.isascii()
        )
    return ()


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's dNSName covers a host name; both in lower case (RFC 9525 section 6.3)."""
    if pattern == name:
        return True
    # A wildcard stands for exactly one label, the left-most.
    return pattern.startswith("*.") and "." in name and name.split(".", 1)[1] == pattern[2:]
