"""Hashes, HMAC and HKDF (RFC 2104, RFC 5869) over the standard library, which has them everywhere."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

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


def _unknown(name: str) -> Misuse:
    return Misuse(f"hash {name!r} is not one of {', '.join(HASHES)}")


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
        return hmac.digest(key, data, name)

    def hkdf_extract(self, name: str, salt: Buffer, key: Buffer) -> bytes:
        """RFC 5869 section 2.2. An empty salt means zeros, which is how HMAC pads it anyway."""
        return self.hmac(name, salt, key)

    def hkdf_expand(self, name: str, key: Buffer, info: Buffer, length: int) -> bytes:
        """RFC 5869 section 2.3. `length`: bytes, at most 255 times the hash's length, else Misuse."""
        if name not in HASHES:
            raise _unknown(name)
        if not 0 <= length <= 255 * HASHES[name]:
            raise Misuse(f"HKDF gives at most {255 * HASHES[name]} bytes over {name}, not {length}")
        block = output = b""
        counter = 1
        while len(output) < length:
            block = hmac.digest(key, b"".join((block, info, bytes((counter,)))), name)
            output += block
            counter += 1
        return output[:length]

    def constant_time_equal(self, one: Buffer, other: Buffer) -> bool:
        """Compare without telling by the time taken where they differ; the lengths are no secret."""
        return hmac.compare_digest(one, other)
