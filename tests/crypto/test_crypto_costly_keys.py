"""RSA keys that would cost too much: no provider loads them, so nothing is raised to such an exponent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mungos.crypto.contract import MAX_RSA_EXPONENT, MAX_RSA_MODULUS, Unsupported
from mungos.crypto.pure.public_keys import spki_of_rsa
from tests.crypto.crypto_providers import PROVIDERS, provider_named

N = {bits: (1 << bits - 1) | 1 for bits in (2048, 3072, MAX_RSA_MODULUS, MAX_RSA_MODULUS + 1, 16_384)}


@pytest.fixture(params=PROVIDERS)
def load(request: pytest.FixtureRequest) -> Callable[[int, int], object]:
    provider = provider_named(request.param)
    return lambda n, e: provider.public_key(spki_of_rsa(n, e))


@pytest.mark.parametrize("e", [3, 17, 65_537, (1 << MAX_RSA_EXPONENT) - 1])
@pytest.mark.parametrize("bits", [2048, MAX_RSA_MODULUS])
def test_keys_within_the_bounds(load: Callable[[int, int], object], bits: int, e: int) -> None:
    load(N[bits], e)


@pytest.mark.parametrize(
    "e",
    [
        (1 << MAX_RSA_EXPONENT) + 1,
        (1 << 64) + 1,
        # Ends as the usual exponent does.
        int.from_bytes(b"\1" + bytes(300) + b"\x02\x03\x01\x00\x01", "big"),
        N[3072] - 2,
    ],
)
def test_exponents_above_the_bound(load: Callable[[int, int], object], e: int) -> None:
    with pytest.raises(Unsupported, match=f"exponent of {e.bit_length()} bits is over the limit of"):
        load(N[3072], e)


@pytest.mark.parametrize("bits", [MAX_RSA_MODULUS + 1, 16_384])
def test_moduli_above_the_bound(load: Callable[[int, int], object], bits: int) -> None:
    with pytest.raises(Unsupported, match=f"{bits} bits"):
        load(N[bits], 65_537)


def test_the_usual_keys_are_below() -> None:
    key = rsa.generate_private_key(65_537, 2048).public_key().public_numbers()
    for name in PROVIDERS:
        assert provider_named(name).public_key(spki_of_rsa(key.n, key.e)).bits == 2048
