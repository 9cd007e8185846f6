"""ML-KEM-768 (FIPS 203). Polynomials are lists of 256 numbers modulo 3329; algorithms are named by their
numbers there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha3_256, sha3_512, shake_128, shake_256
from hmac import compare_digest
from itertools import chain
from operator import add, sub

__all__ = [
    "CIPHERTEXT_LENGTH",
    "DECAPSULATION_KEY_LENGTH",
    "ENCAPSULATION_KEY_LENGTH",
    "SECRET_LENGTH",
    "SEED_LENGTH",
    "decapsulate",
    "encapsulate",
    "generate",
    "valid_decapsulation_key",
    "valid_encapsulation_key",
]

_N = 256
_Q = 3329
_K = 3
_DU = 10
_DV = 4
_POLYNOMIAL = 384  # bytes of 256 coefficients of 12 bits

SECRET_LENGTH = 32
SEED_LENGTH = 64
"""Bytes of d and z together (section 7.1)."""

ENCAPSULATION_KEY_LENGTH = _POLYNOMIAL * _K + 32
DECAPSULATION_KEY_LENGTH = 2 * _POLYNOMIAL * _K + 96
CIPHERTEXT_LENGTH = 32 * (_DU * _K + _DV)

_Polynomial = list[int]


def _reversed_bits(number: int) -> int:
    return int(format(number, "07b")[::-1], 2)


# Appendix A.
_ZETAS = tuple(pow(17, _reversed_bits(index), _Q) for index in range(128))
_GAMMAS = tuple(pow(17, 2 * _reversed_bits(index) + 1, _Q) for index in range(128))


def _ntt(f: _Polynomial) -> _Polynomial:
    """Algorithm 9. Sums grow by 3329 a layer, and are reduced at the end."""
    f = list(f)
    index = 1
    length = 128
    while length >= 2:
        for start in range(0, _N, 2 * length):
            zeta = _ZETAS[index]
            index += 1
            middle, stop = start + length, start + 2 * length
            low = f[start:middle]
            high = [zeta * x % _Q for x in f[middle:stop]]
            f[start:middle] = map(add, low, high)
            f[middle:stop] = map(sub, low, high)
        length >>= 1
    return [x % _Q for x in f]


def _inverse_ntt(f: _Polynomial) -> _Polynomial:
    """Algorithm 10."""
    f = list(f)
    index = 127
    length = 2
    while length <= 128:
        for start in range(0, _N, 2 * length):
            zeta = _ZETAS[index]
            index -= 1
            middle, stop = start + length, start + 2 * length
            low, high = f[start:middle], f[middle:stop]
            f[start:middle] = map(add, low, high)
            f[middle:stop] = [zeta * (x - y) % _Q for x, y in zip(high, low, strict=True)]
        length <<= 1
    return [x * 3303 % _Q for x in f]  # 3303 = 1 / 128


def _product(one: Sequence[_Polynomial], other: Sequence[_Polynomial]) -> _Polynomial:
    """The inner product of two vectors in the NTT's domain (algorithms 11 and 12)."""
    even = [0] * 128
    odd = [0] * 128
    for f, g in zip(one, other, strict=True):
        a, b, c, d = f[::2], f[1::2], g[::2], g[1::2]
        even = [
            total + a0 * b0 + a1 * b1 % _Q * gamma
            for total, a0, a1, b0, b1, gamma in zip(even, a, b, c, d, _GAMMAS, strict=True)
        ]
        odd = [total + a0 * b1 + a1 * b0 for total, a0, a1, b0, b1 in zip(odd, a, b, c, d, strict=True)]
    return [x % _Q for pair in zip(even, odd, strict=True) for x in pair]


def _sum(*polynomials: _Polynomial) -> _Polynomial:
    return [sum(column) % _Q for column in zip(*polynomials, strict=True)]


def _sample_uniform(seed: bytes) -> _Polynomial:
    """SampleNTT (algorithm 7). The stream is longer than is ever needed but about once in 2^38."""
    stream = shake_128(seed)
    size = 840
    while True:
        data = stream.digest(size)
        found: _Polynomial = []
        for a, b, c in zip(data[::3], data[1::3], data[2::3], strict=True):
            if (one := a | (b & 15) << 8) < _Q:
                found.append(one)
            if (other := b >> 4 | c << 4) < _Q:
                found.append(other)
        if len(found) >= _N:
            return found[:_N]
        size *= 2


_SMALL = tuple(
    tuple((x & 1) + (x >> 1 & 1) - (x >> 2 & 1) - (x >> 3 & 1) for x in (byte & 15, byte >> 4))
    for byte in range(256)
)


def _sample_small(seed: bytes, index: int) -> _Polynomial:
    """SamplePolyCBD with eta = 2 (algorithm 8), from PRF (section 4.1)."""
    data = shake_256(seed + bytes((index,))).digest(128)
    return list(chain.from_iterable(map(_SMALL.__getitem__, data)))


def _encode(f: Iterable[int], bits: int) -> bytes:
    """ByteEncode (algorithm 5)."""
    number = 0
    shift = 0
    for x in f:
        number |= x << shift
        shift += bits
    return number.to_bytes(32 * bits, "little")


