"""The two providers against each other on what hypothesis makes up: same bytes, same verdicts, both ways."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.contract import (
    AEADS,
    GROUPS,
    HASHES,
    SCHEMES,
    BadKey,
    BadShare,
    BadSignature,
    BadTag,
    HashName,
    PrivateKey,
    Provider,
    PublicKey,
    SignatureAlgorithm,
    Unsupported,
)
from mungos.crypto.pure import ecdsa
from mungos.crypto.pure.weierstrass import P256, P384
from tests.crypto.crypto_certificates import KINDS, private_of
from tests.crypto.crypto_providers import provider_named
from tests.crypto.crypto_vectors import needs

LIBRARY = provider_named("cryptography")
PURE = provider_named("pure")
WAYS = [(LIBRARY, PURE), (PURE, LIBRARY)]
way = pytest.mark.parametrize(("one", "other"), WAYS, ids=["to-pure", "from-pure"])
NIST = {"secp256r1": 32, "secp384r1": 48}
CURVES = {"p256": P256, "p384": P384}
TEXT = st.binary(max_size=300) | st.integers(0, 2000).map(
    lambda size: bytes(index % 251 for index in range(size))
)


def pem(kind: str) -> bytes:
    return private_of(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def private_keys(kind: str) -> dict[Provider, PrivateKey]:
    return {provider: provider.private_key(pem(kind)) for provider in (LIBRARY, PURE)}


# --- AEAD ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AEADS)
@given(data=st.data(), text=TEXT, aad=st.binary(max_size=40), nonce=st.binary(min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_aead(name: str, data: st.DataObject, text: bytes, aad: bytes, nonce: bytes) -> None:
    needs(LIBRARY, name)
    size = AEADS[name].key_length
    key = data.draw(st.binary(min_size=size, max_size=size))
    library, pure = LIBRARY.aead(name, key), PURE.aead(name, key)
    sealed = pure.encrypt(nonce, text, aad)
    assert sealed == library.encrypt(nonce, text, aad)
    assert pure.decrypt(nonce, sealed, aad) == library.decrypt(nonce, sealed, aad) == text
    changed = bytearray(sealed)
    changed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    other = bytes((nonce[0] ^ 1,)) + nonce[1:]
    wrongs = [(nonce, bytes(changed), aad), (nonce, sealed[:-1], aad), (nonce, sealed, aad + b"\0")]
    for wrong in [*wrongs, (other, sealed, aad)]:
        for made in (library, pure):
            with pytest.raises(BadTag):
                made.decrypt(*wrong)


@pytest.mark.parametrize("name", AEADS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 16383, 16384, 16385, 70_000])
def test_aead_of_lengths_around_blocks_and_windows(name: str, size: int) -> None:
    needs(LIBRARY, name)
    key, nonce = bytes(range(AEADS[name].key_length)), bytes(range(12))
    text = bytes(index * 7 % 256 for index in range(size))
    sealed = PURE.aead(name, key).encrypt(nonce, memoryview(text), b"")
    assert sealed == LIBRARY.aead(name, key).encrypt(nonce, text, b"")
    buffer = bytearray(size)
    assert PURE.aead(name, key).decrypt_into(nonce, memoryview(sealed), b"", buffer) == size
    assert buffer == text


# --- key exchange --------------------------------------------------------------------------------------


@way
@pytest.mark.parametrize("group", GROUPS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_exchange(one: Provider, other: Provider, group: str, data: st.DataObject) -> None:
    needs(LIBRARY, group)
    size = NIST.get(group, 96 if group == "X25519MLKEM768" else 32)
    private = data.draw(st.binary(min_size=size, max_size=size).filter(any))
    if group in NIST:
        private = b"\x7f" + private[1:]  # in range
    share = one.key_exchange(group).from_private_bytes(private)
    assert share.public == other.key_exchange(group).from_private_bytes(private).public
    answer, secret = other.key_exchange(group).encapsulate(share.public)
    assert share.exchange(answer) == secret
    assert other.key_exchange(group).from_private_bytes(private).exchange(answer) == secret


@pytest.mark.parametrize("group", GROUPS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_exchange_with_shares_of_any_bytes(group: str, data: st.DataObject) -> None:
    """Both compute the same, or both refuse: points on no curve, encapsulation keys that are not reduced,
    ciphertexts that nobody made."""
    needs(LIBRARY, group)
    size = 96 if group == "X25519MLKEM768" else NIST.get(group, 32)
    private = b"\x11" * size
    share = data.draw(
        st.binary(min_size=GROUPS[group].server_share, max_size=GROUPS[group].server_share)
        | st.binary(max_size=100)
    )
    if group in NIST and data.draw(st.booleans()):
        share = b"\4" + share[1:]

    def outcome(provider: Provider) -> bytes | None:
        try:
            return provider.key_exchange(group).from_private_bytes(private).exchange(share)
        except BadShare:
            return None

    assert outcome(LIBRARY) == outcome(PURE)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_encapsulation_keys_that_are_changed(data: st.DataObject) -> None:
    group = "X25519MLKEM768"
    needs(LIBRARY, group)
    share = bytearray(PURE.key_exchange(group).from_private_bytes(bytes(range(96))).public)
    at = data.draw(st.integers(0, 1151))
    share[at] = data.draw(st.sampled_from([0, 0x0D, 0xD0, 0xFF]))

    def accepted(provider: Provider) -> bool:
        try:
            provider.key_exchange(group).encapsulate(share)
        except BadShare:
            return False
        return True

    assert accepted(LIBRARY) == accepted(PURE)


# --- signatures ----------------------------------------------------------------------------------------


def accepts(key: PublicKey, algorithm: SignatureAlgorithm, signature: bytes, message: bytes) -> bool:
    try:
        key.verify_algorithm(algorithm, signature, message)
    except BadSignature:
        return False
    return True


@way
@pytest.mark.parametrize("kind", KINDS)
@given(message=st.binary(max_size=200), at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=10, deadline=None)
def test_signatures(one: Provider, other: Provider, kind: str, message: bytes, at: int, bit: int) -> None:
    signer = private_keys(kind)[one]
    assert signer.schemes == private_keys(kind)[other].schemes
    verifier = other.public_key(signer.public.spki)
    scheme = signer.schemes[at % len(signer.schemes)]
    signature = signer.sign(scheme, message)
    verifier.verify(scheme, signature, message)
    with pytest.raises(BadSignature):
        verifier.verify(scheme, signature, message + b"\0")
    changed = bytearray(signature)
    changed[at % len(signature)] ^= 1 << bit
    algorithm = SCHEMES[scheme].algorithm
    verdicts = {accepts(key, algorithm, bytes(changed), message) for key in (verifier, signer.public)}
    assert verdicts == {False}


@pytest.mark.parametrize("kind", ["p256", "p384"])
@pytest.mark.parametrize("hash_name", HASHES)
@given(message=st.binary(max_size=50), data=st.data())
@settings(max_examples=15, deadline=None)
def test_ecdsa_numbers_of_any_size(
    kind: str, hash_name: HashName, message: bytes, data: st.DataObject
) -> None:
    """The twin of a signature fits both; what is zero, out of range or in another form fits neither."""
    curve = CURVES[kind]
    keys = private_keys(kind)
    algorithm = SignatureAlgorithm("ecdsa", hash_name)
    scalar = 0x1234567
    signature = ecdsa.sign(curve, scalar, hash_name, message)
    numbers = ecdsa.unpack(signature, curve.size)
    assert numbers is not None
    r, s = numbers
    n = curve.n
    candidates = [(r, s), (r, n - s), (r, s + n), (r + n, s), (0, s), (r, 0), (n, s), (r, n), (s, r)]
    r2, s2 = data.draw(st.sampled_from(candidates))
    forms = [ecdsa.pack(r2, s2), signature + b"\0", b"\x30\x81" + signature[1:], signature[:-1], b""]
    for form in forms:
        verdicts = {accepts(keys[provider].public, algorithm, form, message) for provider in keys}
        assert verdicts == {form == forms[0] and r2 == r and s2 in (s, n - s)}


@given(message=st.binary(max_size=50), data=st.data())
@settings(max_examples=30, deadline=None)
def test_ed25519_signatures_of_any_bytes(message: bytes, data: st.DataObject) -> None:
    needs(LIBRARY, "ed25519")
    keys = private_keys("ed25519")
    signature = data.draw(st.binary(min_size=64, max_size=64) | st.binary(max_size=70))
    verdicts = {
        accepts(key.public, SignatureAlgorithm("ed25519"), signature, message) for key in keys.values()
    }
    assert verdicts == {False}
    assert keys[PURE].sign("ed25519", message) == keys[LIBRARY].sign("ed25519", message)


@pytest.mark.parametrize("family", ["rsa-pkcs1", "rsa-pss"])
@given(message=st.binary(max_size=50), data=st.data())
@settings(max_examples=15, deadline=None)
def test_rsa_under_every_hash_and_salt(family: str, message: bytes, data: st.DataObject) -> None:
    keys = private_keys("rsa")
    made = data.draw(st.sampled_from(sorted(HASHES)))
    asked = data.draw(st.sampled_from(sorted(HASHES)))
    salt = data.draw(st.sampled_from([0, 20, 32, 48, 64, 190]))
    scheme = f"rsa_pkcs1_{made}" if family == "rsa-pkcs1" else f"rsa_pss_rsae_{made}"
    for signer in keys.values():
        signature = signer.sign(scheme, message)
        algorithm = (
            SignatureAlgorithm("rsa-pkcs1", asked)  # type: ignore[arg-type]
            if family == "rsa-pkcs1"
            else SignatureAlgorithm("rsa-pss", asked, salt)  # type: ignore[arg-type]
        )
        verdicts = {accepts(key.public, algorithm, signature, message) for key in keys.values()}
        assert verdicts == {made == asked and (family == "rsa-pkcs1" or salt == HASHES[made])}


# --- keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_public_keys_that_are_changed(kind: str, data: st.DataObject) -> None:
    """What the pure provider reads the library reads, too, and as the same; where only one of them refuses,
    it is the pure one, whose rules on encodings are RFC 8032's and whose lengths have limits."""
    der = bytearray(private_keys(kind)[PURE].public.spki)
    for _ in range(data.draw(st.integers(0, 2))):
        der[data.draw(st.integers(0, min(len(der) - 1, 60)))] = data.draw(st.integers(0, 255))

    def read(provider: Provider) -> tuple[str, int] | None:
        try:
            key = provider.public_key(bytes(der))
        except (BadKey, Unsupported):
            return None
        return key.kind, key.bits

    pure = read(PURE)
    if pure is not None:
        assert read(LIBRARY) == pure
    elif kind in ("p256", "p384"):
        assert read(LIBRARY) is None
