"""Every primitive against numbers that somebody else published."""

from __future__ import annotations

import hmac

import pytest

from mungos.crypto.contract import BadSignature, BadTag, Provider
from tests.crypto.crypto_providers import NIGHTLY

H = bytes.fromhex
NINE = b"\x09" + bytes(31)


# RFC 5869 appendix A, test cases 1 to 3 (SHA-256): input key, salt, info, length, PRK, OKM.
HKDF = [
    pytest.param(
        b"\x0b" * 22,
        bytes(range(13)),
        bytes(range(0xF0, 0xFA)),
        42,
        H("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"),
        H("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
        id="case-1",
    ),
    pytest.param(
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        82,
        H("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"),
        H(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
        id="case-2",
    ),
    pytest.param(
        b"\x0b" * 22,
        b"",
        b"",
        42,
        H("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"),
        H("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
        id="case-3",
    ),
]


@pytest.mark.parametrize(("key", "salt", "info", "length", "prk", "okm"), HKDF)
def test_rfc5869_hkdf(
    provider: Provider, key: bytes, salt: bytes, info: bytes, length: int, prk: bytes, okm: bytes
) -> None:
    assert provider.hkdf_extract("sha256", salt, key) == prk
    assert provider.hkdf_expand("sha256", prk, info, length) == okm


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ],
)
def test_fips180_hash_of_abc(provider: Provider, name: str, expected: str) -> None:
    assert provider.digest(name, b"abc") == H(expected)
    running = provider.hash(name)
    running.update(b"a")
    fork = running.copy()
    fork.update(memoryview(b"bc"))
    running.update(b"x")
    assert fork.digest() == H(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha384",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649",
        ),
    ],
)
def test_rfc4231_hmac_test_case_2(provider: Provider, name: str, expected: str) -> None:
    assert provider.hmac(name, b"Jefe", b"what do ya want for nothing?") == H(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sha256", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        (
            "sha384",
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
            "0c2ef6ab4030fe8296248df163f44952",
        ),
        (
            "sha512",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
    ],
)
def test_rfc4231_hmac_test_case_6_of_a_key_longer_than_a_block(
    provider: Provider, name: str, expected: str
) -> None:
    text = b"Test Using Larger Than Block-Size Key - Hash Key First"
    assert provider.hmac(name, bytearray(b"\xaa" * 131), memoryview(text)) == H(expected)


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 127, 128, 129])
def test_hmac_of_keys_around_a_block_is_the_standard_librarys(
    provider: Provider, name: str, length: int
) -> None:
    key = bytes(range(255, 255 - length, -1))
    assert provider.hmac(name, key, b"text") == hmac.digest(key, b"text", name)


# RFC 8439 section 2.8.2.
RFC8439_TEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
)
RFC8439_SEALED = H(
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
    "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
    "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
    "3ff4def08e4b7a9de576d26586cec64b6116"
    "1ae10b594f09e26a7e902ecbd0600691"
)

