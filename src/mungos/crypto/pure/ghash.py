"""GHASH (SP 800-38D section 6.4): a polynomial over GF(2^128), by tables of one hash key."""

from __future__ import annotations

__all__ = ["GHash"]

_REDUCTION = 0xE1 << 120
"""The polynomial 1 + x + x^2 + x^7 + x^128 as section 6.3 writes it: the first bit of a block is the lowest
power, so that a shift to the right multiplies by x."""


def _tables(key: int) -> tuple[tuple[int, ...], ...]:
    """For each byte of a block, the product of `key` with each value of that byte."""
    powers = []
    for _ in range(128):
        powers.append(key)
        key = key >> 1 ^ (_REDUCTION if key & 1 else 0)
    tables = []
    for at in range(0, 128, 8):
        table = [0]
        for power in reversed(powers[at : at + 8]):
            table += [power ^ other for other in table]
        tables.append(tuple(table))
    return tuple(tables)


class GHash:
    """One hash key, 16 bytes."""

    __slots__ = ("_tables",)

    def __init__(self, key: bytes) -> None:
        self._tables = _tables(int.from_bytes(key, "big"))

    def digest(self, data: bytes) -> int:
        """The hash of whole blocks."""
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15 = self._tables
        from_bytes = int.from_bytes
        y = 0
        for at in range(0, len(data), 16):
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p = (  # noqa: E741
                y ^ from_bytes(data[at : at + 16], "big")
            ).to_bytes(16, "big")
            y = (
                t0[a]
                ^ t1[b]
                ^ t2[c]
                ^ t3[d]
                ^ t4[e]
                ^ t5[f]
                ^ t6[g]
                ^ t7[h]
                ^ t8[i]
                ^ t9[j]
                ^ t10[k]
                ^ t11[l]
                ^ t12[m]
                ^ t13[n]
                ^ t14[o]
                ^ t15[p]
            )
        return y
