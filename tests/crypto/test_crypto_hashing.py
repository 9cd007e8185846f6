"""HKDF for several infos at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.contract import HASHES
from mungos.crypto.hashing import StandardHashing
from mungos.errors import Misuse


@given(
    st.sampled_from(sorted(HASHES)),
    st.binary(max_size=300),
    st.lists(st.binary(max_size=300), max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_each_is_what_it_is_alone(name: str, key: bytes, infos: list[bytes]) -> None:
    hashing = StandardHashing()
    alone = [hashing.hkdf_expand(name, key, info, HASHES[name]) for info in infos]
    assert hashing.hkdf_expand_each(name, key, infos) == alone


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("name", sorted(HASHES))
def test_keys_around_a_block(name: str, size: int) -> None:
    hashing = StandardHashing()
    key = bytes(range(size))
    (found,) = hashing.hkdf_expand_each(name, key, [b"info"])
    assert found == hashing.hkdf_expand(name, key, b"info", HASHES[name])


def test_unknown_hash_is_misuse() -> None:
    with pytest.raises(Misuse, match="md5"):
        StandardHashing().hkdf_expand_each("md5", b"", [])
