"""X.509 certificates: parsing, names, paths (RFC 5280, RFC 9525)."""

from __future__ import annotations

from mungos.x509.certificate import Certificate
from mungos.x509.errors import (
    BadCertificate,
    CertificateError,
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    NameConstraintViolated,
    NameMismatch,
    NoCertificate,
    PathTooHard,
    PurposeMismatch,
    SignatureMismatch,
    UnknownIssuer,
    UnsupportedCertificate,
)
from mungos.x509.names import bears_name, reference_identity, wanted_identity
from mungos.x509.path import VerifiedPath, check_end_entity, verify_client, verify_server
from mungos.x509.pem import certificates_from_pem
from mungos.x509.system_roots import system_trust_store
from mungos.x509.trust_store import TrustStore
from mungos.x509.wording import key_text, name_text

__all__ = [
    "BadCertificate",
    "Certificate",
    "CertificateError",
    "CertificateExpired",
    "CertificateMalformed",
    "CertificateNotYetValid",
    "NameConstraintViolated",
    "NameMismatch",
    "NoCertificate",
    "PathTooHard",
    "PurposeMismatch",
    "SignatureMismatch",
    "TrustStore",
    "UnknownIssuer",
    "UnsupportedCertificate",
    "VerifiedPath",
    "bears_name",
    "certificates_from_pem",
    "check_end_entity",
    "key_text",
    "name_text",
    "reference_identity",
    "system_trust_store",
    "verify_client",
    "verify_server",
    "wanted_identity",
]
