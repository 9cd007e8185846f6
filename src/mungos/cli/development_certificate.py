"""A self-signed certificate for trying things out on one's own machine."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mungos.errors import Misuse
from mungos.tls.config import Credential

__all__ = ["VALID_DAYS", "DevelopmentCertificate", "make_development_certificate"]

VALID_DAYS = 14

_ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class DevelopmentCertificate:
    """A certificate and what a client needs to trust just this one.

    Attributes:
        credential: certificate and key, for `ServerConfig`; its `chain` serves as a client's `roots`.
        names: DNS names and addresses in the certificate.
        fingerprint: SHA-256 of the certificate, hexadecimal with colons, as browsers show it.
        spki_sha256: base64 of the SHA-256 of the public key, as browsers take it in
            `--ignore-certificate-errors-spki-list`.
        not_after: the last moment of its validity.
    """

    credential: Credential
    names: tuple[str, ...]
    fingerprint: str
    spki_sha256: str
    not_after: datetime.datetime


def make_development_certificate(
    names: Sequence[str] = (), *, now: datetime.datetime | None = None
) -> DevelopmentCertificate:
    """Make a key (ECDSA, P-256) and a certificate of its own for localhost, 127.0.0.1, ::1 and `names`.

    Args:
        names: more DNS names and IP addresses.
        now: from when it is valid (an hour before it, for clocks that differ); the system's time when None.

    Raises Misuse where `cryptography` is not installed, and for a name that can't stand in a certificate.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ModuleNotFoundError as error:
        raise Misuse(
            "a development certificate needs the package cryptography: install mungos[tls]"
        ) from error

    wanted = tuple(dict.fromkeys((*_ALWAYS, *names)))
    alternatives: list[x509.GeneralName] = []
    for name in wanted:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                alternatives.append(x509.DNSName(name))
            except ValueError as error:
                raise Misuse(
                    f"{name!r} can't stand in a certificate: give A-labels or an IP address"
                ) from error
    start = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    not_after = start + datetime.timedelta(days=VALID_DAYS)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mungos development certificate")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(hours=1))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding
    private = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(certificate.public_bytes(encoding.DER)).hexdigest().upper()
    return DevelopmentCertificate(
        credential=Credential(certificate.public_bytes(encoding.PEM), private),
        names=wanted,
        fingerprint=":".join(digest[at : at + 2] for at in range(0, len(digest), 2)),
        spki_sha256=base64.b64encode(hashlib.sha256(public).digest()).decode("ascii"),
        not_after=not_after,
    )
