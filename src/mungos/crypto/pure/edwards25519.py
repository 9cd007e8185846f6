"""The group of edwards25519 (RFC 8032 section 5.1): points, their multiples, their encoding.

Points are extended: (X, Y, Z, T) with x = X / Z, y = Y / Z, x y = T / Z. The formulas are those of RFC 8032
section 5.1.4, complete for every pair of points.
"""

from __future__ import annotations

from functools import cache

__all__ = ["ORDER", "PRIME", "Point", "combine", "decode", "encode", "multiply_base"]

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, PRIME) % PRIME
_ROOT = pow(2, (PRIME - 1) // 4, PRIME)
"""A square root of -1."""

Point = tuple[int, int, int, int]
_Ready = tuple[int, int, int, int]
"""A point made ready to be added: Y - X, Y + X, 2 Z, 2 d T."""

_NEUTRAL: Point = (0, 1, 1, 0)
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_WINDOW = 4
_WINDOWS = 64
_DIGITS = 1 << _WINDOW


def _ready(point: Point) -> _Ready:
    x, y, z, t = point
    return y - x, y + x, 2 * z, 2 * _D * t % PRIME


def _add(one: Point, other: _Ready) -> Point:
    x, y, z, t = one
    difference, total, double_z, scaled_t = other
    a = (y - x) * difference
    b = (y + x) * total
    c = t * scaled_t
    d = z * double_z
    e, f, g, h = (b - a) % PRIME, (d - c) % PRIME, (d + c) % PRIME, (b + a) % PRIME
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a = x * x
    b = y * y
    s = x + y
    h = a + b
    e = (h - s * s) % PRIME
    g = (a - b) % PRIME
    f = (2 * z * z + g) % PRIME
    h %= PRIME
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _row(point: Point) -> list[_Ready]:
    """1 to 15 times a point."""
    step = _ready(point)
    row = [step]
    for _ in range(_DIGITS - 2):
        point = _add(point, step)
        row.append(_ready(point))
    return row


@cache
def _base_table() -> list[list[_Ready]]:
    """For each window of a scalar the multiples of the base point that its digit can ask for."""
    x, y = _BASE
    base: Point = x, y, 1, x * y % PRIME
    table = []
    for _ in range(_WINDOWS):
        table.append(_row(base))
        for _ in range(_WINDOW):
            base = _double(base)
    return table


def multiply_base(k: int) -> Point:
    """k B, for 0 <= k < 2^256."""
    result = _NEUTRAL
    for row in _base_table():
        digit = k & _DIGITS - 1
        k >>= _WINDOW
        if digit:
            result = _add(result, row[digit - 1])
    return result


def combine(u: int, v: int, point: Point) -> Point:
    """u B - v P, for scalars under 2^256."""
    x, y, z, t = point
    row = _row((-x % PRIME, y, z, -t % PRIME))
    result = _NEUTRAL
    for shift in range(_WINDOW * (_WINDOWS - 1), -1, -_WINDOW):
        for _ in range(_WINDOW):
            result = _double(result)
        digit = v >> shift & _DIGITS - 1
        if digit:
            result = _add(result, row[digit - 1])
    return _add(result, _ready(multiply_base(u)))


def encode(point: Point) -> bytes:
    """Section 5.1.2."""
    x, y, z, _ = point
    inverse = pow(z, -1, PRIME)
    return (y * inverse % PRIME | (x * inverse % PRIME & 1) << 255).to_bytes(32, "little")


def decode(encoded: bytes) -> Point | None:
    """Section 5.1.3: None for what is no point, for a y that is not reduced, and for a negative zero x."""
    number = int.from_bytes(encoded, "little")
    sign = number >> 255
    y = number & (1 << 255) - 1
    if len(encoded) != 32 or y >= PRIME:
        return None
    u, v = y * y - 1, _D * y * y + 1
    x = u * pow(v, 3, PRIME) * pow(u * pow(v, 7, PRIME), (PRIME - 5) // 8, PRIME) % PRIME
    if (v * x * x + u) % PRIME == 0:
        x = x * _ROOT % PRIME
    if (v * x * x - u) % PRIME:
        return None
    if sign and not x:
        return None
    if x & 1 != sign:
        x = PRIME - x
    return x, y, 1, x * y % PRIME
