"""ML-KEM-768 (FIPS 203) against published vectors, its input checks included."""

from __future__ import annotations

import hashlib

from mungos.crypto.contract import BadShare, Provider
from mungos.crypto.pure import ml_kem
from mungos.errors import Misuse
from tests.crypto.crypto_vectors import Case, check, needs, octets

GROUP = "X25519MLKEM768"
# The half beside ML-KEM: any key, and a share that is right.
PRIVATE = bytes(range(32))
BASE = b"\x09" + bytes(31)


def test_known_answers_of_the_algorithms() -> None:
    def holds(_: dict[str, str], case: Case) -> bool:
        public, private = ml_kem.generate(octets(case, "d"), octets(case, "z"))
        secret, ciphertext = ml_kem.encapsulate(public, octets(case, "msg"))
        return (
            hashlib.sha256(public).digest() == octets(case, "pk_sha256")
            and hashlib.sha256(private).digest() == octets(case, "sk_sha256")
            and (secret, ciphertext) == (octets(case, "ss"), octets(case, "ct"))
            and ml_kem.decapsulate(private, ciphertext) == secret
            # FIPS 203 section 6.3: the implicit rejection has a known answer, too.
            and ml_kem.decapsulate(private, octets(case, "ct_n")) == octets(case, "ss_n")
        )

    check("ml_kem_768_kat", 16, holds)


def test_known_answers_through_the_hybrid_group(provider: Provider) -> None:
    needs(provider, GROUP)

    def holds(_: dict[str, str], case: Case) -> bool:
        private = octets(case, "d") + octets(case, "z") + PRIVATE
        share = provider.key_exchange(GROUP).from_private_bytes(private)
        return (
            hashlib.sha256(share.public[:1184]).digest() == octets(case, "pk_sha256")
            and share.exchange(octets(case, "ct") + BASE)[:32] == octets(case, "ss")
            and share.exchange(octets(case, "ct_n") + BASE)[:32] == octets(case, "ss_n")
        )

    check("ml_kem_768_kat", 16, holds)


def test_wycheproof_decapsulation(provider: Provider) -> None:
    needs(provider, GROUP)

    def holds(_: dict[str, str], case: Case) -> bool:
        try:
            share = provider.key_exchange(GROUP).from_private_bytes(octets(case, "seed") + PRIVATE)
            secret = share.exchange(octets(case, "c") + BASE)
        except (BadShare, Misuse):
            return case["result"] == "invalid"
        return (
            case["result"] == "valid"
            and share.public[:1184] == octets(case, "ek")
            and secret[:32] == octets(case, "K")
        )

    check("wycheproof_ml_kem_decaps", 20, holds)


def test_wycheproof_encapsulation() -> None:
    def holds(_: dict[str, str], case: Case) -> bool:
        key = octets(case, "ek")
        if case["result"] == "invalid":
            return not ml_kem.valid_encapsulation_key(key)
        found = ml_kem.encapsulate(key, octets(case, "m"))
        return ml_kem.valid_encapsulation_key(key) and found == (octets(case, "K"), octets(case, "c"))

    check("wycheproof_ml_kem_encaps", 19, holds)


def test_wycheproof_encapsulation_to_an_invalid_key(provider: Provider) -> None:
    """FIPS 203 section 7.2: a key of another length or with a number that is not reduced is no share."""
    needs(provider, GROUP)
    exchange = provider.key_exchange(GROUP)

    def holds(_: dict[str, str], case: Case) -> bool:
        try:
            share, secret = exchange.encapsulate(octets(case, "ek") + BASE)
        except BadShare:
            return case["result"] == "invalid"
        return case["result"] == "valid" and (len(share), len(secret)) == (1120, 64)

    check("wycheproof_ml_kem_encaps", 19, holds)


def test_wycheproof_decapsulation_with_an_expanded_key() -> None:
    """FIPS 203 section 7.3: lengths, and the hash of the encapsulation key inside."""

    def holds(_: dict[str, str], case: Case) -> bool:
        key, ciphertext = octets(case, "dk"), octets(case, "c")
        if not ml_kem.valid_decapsulation_key(key) or len(ciphertext) != ml_kem.CIPHERTEXT_LENGTH:
            return case["result"] == "invalid"
        return case["result"] == "valid" and ml_kem.decapsulate(key, ciphertext) == octets(case, "K")

    check("wycheproof_ml_kem_decaps_expanded", 9, holds)
