"""Certificates: DER and PEM, names and the path (RFC 5280)."""

from __future__ import annotations

from functools import cache

from fuzz.certificates import WALL, authority
from fuzz.target import Target, require, told
from mungos.crypto.contract import BadKey, Unsupported
from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Malformed, Misuse
from mungos.x509 import (
    Certificate,
    CertificateError,
    TrustStore,
    certificates_from_pem,
    verify_server,
)

__all__ = ["TARGETS"]

PROVIDER = CryptographyProvider()
WORDS = (
    b"\x30\x80", b"\x30\x82\xff\xff", b"\x30\x84\x7f\xff\xff\xff", b"\x05\x00", b"\x06\x03\x55\x1d\x11",
    b"\x03\x01\x07", b"\x01\x01\xff", b"\x18\x0f20500101000000Z", b"\x17\x0d490101000000Z",
    b"\x82\x09localhost", b"\x87\x04\x7f\0\0\x01",
)  # fmt: skip


@cache
def trusted() -> TrustStore:
    return TrustStore.from_pem(authority().roots)


def certificate(data: bytes) -> str:
    try:
        found = Certificate(data)
        found.complete()
    except CertificateError as error:
        return told(error)
    require(found.der == data, "not all of it was read")
    try:
        found.public_key(PROVIDER)
        _ = found.dns_names, found.ip_addresses, found.self_issued
        chain = [data, *authority().ders]
        verify_server(chain, "localhost", trusted(), PROVIDER, WALL)
    except (CertificateError, BadKey, Unsupported) as error:
        return told(error)
    return f"verified, {len(found.dns_names)} names"


def pem(data: bytes) -> str:
    try:
        ders = certificates_from_pem(data)
    except (Malformed, Misuse) as error:
        return told(error)
    return f"{len(ders)} certificates"


TARGETS = (
    Target(
        "x509-certificate",
        "a server's certificate, read and verified",
        certificate,
        lambda: list(authority().ders),
        WORDS,
    ),
    Target(
        "x509-pem",
        "certificates in PEM",
        pem,
        lambda: [authority().roots, authority().roots * 2],
        (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"\n", b"=", b"-----"),
    ),
)
