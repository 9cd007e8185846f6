"""What the pure provider makes of keys in DER and PEM: forms, and everything that is wrong with them."""

from __future__ import annotations

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.contract import BadKey, PrivateKey, Provider, PublicKey, Unsupported
from mungos.crypto.pure.der import (
    BIT_STRING,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    SEQUENCE,
    NotDER,
    Reader,
    pack,
)
from mungos.crypto.pure.ed25519 import SigningKey
from mungos.crypto.pure.public_keys import EC_PUBLIC_KEY, RSA, spki_of_curve, spki_of_ed25519, spki_of_rsa
from mungos.crypto.pure.weierstrass import P256
from mungos.errors import Misuse
from tests.crypto.crypto_certificates import KINDS, private_of
from tests.crypto.crypto_fixed_rsa import RSA_P, RSA_Q

H = bytes.fromhex
P256_OID = H("2a8648ce3d030107")
P384_OID = H("2b81040022")
P521_OID = H("2b81040023")


def pem(der: bytes, label: str = "PRIVATE KEY") -> bytes:
    head, tail = f"-----BEGIN {label}-----\n", f"-----END {label}-----\n"
    return head.encode() + base64.encodebytes(der) + tail.encode()


def integer(number: int) -> bytes:
    return pack(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


# --- DER -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_x690_10_1_lengths_in_their_shortest_form(size: int) -> None:
    der = pack(OCTET_STRING, bytes(size))
    assert Reader(der).content(OCTET_STRING) == bytes(size)
    reader = Reader(der + b"\0")
    assert reader.element() == der
    with pytest.raises(NotDER, match="left over"):
        reader.close()


@pytest.mark.parametrize(
    "der",
    [
        "",
        "04",
        "0401",
        "0480",  # indefinite
        "048000",
        "048101ff",  # a long form for a short length
        "04820080" + "00" * 128,  # a zero in front
        "0484" + "00000001ff",
        "04ff",
        "0481",
        "0482ff",
        "0500",  # another tag
    ],
)
def test_x690_10_1_what_is_no_value(der: str) -> None:
    with pytest.raises(NotDER):
        Reader(H(der)).content(OCTET_STRING)


@pytest.mark.parametrize("content", ["", "80", "ff", "0000", "007f", "ffff"])
def test_x690_8_3_2_integers_that_are_negative_or_too_long(content: str) -> None:
    with pytest.raises(NotDER):
        Reader(pack(INTEGER, H(content))).natural()


def test_x690_8_6_bit_strings_of_whole_bytes() -> None:
    assert Reader(H("030300abcd")).bits() == H("abcd")
    for der in ("0300", "030201fe", "030208ff"):
        with pytest.raises(NotDER):
            Reader(H(der)).bits()
    with pytest.raises(NotDER):
        Reader(b"").element()


# --- public keys ---------------------------------------------------------------------------------------

POINT = P256.encode(P256.generator)
N = RSA_P * RSA_Q


def spki(identifier: bytes, key: bytes) -> bytes:
    return pack(SEQUENCE, pack(SEQUENCE, identifier), pack(BIT_STRING, b"\0", key))


EC = pack(OID, EC_PUBLIC_KEY)
RSA_ID = pack(OID, RSA) + pack(NULL)

BROKEN = {
    "point on the other curve": spki(EC + pack(OID, P384_OID), POINT),
    "infinity": spki(EC + pack(OID, P256_OID), b"\0"),
    "hybrid form": spki(EC + pack(OID, P256_OID), b"\6" + POINT[1:]),
    "coordinate not reduced": spki(
        EC + pack(OID, P256_OID), b"\4" + (P256.p + 5).to_bytes(32, "big") + bytes(32)
    ),
    "parameters after the curve": spki(EC + pack(OID, P256_OID) + pack(NULL), POINT),
    "ed25519 with parameters": spki(pack(OID, H("2b6570")) + pack(NULL), bytes(32)),
    "ed25519 too long": spki(pack(OID, H("2b6570")), bytes(33)),
    "ed25519 not reduced": spki(pack(OID, H("2b6570")), b"\xff" * 32),
    "rsa without NULL": spki(pack(OID, RSA), pack(SEQUENCE, integer(N), integer(3))),
    "rsa with another NULL": spki(pack(OID, RSA) + pack(NULL, b"\0"), pack(SEQUENCE, integer(N), integer(3))),
    "rsa of three numbers": spki(RSA_ID, pack(SEQUENCE, integer(N), integer(3), integer(3))),
    "rsa of one number": spki(RSA_ID, pack(SEQUENCE, integer(N))),
    "rsa negative": spki(RSA_ID, pack(SEQUENCE, pack(INTEGER, b"\x80" + bytes(256)), integer(3))),
    "rsa even": spki_of_rsa(N + 1, 65537),
    "rsa with e = 1": spki_of_rsa(N, 1),
    "rsa with e even": spki_of_rsa(N, 65536),
    "rsa with e over n": spki_of_rsa(N, N + 2),
    "bits that are no bytes": pack(
        SEQUENCE, pack(SEQUENCE, EC, pack(OID, P256_OID)), pack(BIT_STRING, b"\1", POINT[:-1] + b"\0")
    ),
    "something behind": spki_of_curve(P256, P256.generator) + b"\0",
}

UNSUPPORTED = {
    "explicit curve": spki(EC + pack(SEQUENCE), POINT),
    "no curve": spki(EC, POINT),
    "secp521r1": spki(EC + pack(OID, H("2b81040023")), b"\4" + bytes(132)),
    "compressed point": spki(EC + pack(OID, P256_OID), b"\2" + POINT[1:33]),
    "x25519": spki(pack(OID, H("2b656e")), bytes(32)),
    "rsa of 512 bits": spki_of_rsa((1 << 511) + 1, 3),
    "rsa of 8,193 bits": spki_of_rsa((1 << 8192) + 1, 3),
    "rsa with an exponent of 65 bits": spki_of_rsa(N, (1 << 64) + 1),
    "rsa-pss with a salt of its own": spki_of_rsa(
        N, 3, pack(SEQUENCE, pack(OID, H("2a864886f70d01010a")), pack(SEQUENCE))
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_public_keys_that_are_none(pure: Provider, name: str) -> None:
    with pytest.raises(BadKey):
        pure.public_key(BROKEN[name])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ed25519 too long", "an Ed25519 key has 32 bytes, not 33"),
        ("ed25519 not reduced", "not an Ed25519 key: "),
        ("infinity", "not a point of secp256r1"),
        ("rsa with another NULL", "can't be parsed: a NULL that is not empty"),
        ("rsa even", "modulus and its exponent are odd"),
        ("something behind", "can't be parsed: 1 bytes are left over"),
    ],
)
def test_public_keys_that_are_none_and_why(pure: Provider, name: str, reason: str) -> None:
    with pytest.raises(BadKey, match=reason):
        pure.public_key(BROKEN[name])


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_public_keys_that_are_not_spoken(pure: Provider, name: str) -> None:
    with pytest.raises(Unsupported):
        pure.public_key(UNSUPPORTED[name])


@pytest.mark.parametrize("kind", KINDS)
def test_packed_as_the_library_packs(pure: Provider, kind: str) -> None:
    key = private_of(kind)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert pure.private_key(text).public.spki == der


@given(data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_bytes_of_any_kind_end_in_a_typed_error(pure: Provider, data: bytes) -> None:
    with pytest.raises((BadKey, Unsupported)):
        pure.public_key(data)
    for label in ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"):
        with pytest.raises(Misuse):
            pure.private_key(pem(data, label))


# --- private keys --------------------------------------------------------------------------------------


def pkcs8(identifier: bytes, key: bytes, version: int = 0, *more: bytes) -> bytes:
    return pack(SEQUENCE, integer(version), pack(SEQUENCE, identifier), pack(OCTET_STRING, key), *more)


def sec1(*more: bytes, scalar: bytes = bytes(31) + b"\7", version: int = 1) -> bytes:
    return pack(SEQUENCE, integer(version), pack(OCTET_STRING, scalar), *more)


def rsa(version: int = 0, p: int = RSA_P, q: int = RSA_Q, e: int = 65537, *more: bytes) -> bytes:
    d = pow(65537, -1, (RSA_P - 1) * (RSA_Q - 1))
    rest = (integer(d % (p - 1)), integer(d % (q - 1)), integer(1))
    return pack(SEQUENCE, integer(version), *map(integer, (N, e, d, p, q)), *rest, *more)


SEVEN = P256.multiply_generator(7)
assert SEVEN is not None
CURVE = pack(0xA0, pack(OID, P256_OID))
PUBLIC = pack(0xA1, pack(BIT_STRING, b"\0", P256.encode(SEVEN)))
ED = pack(OCTET_STRING, bytes(range(32)))
RANGE = "can't be read: the scalar is not in the range of secp256r1"

GOOD = {
    "sec1 bare of its public key": (sec1(CURVE), "EC PRIVATE KEY"),
    "sec1 whole": (sec1(CURVE, PUBLIC), "EC PRIVATE KEY"),
    "pkcs8 bare": (pkcs8(EC + pack(OID, P256_OID), sec1()), "PRIVATE KEY"),
    "pkcs8 that says the curve twice": (pkcs8(EC + pack(OID, P256_OID), sec1(CURVE, PUBLIC)), "PRIVATE KEY"),
    "rfc5958 with the public key": (
        pkcs8(pack(OID, H("2b6570")), ED, 1, pack(0x81, b"\0", SigningKey(bytes(range(32))).public)),
        "PRIVATE KEY",
    ),
    "rfc5958 with attributes": (pkcs8(pack(OID, H("2b6570")), ED, 0, pack(0xA0)), "PRIVATE KEY"),
    "pkcs1": (rsa(), "RSA PRIVATE KEY"),
}

BAD = {
    "sec1 without a curve": (sec1(), "EC PRIVATE KEY", "no use .*: .* does not name its curve"),
    "sec1 with the public key of another": (
        sec1(CURVE, pack(0xA1, pack(BIT_STRING, b"\0", POINT))),
        "EC PRIVATE KEY",
        "can't be read: the public key beside the private key is not its own",
    ),
    "sec1 of version 2": (sec1(CURVE, version=2), "EC PRIVATE KEY", "can't be read: a version of ECPriv"),
    "sec1 of zero": (sec1(CURVE, scalar=bytes(32)), "EC PRIVATE KEY", RANGE),
    "sec1 of the order": (sec1(CURVE, scalar=P256.n.to_bytes(32, "big")), "EC PRIVATE KEY", RANGE),
    "sec1 too short": (sec1(CURVE, scalar=b"\7"), "EC PRIVATE KEY", RANGE),
    "sec1 too long": (sec1(CURVE, scalar=bytes(32) + b"\7"), "EC PRIVATE KEY", RANGE),
    "sec1 with something behind": (
        sec1(CURVE, PUBLIC, pack(NULL)),
        "EC PRIVATE KEY",
        "can't be read: 2 bytes are left over",
    ),
    "sec1 on a curve not spoken": (
        sec1(pack(0xA0, pack(OID, P521_OID))),
        "EC PRIVATE KEY",
        "no use .*: a private key on a curve that is not spoken here, or on two",
    ),
    "pkcs8 on two curves": (
        pkcs8(EC + pack(OID, P384_OID), sec1(CURVE)),
        "PRIVATE KEY",
        "no use .*: a private key on a curve that is not spoken here, or on two",
    ),
    "pkcs8 on a curve not spoken and on one that is": (
        pkcs8(EC + pack(OID, P521_OID), sec1(CURVE)),
        "PRIVATE KEY",
        "no use .*: a private key on a curve that is not spoken here$",
    ),
    "pkcs8 on a curve not named": (
        pkcs8(EC + pack(SEQUENCE), sec1(CURVE)),
        "PRIVATE KEY",
        "no use .*: a private key on a curve that is not spoken here$",
    ),
    "pkcs8 of version 2": (pkcs8(EC + pack(OID, P256_OID), sec1(), 2), "PRIVATE KEY", "a version of PKCS#8"),
    "pkcs8 of x25519": (pkcs8(pack(OID, H("2b656e")), ED), "PRIVATE KEY", "no use .*: .* the OID 2b656e"),
    "ed25519 of 31 bytes": (
        pkcs8(pack(OID, H("2b6570")), pack(OCTET_STRING, bytes(31))),
        "PRIVATE KEY",
        "can't be read: an Ed25519 key of 31 bytes",
    ),
    "rsa of three primes": (rsa(1), "RSA PRIVATE KEY", "can't be read: an RSA key of more than two primes"),
    "rsa with a wrong prime": (rsa(0, RSA_P + 2), "RSA PRIVATE KEY", "the product of the two primes"),
    "rsa with a wrong exponent": (rsa(0, RSA_P, RSA_Q, 3), "RSA PRIVATE KEY", "the two exponents do not"),
    "rsa with something behind": (
        rsa(0, RSA_P, RSA_Q, 65537, pack(NULL)),
        "RSA PRIVATE KEY",
        "can't be read: 2 bytes are left over",
    ),
    "rsa without NULL": (pkcs8(pack(OID, RSA), rsa()), "PRIVATE KEY", "can't be read: "),
    "rsa with another NULL": (
        pkcs8(pack(OID, RSA) + pack(NULL, b"\0"), rsa()),
        "PRIVATE KEY",
        "can't be read: .* a NULL that is not empty",
    ),
    "rsa with something behind the NULL": (
        pkcs8(RSA_ID + pack(NULL), rsa()),
        "PRIVATE KEY",
        "can't be read: .* 2 bytes are left over",
    ),
    "rsa with an exponent that is even": (
        rsa(0, RSA_P, RSA_Q, 2),
        "RSA PRIVATE KEY",
        "can't be read: .* odd",
    ),
    "dsa": (rsa(), "DSA PRIVATE KEY", "no use .*: a block of DSA PRIVATE KEY"),
    "empty": (b"", "PRIVATE KEY", "can't be read: no value with tag 0x30"),
    "far too long": (bytes(60_000), "PRIVATE KEY", "81054 bytes is over the limit of 65536 bytes"),
}


def works(key: PrivateKey) -> None:
    for scheme in key.schemes:
        key.public.verify(scheme, key.sign(scheme, b"message"), b"message")


@pytest.mark.parametrize("name", GOOD)
def test_private_keys_in_their_forms(pure: Provider, name: str) -> None:
    key = pure.private_key(pem(*GOOD[name]))
    public: PublicKey = pure.public_key(key.public.spki)
    assert public.kind == key.kind
    works(key)


@pytest.mark.parametrize("name", BAD)
def test_private_keys_that_are_none(pure: Provider, name: str) -> None:
    der, label, reason = BAD[name]
    with pytest.raises(Misuse, match=reason):
        pure.private_key(pem(der, label))


@pytest.mark.parametrize("name", GOOD)
def test_private_keys_cut_off_at_every_byte(pure: Provider, name: str) -> None:
    der, label = GOOD[name]
    step = 1 if len(der) < 300 else 37
    for length in range(0, len(der), step):
        with pytest.raises(Misuse):
            pure.private_key(pem(der[:length], label))


@given(name=st.sampled_from(sorted(GOOD)), data=st.data())
@settings(max_examples=100, deadline=None)
def test_private_keys_changed_end_in_a_key_or_misuse(pure: Provider, name: str, data: st.DataObject) -> None:
    der, label = GOOD[name]
    changed = bytearray(der)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, min(len(der), 60) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Misuse):
        pure.private_key(pem(bytes(changed), label))


def test_spki_of_ed25519_is_rfc8410s() -> None:
    # RFC 8410 section 10.1.
    key = H("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")
    assert spki_of_ed25519(key) == H("302a300506032b6570032100") + key
