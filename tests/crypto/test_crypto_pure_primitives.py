"""The parts of the pure provider on their own: definitions, boundaries and the cases that formulas forget."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.pure import ecdsa, edwards25519, ml_kem, rsa_pkcs1, rsa_pss
from mungos.crypto.pure.aes import WINDOW, AESKey, _gather, _planes, _substitute
from mungos.crypto.pure.ed25519 import SigningKey, VerifyingKey
from mungos.crypto.pure.ghash import GHash
from mungos.crypto.pure.rsa import RSAPrivate, RSAPublic
from mungos.crypto.pure.weierstrass import P256, P384, Curve, Point
from mungos.crypto.pure.x25519 import public_key, x25519
from mungos.errors import Broken
from tests.crypto.crypto_fixed_rsa import RSA_P, RSA_Q, SHORT_PRIMES

H = bytes.fromhex

# --- AES -----------------------------------------------------------------------------------------------


def multiply(a: int, b: int) -> int:
    """FIPS 197 section 4.2."""
    result = 0
    for bit in range(8):
        if b >> bit & 1:
            result ^= a << bit
    for bit in range(14, 7, -1):
        if result >> bit & 1:
            result ^= 0x11B << bit - 8
    return result


def test_fips197_5_1_1_s_box_by_its_definition() -> None:
    inverses = [next((b for b in range(256) if multiply(a, b) == 1), 0) for a in range(256)]
    expected = bytes(map(affine, inverses))
    found = _gather(_substitute(_planes(bytes(range(256)))), 256)
    assert bytes(byte ^ 0x63 for byte in found) == expected


def affine(byte: int) -> int:
    """FIPS 197 section 5.1.1, the second step."""
    result = byte ^ 0x63
    for turn in range(1, 5):
        result ^= (byte << turn | byte >> 8 - turn) & 0xFF
    return result


# FIPS 197 appendices C.1 and C.3.
@pytest.mark.parametrize(
    ("size", "expected"),
    [(16, "69c4e0d86a7b0430d8cdb78070b4c55a"), (32, "8ea2b7ca516745bfeafc49904b496089")],
)
def test_fips197_appendix_c(size: int, expected: str) -> None:
    assert AESKey(bytes(range(size))).encrypt_block(H("00112233445566778899aabbccddeeff")) == H(expected)


@pytest.mark.parametrize(
    ("counter", "blocks"),
    [(0, 3), (1, 1), (WINDOW - 2, 5), (1, WINDOW), (255, 3), (0xFFFFFFFE, 4), (0x00FFFFFF, 2)],
)
def test_counters_cross_windows_and_wrap(counter: int, blocks: int) -> None:
    key, nonce = AESKey(bytes(range(16))), bytes(range(12))
    stream = key.keystream(nonce, counter, blocks)
    assert len(stream) == 16 * blocks
    for at in {0, blocks // 2, blocks - 1}:
        number = (counter + at & 0xFFFFFFFF).to_bytes(4, "big")
        assert stream[16 * at : 16 * at + 16] == key.encrypt_block(nonce + number)


def test_ghash_by_its_definition() -> None:
    """SP 800-38D section 6.3, bit by bit."""

    def product(x: int, y: int) -> int:
        z = 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                z ^= y
            y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
        return z

    key = H("66e94bd4ef8a2c3b884cfa59ca342b2e")
    data = bytes(range(7, 87))
    total = 0
    for at in range(0, len(data), 16):
        total = product(total ^ int.from_bytes(data[at : at + 16], "big"), int.from_bytes(key, "big"))
    assert GHash(key).digest(data) == total
    assert GHash(key).digest(b"") == 0
    assert GHash(bytes(16)).digest(data) == 0


# --- P-256 and P-384 -----------------------------------------------------------------------------------


def add(curve: Curve, one: Point | None, other: Point | None) -> Point | None:
    """The sum by its definition (SEC 1 section 2.2.1)."""
    if one is None or other is None:
        return one or other
    p = curve.p
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % p == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, p) if one == other else (y2 - y1) * pow(x2 - x1, -1, p)
    x = (slope * slope - x1 - x2) % p
    return x, (slope * (x1 - x) - y1) % p


def multiple(curve: Curve, k: int, point: Point | None) -> Point | None:
    result = None
    while k:
        if k & 1:
            result = add(curve, result, point)
        point = add(curve, point, point)
        k >>= 1
    return result


@pytest.mark.parametrize("curve", [P256, P384], ids=["p256", "p384"])
def test_multiples_where_formulas_have_exceptions(curve: Curve) -> None:
    g, n = curve.generator, curve.n
    assert curve.holds(*g)
    edges = [0, 1, 2, 3, 15, 16, 17, 31, 32, n // 2, n - 2, n - 1, n, n + 1, n + 2, (1 << curve.bits) - 1]
    for k in edges:
        expected = multiple(curve, k, g)
        assert curve.multiply_generator(k) == expected
        assert curve.multiply(k, g) == expected
    assert curve.multiply_generator(n) is None
    q = curve.multiply_generator(7)
    assert q is not None
    # u G + v Q: the same point twice, a point and its negative, infinity on either side.
    assert curve.combine(7, 1, q) == curve.multiply_generator(14)
    assert curve.combine(n - 7, 1, q) is None
    assert curve.combine(0, 1, q) == q
    assert curve.combine(7, 0, q) == q
    assert curve.combine(0, 0, q) is None
    assert curve.combine(5, n, q) == curve.multiply_generator(5)


# y^2 = x^3 - 3 x + 1 over the integers modulo 149 has 131 points, infinity included, and (0, 1) is one: there
# numbers are met that on P-256 are met once in 2^256 times.
TOY = Curve("a toy", p=149, b=1, n=131, generator=(0, 1))


def test_the_toy_curve_has_the_order_it_says() -> None:
    points = {multiple(TOY, k, TOY.generator) for k in range(131)}
    assert len(points) == 131
    assert None in points
    assert all(TOY.holds(*point) for point in points if point)
    assert multiple(TOY, 131, TOY.generator) is None


def test_fips186_6_4_1_no_signature_with_a_zero_in_it() -> None:
    """Step 11: where r or s is 0, the next k is taken; where k is out of range, too (RFC 6979 3.2)."""
    zeros = set()
    private = 77
    public = multiple(TOY, private, TOY.generator)
    assert public is not None
    for index in range(300):
        message = index.to_bytes(2, "big")
        digest = sha256(message).digest()
        e = int.from_bytes(digest, "big") >> 248
        k = next(ecdsa._nonces(TOY, private, "sha256", digest))
        assert 0 < k < TOY.n
        point = multiple(TOY, k, TOY.generator)
        assert point is not None
        r = point[0] % TOY.n
        s = pow(k, -1, TOY.n) * (e + r * private) % TOY.n
        numbers = ecdsa.unpack(ecdsa.sign(TOY, private, "sha256", message), TOY.size)
        assert numbers is not None
        if r and s:
            assert numbers == (r, s)
        else:
            zeros.add("r" if not r else "s")
            r, s = numbers
        # Section 6.4.2, by the definition of the sum.
        assert 0 < r < TOY.n
        assert 0 < s < TOY.n
        one = multiple(TOY, e * pow(s, -1, TOY.n) % TOY.n, TOY.generator)
        other = multiple(TOY, r * pow(s, -1, TOY.n) % TOY.n, public)
        total = add(TOY, one, other)
        assert total is not None
        assert total[0] % TOY.n == r
        assert ecdsa.verify(TOY, public, ecdsa.pack(r, s), "sha256", message)
    assert zeros == {"r", "s"}


@given(k=st.integers(0, (1 << 256) - 1), factor=st.integers(1, 1 << 256))
@settings(max_examples=20, deadline=None)
def test_p256_multiples_by_their_definition(k: int, factor: int) -> None:
    point = multiple(P256, factor % P256.n or 1, P256.generator)
    assert point is not None
    assert P256.multiply(k, point) == multiple(P256, k, point)
    assert P256.multiply_generator(k) == multiple(P256, k, P256.generator)


# --- edwards25519 and Curve25519 -----------------------------------------------------------------------

P = edwards25519.PRIME


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


@pytest.mark.parametrize(
    "data",
    [encoded(y, sign) for y in range(P, 1 << 255) for sign in (0, 1)]
    + [encoded(1, 1), encoded(P - 1, 1), encoded(2), b"", encoded(1) + b"\0", encoded(1)[:31]],
    ids=lambda data: data.hex()[:4] + data.hex()[-4:] + str(len(data)),
)
def test_rfc8032_5_1_3_what_is_no_encoding(data: bytes) -> None:
    """A y that is not reduced, a negative zero x, a y without an x, another length."""
    assert edwards25519.decode(data) is None
    with pytest.raises(ValueError, match="not the encoding"):
        VerifyingKey(data)


def test_rfc8032_5_1_7_order_and_small_order() -> None:
    neutral = encoded(1)
    assert edwards25519.encode(edwards25519.multiply_base(0)) == neutral
    assert edwards25519.encode(edwards25519.multiply_base(edwards25519.ORDER)) == neutral
    one = edwards25519.multiply_base(1)
    assert edwards25519.encode(edwards25519.combine(3, 3, one)) == neutral
    assert edwards25519.encode(edwards25519.combine(9, 4, one)) == edwards25519.encode(
        edwards25519.multiply_base(5)
    )
    torsion = edwards25519.decode(H("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
    assert torsion is not None
    assert edwards25519.encode(edwards25519.combine(0, 8, torsion)) == neutral
    assert edwards25519.encode(edwards25519.combine(0, 4, torsion)) == encoded(P - 1)


def test_rfc8032_8_4_s_plus_the_order_is_refused() -> None:
    key = SigningKey(bytes(32))
    public = VerifyingKey(key.public)
    signature = key.sign(b"message")
    assert public.fits(signature, b"message")
    s = int.from_bytes(signature[32:], "little")
    for more in (1, 2, 8):
        grown = signature[:32] + (s + more * edwards25519.ORDER).to_bytes(32, "little")
        assert not public.fits(grown, b"message")


@given(private=st.binary(min_size=32, max_size=32))
@settings(max_examples=40, deadline=None)
def test_x25519_base_by_the_table_and_by_the_ladder(private: bytes) -> None:
    assert public_key(private) == x25519(private, b"\x09" + bytes(31))


# --- ML-KEM --------------------------------------------------------------------------------------------

POLYNOMIAL = st.lists(st.integers(0, 3328), min_size=256, max_size=256)


@given(f=POLYNOMIAL, g=POLYNOMIAL)
@settings(max_examples=10, deadline=None)
def test_fips203_4_3_1_product_modulo_x_256_plus_1(f: list[int], g: list[int]) -> None:
    expected = [0] * 512
    for i, a in enumerate(f):
        for j, b in enumerate(g):
            expected[i + j] += a * b
    reduced = [(low - high) % 3329 for low, high in zip(expected[:256], expected[256:], strict=True)]
    transformed = ml_kem._ntt(f), ml_kem._ntt(g)
    assert ml_kem._inverse_ntt(ml_kem._product([transformed[0]], [transformed[1]])) == reduced
    assert ml_kem._inverse_ntt(transformed[0]) == f


@pytest.mark.parametrize("bits", [1, 4, 10])
def test_fips203_4_2_1_compression(bits: int) -> None:
    values = list(range(3329))
    expected = [(2 * value * (1 << bits) + 3329) // (2 * 3329) % (1 << bits) for value in values]
    assert ml_kem._compress(values, bits) == expected
    small = list(range(1 << bits))
    assert ml_kem._compress(ml_kem._decompress(small, bits), bits) == small
    coefficients = [value % (1 << bits) for value in range(256)]
    assert ml_kem._decode(ml_kem._encode(coefficients, bits), bits) == coefficients


def test_fips203_4_2_2_sampling_goes_on_where_the_stream_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        """Its first 840 bytes hold nothing below 3329."""

        def digest(self, size: int) -> bytes:
            return (b"\xff" * 840 + b"\x01\x20\x00" * 1000)[:size]

    monkeypatch.setattr(ml_kem, "shake_128", lambda seed: Stream())
    assert ml_kem._sample_uniform(b"") == [1, 2] * 128


# --- RSA -----------------------------------------------------------------------------------------------

# A modulus of 1,025 bits: the encoded message is a byte shorter than the modulus (RFC 8017 section 8.1.1).
ODD_P = int(
    "1d5ce6dc2bd4763eb1592aada29caf911e3e6de65c4cf208fabda00ba7db9062"
    "137bf703b4dd855c0e7d31d9b0352975e24ec9eb017f2f46b6d02c9e03f5f907d",
    16,
)
ODD_Q = int(
    "eb912c7665d8e1c02e4670e74b3ab4e412b6614f6e02fa5afba3a23142419664"
    "a4f048e0bf6cc8b9dc074d85fdf90920285ee346ccc63a47dce401d820932725",
    16,
)


def private(p: int, q: int, e: int = 65537) -> RSAPrivate:
    return RSAPrivate(RSAPublic(p * q, e), p, q, pow(e, -1, (p - 1) * (q - 1)))


@pytest.mark.parametrize(("p", "q"), [(RSA_P, RSA_Q), (ODD_P, ODD_Q)], ids=["2048", "1025"])
def test_rsa_signatures_of_moduli_of_any_length(p: int, q: int) -> None:
    key = private(p, q)
    for index in range(8):
        message = bytes((index,))
        signature = rsa_pss.sign(key, "sha256", 32, message, os.urandom)
        assert len(signature) == key.public.size
        assert rsa_pss.verify(key.public, signature, "sha256", 32, message)
        assert not rsa_pss.verify(key.public, signature, "sha256", 31, message)
        assert not rsa_pss.verify(key.public, signature, "sha384", 32, message)
        assert not rsa_pss.verify(key.public, b"\0" + signature, "sha256", 32, message)
        grown = int.from_bytes(signature, "big") + key.public.n
        if grown.bit_length() <= 8 * key.public.size:
            assert not rsa_pss.verify(
                key.public, grown.to_bytes(key.public.size, "big"), "sha256", 32, message
            )
    signature = rsa_pkcs1.sign(key, "sha512", b"", os.urandom)
    assert rsa_pkcs1.verify(key.public, signature, "sha512", b"")
    # RSASSA-PKCS1-v1_5 is a function: the blinding leaves no trace.
    assert signature == rsa_pkcs1.sign(key, "sha512", b"", os.urandom)


def test_rsa_blinding_factors_that_are_no_units_are_passed_over() -> None:
    key = private(RSA_P, RSA_Q)
    size = key.public.size + 8
    factors = [bytes(size), RSA_P.to_bytes(size, "big"), (3 * RSA_Q).to_bytes(size, "big")]
    factors.append((5).to_bytes(size, "big"))

    def source(count: int) -> bytes:
        assert count == size
        return factors.pop(0)

    signature = rsa_pkcs1.sign(key, "sha256", b"message", source)
    assert not factors
    assert rsa_pkcs1.verify(key.public, signature, "sha256", b"message")


def test_rsa_a_miscalculated_signature_is_not_given_out() -> None:
    """One that is right modulo only one prime tells the other: Boneh, DeMillo, Lipton, 1997."""
    key = private(RSA_P, RSA_Q)
    key._dp ^= 2
    with pytest.raises(Broken, match="miscalculates"):
        rsa_pkcs1.sign(key, "sha256", b"message", os.urandom)


def test_rsa_keys_too_short_for_what_they_should_sign() -> None:
    short = private(ODD_P, ODD_Q)
    signers: list[Callable[[], bytes]] = [
        lambda: rsa_pss.sign(short, "sha512", 64, b"", os.urandom),
        lambda: rsa_pss.sign(short, "sha256", 96, b"", os.urandom),
    ]
    for sign in signers:
        with pytest.raises(ValueError, match="too short"):
            sign()
    assert not rsa_pss.verify(short.public, bytes(short.public.size), "sha512", 64, b"")
    with pytest.raises(ValueError, match="a key of 512 bits is too short for sha384"):
        rsa_pkcs1.sign(private(*SHORT_PRIMES[512]), "sha384", b"", os.urandom)
    tiny = RSAPublic((1 << 511) + 1, 3)
    assert not rsa_pkcs1.verify(tiny, bytes(64), "sha512", b"")


@pytest.mark.parametrize(
    ("p", "q", "d"),
    [
        (RSA_P, RSA_P, 3),
        (1, RSA_P * RSA_Q, 3),
        (RSA_P, RSA_Q + 2, 3),
        (RSA_P, RSA_Q, 3),
        (0, RSA_Q, 3),
    ],
)
def test_rsa_numbers_that_do_not_belong_together(p: int, q: int, d: int) -> None:
    with pytest.raises(ValueError, match=r"primes|exponents"):
        RSAPrivate(RSAPublic(RSA_P * RSA_Q, 65537), p, q, d)
