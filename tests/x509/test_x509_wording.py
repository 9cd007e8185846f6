"""Names and keys in words."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mungos.x509 import CertificateMalformed, key_text, name_text
from mungos.x509.wording import MAX_NAME_TEXT

NAME = bytes.fromhex(
    # RDNSequence of O=Ex, CN=é and an attribute without a name of its own (2.5.4.97).
    "3029 310b 3009 0603 55040a 0c02 4578 310b 3009 0603 550403 0c02 c3a9310d 300b 0603 550461 0c04 31323334"
)


def common_name(text: str) -> bytes:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]).public_bytes()


def one_attribute(tag: int, value: bytes) -> bytes:
    """CN of a given string type."""
    attribute = b"\x06\x03\x55\x04\x03" + bytes((tag, len(value))) + value
    for outer in (0x30, 0x31, 0x30):
        attribute = bytes((outer, len(attribute))) + attribute
    return attribute


def test_name_in_words() -> None:
    assert name_text(NAME) == "O=Ex, CN=é, 2.5.4.97=1234"
    assert name_text(b"\x30\x00") == "(empty)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a, O=Example", r"CN=a\, O=Example"),
        ('"quoted" <a+b>; c\\d', r"CN=\"quoted\" \<a\+b\>\; c\\d"),
        ("a\nb\x00\x1b[2J", r"CN=a\nb\x00\x1b[2J"),
        ("gro\u202exe.elpmaxe", r"CN=gro\u202exe.elpmaxe"),
    ],
)
def test_name_can_not_pass_for_more(text: str, shown: str) -> None:
    """RFC 4514 section 2.4, and nothing that moves a cursor or begins a line of a log."""
    assert name_text(common_name(text)) == shown


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        (0x13, b"plain", "plain"),
        (0x14, b"\xe9t\xe9", "été"),
        (0x1E, "中文".encode("utf-16-be"), "中文"),
        (0x1E, b"\x00", "\N{REPLACEMENT CHARACTER}"),
        (0x0C, b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_name_by_string_type(tag: int, value: bytes, shown: str) -> None:
    assert name_text(one_attribute(tag, value)) == f"CN={shown}"


def test_name_is_cut_where_it_gets_long() -> None:
    text = name_text(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 64)] * 9).public_bytes())
    assert len(text) == MAX_NAME_TEXT
    assert text.endswith("x…")


def test_name_of_the_greatest_length_costs_little() -> None:
    """A hundred of them may be looked at in one verification."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")] * 8_000).public_bytes()
    began = time.process_time()
    for _ in range(100):
        name_text(name)
    assert time.process_time() - began < 2.0


@given(st.binary(max_size=80))
def test_name_of_anything(data: bytes) -> None:
    for name in (data, one_attribute(0x0C, data)):
        try:
            text = name_text(name)
        except CertificateMalformed:
            continue
        assert text.isprintable()
        assert len(text) <= MAX_NAME_TEXT


@given(st.integers(0, len(NAME) - 1), st.integers(0, 255))
def test_name_with_one_byte_changed_or_cut(at: int, byte: int) -> None:
    for name in (NAME[:at], NAME[:at] + bytes((byte,)) + NAME[at + 1 :]):
        try:
            assert name_text(name).isprintable()
        except CertificateMalformed:
            continue


def spki(
    key: rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey,
) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "RSA 2048 bits"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "EC secp256r1"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "EC secp384r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "EC 1.3.132.0.10"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
        (ed448.Ed448PrivateKey.generate, "Ed448"),
        (lambda: dsa.generate_private_key(1024), "1.2.840.10040.4.1"),
    ],
)
def test_kind_of_a_key(make: Callable[[], rsa.RSAPrivateKey], shown: str) -> None:
    info = spki(make())
    assert key_text(info) == shown
    for size in range(len(info)):
        with pytest.raises(CertificateMalformed):
            key_text(info[:size])
