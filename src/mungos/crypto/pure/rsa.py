"""RSA's two permutations (RFC 8017 section 5), on numbers."""

from __future__ import annotations

from math import gcd

from mungos.crypto.contract import Random
from mungos.errors import Broken

__all__ = ["RSAPrivate", "RSAPublic"]


class RSAPublic:
    """n and e.

    Attributes:
        bits, size: length of the modulus, in bits and bytes.
    """

    __slots__ = ("bits", "e", "n", "size")

    def __init__(self, n: int, e: int) -> None:
        self.n = n
        self.e = e
        self.bits = n.bit_length()
        self.size = (self.bits + 7) // 8

    def recover(self, signature: bytes) -> int | None:
        """RSAVP1 (section 5.2.2) behind the check of the length (sections 8.1.2 and 8.2.2); None for what is
        out of range."""
        number = int.from_bytes(signature, "big")
        if len(signature) != self.size or number >= self.n:
            return None
        return pow(number, self.e, self.n)


class RSAPrivate:
    """Two primes and what follows from them (section 3.2, the second representation).

    Attributes:
        public: its public half.
    """

    __slots__ = ("_dp", "_dq", "_inverse", "_p", "_q", "public")

    def __init__(self, public: RSAPublic, p: int, q: int, d: int) -> None:
        """Raises ValueError when the numbers do not belong together."""
        if min(p, q) < 3 or p == q or p * q != public.n or gcd(p, q) != 1:
            raise ValueError("the modulus is not the product of the two primes")
        if any(public.e * d % (prime - 1) != 1 for prime in (p, q)):
            raise ValueError("the two exponents do not belong together")
        self.public = public
        self._p = p
        self._q = q
        self._dp = d % (p - 1)
        self._dq = d % (q - 1)
        self._inverse = pow(q, -1, p)

    def sign(self, message: int, random: Random) -> bytes:
        """RSASP1 (section 5.2.1). The message is blinded by a random factor, and the result is checked before
        it is given out: one that a fault has changed would tell the primes. Raises Broken then."""
        n, e = self.public.n, self.public.e
        while True:
            factor = int.from_bytes(random(self.public.size + 8), "big") % n
            if gcd(factor, n) == 1:
                break
        blinded = message * pow(factor, e, n) % n
        one = pow(blinded % self._p, self._dp, self._p)
        other = pow(blinded % self._q, self._dq, self._q)
        signature = other + self._q * ((one - other) * self._inverse % self._p)
        signature = signature * pow(factor, -1, n) % n
        if pow(signature, e, n) != message:
            raise Broken("an RSA signature does not fit its own key: this machine miscalculates")
        return signature.to_bytes(self.public.size, "big")
