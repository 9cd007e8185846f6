"""One authority, and certificates for "localhost" of every kind of key, from fixed keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mungos.tls.config import Credential
from tests.crypto.crypto_fixed_rsa import rsa_key

__all__ = ["KINDS", "Authority", "authority", "private_of"]

KINDS = ("p256", "p384", "ed25519", "rsa")

_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@cache
def private_of(kind: str) -> _Private:
    """The fixed key of one of `KINDS`."""
    if kind == "p256":
        return ec.derive_private_key(0x1234567, ec.SECP256R1())
    if kind == "p384":
        return ec.derive_private_key(0x1234567, ec.SECP384R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return rsa_key()


@dataclass(frozen=True)
class Authority:
    """A root of P-256, and what it issued."""

    key: ec.EllipticCurvePrivateKey
    roots: bytes

    def credential(self, kind: str) -> Credential:
        """A credential of one of `KINDS`, for a server and for a client."""
        key = private_of(kind)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = (
            _builder(x509.Name([]), key)
            .add_extension(names, critical=True)
            .add_extension(purposes, critical=False)
            .sign(self.key, SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Credential(certificate.public_bytes(Encoding.PEM), pem)


_ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of these tests")])


def _builder(subject: x509.Name, key: _Private) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_ISSUER)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
    )


@cache
def authority() -> Authority:
    """The one of this run."""
    key = ec.derive_private_key(0x7654321, ec.SECP256R1())
    certificate = (
        _builder(_ISSUER, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return Authority(key, certificate.public_bytes(Encoding.PEM))
