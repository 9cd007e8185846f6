"""Signature algorithms of certificates: RFC 4055, RFC 5758, RFC 8410."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos.crypto.contract import SignatureAlgorithm
from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.x509 import (
    Certificate,
    CertificateMalformed,
    SignatureMismatch,
    TrustStore,
    UnsupportedCertificate,
    verify_server,
)
from mungos.x509.signatures import check_signature, signature_algorithm
from tests.crypto.crypto_fixed_rsa import RSA_P, rsa_key
from tests.x509.x509_forge import (
    HASH_OIDS,
    IDENTIFIERS,
    NOW,
    integer,
    make_leaf,
    make_root,
    oid,
    pss_identifier,
    seq,
    tlv,
)

PROVIDER = CryptographyProvider()
ROOT = make_root(key=rsa_key())
STORE = TrustStore([ROOT.der])
PSS = "1.2.840.113549.1.1.10"
MGF1 = "1.2.840.113549.1.1.8"


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_rfc4055_rsa_in_both_paddings(name: str) -> None:
    for algorithm, identifier in (
        (f"rsa-{name}", None),
        (
            f"rsa-{name}",
            seq(oid("1.2.840.113549.1.1." + {"sha256": "11", "sha384": "12", "sha512": "13"}[name])),
        ),
        (f"pss-{name}-0", pss_identifier(name, 0)),
        (f"pss-{name}-20", pss_identifier(name, 20)),
        (f"pss-{name}-64", pss_identifier(name, 64)),
    ):
        leaf = make_leaf(ROOT, algorithm=algorithm, identifier=identifier or IDENTIFIERS[algorithm])
        assert len(verify_server([leaf.der], "example.com", STORE, PROVIDER, NOW).certificates) == 2


def test_rfc4055_parameters_and_signature_differ() -> None:
    for algorithm, identifier in (
        ("pss-sha256-32", pss_identifier("sha256", 20)),
        ("pss-sha256-32", pss_identifier("sha384", 32)),
        ("pss-sha256-32", IDENTIFIERS["rsa-sha256"]),
        ("rsa-sha256", pss_identifier("sha256", 32)),
        ("rsa-sha256", IDENTIFIERS["rsa-sha384"]),
        ("rsa-sha256", pss_identifier("sha256", 512)),
    ):
        leaf = make_leaf(ROOT, algorithm=algorithm, identifier=identifier)
        with pytest.raises(SignatureMismatch):
            check_signature(Certificate(leaf.der), Certificate(ROOT.der).public_key(PROVIDER))


SHA256 = seq(oid(HASH_OIDS["sha256"]), tlv(5))
SHA256_BARE = seq(oid(HASH_OIDS["sha256"]))
SHA1 = seq(oid("1.3.14.3.2.26"), tlv(5))


def mask(hash_id: bytes, generator: str = MGF1) -> bytes:
    return tlv(0xA1, seq(oid(generator), hash_id))


@pytest.mark.parametrize(
    "parameters",
    [
        [tlv(0xA0, SHA256), mask(SHA256), tlv(0xA2, integer(20))],
        [tlv(0xA0, SHA256), mask(SHA256)],
        [tlv(0xA0, SHA256_BARE), mask(SHA256_BARE), tlv(0xA3, integer(1))],
    ],
)
def test_rfc4055_3_1_parameters(parameters: list[bytes]) -> None:
    assert signature_algorithm(seq(oid(PSS), seq(*parameters))) == SignatureAlgorithm("rsa-pss", "sha256", 20)


@pytest.mark.parametrize(
    "identifier",
    [
        seq(oid(PSS), seq()),
        seq(oid(PSS), seq(tlv(0xA0, SHA1), mask(SHA1), tlv(0xA2, integer(20)))),
        seq(oid(PSS), seq(tlv(0xA0, SHA256))),
        seq(oid(PSS), seq(tlv(0xA0, SHA256), mask(SHA1))),
        seq(oid(PSS), seq(tlv(0xA0, SHA256), mask(SHA256, "1.2.3"))),
        pss_identifier("sha256", 32, "sha384"),
        pss_identifier("sha256", 513),
        pss_identifier("sha256", -1),
        seq(oid(PSS), seq(tlv(0xA0, SHA256), mask(SHA256), tlv(0xA3, integer(2)))),
        seq(oid("1.2.840.113549.1.1.5"), tlv(5)),
        seq(oid("1.2.840.113549.1.1.4"), tlv(5)),
        seq(oid("1.2.840.10045.4.3.2"), tlv(5)),
        seq(oid("1.3.101.112"), tlv(5)),
        seq(oid("1.2.840.113549.1.1.11"), seq()),
    ],
)
def test_algorithms_that_are_not_spoken(identifier: bytes) -> None:
    with pytest.raises(UnsupportedCertificate):
        signature_algorithm(identifier)


@pytest.mark.parametrize(
    "identifier",
    [
        seq(),
        seq(tlv(5)),
        seq(oid(PSS)),
        seq(oid(PSS), tlv(5)),
        seq(oid(PSS), seq(tlv(0xA0, SHA256), mask(SHA256), tlv(0xA2, integer(32)), tlv(0xA4, integer(1)))),
        seq(oid(PSS), seq(tlv(0xA0, SHA256, SHA256), mask(SHA256))),
        seq(oid(PSS), seq(tlv(0xA0, seq(oid(HASH_OIDS["sha256"]), seq())), mask(SHA256))),
    ],
)
def test_identifiers_that_are_broken(identifier: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        signature_algorithm(identifier)


def test_identifier_truncated_at_every_byte() -> None:
    whole = pss_identifier("sha384", 48)
    for length in range(len(whole)):
        with pytest.raises(CertificateMalformed):
            signature_algorithm(whole[:length])


@pytest.mark.parametrize(("modulus", "bits"), [(RSA_P, 1024), (RSA_P**9 | 1, 9216)], ids=["short", "long"])
def test_rsa_keys_that_are_too_short_or_too_long(modulus: int, bits: int) -> None:
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    assert abs(key.key_size - bits) < 16
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    leaf = make_leaf(ROOT, spki=spki)
    with pytest.raises(UnsupportedCertificate, match="an RSA key of"):
        verify_server([leaf.der], "example.com", STORE, PROVIDER, NOW)
    weak = make_root(key=rsa_key(), spki=spki)
    with pytest.raises(UnsupportedCertificate, match="an RSA key of"):
        verify_server([make_leaf(weak).der], "example.com", TrustStore([weak.der]), PROVIDER, NOW)
