"""Hashes, HMAC and HKDF (RFC 2104, RFC 5869) over the standard library, which has them everywhere."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from mungos.crypto.contract import HASHES, Hash
from mungos.errors import Misuse
from mungos.protocol import Buffer

__all__ = ["StandardHashing"]

_NEW: dict[str, Callable[[], Hash]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
_ONCE: dict[str, Callable[[Buffer], Hash]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}

_BLOCKS = {"sha256": 64, "sha384": 128, "sha512": 128}
"""Bytes of a hash function's block (FIPS 180-4 figure 1), to which HMAC pads its key."""

_HMAC = {
    name: (
        _ONCE[name],
        size,
        int.from_bytes(b"\x36" * size, "little"),
        int.from_bytes(b"\x5c" * size, "little"),
    )
    for name, size in _BLOCKS.items()
}
"""The hash, the size of its block, ipad and opad (RFC 2104 section 2)."""


def _unknown(name: str) -> Misuse:
    return Misuse(f"hash {name!r} is not one of {', '.join(HASHES)}")


def _hmac(name: str, key: Buffer, data: Buffer) -> bytes:
    """RFC 2104 section 2, of two plain hashes: for messages as short as a key schedule's, these cost less
    than setting up the library's own HMAC. A key's bytes index no table."""
    new, block, inner_pad, outer_pad = _HMAC[name]
    if len(key) > block:
        key = new(key).digest()
    # The first byte is the lowest, so that a short key is padded with zeros at its end.
    number = int.from_bytes(key, "little")
    inner = new(b"".join(((number ^ inner_pad).to_bytes(block, "little"), data))).digest()
    return new((number ^ outer_pad).to_bytes(block, "little") + inner).digest()


class StandardHashing:
    """The hashing half of a `Provider`."""

    __slots__ = ()

    def hash(self, name: str) -> Hash:
        """A running hash. Raises Misuse when `name` is not a key of `HASHES`."""
        if name not in _NEW:
            raise _unknown(name)
        return _NEW[name]()

    def digest(self, name: str, data: Buffer) -> bytes:
        """The hash of one message. Raises Misuse on an unknown name."""
        if name not in _ONCE:
            raise _unknown(name)
        return _ONCE[name](data).digest()

    def hmac(self, name: str, key: Buffer, data: Buffer) -> bytes:
        """RFC 2104. Raises Misuse on an unknown name."""
        if name not in HASHES:
            raise _unknown(name)
        return _hmac(name, key, data)

    def hkdf_extract(self, name: str, salt: Buffer, key: Buffer) -> bytes:
        """RFC 5869 section 2.2. An empty salt means zeros, which is how HMAC pads it anyway."""
        if name not in HASHES:
            raise _unknown(name)
        return _hmac(name, salt, key)

    def hkdf_expand(self, name: str, key: Buffer, info: Buffer, length: int) -> bytes:
        """RFC 5869 section 2.3. `length`: bytes, at most 255 times the hash's length, else Misuse."""
        if name not in HASHES:
            raise _unknown(name)
        size = HASHES[name]
        if not 0 <= length <= 255 * size:
            raise Misuse(f"HKDF gives at most {255 * size} bytes over {name}, not {length}")
        if length <= size:
            # T(1) is all that is wanted; so it is for everything in TLS but exported keys.
            return _hmac(name, key, b"".join((info, b"\x01")))[:length]
        block = output = b""
        counter = 1
        while len(output) < length:
            block = _hmac(name, key, b"".join((block, info, bytes((counter,)))))
            output += block
            counter += 1
        return output[:length]

    def hkdf_expand_each(self, name: str, key: Buffer, infos: Sequence[Buffer]) -> list[bytes]:
        """`hkdf_expand` under one key for each of `infos`, each result as long as the hash: what the key
        costs is paid once. Raises Misuse on an unknown name."""
        if name not in HASHES:
            raise _unknown(name)
        new, block, inner_pad, outer_pad = _HMAC[name]
        if len(key) > block:
            key = new(key).digest()
        number = int.from_bytes(key, "little")
        inner = (number ^ inner_pad).to_bytes(block, "little")
        outer = (number ^ outer_pad).to_bytes(block, "little")
        found = []
        for info in infos:
            found.append(new(outer + new(b"".join((inner, info, b"\x01"))).digest()).digest())
        return found

    def constant_time_equal(self, one: Buffer, other: Buffer) -> bool:
        """Compare without telling by the time taken where they differ; the lengths are no secret."""
        return hmac.compare_digest(one, other)
