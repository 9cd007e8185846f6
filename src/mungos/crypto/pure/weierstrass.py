"""P-256 and P-384 (SP 800-186 section 3.2.1): points and their multiples.

Inside, points are Jacobian: (X, Y, Z) stands for (X / Z^2, Y / Z^3), and Z = 0 for the point at infinity.
Outside they are pairs (x, y), and None is infinity. The formulas are those of "Guide to Elliptic Curve
Cryptography" (Hankerson, Menezes, Vanstone) section 3.2.2, for a = -3.
"""

from __future__ import annotations

from functools import cache

__all__ = ["P256", "P384", "Curve", "Point"]

Point = tuple[int, int]
_Jacobian = tuple[int, int, int]

_INFINITY: _Jacobian = (1, 1, 0)
_WINDOW = 4
"""Bits of a scalar that are taken at once."""

_DIGITS = 1 << _WINDOW


class Curve:
    """y^2 = x^3 - 3 x + b over the integers modulo p; its points have the prime order n.

    Attributes:
        name: as the TLS registry has it.
        size: bytes of a coordinate and of a scalar.
        bits: length of p and of n.
    """

    __slots__ = ("b", "bits", "generator", "n", "name", "p", "size")

    def __init__(self, name: str, p: int, b: int, n: int, generator: Point) -> None:
        self.name = name
        self.p = p
        self.b = b
        self.n = n
        self.generator = generator
        self.bits = p.bit_length()
        self.size = self.bits // 8

    def holds(self, x: int, y: int) -> bool:
        """Whether it is a point of the curve, coordinates in range included (SP 800-56A section 5.6.2.3.3;
        the order is prime, so that no more is to be checked)."""
        p = self.p
        return 0 <= x < p and 0 <= y < p and (y * y - (x * x - 3) * x - self.b) % p == 0

    def decode(self, encoded: bytes) -> Point | None:
        """A point in the uncompressed form (SEC 1 section 2.3.4), or None when it is not a point."""
        size = self.size
        if len(encoded) != 1 + 2 * size or encoded[0] != 4:
            return None
        x = int.from_bytes(encoded[1 : 1 + size], "big")
        y = int.from_bytes(encoded[1 + size :], "big")
        return (x, y) if self.holds(x, y) else None

    def encode(self, point: Point) -> bytes:
        """The uncompressed form."""
        x, y = point
        return b"\4" + x.to_bytes(self.size, "big") + y.to_bytes(self.size, "big")

    def multiply_generator(self, k: int) -> Point | None:
        """k G, for 0 <= k < 2^bits."""
        return self._affine(self._multiply_generator(k))

    def multiply(self, k: int, point: Point) -> Point | None:
        """k Q, for 0 <= k < 2^bits."""
        return self._affine(self._multiply(k, point))

    def combine(self, u: int, v: int, point: Point) -> Point | None:
        """u G + v Q."""
        p = self.p
        one, other = self._multiply_generator(u), self._affine(self._multiply(v, point))
        return self._affine(one if other is None else _add(one, other, p))

    def _multiply_generator(self, k: int) -> _Jacobian:
        p = self.p
        result = _INFINITY
        for row in _generator_table(self):
            digit = k & _DIGITS - 1
            k >>= _WINDOW
            if digit:
                result = _add(result, row[digit - 1], p)
        return result

    def _multiply(self, k: int, point: Point) -> _Jacobian:
        p = self.p
        multiples = self._row(point)
        result = _INFINITY
        for shift in range(self.bits - _WINDOW, -1, -_WINDOW):
            for _ in range(_WINDOW):
                result = _double(result, p)
            digit = k >> shift & _DIGITS - 1
            if digit:
                result = _add(result, multiples[digit - 1], p)
        return result

    def _row(self, point: Point) -> list[Point]:
        """1 Q, 2 Q, ... 15 Q: none of them is infinity, since the order is a large prime."""
        jacobian: list[_Jacobian] = [(*point, 1)]
        for _ in range(_DIGITS - 2):
            jacobian.append(_add(jacobian[-1], point, self.p))
        return self._all_affine(jacobian)

    def _affine(self, point: _Jacobian) -> Point | None:
        x, y, z = point
        p = self.p
        if not z:
            return None
        inverse = pow(z, -1, p)
        square = inverse * inverse % p
        return x * square % p, y * square * inverse % p

    def _all_affine(self, points: list[_Jacobian]) -> list[Point]:
        """With one inversion for all of them; none is infinity."""
        p = self.p
        products = [1]
        for _, _, z in points:
            products.append(products[-1] * z % p)
        inverse = pow(products.pop(), -1, p)
        found: list[Point] = []
        for (x, y, z), before in zip(reversed(points), reversed(products), strict=True):
            own = inverse * before % p
            inverse = inverse * z % p
            square = own * own % p
            found.append((x * square % p, y * square * own % p))
        found.reverse()
        return found


def _double(point: _Jacobian, p: int) -> _Jacobian:
    x, y, z = point
    if not z:
        return point
    delta = z * z % p
    gamma = y * y % p
    beta = 4 * x * gamma % p
    alpha = 3 * (x - delta) * (x + delta) % p
    x3 = (alpha * alpha - 2 * beta) % p
    return x3, (alpha * (beta - x3) - 8 * gamma * gamma) % p, 2 * y * z % p


def _add(one: _Jacobian, other: Point, p: int) -> _Jacobian:
    """A sum of which one side is affine."""
    x1, y1, z1 = one
    x2, y2 = other
    if not z1:
        return x2, y2, 1
    square = z1 * z1 % p
    h = (x2 * square - x1) % p
    r = (y2 * square * z1 - y1) % p
    if not h:
        # The same point, or its negative.
        return _INFINITY if r else _double(one, p)
    h2 = h * h % p
    h3 = h2 * h % p
    v = x1 * h2 % p
    x3 = (r * r - h3 - 2 * v) % p
    return x3, (r * (v - x3) - y1 * h3) % p, z1 * h % p


@cache
def _generator_table(curve: Curve) -> list[list[Point]]:
    """For each window of a scalar the multiples of the generator that its digit can ask for."""
    p = curve.p
    jacobian: list[_Jacobian] = []
    base = curve.generator
    for _ in range(curve.bits // _WINDOW):
        multiple: _Jacobian = (*base, 1)
        for _ in range(_DIGITS - 1):
            jacobian.append(multiple)
            multiple = _add(multiple, base, p)
        (base,) = curve._all_affine([multiple])
    points = curve._all_affine(jacobian)
    return [points[at : at + _DIGITS - 1] for at in range(0, len(points), _DIGITS - 1)]


# SP 800-186 section 3.2.1.3.
P256 = Curve(
    "secp256r1",
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    generator=(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)

# SP 800-186 section 3.2.1.4.
P384 = Curve(
    "secp384r1",
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    generator=(
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
)
