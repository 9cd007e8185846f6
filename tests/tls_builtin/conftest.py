"""Certificates, pairs of engines and the RFC's records, for the tests of the built-in engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mungos.tls.config import ClientConfig, Credential, ServerConfig

VECTORS = Path(__file__).parent / "vectors"


@cache
def read_vectors(name: str) -> dict[str, dict[str, bytes]]:
    """Sections by the first word in their brackets; in each, bytes by name."""
    sections: dict[str, dict[str, bytes]] = {}
    current: dict[str, bytes] = {}
    for line in (VECTORS / name).read_text().splitlines():
        if line.startswith("["):
            current = sections.setdefault(line[1:].split()[0], {})
        elif " = " in line and not line.startswith("#"):
            key, value = line.split(" = ")
            current[key] = bytes.fromhex(value)
    return sections


@pytest.fixture(scope="session")
def rfc8448() -> dict[str, dict[str, bytes]]:
    """The traces of RFC 8448."""
    return read_vectors("rfc8448.txt")


@dataclass(frozen=True)
class Authority:
    """A root, and what it issued."""

    ca: trustme.CA
    roots: bytes

    def credential(self, *names: str, key: trustme.KeyType = trustme.KeyType.ECDSA) -> Credential:
        """A credential for these names (or e-mail addresses, for clients)."""
        issued = self.ca.issue_cert(*names, key_type=key)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return Credential(chain, issued.private_key_pem.bytes())

    def ed25519(self, name: str, purpose: x509.ObjectIdentifier) -> Credential:
        """A credential whose signatures are the same at every run."""
        key = Ed25519PrivateKey.generate()
        issuer = x509.load_pem_x509_certificate(self.roots).subject
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(self._signer(), SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Credential(certificate.public_bytes(Encoding.PEM), pem)

    def _signer(self) -> EllipticCurvePrivateKey:
        key = load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        return key


@pytest.fixture(scope="session")
def authority() -> Authority:
    """One root for the whole run."""
    ca = trustme.CA()
    return Authority(ca, ca.cert_pem.bytes())


@pytest.fixture(scope="session")
def credential(authority: Authority) -> Credential:
    """For localhost, ECDSA on P-256."""
    return authority.credential("localhost")


@pytest.fixture(scope="session")
def rsa_credential(authority: Authority) -> Credential:
    """For localhost, RSA."""
    return authority.credential("localhost", key=trustme.KeyType.RSA)


@pytest.fixture(scope="session")
def client_credential(authority: Authority) -> Credential:
    """For a client."""
    return authority.credential("client@example.org")


@pytest.fixture
def server_config(credential: Credential) -> ServerConfig:
    """A plain server."""
    return ServerConfig((credential,))


@pytest.fixture
def client_config(authority: Authority) -> ClientConfig:
    """A client that trusts the root."""
    return ClientConfig(roots=authority.roots)