def _decode(data: bytes, bits: int) -> _Polynomial:
    """ByteDecode (algorithm 6), not reduced."""
    number = int.from_bytes(data, "little")
    mask = (1 << bits) - 1
    return [number >> shift & mask for shift in range(0, _N * bits, bits)]


def _decode_vector(data: bytes, bits: int) -> list[_Polynomial]:
    size = 32 * bits
    return [_decode(data[at : at + size], bits) for at in range(0, size * _K, size)]


def _compress(f: _Polynomial, bits: int) -> list[int]:
    """Section 4.2.1."""
    mask = (1 << bits) - 1
    return [((x << bits) + _Q // 2) // _Q & mask for x in f]


def _decompress(f: Iterable[int], bits: int) -> _Polynomial:
    half = 1 << bits - 1
    return [x * _Q + half >> bits for x in f]


def _matrix(rho: bytes) -> list[list[_Polynomial]]:
    return [[_sample_uniform(rho + bytes((column, row))) for column in range(_K)] for row in range(_K)]


def generate(d: bytes, z: bytes) -> tuple[bytes, bytes]:
    """ML-KEM.KeyGen_internal (algorithm 16): the encapsulation key and the decapsulation key.

    Args:
        d, z: 32 random bytes each.
    """
    # K-PKE.KeyGen (algorithm 13).
    seeds = sha3_512(d + bytes((_K,))).digest()
    rho, sigma = seeds[:32], seeds[32:]
    matrix = _matrix(rho)
    s = [_ntt(_sample_small(sigma, index)) for index in range(_K)]
    e = [_ntt(_sample_small(sigma, _K + index)) for index in range(_K)]
    t = [_sum(_product(row, s), error) for row, error in zip(matrix, e, strict=True)]
    key = b"".join(_encode(f, 12) for f in t) + rho
    private = b"".join(_encode(f, 12) for f in s)
    return key, private + key + sha3_256(key).digest() + z


def valid_encapsulation_key(key: bytes) -> bool:
    """The checks of section 7.2: its length, and that all its numbers are reduced."""
    return len(key) == ENCAPSULATION_KEY_LENGTH and all(
        max(f) < _Q for f in _decode_vector(key[: _POLYNOMIAL * _K], 12)
    )


def valid_decapsulation_key(key: bytes) -> bool:
    """The checks of section 7.3: its length, and the hash of the encapsulation key in it."""
    if len(key) != DECAPSULATION_KEY_LENGTH:
        return False
    public = key[_POLYNOMIAL * _K : -64]
    return compare_digest(sha3_256(public).digest(), key[-64:-32])


def encapsulate(key: bytes, m: bytes) -> tuple[bytes, bytes]:
    """ML-KEM.Encaps_internal (algorithm 17): the secret and the ciphertext.

    Args:
        key: a valid encapsulation key.
        m: 32 random bytes.
    """
    hashed = sha3_512(m + sha3_256(key).digest()).digest()
    return hashed[:32], _encrypt(key, m, hashed[32:])


def decapsulate(key: bytes, ciphertext: bytes) -> bytes:
    """ML-KEM.Decaps_internal (algorithm 18): the secret. A wrong ciphertext gives another secret, by design.

    Args:
        key: a valid decapsulation key.
        ciphertext: `CIPHERTEXT_LENGTH` bytes.
    """
    private, public = key[: _POLYNOMIAL * _K], key[_POLYNOMIAL * _K : -64]
    m = _decrypt(private, ciphertext)
    hashed = sha3_512(m + key[-64:-32]).digest()
    rejected = shake_256(key[-32:] + ciphertext).digest(SECRET_LENGTH)
    fits = compare_digest(_encrypt(public, m, hashed[32:]), ciphertext)
    return hashed[:32] if fits else rejected


def _encrypt(key: bytes, m: bytes, r: bytes) -> bytes:
    """K-PKE.Encrypt (algorithm 14)."""
    t = _decode_vector(key, 12)
    matrix = _matrix(key[_POLYNOMIAL * _K :])
    y = [_ntt(_sample_small(r, index)) for index in range(_K)]
    parts = []
    for index in range(_K):
        column = [row[index] for row in matrix]
        u = _sum(_inverse_ntt(_product(column, y)), _sample_small(r, _K + index))
        parts.append(_encode(_compress(u, _DU), _DU))
    v = _sum(_inverse_ntt(_product(t, y)), _sample_small(r, 2 * _K), _decompress(_decode(m, 1), 1))
    parts.append(_encode(_compress(v, _DV), _DV))
    return b"".join(parts)


def _decrypt(private: bytes, ciphertext: bytes) -> bytes:
    """K-PKE.Decrypt (algorithm 15)."""
    size = 32 * _DU * _K
    u = [_ntt(_decompress(f, _DU)) for f in _decode_vector(ciphertext, _DU)]
    v = _decompress(_decode(ciphertext[size:], _DV), _DV)
    s = _decode_vector(private, 12)
    masked = _inverse_ntt(_product(s, u))
    w = [(x - y) % _Q for x, y in zip(v, masked, strict=True)]
    return _encode(_compress(w, 1), 1)