# The GCM submission to NIST (McGrew and Viega, "The Galois/Counter Mode of Operation"), appendix B: test
# cases 1 to 4 (AES-128), 15 and 16 (AES-256).
GCM_KEY = H("feffe9928665731c6d6a8f9467308308")
GCM_NONCE = H("cafebabefacedbaddecaf888")
GCM_AAD = H("feedfacedeadbeeffeedfacedeadbeefabaddad2")
GCM_TEXT = H(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
GCM_128 = H(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
)
GCM_256 = H(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
)

AEAD = [
    pytest.param(
        "CHACHA20-POLY1305",
        bytes(range(0x80, 0xA0)),
        H("070000004041424344454647"),
        RFC8439_TEXT,
        H("50515253c0c1c2c3c4c5c6c7"),
        RFC8439_SEALED,
        id="rfc8439-2.8.2",
    ),
    pytest.param(
        "AES-128-GCM", bytes(16), bytes(12), b"", b"", H("58e2fccefa7e3061367f1d57a4e7455a"), id="gcm-1"
    ),
    pytest.param(
        "AES-128-GCM",
        bytes(16),
        bytes(12),
        bytes(16),
        b"",
        H("0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"),
        id="gcm-2",
    ),
    pytest.param(
        "AES-128-GCM",
        GCM_KEY,
        GCM_NONCE,
        GCM_TEXT,
        b"",
        GCM_128 + H("4d5c2af327cd64a62cf35abd2ba6fab4"),
        id="gcm-3",
    ),
    pytest.param(
        "TLS_AES_128_GCM_SHA256",
        GCM_KEY,
        GCM_NONCE,
        GCM_TEXT[:60],
        GCM_AAD,
        GCM_128[:60] + H("5bc94fbc3221a5db94fae95ae7121a47"),
        id="gcm-4",
    ),
    pytest.param(
        "AES-256-GCM",
        GCM_KEY * 2,
        GCM_NONCE,
        GCM_TEXT,
        b"",
        GCM_256 + H("b094dac5d93471bdec1a502270e3cc6c"),
        id="gcm-15",
    ),
    pytest.param(
        "TLS_AES_256_GCM_SHA384",
        GCM_KEY * 2,
        GCM_NONCE,
        GCM_TEXT[:60],
        GCM_AAD,
        GCM_256[:60] + H("76fc6ece0f4e1768cddf8853bb2d551b"),
        id="gcm-16",
    ),
]


@pytest.mark.parametrize(("name", "key", "nonce", "text", "aad", "sealed"), AEAD)
def test_aead_known_answer(
    provider: Provider, name: str, key: bytes, nonce: bytes, text: bytes, aad: bytes, sealed: bytes
) -> None:
    aead = provider.aead(name, key)
    assert aead.encrypt(nonce, text, aad) == sealed
    assert aead.decrypt(nonce, memoryview(sealed), aad) == text
    assert aead.bare_decrypt(nonce, memoryview(sealed), aad) == text
    buffer = bytearray(len(sealed))
    assert aead.encrypt_into(nonce, text, aad, buffer) == len(sealed)
    assert buffer == sealed
    opened = bytearray(len(text))
    assert aead.decrypt_into(nonce, sealed, aad, memoryview(opened)) == len(text)
    assert opened == text


@pytest.mark.parametrize(("name", "key", "nonce", "text", "aad", "sealed"), AEAD)
def test_aead_every_changed_byte_is_refused(
    provider: Provider, name: str, key: bytes, nonce: bytes, text: bytes, aad: bytes, sealed: bytes
) -> None:
    aead = provider.aead(name, key)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x80
        with pytest.raises(BadTag):
            aead.decrypt(nonce, changed, aad)
        with pytest.raises(aead.bare_fault):
            aead.bare_decrypt(nonce, changed, aad)
        with pytest.raises(BadTag):
            aead.decrypt_into(nonce, changed, aad, bytearray(len(text)))
        with pytest.raises(BadTag):
            aead.decrypt(nonce, sealed[:at], aad)
        with pytest.raises(aead.bare_fault):
            aead.bare_decrypt(nonce, sealed[:at], aad)
    with pytest.raises(BadTag):
        aead.decrypt(nonce, sealed, aad + b"\0")


# RFC 7748 section 5.2: scalar, u-coordinate, result.
X25519 = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]


@pytest.mark.parametrize(("scalar", "u", "result"), X25519)
def test_rfc7748_5_2_x25519(provider: Provider, scalar: str, u: str, result: str) -> None:
    share = provider.key_exchange("x25519").from_private_bytes(H(scalar))
    assert share.exchange(H(u)) == H(result)


def test_rfc7748_5_2_x25519_after_one_round(provider: Provider) -> None:
    share = provider.key_exchange("x25519").from_private_bytes(NINE)
    assert share.exchange(NINE) == H("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")


