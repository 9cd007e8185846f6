"""Which key bears which algorithm, and how short an RSA key may be."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from mungos.crypto.contract import SCHEMES, BadSignature, Provider, SignatureAlgorithm
from mungos.crypto.pure.public_keys import spki_of_rsa
from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Misuse
from tests.crypto.crypto_fixed_keys import (
    ED,
    P256,
    P384,
    PSS_BOUND,
    PSS_FREE,
    RSA,
    RSA_IDENTIFIER,
    pss_spki,
    spki,
)
from tests.crypto.crypto_fixed_rsa import SHORT_PRIMES, short_rsa_pem

LIBRARY: Provider = CryptographyProvider()
MESSAGE = b"what is signed"


@pytest.mark.parametrize(
    ("key", "scheme", "algorithm"),
    [
        pytest.param(P256, "ecdsa_secp384r1_sha384", ec.ECDSA(hashes.SHA384()), id="p256-as-p384"),
        pytest.param(P384, "ecdsa_secp256r1_sha256", ec.ECDSA(hashes.SHA256()), id="p384-as-p256"),
    ],
)
def test_rfc8446_4_2_3_a_scheme_is_bound_to_its_curve(
    provider: Provider, key: ec.EllipticCurvePrivateKey, scheme: str, algorithm: ec.ECDSA
) -> None:
    signature = key.sign(MESSAGE, algorithm)
    public = provider.public_key(spki(key))
    # As X.509 names it, it fits.
    public.verify_algorithm(SCHEMES[scheme].algorithm, signature, MESSAGE)
    with pytest.raises(BadSignature, match=f"a key of kind {public.kind} does not sign with {scheme}"):
        public.verify(scheme, signature, MESSAGE)


@pytest.mark.parametrize(
    ("public", "scheme"),
    [
        pytest.param(spki(RSA), "rsa_pss_pss_sha256", id="rsae-as-pss"),
        pytest.param(pss_spki(PSS_FREE), "rsa_pss_rsae_sha256", id="pss-as-rsae"),
    ],
)
def test_rfc8446_4_2_3_a_scheme_is_bound_to_the_identifier_of_its_key(
    provider: Provider, public: bytes, scheme: str
) -> None:
    signature = RSA.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    key = provider.public_key(public)
    key.verify_algorithm(SCHEMES[scheme].algorithm, signature, MESSAGE)
    with pytest.raises(BadSignature, match=f"a key of kind {key.kind} does not sign with {scheme}"):
        key.verify(scheme, signature, MESSAGE)


FOREIGN = [
    (spki(P256), ED.sign(MESSAGE), SignatureAlgorithm("ed25519")),
    (spki(P256), P256.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), SignatureAlgorithm("rsa-pkcs1", "sha256")),
    (spki(P384), P384.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), SignatureAlgorithm("ecdsa")),
    (spki(ED), ED.sign(MESSAGE), SignatureAlgorithm("ecdsa", "sha256")),
    (spki(RSA), ED.sign(MESSAGE), SignatureAlgorithm("ed25519")),
    (spki(RSA), bytes(256), SignatureAlgorithm("ecdsa", "sha256")),
    (spki(RSA), bytes(256), SignatureAlgorithm("rsa-pkcs1")),
    (spki(RSA), bytes(256), SignatureAlgorithm("rsa-pss", None, 32)),
]


@pytest.mark.parametrize(
    ("public", "signature", "algorithm"),
    FOREIGN,
    ids=[
        "p256-ed25519",
        "p256-rsa",
        "p384-no-hash",
        "ed25519-ecdsa",
        "rsa-ed25519",
        "rsa-ecdsa",
        "pkcs1-no-hash",
        "pss-no-hash",
    ],
)
def test_rfc5280_4_1_1_2_an_algorithm_of_another_kind_of_key(
    provider: Provider, public: bytes, signature: bytes, algorithm: SignatureAlgorithm
) -> None:
    """What a certificate names is the peer's to choose: also a sound signature under another's name."""
    key = provider.public_key(public)
    words = f"a key of kind {key.kind} does not sign with {algorithm.family} over {algorithm.hash}"
    with pytest.raises(BadSignature, match=words):
        key.verify_algorithm(algorithm, signature, MESSAGE)


@pytest.mark.parametrize(
    "algorithm",
    [
        SignatureAlgorithm("rsa-pkcs1", "sha512"),
        SignatureAlgorithm("rsa-pss", "sha384", 48),
        SignatureAlgorithm("rsa-pss", "sha512", 0),
    ],
    ids=["pkcs1-sha512", "pss-sha384", "pss-sha512-no-salt"],
)
def test_rfc8017_8_a_key_too_short_for_the_hash_fits_no_signature(algorithm: SignatureAlgorithm) -> None:
    """Sections 8.1.2 and 8.2.2: "invalid signature", whatever it is. The pure provider reads no such key."""
    p, q = SHORT_PRIMES[512]
    key = LIBRARY.public_key(spki_of_rsa(p * q, 65537))
    for signature in (b"", bytes(63) + b"\1", b"\0" + b"\xff" * 63, bytes(65)):
        with pytest.raises(BadSignature, match="does not fit the message and the rsa key"):
            key.verify_algorithm(algorithm, signature, MESSAGE)


def test_rfc8017_9_2_the_least_modulus_for_each_hash() -> None:
    key = LIBRARY.private_key(short_rsa_pem(512, RSA_IDENTIFIER))
    # DigestInfo and eleven bytes more: 62 bytes for SHA-256, 78 for SHA-384, 94 for SHA-512.
    key.public.verify("rsa_pkcs1_sha256", key.sign("rsa_pkcs1_sha256", MESSAGE), MESSAGE)
    for scheme in ("rsa_pkcs1_sha384", "rsa_pkcs1_sha512"):
        with pytest.raises(Misuse, match=f"an RSA key of 512 bits is too short for {scheme}"):
            key.sign(scheme, MESSAGE)
    # Section 9.1.1: a salt as long as the hash, and two bytes more, 66 for SHA-256.
    assert key.schemes == ()


def test_rfc4055_keys_bound_to_pss(provider: Provider) -> None:
    pkcs1 = RSA.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    pss = {
        size: RSA.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), size), hashes.SHA256())
        for size in (20, 32)
    }
    sha384 = RSA.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384())
    free, bound, plain = (
        provider.public_key(der) for der in (pss_spki(PSS_FREE), pss_spki(PSS_BOUND), spki(RSA))
    )
    assert (free.kind, bound.kind, plain.kind) == ("rsa-pss", "rsa-pss", "rsa")
    plain.verify_algorithm(SignatureAlgorithm("rsa-pkcs1", "sha256"), pkcs1, MESSAGE)
    for key in (free, bound):
        with pytest.raises(BadSignature):
            key.verify_algorithm(SignatureAlgorithm("rsa-pkcs1", "sha256"), pkcs1, MESSAGE)
        key.verify("rsa_pss_pss_sha256", pss[32], MESSAGE)
    free.verify("rsa_pss_pss_sha384", sha384, MESSAGE)
    free.verify_algorithm(SignatureAlgorithm("rsa-pss", "sha256", 20), pss[20], MESSAGE)
    with pytest.raises(BadSignature):
        bound.verify("rsa_pss_pss_sha384", sha384, MESSAGE)
    with pytest.raises(BadSignature):
        bound.verify_algorithm(SignatureAlgorithm("rsa-pss", "sha256", 20), pss[20], MESSAGE)
    with pytest.raises(BadSignature):
        plain.verify_algorithm(SignatureAlgorithm("rsa-pss", "sha256", 500), pss[32], MESSAGE)
    with pytest.raises(BadSignature):
        plain.verify("rsa_pss_rsae_sha256", pss[20], MESSAGE)
