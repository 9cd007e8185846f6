"""HKDF against Wycheproof: empty salts, outputs of every length, and one that is too long."""

from __future__ import annotations

from mungos.crypto.contract import Provider
from mungos.errors import Misuse
from tests.crypto.crypto_vectors import Case, check, number, octets


def test_wycheproof_hkdf(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        name = parameters["file"].split("_")[1]
        key = provider.hkdf_extract(name, octets(case, "salt"), octets(case, "ikm"))
        try:
            output = provider.hkdf_expand(name, key, octets(case, "info"), number(case, "size"))
        except Misuse:
            return case["result"] == "invalid"
        return case["result"] == "valid" and output == octets(case, "okm")

    check("wycheproof_hkdf", 60, holds)
