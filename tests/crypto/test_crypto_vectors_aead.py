"""AEADs against the vectors of NIST and Wycheproof, and the parts of RFC 8439's on their own."""

from __future__ import annotations

import pytest

from mungos.crypto.contract import TAG_LENGTH, BadTag, Provider
from mungos.crypto.pure.chacha20 import keystream
from mungos.crypto.pure.poly1305 import poly1305
from tests.crypto.crypto_vectors import Case, H, cases, check, needs, octets

GCM = {16: "AES-128-GCM", 32: "AES-256-GCM"}


def aead_name(parameters: dict[str, str], case: Case) -> str:
    return "CHACHA20-POLY1305" if "chacha" in parameters["file"] else GCM[len(octets(case, "key"))]


def holds(provider: Provider, parameters: dict[str, str], case: Case) -> bool:
    key = provider.aead(aead_name(parameters, case), octets(case, "key"))
    nonce, aad = octets(case, "iv"), octets(case, "aad")
    sealed = octets(case, "ct") + octets(case, "tag")
    if case["result"] == "invalid":
        try:
            key.decrypt(nonce, sealed, aad)
        except BadTag:
            return True
        return False
    text = octets(case, "msg")
    return key.encrypt(nonce, text, aad) == sealed and key.decrypt(nonce, sealed, aad) == text


def test_nist_aes_gcm(provider: Provider) -> None:
    check("nist_aes_gcm", 150, lambda parameters, case: holds(provider, parameters, case))


def test_wycheproof_aead(provider: Provider) -> None:
    needs(provider, "CHACHA20-POLY1305")
    check("wycheproof_aead", 250, lambda parameters, case: holds(provider, parameters, case))


def test_tag_of_every_shorter_length_is_refused(provider: Provider) -> None:
    """SP 800-38D allows shorter tags, this package does not: a truncated one is no tag."""
    for parameters, case in list(cases("wycheproof_aead"))[::50]:
        name = aead_name(parameters, case)
        if case["result"] != "valid" or not provider.supports(name):
            continue
        key = provider.aead(name, octets(case, "key"))
        for length in range(TAG_LENGTH):
            with pytest.raises(BadTag):
                key.decrypt(
                    octets(case, "iv"), octets(case, "ct") + octets(case, "tag")[:length], octets(case, "aad")
                )


def test_rfc8439_2_3_2_block() -> None:
    block = keystream(bytes(range(32)), 1, H("000000090000004a00000000"), 1)
    assert block == H(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


def test_rfc8439_2_4_blocks_count_on() -> None:
    nonce = H("000000000000004a00000000")
    whole = keystream(bytes(range(32)), 7, nonce, 5)
    assert whole == b"".join(keystream(bytes(range(32)), 7 + at, nonce, 1) for at in range(5))
    around = keystream(bytes(range(32)), 0xFFFFFFFF, nonce, 2)
    assert around[64:] == keystream(bytes(range(32)), 0, nonce, 1)


def test_rfc8439_2_5_2_and_a_3_poly1305() -> None:
    key = H("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    assert poly1305(key, b"Cryptographic Forum Research Group") == H("a8061dc1305136c6c22b8baf0c0127a9")
    check(
        "rfc8439_poly1305",
        11,
        lambda _, case: poly1305(octets(case, "key"), octets(case, "msg")) == octets(case, "tag"),
    )
