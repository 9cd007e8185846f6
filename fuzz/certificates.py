"""A root and what it issued, the same at every run: Ed25519 signatures do not depend on chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mungos.tls.config import Credential

__all__ = ["WALL", "Authority", "authority"]

WALL = 1_800_000_000.0
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Authority:
    """A root in PEM, a server's and a client's credential, and the certificates in DER."""

    roots: bytes
    server: Credential
    client: Credential
    ders: tuple[bytes, ...]


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: str, issuer: str, key: Ed25519PrivateKey, serial: int) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_named(subject)).issuer_name(_named(issuer))
    builder = builder.not_valid_before(_FROM).not_valid_after(_UNTIL)
    return builder.public_key(key.public_key()).serial_number(serial)


@cache
def authority() -> Authority:
    """Made once."""
    root_key, *leaf_keys = (
        Ed25519PrivateKey.from_private_bytes(bytes((number,)) * 32) for number in (1, 2, 3)
    )
    root = (
        _builder("root", "root", root_key, 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .sign(root_key, None)
    )
    leaves = []
    for serial, (name, key) in enumerate(zip(("localhost", "client.example"), leaf_keys, strict=True), 2):
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = _builder(name, "root", key, serial).add_extension(names, critical=False)
        leaves.append(builder.sign(root_key, None))
    credentials = [
        Credential(
            leaf.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        for leaf, key in zip(leaves, leaf_keys, strict=True)
    ]
    ders = tuple(each.public_bytes(Encoding.DER) for each in (*leaves, root))
    return Authority(root.public_bytes(Encoding.PEM), credentials[0], credentials[1], ders)
