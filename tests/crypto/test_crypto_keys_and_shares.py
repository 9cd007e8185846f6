"""What goes wrong with keys and shares, and which error says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
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
    Provider,
    Unsupported,
)
from mungos.crypto.pure.public_keys import spki_of_rsa
from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.crypto.with_cryptography.aead import HAS_INTO, aead
from mungos.errors import Misuse
from tests.crypto.crypto_fixed_keys import (
    ED,
    P256,
    P384,
    PSS_BOUND,
    PSS_FREE,
    RSA,
    AnyPrivate,
    pem,
    pss_pem,
    pss_spki,
    spki,
)
from tests.crypto.crypto_fixed_rsa import SHORT_PRIMES, short_rsa_pem
from tests.crypto.crypto_providers import PROVIDERS
from tests.crypto.crypto_vectors import needs

LIBRARY: Provider = CryptographyProvider()
H = bytes.fromhex
MESSAGE = b"what is signed"

# --- AEAD ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AEADS)
@pytest.mark.parametrize(
    "into", [False, pytest.param(True, marks=pytest.mark.skipif(not HAS_INTO, reason="old"))]
)
def test_aead_the_copying_fallback_is_the_same(name: str, into: bool) -> None:
    key = aead(name, bytes(AEADS[name].key_length), into)
    sealed = LIBRARY.aead(name, bytes(AEADS[name].key_length)).encrypt(bytes(12), MESSAGE, b"aad")
    buffer = bytearray(b"<<" + bytes(len(sealed)) + b">>")
    assert key.encrypt_into(bytes(12), memoryview(MESSAGE), b"aad", memoryview(buffer)[2:-2]) == len(sealed)
    assert buffer == b"<<" + sealed + b">>"
    opened = bytearray(len(MESSAGE))
    assert key.decrypt_into(bytes(12), memoryview(buffer)[2:-2], b"aad", opened) == len(MESSAGE)
    assert opened == MESSAGE
    with pytest.raises(ValueError, match=r"buffer|size|structure"):
        key.encrypt_into(bytes(12), MESSAGE, b"", bytearray(len(MESSAGE)))
    with pytest.raises(BadTag):
        key.decrypt(bytes(12), b"", b"")
    with pytest.raises(BadTag):
        key.decrypt_into(bytes(12), sealed, b"other", opened)


@pytest.mark.parametrize("name", AEADS)
def test_aead_into_a_buffer_of_another_length(provider: Provider, name: str) -> None:
    key = provider.aead(name, bytes(AEADS[name].key_length))
    sealed = key.encrypt(bytes(12), MESSAGE, b"")
    for more in (-1, 1):
        with pytest.raises(ValueError, match=r"buffer|size|structure"):
            key.encrypt_into(bytes(12), MESSAGE, b"", bytearray(len(sealed) + more))
        with pytest.raises(ValueError, match=r"buffer|size|structure"):
            key.decrypt_into(bytes(12), sealed, b"", bytearray(len(MESSAGE) + more))


def test_aead_misuse(provider: Provider) -> None:
    with pytest.raises(Misuse, match="AES-512"):
        provider.aead("AES-512-GCM", bytes(64))
    with pytest.raises(Misuse, match="16 bytes, not 32"):
        provider.aead("AES-128-GCM", bytes(32))


# --- hashing ------------------------------------------------------------------------------------------


def test_hashing_misuse(provider: Provider) -> None:
    calls: list[Callable[[], object]] = [
        lambda: provider.hash("md5"),
        lambda: provider.digest("md5", b""),
        lambda: provider.hmac("md5", b"", b""),
        lambda: provider.hkdf_extract("md5", b"", b""),
        lambda: provider.hkdf_expand("md5", b"", b"", 1),
    ]
    for call in calls:
        with pytest.raises(Misuse, match="hash 'md5' is not one of sha256, sha384, sha512"):
            call()


def test_rfc5869_2_3_lengths_that_are_refused(provider: Provider) -> None:
    for name, size in HASHES.items():
        for length in (-1, 255 * size + 1):
            with pytest.raises(Misuse, match=f"at most {255 * size} bytes over {name}, not {length}"):
                provider.hkdf_expand(name, b"", b"", length)


def test_rfc5869_2_3_longest_output_and_none(provider: Provider) -> None:
    for name, size in HASHES.items():
        whole = provider.hkdf_expand(name, bytes(size), b"info", 255 * size)
        assert len(whole) == 255 * size
        assert whole.startswith(provider.hkdf_expand(name, bytes(size), b"info", size + 1))
        assert provider.hkdf_expand(name, bytes(size), b"info", 0) == b""


def test_constant_time_equal(provider: Provider) -> None:
    assert provider.constant_time_equal(b"abc", bytearray(b"abc"))
    assert not provider.constant_time_equal(b"abc", b"abd")
    assert not provider.constant_time_equal(b"abc", b"ab")


# --- key exchange -------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_group_lengths_and_agreement(provider: Provider, group: str) -> None:
    needs(provider, group)
    exchange = provider.key_exchange(group)
    lengths = GROUPS[group]
    client = exchange.generate()
    assert client.group == exchange.group == group
    assert len(client.public) == lengths.client_share
    share, secret = exchange.encapsulate(memoryview(client.public))
    assert (len(share), len(secret)) == (lengths.server_share, lengths.secret)
    assert client.exchange(memoryview(share)) == secret
    assert exchange.generate().public != client.public


@pytest.mark.parametrize("group", GROUPS)
def test_group_private_keys_repeat_with_the_random_source(provider: Provider, group: str) -> None:
    needs(provider, group)

    def source(count: int) -> bytes:
        return bytes(range(1, count + 1))

    exchange = provider.key_exchange(group)
    assert exchange.generate(source).public == exchange.generate(source).public
    with pytest.raises(Misuse):
        exchange.from_private_bytes(b"short")


@pytest.mark.parametrize("group", GROUPS)
def test_group_share_of_every_wrong_length(provider: Provider, group: str) -> None:
    needs(provider, group)
    exchange = provider.key_exchange(group)
    share = exchange.generate()
    right = exchange.encapsulate(share.public)[0]
    for length in {0, 1, 31, 32, 33, 64, 66, 96, len(right) - 1, len(right) + 1} - {len(right)}:
        with pytest.raises(BadShare):
            share.exchange((right + bytes(200))[:length])
    for length in {0, 31, 33, 64, 66, len(share.public) - 1, len(share.public) + 1} - {len(share.public)}:
        with pytest.raises(BadShare):
            exchange.encapsulate((share.public + bytes(200))[:length])


# RFC 7748 section 6.1 and the points of small order on the curve and its twist: u = 0, 1, p - 1, p, p + 1 and
# the two of order eight.
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_rfc8446_7_4_2_x25519_all_zero_secret(provider: Provider, point: str) -> None:
    exchange = provider.key_exchange("x25519")
    with pytest.raises(BadShare, match="small order"):
        exchange.generate().exchange(H(point))
    with pytest.raises(BadShare, match="small order"):
        exchange.encapsulate(H(point))


@pytest.mark.parametrize(("group", "size"), [("secp256r1", 32), ("secp384r1", 48)])
def test_rfc8446_4_2_8_2_point_not_on_the_curve(provider: Provider, group: str, size: int) -> None:
    exchange = provider.key_exchange(group)
    share = exchange.generate()
    good = share.public
    for bad in (
        b"\x04" + bytes(2 * size),
        b"\x04" + b"\xff" * 2 * size,
        good[:-1] + bytes((good[-1] ^ 1,)),
        b"\x00" + good[1:],
        b"\x02" + good[1:],
        b"\x06" + good[1:],
    ):
        with pytest.raises(BadShare):
            share.exchange(bad)
    with pytest.raises(BadShare):
        share.exchange(b"\x02" + good[1 : size + 1])


@pytest.mark.parametrize("group", ["secp256r1", "secp384r1"])
@pytest.mark.parametrize("form", [0, 2, 3, 5, 6, 7])
def test_rfc8446_4_2_8_2_only_the_uncompressed_form(provider: Provider, group: str, form: int) -> None:
    share = provider.key_exchange(group).generate()
    with pytest.raises(BadShare, match=f"a share of {group} begins with 4, not {form}"):
        share.exchange(bytes((form,)) + share.public[1:])


@pytest.mark.parametrize(("group", "size"), [("secp256r1", 32), ("secp384r1", 48)])
def test_private_scalar_out_of_range(provider: Provider, group: str, size: int) -> None:
    exchange = provider.key_exchange(group)
    for scalar in (bytes(size), b"\xff" * size):
        with pytest.raises(Misuse):
            exchange.from_private_bytes(scalar)
    with pytest.raises(Misuse, match="64 tries"):
        exchange.generate(lambda count: b"\xff" * count)
    answers = iter([b"\xff" * size, bytes(size), bytes(size - 1) + b"\x01"])
    assert (
        exchange.generate(lambda _: next(answers)).public
        == exchange.from_private_bytes(bytes(size - 1) + b"\x01").public
    )


def test_hybrid_is_ml_kem_first_then_x25519(provider: Provider) -> None:
    needs(provider, "X25519MLKEM768")
    needs(LIBRARY, "X25519MLKEM768")
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

    exchange = provider.key_exchange("X25519MLKEM768")
    curve = provider.key_exchange("x25519")
    private = bytes(range(96))
    client = exchange.from_private_bytes(private)
    kem = MLKEM768PrivateKey.from_seed_bytes(private[:64])
    x25519 = curve.from_private_bytes(private[64:])
    assert client.public == kem.public_key().public_bytes_raw() + x25519.public
    server_private = bytes(range(32, 64))
    share, secret = exchange.encapsulate(client.public, lambda count: server_private[:count])
    assert share[1088:] == curve.from_private_bytes(server_private).public
    assert secret == kem.decapsulate(share[:1088]) + x25519.exchange(share[1088:])
    assert client.exchange(share) == secret
    # A changed ciphertext gives another secret, not an error (FIPS 203 section 6.3).
    changed = client.exchange(bytes((share[0] ^ 1,)) + share[1:])
    assert changed != secret
    assert changed[32:] == secret[32:]
    with pytest.raises(BadShare):
        client.exchange(share[:1088] + bytes(32))
    with pytest.raises(BadShare, match="encapsulation key"):
        exchange.encapsulate(b"\xff" * 1184 + x25519.public)


def test_unknown_group(provider: Provider) -> None:
    with pytest.raises(Unsupported, match="x448"):
        provider.key_exchange("x448")
    assert not provider.supports("x448")


# --- public keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kind", "bits"),
    [(RSA, "rsa", 2048), (P256, "secp256r1", 256), (P384, "secp384r1", 384), (ED, "ed25519", 255)],
    ids=["rsa", "p256", "p384", "ed25519"],
)
def test_public_key_from_spki(provider: Provider, key: AnyPrivate, kind: str, bits: int) -> None:
    der = spki(key)
    public = provider.public_key(memoryview(der))
    assert (public.kind, public.bits, public.spki) == (kind, bits, der)
    for length in range(len(der)):
        with pytest.raises((BadKey, Unsupported)):
            provider.public_key(der[:length])
    with pytest.raises((BadKey, Unsupported)):
        provider.public_key(der + b"\0")


@given(key=st.sampled_from([RSA, P256, P384, ED]), data=st.data())
@settings(max_examples=150, deadline=None)
def test_public_key_mutated_ends_in_a_key_or_a_typed_error(
    provider: Provider, key: AnyPrivate, data: st.DataObject
) -> None:
    der = bytearray(spki(key))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, min(len(der), 40) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadKey, Unsupported):
        provider.public_key(bytes(der))


def test_public_key_of_other_kinds(provider: Provider) -> None:
    others: list[ed448.Ed448PublicKey | ec.EllipticCurvePublicKey] = [
        ed448.Ed448PrivateKey.generate().public_key(),
        ec.derive_private_key(7, ec.SECP521R1()).public_key(),
    ]
    for other in others:
        with pytest.raises(Unsupported):
            provider.public_key(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    # RFC 5480 section 2.2 lets a point be compressed; this package does not.
    point = P256.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = H("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    with pytest.raises(Unsupported):
        provider.public_key(der)
    with pytest.raises(BadKey):
        provider.public_key(spki(P256)[:-1] + bytes((spki(P256)[-1] ^ 1,)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_refuses_every_other_kind_of_key(provider: Provider, scheme: str) -> None:
    for public in (spki(RSA), spki(P256), spki(P384), spki(ED), pss_spki(PSS_FREE), pss_spki(PSS_BOUND)):
        key = provider.public_key(public)
        with pytest.raises(BadSignature):
            key.verify(scheme, bytes(64), MESSAGE)
    with pytest.raises(Misuse):
        provider.public_key(spki(ED)).verify("ed448", b"", b"")


# --- private keys -------------------------------------------------------------------------------------

PSS_RSAE = ("rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512")
PSS_PSS = ("rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512")

PRIVATE = [
    pytest.param(pem(P256), spki(P256), ("ecdsa_secp256r1_sha256",), id="p256-pkcs8"),
    pytest.param(
        pem(P256, PrivateFormat.TraditionalOpenSSL), spki(P256), ("ecdsa_secp256r1_sha256",), id="sec1"
    ),
    pytest.param(pem(P384), spki(P384), ("ecdsa_secp384r1_sha384",), id="p384-pkcs8"),
    pytest.param(pem(ED), spki(ED), ("ed25519",), id="ed25519-pkcs8"),
    pytest.param(pem(RSA), spki(RSA), PSS_RSAE, id="rsa-pkcs8"),
    pytest.param(pem(RSA, PrivateFormat.TraditionalOpenSSL), spki(RSA), PSS_RSAE, id="pkcs1"),
    pytest.param(pss_pem(PSS_FREE), pss_spki(PSS_FREE), PSS_PSS, id="rsa-pss"),
    pytest.param(pss_pem(PSS_BOUND), pss_spki(PSS_BOUND), PSS_PSS[:1], id="rsa-pss-bound"),
]


@pytest.mark.parametrize(("text", "public", "schemes"), PRIVATE)
def test_private_key_from_pem(
    provider: Provider, text: bytes, public: bytes, schemes: tuple[str, ...]
) -> None:
    key = provider.private_key(
        b"a comment\n-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n" + text
    )
    assert key.public.spki == public
    assert key.schemes == schemes
    assert key.kind == key.public.kind
    for scheme in SCHEMES:
        if scheme in schemes or (key.kind == "rsa" and scheme.startswith("rsa_pkcs1")):
            signature = key.sign(scheme, memoryview(MESSAGE))
            provider.public_key(public).verify(scheme, signature, MESSAGE)
            with pytest.raises(BadSignature):
                key.public.verify(scheme, signature, MESSAGE + b"!")
        else:
            with pytest.raises(Misuse):
                key.sign(scheme, MESSAGE)
    with pytest.raises(Misuse):
        key.sign("dsa_sha1", MESSAGE)
    assert text[40:80].decode() not in repr(key)


def test_rfc4055_3_1_a_short_key_stays_bound_to_pss(provider: Provider) -> None:
    key = provider.private_key(short_rsa_pem(1024, PSS_FREE))
    p, q = SHORT_PRIMES[1024]
    assert key.kind == "rsa-pss"
    assert key.public.spki == spki_of_rsa(p * q, 65537, PSS_FREE)
    # RFC 8017 section 9.1.1: SHA-512 and its salt take 130 bytes of 128.
    assert key.schemes == PSS_PSS[:2]
    key.public.verify(PSS_PSS[1], key.sign(PSS_PSS[1], MESSAGE), MESSAGE)
    with pytest.raises(Misuse, match="does not sign with rsa_pkcs1_sha256"):
        key.sign("rsa_pkcs1_sha256", MESSAGE)


def test_rfc4055_3_1_the_shortest_of_public_keys_bound_to_pss() -> None:
    # Under 128 bytes: the length takes one byte.
    p, q = SHORT_PRIMES[512]
    public = LIBRARY.private_key(short_rsa_pem(512, PSS_FREE)).public
    assert (public.kind, public.spki) == ("rsa-pss", spki_of_rsa(p * q, 65537, PSS_FREE))


def test_rfc4055_3_1_parameters_that_no_scheme_of_tls_1_3_has(provider: Provider) -> None:
    """An empty list of parameters stands for SHA-1."""
    with pytest.raises(Misuse, match=r"of no use in TLS 1\.3"):
        provider.private_key(pss_pem(H("300d06092a864886f70d01010a3000")))


def test_rfc7468_3_the_text_of_a_key_is_base64_and_nothing_else(provider: Provider) -> None:
    """A header, as RFC 1421 has them, would hide from one reader what another one sees."""
    for text in (pem(P256), pss_pem(PSS_BOUND)):
        head, body = text.split(b"\n", 1)
        for header in (b"Comment: x\n\n", b"Comment-of-a-length: four\n\n", b"*", b"=", b"M"):
            with pytest.raises(Misuse, match="the private key can't be read"):
                provider.private_key(head + b"\n" + header + body)


def test_private_key_misuse(provider: Provider) -> None:
    encrypted = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    old = P256.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    )
    p521 = pem(ec.derive_private_key(7, ec.SECP521R1()))
    x448 = ed448.Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for text, reason in (
        (b"", "no PEM block"),
        (pem(P256)[:80], "no PEM block"),
        (encrypted, "is encrypted: give it unencrypted"),
        (old, "is encrypted: give it unencrypted"),
        (pem(P256).replace(b"M", b"*", 1), "can't be read: "),
        (pem(P256)[:40] + pem(P256)[60:], "can't be read: "),
        (p521, r"of no use in TLS 1\.3: "),
        (x448, r"private key of type Ed448PrivateKey|private key of the algorithm with the OID 2b6571"),
    ):
        with pytest.raises(Misuse, match=reason):
            provider.private_key(text)


def test_features_name_what_the_tables_name(provider: Provider) -> None:
    assert provider.name in PROVIDERS
    assert provider.version.partition(".")[0].isdigit()
    for feature in (*AEADS, *HASHES, *SCHEMES, "x25519", "secp256r1", "secp384r1"):
        assert provider.supports(feature)
    assert provider.supports("encrypt-into") is (HAS_INTO and provider.name == "cryptography")
    assert not provider.supports("rsa_pkcs1_sha1")
    assert not provider.supports("")


def test_rfc8446_4_2_3_codes_are_those_of_the_registry() -> None:
    assert {row.code: name for name, row in SCHEMES.items()} == {
        0x0401: "rsa_pkcs1_sha256",
        0x0501: "rsa_pkcs1_sha384",
        0x0601: "rsa_pkcs1_sha512",
        0x0403: "ecdsa_secp256r1_sha256",
        0x0503: "ecdsa_secp384r1_sha384",
        0x0804: "rsa_pss_rsae_sha256",
        0x0805: "rsa_pss_rsae_sha384",
        0x0806: "rsa_pss_rsae_sha512",
        0x0807: "ed25519",
        0x0809: "rsa_pss_pss_sha256",
        0x080A: "rsa_pss_pss_sha384",
        0x080B: "rsa_pss_pss_sha512",
    }