def test_rfc7748_5_2_x25519_after_one_thousand_rounds(provider: Provider) -> None:
    if provider.name == "pure" and not NIGHTLY:
        pytest.skip("seconds of the pure provider: in the nightly profile")
    exchange = provider.key_exchange("x25519")
    k = u = NINE
    for _ in range(1000):
        k, u = exchange.from_private_bytes(k).exchange(u), k
    assert k == H("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")


def test_rfc7748_6_1_diffie_hellman(provider: Provider) -> None:
    exchange = provider.key_exchange("x25519")
    alice = exchange.from_private_bytes(H("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    bob = exchange.from_private_bytes(H("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    assert alice.public == H("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    assert bob.public == H("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    shared = H("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert alice.exchange(bob.public) == bob.exchange(alice.public) == shared


# RFC 5903 sections 8.1 and 8.2: private i, public i, private r, public r, x of the shared point.
CURVES = [
    (
        "secp256r1",
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811"
        "805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990b"
        "b3",
        "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf"
        "6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872"
        "ab",
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    ),
    (
        "secp384r1",
        "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
        "04667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55e"
        "e6de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc2"
        "3f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a8"
        "1c",
        "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
        "04e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc50"
        "9d0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e83843036"
        "7f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e638"
        "6c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
    ),
]


@pytest.mark.parametrize(("group", "i", "public_i", "r", "public_r", "shared"), CURVES)
def test_rfc5903_8_elliptic_curve_diffie_hellman(
    provider: Provider, group: str, i: str, public_i: str, r: str, public_r: str, shared: str
) -> None:
    exchange = provider.key_exchange(group)
    mine, theirs = exchange.from_private_bytes(H(i)), exchange.from_private_bytes(H(r))
    assert mine.public == H(public_i)
    assert theirs.public == H(public_r)
    assert mine.exchange(theirs.public) == theirs.exchange(mine.public) == H(shared)


# RFC 8032 section 7.1, tests 1 to 3: public key, message, signature.
ED25519 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), ED25519)
def test_rfc8032_7_1_ed25519(provider: Provider, public: str, message: str, signature: str) -> None:
    key = provider.public_key(H("302a300506032b6570032100" + public))
    assert (key.kind, key.bits) == ("ed25519", 255)
    key.verify("ed25519", H(signature), H(message))
    with pytest.raises(BadSignature):
        key.verify("ed25519", H(signature), H(message) + b"!")


# RFC 6979 appendices A.2.5 and A.2.6, message "sample": public point, hash and scheme, r, s.
P256_SPKI = H("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + H(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
P384_SPKI = H("3076301006072a8648ce3d020106052b8104002203620004") + H(
    "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13"
    "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720"
)


def ecdsa(r: str, s: str) -> bytes:
    """ECDSA-Sig-Value (RFC 3279 section 2.2.3)."""
    parts = b""
    for number in (r, s):
        value = int(number, 16)
        content = value.to_bytes(value.bit_length() // 8 + 1, "big")
        parts += bytes((2, len(content))) + content
    return bytes((0x30, len(parts))) + parts


@pytest.mark.parametrize(
    ("spki", "scheme", "r", "s"),
    [
        (
            P256_SPKI,
            "ecdsa_secp256r1_sha256",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            P384_SPKI,
            "ecdsa_secp384r1_sha384",
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
        ),
    ],
)
def test_rfc6979_ecdsa(provider: Provider, spki: bytes, scheme: str, r: str, s: str) -> None:
    key = provider.public_key(spki)
    key.verify(scheme, ecdsa(r, s), b"sample")
    with pytest.raises(BadSignature):
        key.verify(scheme, ecdsa(r, s), b"simple")
    with pytest.raises(BadSignature):
        key.verify(scheme, ecdsa(s, r), b"sample")
    with pytest.raises(BadSignature):
        key.verify(scheme, ecdsa(r, s) + b"\0", b"sample")
