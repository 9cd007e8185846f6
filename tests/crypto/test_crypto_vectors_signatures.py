"""Signatures against the vectors of NIST, of RFCs and of Wycheproof: malleable ones, BER, bad padding, salts
of another length, numbers out of range."""

from __future__ import annotations

import base64

import pytest

from mungos.crypto.contract import BadKey, BadSignature, HashName, Provider, SignatureAlgorithm
from mungos.crypto.pure import ecdsa
from mungos.crypto.pure.public_keys import spki_of_curve, spki_of_ed25519, spki_of_rsa
from mungos.crypto.pure.weierstrass import P256, P384
from tests.crypto.crypto_vectors import Case, check, flags, groups, needs, number, octets

HASHES: dict[str, HashName] = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
HASHES |= {name: name for name in HASHES.values()}
CURVES = {"P-256": P256, "P-384": P384}
# RFC 6979 appendices A.2.5 and A.2.6.
SCALARS = {
    "P-256": 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721,
    "P-384": int(
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5", 16
    ),
}


def fits(
    provider: Provider, spki: bytes, algorithm: SignatureAlgorithm, signature: bytes, message: bytes
) -> bool:
    try:
        provider.public_key(spki).verify_algorithm(algorithm, signature, message)
    except (BadSignature, BadKey):
        return False
    return True


def ecdsa_key(curve: str, case: Case) -> bytes:
    return spki_of_curve(CURVES[curve], (number(case, "x"), number(case, "y")))


def test_wycheproof_ecdsa(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        algorithm = SignatureAlgorithm("ecdsa", HASHES[parameters["hash"]])
        found = fits(
            provider, bytes.fromhex(parameters["key"]), algorithm, octets(case, "sig"), octets(case, "msg")
        )
        return found == (case["result"] == "valid")

    check("wycheproof_ecdsa", 500, holds)


def test_nist_ecdsa(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        algorithm = SignatureAlgorithm("ecdsa", HASHES[parameters["hash"]])
        signature = ecdsa.pack(number(case, "r"), number(case, "s"))
        spki = ecdsa_key(parameters["curve"], case)
        return fits(provider, spki, algorithm, signature, octets(case, "msg")) == (case["result"] == "valid")

    check("nist_ecdsa", 60, holds)


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_rfc6979_ecdsa_signature(provider: Provider, curve: str) -> None:
    """The pure provider makes them to the letter; what the other one makes is random."""
    (group,) = (group for group in groups("rfc6979_ecdsa") if group.parameters["curve"] == curve)
    key = provider.private_key(group.parameters["private"].encode())
    for case in group.cases:
        name, text = str(case["hash"]), str(case["text"]).encode()
        assert fits(
            provider, key.public.spki, SignatureAlgorithm("ecdsa", HASHES[name]), octets(case, "sig"), text
        )
        assert ecdsa.sign(CURVES[curve], SCALARS[curve], HASHES[name], text) == octets(case, "sig")
        if key.schemes[0].endswith(name) and provider.name == "pure":
            assert key.sign(key.schemes[0], text) == octets(case, "sig")


def test_wycheproof_ed25519(provider: Provider) -> None:
    needs(provider, "ed25519")

    def holds(parameters: dict[str, str], case: Case) -> bool:
        found = fits(
            provider,
            bytes.fromhex(parameters["key"]),
            SignatureAlgorithm("ed25519"),
            octets(case, "sig"),
            octets(case, "msg"),
        )
        if case["result"] == "acceptable":
            # A key of small or mixed order: neither RFC 8032 nor TLS forbids it.
            return found or provider.name != "pure"
        return found == (case["result"] == "valid")

    check("wycheproof_ed25519", 150, holds)


def test_rfc8032_ed25519_signs_the_same_bytes(provider: Provider) -> None:
    needs(provider, "ed25519")

    def holds(_: dict[str, str], case: Case) -> bool:
        # RFC 8410 section 7.
        der = bytes.fromhex("302e020100300506032b657004220420") + octets(case, "private")
        pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"
        key = provider.private_key(pem)
        message, signature = octets(case, "msg"), octets(case, "sig")
        key.public.verify("ed25519", signature, message)
        return (
            key.public.spki == spki_of_ed25519(octets(case, "public"))
            and key.sign("ed25519", message) == signature
        )

    check("ed25519_sign", 35, holds)


def test_wycheproof_rsa_pkcs1(provider: Provider) -> None:
    """The one "acceptable" case of each file lacks the NULL of RFC 8017 section 9.2: it is refused."""

    def holds(parameters: dict[str, str], case: Case) -> bool:
        found = fits(
            provider,
            bytes.fromhex(parameters["key"]),
            SignatureAlgorithm("rsa-pkcs1", HASHES[parameters["hash"]]),
            octets(case, "sig"),
            octets(case, "msg"),
        )
        assert case["result"] != "acceptable" or flags(case) == {"MissingNull"}
        return found == (case["result"] == "valid")

    check("wycheproof_rsa_pkcs1", 240, holds)


def test_wycheproof_rsa_pss(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        algorithm = SignatureAlgorithm("rsa-pss", HASHES[parameters["hash"]], int(parameters["salt_length"]))
        spki = bytes.fromhex(parameters["key"])
        found = fits(provider, spki, algorithm, octets(case, "sig"), octets(case, "msg"))
        return found == (case["result"] == "valid")

    check("wycheproof_rsa_pss", 150, holds)


def test_salt_of_another_length_is_refused(provider: Provider) -> None:
    """The length is the scheme's or the certificate's to name: what the signature holds does not decide."""
    (group,) = (
        group
        for group in groups("wycheproof_rsa_pss")
        if group.parameters["file"] == "rsa_pss_2048_sha256_mgf1_32_test.json"
    )
    case = next(case for case in group.cases if case["result"] == "valid")
    spki, signature, message = (
        bytes.fromhex(group.parameters["key"]),
        octets(case, "sig"),
        octets(case, "msg"),
    )
    for length in (0, 1, 31, 32, 33, 64, 222, 223, 500):
        algorithm = SignatureAlgorithm("rsa-pss", "sha256", length)
        assert fits(provider, spki, algorithm, signature, message) == (length == 32)


@pytest.mark.parametrize("family", ["pkcs1", "pss"])
def test_nist_rsa(provider: Provider, family: str) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        name = HASHES[parameters["hash"]]
        algorithm = (
            SignatureAlgorithm("rsa-pkcs1", name)
            if family == "pkcs1"
            else SignatureAlgorithm("rsa-pss", name, number(case, "salt_length"))
        )
        spki = spki_of_rsa(int(parameters["n"], 16), number(case, "e"))
        found = fits(provider, spki, algorithm, octets(case, "sig"), octets(case, "msg"))
        return found == (case["result"] == "valid")

    check(f"nist_rsa_{family}", 48, holds)
